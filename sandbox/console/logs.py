"""Log lines, newest last."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sandbox.account import Account
from sandbox.console.refusals import asks

SHOWN = 300


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log group."""

    at: dt.datetime
    group: str
    message: str


@asks
def groups(account: Account) -> list[str]:
    """The names of all log groups."""
    pages = account.client("logs").get_paginator("describe_log_groups").paginate()
    return sorted(str(group["logGroupName"]) for page in pages for group in page["logGroups"])


@asks
def lines(account: Account, group: str = "", words: str = "") -> list[Line]:
    """The last lines of a group, or of all; with ``words`` those that hold them."""
    client = account.client("logs")
    found: list[Line] = []
    for name in [group] if group else groups(account):
        events: list[dict[str, Any]] = []
        for page in client.get_paginator("filter_log_events").paginate(logGroupName=name):
            events = [*events, *page["events"]][-SHOWN:]
        found += [
            Line(dt.datetime.fromtimestamp(each["timestamp"] / 1000, dt.UTC), name, each["message"].rstrip())
            for each in events
        ]
    wanted = [line for line in found if words.lower() in line.message.lower()] if words else found
    return sorted(wanted, key=lambda line: line.at)[-SHOWN:]
