"""How much a batch may hold, and what comes back unprocessed."""

from __future__ import annotations

import math
from typing import Any

from moto.dynamodb.exceptions import MockValidationException

from sandbox.emulator.faults import Faults
from sandbox.emulator.patches import replaces

# Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
BATCH_LIMIT = 25

_faults: Faults | None = None
_written = 0


def break_by(faults: Faults | None) -> None:
    """Say where this account process keeps its faults.

    ``dynamodb.unprocessed`` has each BatchWriteItem hand back a ``share`` (0 to 1) of its items, as a
    table under pressure does; which ones follows from their order alone.
    """
    global _faults
    _faults = faults


@replaces(
    "moto.dynamodb.responses",
    "DynamoHandler.batch_write_item",
    source_sha256="26221a09e2b2b1fdd77fbc6a92a6781dce3ec1fd30bb34f36c6b4889bc720b2d",
)
def _limited(original: Any) -> Any:
    def batch_write_item(self: Any) -> Any:
        requested: dict[str, list[Any]] = self.body["RequestItems"]
        if not 0 < sum(map(len, requested.values())) <= BATCH_LIMIT:
            raise MockValidationException("Too many items requested for the BatchWriteItem call")
        fault = _faults.find("dynamodb.unprocessed") if _faults is not None else None
        if fault is None:
            return original(self)
        taken, left = _share(requested, min(max(float(fault.get("share", 0.2)), 0.0), 0.95))
        self.body = {**self.body, "RequestItems": taken}
        answer = original(self)
        answer.result["UnprocessedItems"] = left
        return answer

    return batch_write_item


def _share(
    requested: dict[str, list[Any]], share: float
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """What is written and what comes back: items at which the running share passes a whole number."""
    global _written
    taken: dict[str, list[Any]] = {}
    left: dict[str, list[Any]] = {}
    for table, requests in requested.items():
        for request in requests:
            before, _written = _written, _written + 1
            back = math.floor(_written * share) > math.floor(before * share)
            (left if back else taken).setdefault(table, []).append(request)
    return taken, left
