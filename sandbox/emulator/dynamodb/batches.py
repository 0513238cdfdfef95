"""BatchWriteItem, the one operation that labs call thousands of times, straight on moto's tables."""

from __future__ import annotations

import json
import math
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.responses import validate_put_has_empty_keys

from sandbox.emulator.calls import AwsError, Call
from sandbox.emulator.core import AccountCore
from sandbox.emulator.dynamodb import capacity
from sandbox.emulator.faults import Faults
from sandbox.faults.reads import Unprocessed

# Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
BATCH_LIMIT = 25
_EMPTY_KEY = (
    "One or more parameter values are not valid. The AttributeValue for a key attribute "
    "cannot contain an empty string value. Key: {}"
)


class BatchWrites:
    """Answers BatchWriteItem in the form it has on the wire.

    The fault ``dynamodb.unprocessed`` has each call hand back a ``share`` (0 to 1) of its items, as a
    table under pressure does; which ones follows from their order alone.
    """

    def __init__(self, core: AccountCore, faults: Faults) -> None:
        self._core = core
        self._faults = faults
        self._written = 0

    def answer(self, call: Call) -> dict[str, Any]:
        """Put and delete up to 25 items of one or more tables."""
        requested: dict[str, list[dict[str, Any]]] = call.params.get("RequestItems") or {}
        if not 0 < sum(map(len, requested.values())) <= BATCH_LIMIT:
            raise AwsError("ValidationException", "Too many items requested for the BatchWriteItem call")
        with self._core.dispatch_lock, capacity.taking() as consumed:
            try:
                tables = self._tables(call, requested)
                taken, left = self._share(requested)
                self._write(call, tables, taken)
            except JsonRESTError as error:
                told = json.loads(error.description)
                raise AwsError(told["__type"].rpartition("#")[2], told["message"]) from error
        answer: dict[str, Any] = {"UnprocessedItems": left}
        if capacity.wanted(call):
            answer["ConsumedCapacity"] = capacity.told(call, consumed)
        return answer

    def _tables(self, call: Call, requested: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
        """The tables by name, once every request to them is one that DynamoDB would take."""
        backend = dynamodb_backends[call.account_id][call.region]
        tables = {name: backend.get_table(name) for name in requested}
        for name, requests in requested.items():
            seen = set()
            for request in requests:
                put, deletion = request.get("PutRequest"), request.get("DeleteRequest")
                if (put is None) == (deletion is None):
                    raise MockValidationException(
                        "Supplied WriteRequest must contain exactly one of PutRequest and DeleteRequest"
                    )
                if put is not None:
                    validate_put_has_empty_keys(put["Item"], tables[name], custom_error_msg=_EMPTY_KEY)
                attributes = put["Item"] if put is not None else request["DeleteRequest"]["Key"]
                seen.add(json.dumps([attributes.get(key) for key in tables[name].table_key_attrs]))
            if len(seen) < len(requests):
                raise MockValidationException("Provided list of item keys contains duplicates")
        return tables

    def _write(self, call: Call, tables: dict[str, Any], requested: dict[str, list[dict[str, Any]]]) -> None:
        backend = dynamodb_backends[call.account_id][call.region]
        for name, requests in requested.items():
            for request in requests:
                if put := request.get("PutRequest"):
                    tables[name].put_item(put["Item"], overwrite=True)
                else:
                    backend.delete_item(name, request["DeleteRequest"]["Key"])

    def _share(
        self, requested: dict[str, list[dict[str, Any]]]
    ) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        """What is written and what comes back: items at which the running share passes a whole number."""
        fault = self._faults.find(Unprocessed)
        if fault is None:
            return requested, {}
        taken: dict[str, list[Any]] = {}
        left: dict[str, list[Any]] = {}
        for table, requests in requested.items():
            for request in requests:
                before, self._written = self._written, self._written + 1
                back = math.floor(self._written * fault.share) > math.floor(before * fault.share)
                (left if back else taken).setdefault(table, []).append(request)
        return taken, left
