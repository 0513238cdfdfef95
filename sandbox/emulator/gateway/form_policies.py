"""What a form may upload: an expiry and conditions on the form's fields.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.calls import AwsError

# Fields that a policy need not speak of.
_FREE = frozenset({"awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"})


@dataclass(frozen=True, slots=True)
class Condition:
    """``field`` in lower case; ``written`` is the condition as the policy has it."""

    match: str
    field: str
    value: str
    written: str


@dataclass(frozen=True, slots=True)
class Policy:
    """``sizes`` are the least and the most bytes, if the policy says."""

    expires: float
    conditions: tuple[Condition, ...]
    sizes: tuple[int, int] | None = None


def read(encoded: str) -> Policy:
    """The policy that a form's field holds in Base64.

    Raises:
        AwsError: it is none.
    """
    try:
        found = json.loads(base64.b64decode(encoded, validate=False))
    except (binascii.Error, ValueError):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(found, Mapping):
        raise _invalid("Invalid JSON.")
    for name in ("expiration", "conditions"):
        if name not in found:
            raise _invalid(f"Missing {name}.")
    if not isinstance(found["conditions"], list):
        raise _invalid("Invalid JSON.")
    conditions: list[Condition] = []
    sizes = None
    for written in found["conditions"]:
        if isinstance(written, list) and written[:1] == ["content-length-range"]:
            sizes = _sizes(written)
        else:
            conditions += _conditions(written)
    return Policy(_moment(found["expiration"]), tuple(conditions), sizes)


def check(policy: Policy, bucket: str, fields: Mapping[str, str], size: int, now: float) -> None:
    """Refuse what the policy does not allow.

    Raises:
        AwsError: in AWS's words, why not.
    """
    if now > policy.expires:
        raise _against("Policy expired.")
    given = {**fields, "bucket": bucket}
    for condition in policy.conditions:
        if not _holds(condition, given.get(condition.field, "")):
            raise _against(f"Policy Condition failed: {condition.written}")
    spoken_of = {condition.field for condition in policy.conditions} | _FREE
    extra = [name for name in fields if name not in spoken_of and not name.startswith("x-ignore-")]
    if extra:
        raise _against(f"Extra input fields: {', '.join(extra)}")
    if policy.sizes is not None:
        _check_size(size, *policy.sizes)


def _check_size(size: int, least: int, most: int) -> None:
    if size > most:
        raise AwsError(
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size",
            ProposedSize=size,
            MaxSizeAllowed=most,
        )
    if size < least:
        raise AwsError(
            "EntityTooSmall",
            "Your proposed upload is smaller than the minimum allowed size",
            ProposedSize=size,
            MinSizeAllowed=least,
        )


def _holds(condition: Condition, value: str) -> bool:
    if condition.match == "eq":
        return value == condition.value
    if condition.field == "content-type":
        return all(each.strip().startswith(condition.value) for each in value.split(","))
    return value.startswith(condition.value)


def _conditions(written: Any) -> list[Condition]:
    if isinstance(written, Mapping):
        return [
            Condition("eq", str(name).lower(), str(value), json.dumps(["eq", f"${name}", value]))
            for name, value in written.items()
        ]
    well_formed = isinstance(written, list) and len(written) == 3 and str(written[1]).startswith("$")
    if not well_formed or str(written[0]).lower() not in ("eq", "starts-with"):
        raise _invalid(f"Invalid Condition: {json.dumps(written)}")
    match, field, value = (str(part) for part in written)
    return [Condition(match.lower(), field[1:].lower(), value, json.dumps(written))]


def _sizes(written: list[Any]) -> tuple[int, int]:
    try:
        _, least, most = written
        return int(least), int(most)
    except (TypeError, ValueError):
        raise _invalid(f"Invalid content-length-range: {json.dumps(written)}") from None


def _moment(text: Any) -> float:
    try:
        found = dt.datetime.fromisoformat(str(text))
    except ValueError:
        raise _invalid(f"Invalid 'expiration' value: '{text}'") from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)).timestamp()


def _invalid(why: str) -> AwsError:
    return AwsError("InvalidPolicyDocument", f"Invalid Policy: {why}")


def _against(why: str) -> AwsError:
    return AwsError("AccessDenied", f"Invalid according to Policy: {why}", 403)
