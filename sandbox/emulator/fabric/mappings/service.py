"""Lambda's API for event source mappings, and the pollers behind it."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.core.exceptions import JsonRESTError

from sandbox.emulator.calls import AwsError, Call, Handlers, Principal
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.mappings.access import RoleAccess
from sandbox.emulator.fabric.mappings.consumers import FunctionConsumer
from sandbox.emulator.fabric.mappings.model import Mapping, MappingState, Settings
from sandbox.emulator.fabric.mappings.queue_poller import SqsPoller
from sandbox.emulator.fabric.mappings.stream_poller import StreamPoller
from sandbox.emulator.fabric.mappings.validation import read_queue_settings, read_stream_settings, refused
from sandbox.emulator.fabric.sqs import Mailroom
from sandbox.emulator.fabric.streams import Stream, Streams
from sandbox.emulator.functions import names
from sandbox.emulator.functions.contract import Functions
from sandbox.emulator.functions.credentials import role_principal
from sandbox.emulator.functions.names import FunctionName
from sandbox.emulator.functions.store import FunctionStore


class EventSourceMappings:
    """Keeps mappings and runs their pollers."""

    def __init__(self, core: AccountCore, functions: Functions, mailroom: Mailroom) -> None:
        self._core = core
        self._functions = functions
        self._mailroom = mailroom
        self._store = FunctionStore(core.dispatch_lock, random.Random())
        self.streams = Streams(core)
        self._lock = threading.RLock()
        self._mappings: dict[str, Mapping] = {}
        self._pollers: dict[str, SqsPoller | StreamPoller] = {}

    def handlers(self) -> Handlers:
        """The operations taken over from moto."""
        taken: dict[str, Callable[[Call], dict[str, Any]]] = {
            "CreateEventSourceMapping": self.create,
            "GetEventSourceMapping": self.get,
            "UpdateEventSourceMapping": self.update,
            "DeleteEventSourceMapping": self.delete,
            "ListEventSourceMappings": self.list_mappings,
        }
        return {("lambda", name): handler for name, handler in taken.items()}

    def create(self, call: Call) -> dict[str, Any]:
        params = call.params
        source = _read_source(params)
        function = names.parse(params.get("FunctionName", ""), account_id=call.account_id, region=call.region)
        settings = self._settings(params, function, source)
        RoleAccess(self._core, self._role_of(function), source).check()
        with self._lock:
            self._refuse_second(function, source)
            mapping = Mapping(
                uuid=str(uuid.uuid4()),
                account_id=call.account_id,
                region=call.region,
                function=function,
                source=source,
                settings=settings,
                params=dict(params),
                modified_at=self._core.clock.now(),
                patterns=settings.patterns(),
            )
            self._mappings[mapping.uuid] = mapping
            self._pollers[mapping.uuid] = self._poller(mapping)
            shown = mapping.shown()
        self._follow(mapping)
        return shown

    def get(self, call: Call) -> dict[str, Any]:
        with self._lock:
            return self._get(call).shown()

    def update(self, call: Call) -> dict[str, Any]:
        with self._lock:
            mapping = self._get(call)
            self._refuse_busy(mapping, "update")
            given = {k: v for k, v in call.params.items() if v is not None and k != "UUID"}
            params = {**mapping.params, **given}
            function = mapping.function
            if "FunctionName" in given:
                function = names.parse(given["FunctionName"], account_id=call.account_id, region=call.region)
            settings = self._settings(params, function, mapping.source)
            before = mapping.settings.enabled
            mapping.function, mapping.settings, mapping.params = function, settings, params
            mapping.patterns, mapping.modified_at = settings.patterns(), self._core.clock.now()
            mapping.state = {
                (False, True): MappingState.ENABLING,
                (True, False): MappingState.DISABLING,
            }.get((before, settings.enabled), MappingState.UPDATING)
            shown = mapping.shown()
        self._follow(mapping)
        return shown

    def delete(self, call: Call) -> dict[str, Any]:
        with self._lock:
            mapping = self._get(call)
            self._refuse_busy(mapping, "delete")
            mapping.state = MappingState.DELETING
            shown = mapping.shown()
            poller = self._pollers.pop(mapping.uuid)
        poller.stop()
        self._core.work.submit(lambda: self._forget(mapping), label=f"mapping {mapping.uuid}: deleting")
        return shown

    def list_mappings(self, call: Call) -> dict[str, Any]:
        params = call.params
        with self._lock:
            found = [
                m
                for m in self._mappings.values()
                if (m.account_id, m.region) == (call.account_id, call.region)
            ]
            if params.get("FunctionName"):
                wanted = names.parse(params["FunctionName"], account_id=call.account_id, region=call.region)
                found = [m for m in found if m.function == wanted]
            if params.get("EventSourceArn"):
                found = [m for m in found if str(m.source) == params["EventSourceArn"]]
            first, most = int(params.get("Marker") or 0), int(params.get("MaxItems") or 100)
            page = [mapping.shown() for mapping in found[first : first + most]]
        more = {"NextMarker": str(first + most)} if first + most < len(found) else {}
        return {"EventSourceMappings": page, **more}

    def _get(self, call: Call) -> Mapping:
        mapping = self._mappings.get(call.params.get("UUID", ""))
        if mapping is None or (mapping.account_id, mapping.region) != (call.account_id, call.region):
            raise AwsError(
                "ResourceNotFoundException", "The resource you requested does not exist.", 404, Type="User"
            )
        return mapping

    def _poller(self, mapping: Mapping) -> SqsPoller | StreamPoller:
        consumer = FunctionConsumer(self._core, self._functions, mapping)
        if mapping.source.service == "sqs":
            return SqsPoller(self._core, consumer, self._mailroom, mapping)
        stream = self._find_stream(mapping.source)
        return StreamPoller(self._core, consumer, self.streams, stream, mapping)

    def _role_of(self, function: FunctionName) -> Principal | None:
        try:
            return role_principal(self._store.resolve(function).version)
        except AwsError:
            return None

    def _settings(self, params: dict[str, Any], function: FunctionName, source: Arn) -> Settings:
        timeout_s = self._timeout_s(function)
        if source.service != "sqs":
            self._find_stream(source)
            return read_stream_settings(params, source.service)
        queue = self._mailroom.find_queue(str(source))
        if queue is None or source.region != function.region:
            raise refused(
                "Error occurred while ReceiveMessage. "
                "SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
                "SQS Error Message: The specified queue does not exist."
            )
        settings = read_queue_settings(params, fifo=queue.fifo_queue)
        visibility_s = int(queue.visibility_timeout)
        if visibility_s < timeout_s:
            raise refused(
                f"Queue visibility timeout: {visibility_s} seconds is less than "
                f"Function timeout: {timeout_s} seconds"
            )
        return settings

    def _find_stream(self, source: Arn) -> Stream:
        stream = self.streams.find(source)
        if stream is None:
            raise refused(f"Stream not found: {source}")
        return stream

    def _timeout_s(self, function: FunctionName) -> int:
        with self._core.dispatch_lock:
            backend = lambda_backends[function.account_id][function.region]
            try:
                found = backend.get_function(function.name, function.qualifier or None)
            except JsonRESTError:
                found = None
            if found is None:
                raise AwsError(
                    "ResourceNotFoundException",
                    f"Function not found: {function.qualified_arn}",
                    404,
                    Type="User",
                )
            return int(found.timeout)

    def _refuse_second(self, function: FunctionName, source: Arn) -> None:
        for mapping in self._mappings.values():
            if (mapping.function, mapping.source) == (function, source):
                raise AwsError(
                    "ResourceConflictException",
                    f'The event source arn (" {source} ") and function (" {function.name} ") provided '
                    "mapping already exists. Please update or delete the existing mapping with "
                    f"UUID {mapping.uuid}",
                    409,
                    Type="User",
                )

    def _refuse_busy(self, mapping: Mapping, doing: str) -> None:
        if mapping.state not in (MappingState.ENABLED, MappingState.DISABLED):
            raise AwsError(
                "ResourceInUseException",
                f"Cannot {doing} the event source mapping because it is in use.",
                400,
                Type="User",
            )

    def _follow(self, mapping: Mapping) -> None:
        """Bring the poller to where the mapping's settings want it, a moment later."""
        self._core.work.submit(lambda: self._apply(mapping), label=f"mapping {mapping.uuid}: {mapping.state}")

    def _apply(self, mapping: Mapping) -> None:
        with self._lock:
            poller = self._pollers.get(mapping.uuid)
            if poller is None:
                return
            enabled = mapping.settings.enabled
            mapping.state = MappingState.ENABLED if enabled else MappingState.DISABLED
            if enabled:
                poller.start()
            else:
                poller.stop()

    def _forget(self, mapping: Mapping) -> None:
        with self._lock:
            self._mappings.pop(mapping.uuid, None)


def _read_source(params: dict[str, Any]) -> Arn:
    try:
        source = Arn.parse(params.get("EventSourceArn") or "")
    except ValueError:
        raise refused("Unrecognized event source.") from None
    if source.service not in ("sqs", "kinesis", "dynamodb"):
        raise AwsError(
            "NotEmulated",
            f"Coldstart does not emulate event source mappings of {source.service} yet; "
            "this is a gap of ours, not a mistake of yours.",
            501,
        )
    return source
