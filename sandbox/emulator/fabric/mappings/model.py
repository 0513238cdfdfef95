"""An event source mapping: what it was asked to do, and what state it is in."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.filters import Pattern
from sandbox.emulator.functions.names import FunctionName


class MappingState(StrEnum):
    CREATING = "Creating"
    ENABLING = "Enabling"
    ENABLED = "Enabled"
    DISABLING = "Disabling"
    DISABLED = "Disabled"
    UPDATING = "Updating"
    DELETING = "Deleting"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a queue is polled. ``maximum_concurrency`` None: as far as Lambda scales by itself."""

    batch_size: int = 10
    window_s: int = 0
    filters: tuple[str, ...] = ()
    reports_failures: bool = False
    maximum_concurrency: int | None = None
    enabled: bool = True

    def patterns(self) -> tuple[Pattern, ...]:
        """The filters, parsed."""
        return tuple(json.loads(text) for text in self.filters)


@dataclass(slots=True)
class Mapping:
    """One mapping; its settings are replaced as a whole, so that a poller reads consistent ones."""

    uuid: str
    account_id: str
    region: str
    function: FunctionName
    source: Arn
    settings: Settings
    params: dict[str, Any]
    modified_at: dt.datetime
    state: MappingState = MappingState.CREATING
    patterns: tuple[Pattern, ...] = field(default=())

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account_id}:event-source-mapping:{self.uuid}"

    def shown(self) -> dict[str, Any]:
        """The mapping as Lambda's API answers it."""
        settings = self.settings
        shown: dict[str, Any] = {
            "UUID": self.uuid,
            "BatchSize": settings.batch_size,
            "MaximumBatchingWindowInSeconds": settings.window_s,
            "EventSourceArn": str(self.source),
            "FunctionArn": self.function.qualified_arn,
            "LastModified": self.modified_at,
            "State": self.state.value,
            "StateTransitionReason": "USER_INITIATED",
            "FunctionResponseTypes": ["ReportBatchItemFailures"] if settings.reports_failures else [],
            "EventSourceMappingArn": self.arn,
        }
        if settings.filters:
            shown["FilterCriteria"] = {"Filters": [{"Pattern": text} for text in settings.filters]}
        if settings.maximum_concurrency is not None:
            shown["ScalingConfig"] = {"MaximumConcurrency": settings.maximum_concurrency}
        for name in ("KMSKeyArn", "MetricsConfig"):
            if self.params.get(name):
                shown[name] = self.params[name]
        return shown
