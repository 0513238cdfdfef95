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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What mappings of every source have."""

    batch_size: int
    window_s: int = 0
    filters: tuple[str, ...] = ()
    reports_failures: bool = False
    enabled: bool = True

    def patterns(self) -> tuple[Pattern, ...]:
        """The filters, parsed."""
        return tuple(json.loads(text) for text in self.filters)

    def shown(self) -> dict[str, Any]:
        """What Lambda's API answers of them."""
        shown: dict[str, Any] = {
            "BatchSize": self.batch_size,
            "MaximumBatchingWindowInSeconds": self.window_s,
            "FunctionResponseTypes": ["ReportBatchItemFailures"] if self.reports_failures else [],
        }
        if self.filters:
            shown["FilterCriteria"] = {"Filters": [{"Pattern": text} for text in self.filters]}
        return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings(Settings):
    """How a queue is polled. ``maximum_concurrency`` None: as far as Lambda scales by itself."""

    maximum_concurrency: int | None = None

    def shown(self) -> dict[str, Any]:
        """With the limit, where there is one."""
        limit = self.maximum_concurrency
        scaling = {} if limit is None else {"ScalingConfig": {"MaximumConcurrency": limit}}
        return Settings.shown(self) | {"StateTransitionReason": "USER_INITIATED"} | scaling


class StartingPosition(StrEnum):
    TRIM_HORIZON = "TRIM_HORIZON"
    LATEST = "LATEST"
    AT_TIMESTAMP = "AT_TIMESTAMP"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings(Settings):
    """How a stream is read. ``retries`` and ``age_s`` None: until the records expire in the stream."""

    start: StartingPosition
    start_at: dt.datetime | None = None
    lanes: int = 1
    retries: int | None = None
    age_s: int | None = None
    bisects: bool = False
    on_failure: str = ""
    tumbling_s: int = 0

    def shown(self) -> dict[str, Any]:
        """With everything that only streams have."""
        destination = {"Destination": self.on_failure} if self.on_failure else {}
        moment = {} if self.start_at is None else {"StartingPositionTimestamp": self.start_at}
        return (
            Settings.shown(self)
            | moment
            | {
                "StartingPosition": self.start.value,
                "ParallelizationFactor": self.lanes,
                "MaximumRetryAttempts": -1 if self.retries is None else self.retries,
                "MaximumRecordAgeInSeconds": -1 if self.age_s is None else self.age_s,
                "BisectBatchOnFunctionError": self.bisects,
                "TumblingWindowInSeconds": self.tumbling_s,
                "DestinationConfig": {"OnFailure": destination},
                "StateTransitionReason": "User action",
            }
        )


@dataclass(slots=True, kw_only=True)
class Polled:
    """One source that is polled for somebody. Settings are replaced as a whole: readers see consistent ones.

    ``last_result`` is what came of the last batch of a stream, in Lambda's words.
    """

    uuid: str
    account_id: str
    region: str
    source: Arn
    settings: Settings
    patterns: tuple[Pattern, ...] = field(default=())
    last_result: str = ""


@dataclass(slots=True, kw_only=True)
class Mapping(Polled):
    """One event source mapping of a function."""

    function: FunctionName
    params: dict[str, Any]
    modified_at: dt.datetime
    state: MappingState = MappingState.CREATING

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account_id}:event-source-mapping:{self.uuid}"

    def shown(self) -> dict[str, Any]:
        """The mapping as Lambda's API answers it."""
        shown: dict[str, Any] = {
            "UUID": self.uuid,
            "EventSourceArn": str(self.source),
            "FunctionArn": self.function.qualified_arn,
            "LastModified": self.modified_at,
            "State": self.state.value,
            "StateTransitionReason": "USER_INITIATED"
            if isinstance(self.settings, QueueSettings)
            else "User action",
            "EventSourceMappingArn": self.arn,
        } | self.settings.shown()
        if self.last_result:
            shown["LastProcessingResult"] = self.last_result
        for name in ("KMSKeyArn", "MetricsConfig"):
            if self.params.get(name):
                shown[name] = self.params[name]
        return shown
