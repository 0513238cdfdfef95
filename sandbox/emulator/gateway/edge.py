"""The one front of an account: every request is authenticated, named, recorded and only then performed."""

from __future__ import annotations

import datetime as dt
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from http.client import responses
from typing import Any, Protocol

import structlog
from moto.core.utils import get_service_model

from sandbox.emulator.calls import (
    TRACE_HEADER,
    AwsError,
    Call,
    Handlers,
    Principal,
    current_call,
    trace_id_in,
)
from sandbox.emulator.clock import VirtualClock
from sandbox.emulator.dynamodb import capacity
from sandbox.emulator.dynamodb import staleness as staleness  # registers what weighs writes, too
from sandbox.emulator.faults import Faults
from sandbox.emulator.faults.gate import Gate
from sandbox.emulator.gateway import (
    answers,
    bucket_cors,
    cbor,
    clients,
    form_uploads,
    moto_app,
    operations,
    signatures,
    span_endpoint,
    trail,
    unsigned,
    witness,
)
from sandbox.emulator.gateway import moto_patches as moto_patches  # registers them
from sandbox.emulator.gateway.keys import Issued, KeyRing
from sandbox.emulator.gateway.operations import Operation
from sandbox.emulator.gateway.requests import ENVIRONMENT, HttpAnswer, HttpRequest, read_environ
from sandbox.emulator.iam.enforcement import Denied, Guard, Record, documents
from sandbox.emulator.timeline import Timeline

log = structlog.get_logger()

# What a moto server answers to anybody, and AWS does not: its administration and instance metadata.
_REFUSED_PATHS = ("/moto-api", "/latest/meta-data", "/latest/api", "/latest/dynamic", "/latest/user-data")
_GAP_CODES = frozenset({"NotEmulated", "InternalFailure"})


class DataPlane(Protocol):
    """Addresses that answer without being an AWS API: deployed APIs, function URLs."""

    def find(self, host: str, path: str) -> bool:
        """Whether this request is for it; ``host`` without port, in lower case."""

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer it."""


class Gateway:
    """Authenticates, names, records and performs. ``handlers`` take operations over from moto."""

    def __init__(
        self,
        clock: VirtualClock,
        timeline: Timeline,
        lock: threading.RLock,
        *,
        enforcing: bool = True,
        faults: Faults | None = None,
    ) -> None:
        self.guard = Guard(lock, clock, enforcing=enforcing)
        self.keys = KeyRing()
        self.handlers: Handlers = {}
        self.wire_handlers: Handlers = {}
        """Operations of JSON services whose parameters and answers stay as they are on the wire."""
        self.data_planes: list[DataPlane] = []
        self.clients = clients.Clients(self._in_process)
        self._moto_clients = clients.Clients(self._straight_to_moto)
        self._clock = clock
        self._timeline = timeline
        self._lock = lock
        self.gate = Gate(faults or Faults(), self.guard, lock)

    def add(self, handlers: Mapping[tuple[str, str], Callable[[Call], dict[str, Any]]]) -> None:
        """Let handlers take their operations over from moto.

        Raises:
            ValueError: an operation has a handler already.
        """
        twice = self.handlers.keys() & handlers.keys()
        if twice:
            raise ValueError(f"Two handlers for {sorted(twice)}")
        self.handlers.update(handlers)

    def application(self, environment_id: str = "") -> Callable[..., Iterable[bytes]]:
        """The WSGI application for outside, or for the socket of one execution environment."""

        def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            host = str(environ.get("HTTP_HOST", "")).rsplit(":", 1)[0].lower()
            path = str(environ.get("PATH_INFO", "/"))
            environ[ENVIRONMENT] = environment_id
            for plane in self.data_planes:
                if plane.find(host, path):
                    return plane.wsgi(environ, start_response)
            answer = self.answer(read_environ(environ, environment_id))
            status = f"{answer.status} {responses.get(answer.status, 'Unknown')}"
            headers = [(name, value) for name, value in answer.headers if name.lower() not in _HOP_BY_HOP]
            if answer.stream is not None:
                start_response(status, headers)
                return answer.stream
            if answer.status not in (204, 304):
                head = environ["REQUEST_METHOD"] == "HEAD"
                told = next((v for n, v in answer.headers if n.lower() == "content-length"), None)
                headers.append(("Content-Length", told if head and told else str(len(answer.body))))
            start_response(status, headers)
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

        return serve

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """Answer a request from a socket, which has to show who makes it."""
        if "origin" not in request.headers:
            return self._answer(request)
        with self._lock:
            rules = bucket_cors.find_rules(request)
        answer = self._answer(request, rules)
        if rules is None or bucket_cors.is_preflight(request):
            return answer
        return bucket_cors.allowed(request, rules, answer)

    def _answer(self, request: HttpRequest, rules: Sequence[bucket_cors.Rule] | None = None) -> HttpAnswer:
        """The answer, whoever may read it; ``rules`` are of the bucket that a browser's request is for."""
        request_id = str(uuid.uuid4())
        service, region = "", "us-east-1"
        try:
            if request.path.startswith(_REFUSED_PATHS):
                raise AwsError("UnknownOperationException", f"{request.path} is no AWS service.", 404)
            if rules is not None and bucket_cors.is_preflight(request):
                service = "s3"
                return bucket_cors.preflight(request, rules)
            anybody = unsigned.find_caller(request, self._lock)
            if anybody is not None:
                return self._perform(request, anybody.service, anybody.region, anybody.principal, request_id)
            if form_uploads.is_upload(request):
                service = "s3"
                return self._upload(request, request_id)
            signed = signatures.read_signature(request)
            region = signed.region
            with self._lock:
                issued = self.keys.find(signed.access_key_id)
            signatures.verify(
                request,
                signed,
                issued,
                wall_time=self._clock.wall_time(),
                account_time=self._clock.time(),
            )
            assert issued is not None
            service = operations.name_service(request, signed.service)
        except AwsError as error:
            service = service or ("s3" if _looks_like_s3(request) else "")
            self._timeline.add(
                "gap" if error.code in _GAP_CODES else "api",
                f"{service or 'unknown'}:{error.code}",
                account_id="",
                region=region,
                outcome=error.code,
                status=error.status,
                method=request.method,
                path=request.path,
                environment_id=request.environment_id,
                message=error.message,
            )
            return answers.write_error(error, request_id, service=service, protocol=_protocol_of(request))
        if span_endpoint.is_export(request, service):
            return span_endpoint.answer(request, issued.principal, region, self.guard, self._timeline)
        return self._perform(request, service, region, issued.principal, request_id)

    def _upload(self, request: HttpRequest, request_id: str) -> HttpAnswer:
        """Put the object that a form holds, as the one who signed the form's policy."""
        form = form_uploads.read_form(request)
        with self._lock:
            issued = self.keys.find(form.access_key_id)
        form_uploads.verify(form, issued, self._clock.time())
        assert issued is not None
        put = form_uploads.put_request(form, request)
        answer = self._perform(put, "s3", form.region, issued.principal, request_id, known_as="PostObject")
        return form_uploads.answer(form, request, answer)

    def _in_process(
        self, request: HttpRequest, service: str, region: str, principal: Principal
    ) -> HttpAnswer:
        return self._perform(request, service, region, principal, str(uuid.uuid4()), in_process=True)

    def _perform(
        self,
        request: HttpRequest,
        service: str,
        region: str,
        principal: Principal,
        request_id: str,
        *,
        in_process: bool = False,
        known_as: str = "",
    ) -> HttpAnswer:
        """Authorise, perform and record; ``known_as`` is the operation's name where it has another."""
        if service == "s3":
            request = request.path_style()
        operation: Operation | None = None
        call: Call | None = None
        record: Record | None = None
        model = get_service_model(service)
        started = self._clock.now()
        try:
            if service != "s3":
                request = request.unpacked()
            operation = operations.name_operation(request, service, parsed=self.handlers.__contains__)
            call = Call(
                service,
                known_as or operation.name,
                operation.params,
                principal,
                principal.account_id,
                region,
                request_id,
                request.environment_id,
                dict(request.headers),
            )
            record = self.guard.authorise(
                call,
                source_ip="" if in_process else request.source_ip,
                user_agent=request.headers.get("user-agent", ""),
                via_service=in_process,
            )
            failing = self.gate.meet(call, in_process=in_process)
            with self._lock:
                documents.check(call)
            answering = current_call.set(call)
            try:
                answer = self._answered(request, operation, call)
            finally:
                current_call.reset(answering)
            if failing is not None:
                raise failing
            if answer.status == 404 and (service, operation.name) in _TELLS_OF_OBJECTS:
                self.guard.hide_missing_object(call)
        except AwsError as error:
            if isinstance(error, Denied):
                record = error.record
            protocol = operation.protocol if operation is not None else _protocol_of(request, model)
            answer = answers.write_error(error, request_id, service=service, protocol=protocol, model=model)
            if error.code in _GAP_CODES:
                self._gap(service, operation, principal, region, error)
        name = known_as or (operation.name if operation is not None else "Unknown")
        self._record(started, request, service, name, call, principal, region, request_id, answer, record)
        # Nobody gets to read the body of an answer to HEAD.
        return replace(answer, body=b"") if request.method == "HEAD" and answer.status >= 400 else answer

    def _answered(self, request: HttpRequest, operation: Operation, call: Call) -> HttpAnswer:
        on_wire = self.wire_handlers.get((operation.service, operation.name))
        if on_wire is not None:
            return answers.write_json(on_wire(call), call.request_id, operation.model.service_model)
        handler = self.handlers.get((operation.service, operation.name))
        if handler is not None:
            try:
                return answers.write_result(operation, handler(call), call.request_id)
            except AwsError:
                raise
            except Exception as error:
                log.exception("handler_failed", service=call.service, operation=call.operation)
                raise AwsError(
                    "InternalFailure",
                    f"The emulator failed ({type(error).__name__}). This is our fault.",
                    500,
                ) from error
        if operation.protocol == cbor.PROTOCOL:
            return answers.write_result(operation, self.moto(call), call.request_id)
        with witness.performing(operation.service, operation.name):
            answer = self._moto(request, operation.service, call.region, call.principal)
        return HttpAnswer(
            answer.status, (*answer.headers, ("x-amzn-RequestId", call.request_id)), answer.body
        )

    def moto(self, call: Call) -> dict[str, Any]:
        """Have moto perform a call that a handler has taken over; the operation's output members.

        Raises:
            AwsError: what moto refused it with.
        """
        client = self._moto_clients.client(call.service, region=call.region, principal=call.principal)
        with witness.performing(call.service, call.operation):
            return clients.perform(client, call)

    def _straight_to_moto(
        self, request: HttpRequest, service: str, region: str, principal: Principal
    ) -> HttpAnswer:
        try:
            return self._moto(request, service, region, principal)
        except AwsError as error:
            model = get_service_model(service)
            protocol = _protocol_of(request, model)
            return answers.write_error(
                error, str(uuid.uuid4()), service=service, protocol=protocol, model=model
            )

    def _moto(self, request: HttpRequest, service: str, region: str, principal: Principal) -> HttpAnswer:
        call = current_call.get()
        with self._lock, self.gate.reading(call), capacity.taking() as taken:
            answer = moto_app.perform(request, service, principal, region)
        if call is None or answer.status >= 300 or not capacity.wanted(call):
            return answer
        body = json.loads(answer.body) | {"ConsumedCapacity": capacity.told(call, taken)}
        headers = tuple(each for each in answer.headers if each[0].lower() != "x-amz-crc32")
        return replace(answer, headers=headers, body=json.dumps(body).encode())

    def _gap(
        self, service: str, operation: Operation | None, principal: Principal, region: str, error: AwsError
    ) -> None:
        name = operation.name if operation is not None else "Unknown"
        self._timeline.add(
            "gap",
            f"{service}:{name}",
            account_id=principal.account_id,
            region=region,
            outcome=error.code,
            message=error.message,
        )

    def _record(
        self,
        started: dt.datetime,
        request: HttpRequest,
        service: str,
        name: str,
        call: Call | None,
        principal: Principal,
        region: str,
        request_id: str,
        answer: HttpAnswer,
        record: Record | None,
    ) -> None:
        code = trail.error_code(answer) if answer.status >= 400 else ""
        parameters = trail.summarise(call.params) if call is not None else {}
        if record is not None:
            self.guard.close(record, code or "ok", answer.status, parameters)
        self._timeline.add(
            "api",
            f"{service}:{name}",
            account_id=principal.account_id,
            region=region,
            outcome=code or "ok",
            status=answer.status,
            request_id=request_id,
            principal=principal.arn,
            access_key_id=principal.access_key_id,
            environment_id=request.environment_id,
            user_agent=request.headers.get("user-agent", ""),
            parameters=parameters,
            started=started.isoformat(timespec="milliseconds"),
            duration_ms=round((self._clock.now() - started).total_seconds() * 1000, 1),
            trace_id=trace_id_in(request.headers.get(TRACE_HEADER, "")),
            **({"reason": trail.error_message(answer)} if code else {}),
        )

    def root_keys(self, account_id: str) -> Issued:
        """A new access key of an account's root user."""
        with self._lock:
            return self.keys.issue_root(account_id)


_TELLS_OF_OBJECTS = frozenset({("s3", "GetObject"), ("s3", "HeadObject"), ("s3", "GetObjectAttributes")})
_HOP_BY_HOP = frozenset({"content-length", "connection", "transfer-encoding", "keep-alive"})


def _looks_like_s3(request: HttpRequest) -> bool:
    return (
        "/s3/aws4_request" in request.headers.get("authorization", "") or "X-Amz-Algorithm" in request.query
    )


def _protocol_of(request: HttpRequest, model: Any = None) -> str:
    """How to write an error for a request that could not be named."""
    kind = request.headers.get("content-type", "")
    if kind == cbor.CONTENT_TYPE:
        return cbor.PROTOCOL
    if "x-amz-target" in request.headers:
        return "json"
    if kind.startswith("application/x-www-form-urlencoded"):
        return "query"
    return (
        str(model.protocol)
        if model is not None and model.protocol in ("rest-json", "rest-xml")
        else "rest-json"
    )
