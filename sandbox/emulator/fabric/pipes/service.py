"""The API of Pipes, and the pollers behind it."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import roles
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.mappings.model import Polled, QueueSettings, StreamSettings
from sandbox.emulator.fabric.mappings.queue_poller import SqsPoller
from sandbox.emulator.fabric.mappings.stream_poller import StreamPoller
from sandbox.emulator.fabric.mappings.validation import read_queue_settings, read_stream_settings
from sandbox.emulator.fabric.pipes.consumer import SERVICE, Definition, PipeConsumer
from sandbox.emulator.fabric.sqs import Mailroom
from sandbox.emulator.fabric.streams import Streams

_STREAMS = {"kinesis": "KinesisStreamParameters", "dynamodb": "DynamoDBStreamParameters"}
_KEPT = ("Description", "SourceParameters", "Enrichment", "EnrichmentParameters", "TargetParameters")


@dataclass(slots=True)
class _Pipe:
    definition: Definition
    params: dict[str, Any]
    polled: Polled
    created_at: dt.datetime
    modified_at: dt.datetime
    running: bool = True
    tags: dict[str, str] = field(default_factory=dict)
    poller: Any = None


class Pipes:
    """Keeps pipes and runs their pollers."""

    def __init__(self, core: AccountCore, mailroom: Mailroom, streams: Streams) -> None:
        self._core = core
        self._mailroom = mailroom
        self._streams = streams
        self._lock = threading.RLock()
        self._pipes: dict[str, _Pipe] = {}

    def handlers(self) -> Handlers:
        """Every operation on pipes."""
        found: dict[str, Handler] = {
            "CreatePipe": self._create,
            "UpdatePipe": self._update,
            "DescribePipe": self._describe,
            "DeletePipe": self._delete,
            "ListPipes": self._list,
            "StartPipe": self._start,
            "StopPipe": self._stop,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._tags,
        }
        return {("pipes", name): handler for name, handler in found.items()}

    def _create(self, call: Call) -> dict[str, Any]:
        arn = _arn(call, call.params["Name"])
        with self._lock:
            if arn in self._pipes:
                raise AwsError("ConflictException", f"Pipe {call.params['Name']} already exists.", 409)
            pipe = self._made(call, dict(call.params))
            pipe.tags = dict(call.params.get("Tags") or {})
            self._pipes[arn] = pipe
        self._follow(pipe)
        return _summary(pipe, "CREATING")

    def _made(self, call: Call, params: dict[str, Any]) -> _Pipe:
        arn = _arn(call, params["Name"])
        definition = Definition(
            name=params["Name"],
            arn=arn,
            account_id=call.account_id,
            region=call.region,
            role_arn=params["RoleArn"],
            source=params["Source"],
            target=params["Target"],
            target_parameters=params.get("TargetParameters") or {},
            enrichment=params.get("Enrichment") or "",
            enrichment_parameters=params.get("EnrichmentParameters") or {},
        )
        try:
            roles.assume(self._core, definition.role_arn, SERVICE, source_arn=arn)
        except roles.RoleRefused:
            raise AwsError(
                "ValidationException", f"The pipe's role {definition.role_arn} does not let Pipes assume it."
            ) from None
        try:
            source = Arn.parse(definition.source)
        except ValueError as error:
            raise AwsError("ValidationException", str(error)) from None
        settings = self._settings(source, params.get("SourceParameters") or {})
        polled = Polled(
            uuid=arn,
            account_id=call.account_id,
            region=call.region,
            source=source,
            settings=settings,
            patterns=settings.patterns(),
        )
        now = self._core.clock.now()
        return _Pipe(definition, params, polled, now, now, params.get("DesiredState") != "STOPPED")

    def _settings(self, source: Arn, given: Mapping[str, Any]) -> QueueSettings | StreamSettings:
        filters = {"FilterCriteria": given.get("FilterCriteria")}
        if source.service == "sqs":
            queue = self._mailroom.find_queue(str(source))
            if queue is None:
                raise AwsError("NotFoundException", f"The queue {source} does not exist.", 404)
            settings = read_queue_settings(
                {**filters, **(given.get("SqsQueueParameters") or {})}, fifo=queue.fifo_queue
            )
            return replace(settings, reports_failures=True)
        if source.service not in _STREAMS:
            raise AwsError(
                "NotEmulated", f"Pipes from {source.service} are not emulated; this is a gap of ours.", 501
            )
        if self._streams.find(source) is None:
            raise AwsError("NotFoundException", f"The stream {source} does not exist.", 404)
        wanted = dict(given.get(_STREAMS[source.service]) or {})
        dead = (wanted.pop("DeadLetterConfig", None) or {}).get("Arn")
        bisects = wanted.pop("OnPartialBatchItemFailure", "") == "AUTOMATIC_BISECT"
        destination = {"DestinationConfig": {"OnFailure": {"Destination": dead}}} if dead else {}
        stream = read_stream_settings(
            {**filters, **wanted, **destination, "BisectBatchOnFunctionError": bisects}, source.service
        )
        return replace(stream, reports_failures=True)

    def _update(self, call: Call) -> dict[str, Any]:
        with self._lock:
            pipe = self._get(call)
            params = {name: value for name, value in pipe.params.items() if name not in _KEPT}
            params |= {name: value for name, value in call.params.items() if value is not None}
            before = (pipe.params.get("SourceParameters") or {}).items()
            params["SourceParameters"] = {**dict(before), **(call.params.get("SourceParameters") or {})}
            made = self._made(call, params)
            pipe.definition, pipe.params, pipe.modified_at = made.definition, params, made.modified_at
            pipe.polled.settings, pipe.polled.patterns = made.polled.settings, made.polled.patterns
            pipe.running = made.running if "DesiredState" in call.params else pipe.running
        self._follow(pipe)
        return _summary(pipe, "UPDATING")

    def _follow(self, pipe: _Pipe) -> None:
        """Bring the poller to where the pipe should be, a moment later."""
        self._core.work.submit(lambda: self._apply(pipe), label=f"pipe {pipe.definition.name}")

    def _apply(self, pipe: _Pipe) -> None:
        with self._lock:
            if self._pipes.get(pipe.definition.arn) is not pipe:
                return
            if pipe.poller is None:
                pipe.poller = self._poller(pipe)
            if pipe.running:
                pipe.poller.start()
            else:
                pipe.poller.stop()

    def _poller(self, pipe: _Pipe) -> SqsPoller | StreamPoller:
        consumer = PipeConsumer(self._core, lambda: pipe.definition)
        if pipe.polled.source.service == "sqs":
            return SqsPoller(self._core, consumer, self._mailroom, pipe.polled)
        stream = self._streams.find(pipe.polled.source)
        assert stream is not None
        return StreamPoller(self._core, consumer, self._streams, stream, pipe.polled)

    def _get(self, call: Call, name: str = "") -> _Pipe:
        pipe = self._pipes.get(_arn(call, name or call.params["Name"]))
        if pipe is None:
            raise AwsError("NotFoundException", f"Pipe {call.params.get('Name', name)} does not exist.", 404)
        return pipe

    def _describe(self, call: Call) -> dict[str, Any]:
        with self._lock:
            pipe = self._get(call)
            kept = {
                name: value for name, value in pipe.params.items() if name not in ("Tags", "DesiredState")
            }
            return {**_summary(pipe), **kept, "Tags": dict(pipe.tags)}

    def _delete(self, call: Call) -> dict[str, Any]:
        with self._lock:
            pipe = self._get(call)
            del self._pipes[pipe.definition.arn]
            poller = pipe.poller
        if poller is not None:
            poller.stop()
        return _summary(pipe, "DELETING")

    def _start(self, call: Call) -> dict[str, Any]:
        return self._switch(call, running=True)

    def _stop(self, call: Call) -> dict[str, Any]:
        return self._switch(call, running=False)

    def _switch(self, call: Call, *, running: bool) -> dict[str, Any]:
        with self._lock:
            pipe = self._get(call)
            pipe.running = running
        self._follow(pipe)
        return _summary(pipe, "STARTING" if running else "STOPPING")

    def _list(self, call: Call) -> dict[str, Any]:
        params = call.params
        with self._lock:
            found = [
                _summary(pipe) | {"Source": pipe.definition.source, "Target": pipe.definition.target}
                for pipe in self._pipes.values()
                if (pipe.definition.account_id, pipe.definition.region) == (call.account_id, call.region)
                and pipe.definition.name.startswith(params.get("NamePrefix") or "")
                and pipe.definition.source.startswith(params.get("SourcePrefix") or "")
                and pipe.definition.target.startswith(params.get("TargetPrefix") or "")
            ]
        return {"Pipes": found}

    def _tagged(self, call: Call) -> _Pipe:
        pipe = self._pipes.get(call.params["resourceArn"])
        if pipe is None:
            raise AwsError("NotFoundException", f"{call.params['resourceArn']} does not exist.", 404)
        return pipe

    def _tag(self, call: Call) -> dict[str, Any]:
        with self._lock:
            self._tagged(call).tags.update(call.params["tags"])
        return {}

    def _untag(self, call: Call) -> dict[str, Any]:
        with self._lock:
            for key in call.params["tagKeys"]:
                self._tagged(call).tags.pop(key, None)
        return {}

    def _tags(self, call: Call) -> dict[str, Any]:
        with self._lock:
            return {"tags": dict(self._tagged(call).tags)}


def _arn(call: Call, name: str) -> str:
    return f"arn:aws:pipes:{call.region}:{call.account_id}:pipe/{name}"


def _summary(pipe: _Pipe, state: str = "") -> dict[str, Any]:
    wanted = "RUNNING" if pipe.running else "STOPPED"
    return {
        "Arn": pipe.definition.arn,
        "Name": pipe.definition.name,
        "DesiredState": "DELETED" if state == "DELETING" else wanted,
        "CurrentState": state or wanted,
        "CreationTime": pipe.created_at,
        "LastModifiedTime": pipe.modified_at,
    }
