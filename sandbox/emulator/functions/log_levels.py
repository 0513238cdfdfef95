"""Which of a function's logs are kept when its log format is JSON.

Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_RANKS = {name: rank for rank, name in enumerate(_LEVELS)} | {"WARNING": 3, "CRITICAL": 5}
_INFO = _RANKS["INFO"]
# The names under which runtimes write a line's time.
_TIMES = ("timestamp", "time", "@timestamp")


def application_line_is_kept(line: str, lowest: str) -> bool:
    """Whether a line that the function wrote is of the level ``lowest`` or above it.

    A level counts where the line is JSON with a valid time beside it; any other line is of the level INFO.
    """
    rank = _INFO
    if line.lstrip().startswith("{"):
        try:
            told = json.loads(line)
        except ValueError:
            told = {}
        if isinstance(told, dict) and any(_is_time(told.get(name)) for name in _TIMES):
            rank = _RANKS.get(str(told.get("level", "")).upper(), _INFO)
    return rank >= _RANKS.get(lowest, _INFO)


def _is_time(value: Any) -> bool:
    """Whether it is a time as RFC 3339 writes it."""
    try:
        return isinstance(value, str) and "T" in value and dt.datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def platform_event_is_kept(kind: str, record: Mapping[str, Any], lowest: str) -> bool:
    """Whether an event of the platform is of the level ``lowest`` or above it.

    Source: the mapping of events to levels at the end of the same page.
    """
    return _RANKS[_level(kind, record)] >= _RANKS.get(lowest, _INFO)


def _level(kind: str, record: Mapping[str, Any]) -> str:
    if record.get("status", "success") != "success":
        return "WARN"
    if kind in ("initRuntimeDone", "runtimeDone"):
        return "DEBUG"
    if kind == "initReport" and record.get("initializationType") == "on-demand":
        return "DEBUG"
    return "INFO"
