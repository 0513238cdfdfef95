"""How callers name a function: name, partial ARN or ARN, with or without a version or alias."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from sandbox.emulator.calls import AwsError, Call

LATEST = "$LATEST"

_REFERENCE = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?"
    r"(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?"
    r"(?:(?P<account>\d{12}):)?"
    r"(?:function:)?"
    r"(?P<name>[a-zA-Z0-9\-_.]+)"
    r"(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9\-_]+))?"
)
_PATTERN_IN_MESSAGES = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?"
    r"([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"
)


@dataclass(frozen=True, slots=True)
class FunctionName:
    """Which function is meant. ``qualifier`` is a version, an alias, ``$LATEST`` or empty."""

    account_id: str
    region: str
    name: str
    qualifier: str = ""

    @property
    def arn(self) -> str:
        """The function's ARN, without qualifier."""
        return f"arn:aws:lambda:{self.region}:{self.account_id}:function:{self.name}"

    @property
    def qualified_arn(self) -> str:
        """The ARN as it was asked for: with the qualifier, if there was one."""
        return f"{self.arn}:{self.qualifier}" if self.qualifier else self.arn

    def at(self, qualifier: str) -> FunctionName:
        """The same function under another qualifier."""
        return replace(self, qualifier=qualifier)


def parse(reference: str, *, account_id: str, region: str, qualifier: str = "") -> FunctionName:
    """Read a reference; what it leaves out is the caller's own account and region.

    Raises:
        AwsError: it names no function, or ``qualifier`` contradicts the one inside it.
    """
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{reference}' at 'functionName' failed to satisfy "
            f"constraint: Member must satisfy regular expression pattern: {_PATTERN_IN_MESSAGES}",
        )
    inside = found["qualifier"] or ""
    if inside and qualifier and inside != qualifier:
        raise AwsError(
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
        )
    return FunctionName(
        account_id=found["account"] or account_id,
        region=found["region"] or region,
        name=found["name"],
        qualifier=inside or qualifier,
    )


def of(call: Call) -> FunctionName:
    """Which function an API call is about, by its ``FunctionName`` and ``Qualifier``.

    Raises:
        AwsError: as :func:`parse`.
    """
    return parse(
        call.params["FunctionName"],
        account_id=call.account_id,
        region=call.region,
        qualifier=call.params.get("Qualifier") or "",
    )
