"""Events as EventBridge passes them on, and the entries of PutEvents they are made of."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.emulator.calls import AwsError

# 1 MB since January 2026; before that 256 KB.
# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
REQUEST_LIMIT_BYTES = 1_048_576
ENTRY_LIMIT = 10


def check_request(entries: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a PutEvents request as a whole.

    Raises:
        AwsError: there are too many entries, none, or too many bytes.
    """
    if not 1 <= len(entries) <= ENTRY_LIMIT:
        bound = f"less than or equal to {ENTRY_LIMIT}" if entries else "greater than or equal to 1"
        raise AwsError(
            "ValidationException",
            "1 validation error detected: Value at 'entries' failed to satisfy constraint: "
            f"Member must have length {bound}",
        )
    if sum(size_bytes(entry) for entry in entries) > REQUEST_LIMIT_BYTES:
        raise AwsError("ValidationException", "Total size of the entries in the request is over the limit.")


def size_bytes(entry: Mapping[str, Any]) -> int:
    """An entry's size by EventBridge's own rule."""
    texts = [str(entry.get(name) or "") for name in ("Source", "DetailType", "Detail")]
    texts += [str(resource) for resource in entry.get("Resources") or []]
    return sum(len(text.encode()) for text in texts) + (14 if entry.get("Time") else 0)


def entry_error(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Why an entry is not taken, as its result says; empty if it is."""
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            return _error(
                "InvalidArgument", f"Parameter {name} is not valid. Reason: {name} is a required argument."
            )
    if str(entry["Source"]).startswith("aws."):
        return _error("NotAuthorizedForSourceException", "Not authorized for the source.")
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        detail = None
    if not isinstance(detail, dict):
        return _error("MalformedDetail", "Detail is malformed.")
    return {}


def _error(code: str, message: str) -> dict[str, Any]:
    return {"ErrorCode": code, "ErrorMessage": message}


def event_of(entry: Mapping[str, Any], account_id: str, region: str, now: dt.datetime) -> dict[str, Any]:
    """The event an accepted entry becomes."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": entry["DetailType"],
        "source": entry["Source"],
        "account": account_id,
        "time": stamp(entry.get("Time") or now),
        "region": region,
        "resources": list(entry.get("Resources") or []),
        "detail": json.loads(entry["Detail"]),
    }


def completed(event: Mapping[str, Any], account_id: str, region: str, now: dt.datetime) -> dict[str, Any]:
    """A service's event with the fields that it leaves to EventBridge."""
    known: dict[str, Any] = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "",
        "source": "",
        "account": account_id,
        "time": stamp(now),
        "region": region,
        "resources": [],
        "detail": {},
    }
    return known | dict(event)


def scheduled(rule_arn: str, account_id: str, region: str, due: dt.datetime) -> dict[str, Any]:
    """What the targets of a schedule are given."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": account_id,
        "time": stamp(due),
        "region": region,
        "resources": [rule_arn],
        "detail": {},
    }


def stamp(moment: dt.datetime | float) -> str:
    """A time as events have it: UTC, whole seconds."""
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime.fromtimestamp(float(moment), dt.UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
