"""The table, one module per kind of source; importing them fills it."""

from tests.triggers.rows import (
    apis,
    buckets,
    invocations,
    machines,
    managed,
    others,
    pipes,
    queues,
    rules,
    schedules,
    sockets,
    streams,
    topics,
)
from tests.triggers.table import TABLE

_ORDER = (
    queues,
    streams,
    buckets,
    topics,
    rules,
    schedules,
    pipes,
    apis,
    sockets,
    invocations,
    machines,
    managed,
    others,
)
_PLACES = {module.__name__: place for place, module in enumerate(_ORDER)}
TABLE.sort(key=lambda row: _PLACES[row.run.__module__])

__all__ = [
    "TABLE",
    "apis",
    "buckets",
    "invocations",
    "machines",
    "managed",
    "others",
    "pipes",
    "queues",
    "rules",
    "schedules",
    "sockets",
    "streams",
    "topics",
]
