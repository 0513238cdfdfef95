"""Rules, and events put on a bus."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sandbox.account import Account
from sandbox.console.refusals import Refused, asks


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its targets."""

    name: str
    bus: str
    state: str
    schedule: str
    pattern: str
    targets: list[str]


@asks
def rule(account: Account, physical_id: str) -> Rule:
    """A rule by its stack's name for it: ``name`` or ``bus|name``."""
    bus, _, name = physical_id.rpartition("|")
    client, bus = account.client("events"), bus or "default"
    found = client.describe_rule(Name=name, EventBusName=bus)
    targets = client.list_targets_by_rule(Rule=name, EventBusName=bus)["Targets"]
    pattern = found.get("EventPattern", "")
    return Rule(
        name,
        bus,
        found["State"],
        found.get("ScheduleExpression", ""),
        json.dumps(json.loads(pattern), indent=2) if pattern else "",
        [each["Arn"] for each in targets],
    )


@asks
def put(account: Account, bus: str, source: str, detail_type: str, detail: str) -> str:
    """Put an event on a bus; its id. What comes from AWS itself (``aws.…``) is placed as its service would.

    Raises:
        Refused: the detail is no JSON object, or EventBridge says no.
    """
    try:
        parsed = json.loads(detail)
    except ValueError as error:
        raise Refused(f"The detail is not JSON: {error}") from None
    if source.startswith("aws.") and bus == "default" and hasattr(account, "inject"):
        event = {"source": source, "detail-type": detail_type, "detail": parsed, "resources": []}
        return str(account.inject(event)["id"])
    entry: dict[str, Any] = {
        "EventBusName": bus,
        "Source": source,
        "DetailType": detail_type,
        "Detail": detail,
    }
    (answered,) = account.client("events").put_events(Entries=[entry])["Entries"]
    if answered.get("ErrorCode"):
        raise Refused(answered.get("ErrorMessage", ""), answered["ErrorCode"])
    return str(answered["EventId"])
