"""What each condition operator compares, one request value against the values of a policy.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import base64
import binascii
import operator
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from sandbox.emulator.iam.evaluation.patterns import Pieces, glob, matches_arn, text_of

Test = Callable[[str], bool]
"""Whether a request value matches one of the policy's values."""
Family = Callable[[Sequence[Pieces]], Test]

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_EPOCH = re.compile(r"-?\d{1,15}(\.\d+)?", re.ASCII)
_DATE = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:?\d\d)?)?)?",
    re.ASCII | re.IGNORECASE,
)


def _plain(values: Sequence[Pieces]) -> list[str]:
    return [text for pieces in values if (text := text_of(pieces)) is not None]


def equal_text(values: Sequence[Pieces]) -> Test:
    """Exact, case-sensitive."""
    wanted = frozenset(_plain(values))
    return lambda value: value in wanted


def equal_text_ignoring_case(values: Sequence[Pieces]) -> Test:
    """Exact but for case."""
    wanted = frozenset(text.lower() for text in _plain(values))
    return lambda value: value.lower() in wanted


def like_text(values: Sequence[Pieces]) -> Test:
    """With ``*`` and ``?``, case-sensitive."""
    matchers = [glob(pieces) for pieces in values]
    return lambda value: any(matcher.fullmatch(value) for matcher in matchers)


def like_arn(values: Sequence[Pieces]) -> Test:
    """ARNs component by component, with wildcards."""
    patterns = tuple(values)
    return lambda value: any(matches_arn(pieces, value) for pieces in patterns)


def number(text: str) -> Decimal | None:
    """An integer or decimal number, or ``None``."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


@lru_cache(maxsize=1024)
def moment(text: str) -> float | None:
    """Seconds since 1970 of a W3C date or of epoch seconds, or ``None``. Without a zone it is UTC."""
    if _EPOCH.fullmatch(text):
        return float(text)
    match = _DATE.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    clock = f"{hour or '00'}:{minute or '00'}:{second or '00'}{(zone or 'Z').upper()}"
    try:
        read = datetime.fromisoformat(f"{year}-{month}-{day or '01'}T{clock}")
    except ValueError:
        return None
    return read.astimezone(UTC).timestamp() + float(f"0.{fraction or 0}")


def _compared(read: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Family:
    def family(values: Sequence[Pieces]) -> Test:
        wanted = [known for text in _plain(values) if (known := read(text)) is not None]

        def test(value: str) -> bool:
            given = read(value)
            return given is not None and any(compare(given, known) for known in wanted)

        return test

    return family


def truth(text: str) -> bool | None:
    """``true`` or ``false`` in any case, or ``None``."""
    return {"true": True, "false": False}.get(text.lower())


def octets(text: str) -> bytes | None:
    """What base64 text stands for, or ``None``."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


@lru_cache(maxsize=1024)
def network(text: str) -> IPv4Network | IPv6Network | None:
    """An address or a range in CIDR notation, or ``None``."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def address(text: str) -> IPv4Address | IPv6Address | None:
    """An IPv4 or IPv6 address, or ``None``."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def in_range(values: Sequence[Pieces]) -> Test:
    """An address within one of the ranges."""
    ranges = [known for text in _plain(values) if (known := network(text)) is not None]

    def test(value: str) -> bool:
        given = address(value)
        return given is not None and any(given in known for known in ranges)

    return test


def _ordered(prefix: str, read: Callable[[str], Any]) -> dict[str, tuple[Family, bool]]:
    equal = _compared(read, operator.eq)
    return {
        f"{prefix}Equals": (equal, False),
        f"{prefix}NotEquals": (equal, True),
        f"{prefix}LessThan": (_compared(read, operator.lt), False),
        f"{prefix}LessThanEquals": (_compared(read, operator.le), False),
        f"{prefix}GreaterThan": (_compared(read, operator.gt), False),
        f"{prefix}GreaterThanEquals": (_compared(read, operator.ge), False),
    }


FAMILIES: dict[str, tuple[Family, bool]] = {
    "StringEquals": (equal_text, False),
    "StringNotEquals": (equal_text, True),
    "StringEqualsIgnoreCase": (equal_text_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (equal_text_ignoring_case, True),
    "StringLike": (like_text, False),
    "StringNotLike": (like_text, True),
    **_ordered("Numeric", number),
    **_ordered("Date", moment),
    "Bool": (_compared(truth, operator.eq), False),
    "BinaryEquals": (_compared(octets, operator.eq), False),
    "IpAddress": (in_range, False),
    "NotIpAddress": (in_range, True),
    "ArnEquals": (like_arn, False),
    "ArnLike": (like_arn, False),
    "ArnNotEquals": (like_arn, True),
    "ArnNotLike": (like_arn, True),
}
"""Operator → (how values compare, whether the operator negates). ``Null`` is apart: it asks for a key."""

WITH_WILDCARDS = frozenset(name for name in FAMILIES if name.endswith("Like") or name.startswith("Arn"))
WITH_VARIABLES = frozenset(name for name in FAMILIES if name.startswith(("String", "Arn", "Bool")))
"""Numbers, dates, binary values and addresses take no variables."""
