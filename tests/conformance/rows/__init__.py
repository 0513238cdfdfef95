"""The table, one module per subject; importing them fills it."""

from tests.conformance.rows import answers, clock, concurrency, failures, limits, logging, platform, streaming
from tests.conformance.table import TABLE

__all__ = [
    "TABLE",
    "answers",
    "clock",
    "concurrency",
    "failures",
    "limits",
    "logging",
    "platform",
    "streaming",
]
