"""What a REST API's stage tells X-Ray of a request, when tracing is switched on for it.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-xray.html
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.model import Kind, Stage
from sandbox.emulator.fabric.apigateway.requests import Request
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.telemetry.traces.documents import verdict
from sandbox.emulator.telemetry.traces.headers import TraceHeader, new_id, new_trace_id
from sandbox.emulator.telemetry.traces.sampling import Sampler
from sandbox.emulator.telemetry.traces.service import Traces

_SERVICES = {
    "states": "StepFunctions",
    "sqs": "SQS",
    "sns": "SNS",
    "dynamodb": "DynamoDB",
    "events": "EventBridge",
    "kinesis": "Kinesis",
    "s3": "S3",
    "lambda": "Lambda",
}


@dataclass(slots=True)
class RequestTrace:
    """One request's place in a trace. ``header`` is what the integration is called with.

    ``recorded``: the stage tells of it. ``call`` is from when to when the integration was called, ``uri``
    which one where it is another service's.
    """

    header: str
    began: float
    trace: TraceHeader | None = None
    segment_id: str = field(default_factory=new_id)
    call_id: str = field(default_factory=new_id)
    call: tuple[float, float] | None = None
    uri: str = ""

    @property
    def recorded(self) -> bool:
        """Whether the stage tells of it."""
        return self.trace is not None


class StageTracer:
    """Decides which requests are recorded, and tells of them."""

    def __init__(self, core: AccountCore, traces: Traces) -> None:
        self._core = core
        self._traces = traces
        self._sampler = Sampler(random.Random())

    def begin(self, stage: Stage, request: Request) -> RequestTrace:
        """A request that begins now. Without tracing its header is handed on as it came."""
        now, text = self._core.clock.time(), request.header("x-amzn-trace-id")
        if stage.kind is not Kind.REST or not stage.traced:
            return RequestTrace(text, now)
        given = TraceHeader.read(text) or TraceHeader(new_trace_id(now))
        sampled = given.sampled
        if sampled is None:
            sampled = self._sampler.samples(f"{stage.api_id}/{stage.name}", now)
        if not sampled:
            return RequestTrace(str(TraceHeader(given.trace_id, given.parent_id, False)), now)
        found = RequestTrace("", now, TraceHeader(given.trace_id, given.parent_id, True))
        found.header = str(TraceHeader(given.trace_id, found.call_id, True))
        return found

    def tell(
        self, traced: RequestTrace, stage: Stage, request: Request, function: str, answer: Answer
    ) -> None:
        """The stage's segment, once the request is answered."""
        if traced.trace is None:
            return
        path = f"/restapis/{stage.api_id}/stages/{stage.name}"
        document: dict[str, Any] = {
            "id": traced.segment_id,
            "name": f"{stage.api_name}/{stage.name}",
            "start_time": traced.began,
            "trace_id": traced.trace.trace_id,
            "end_time": self._core.clock.time(),
            "http": {
                "request": {
                    "url": f"https://{request.host}/{stage.name}{request.path}",
                    "method": request.method,
                    "user_agent": request.header("user-agent"),
                    "client_ip": request.source_ip,
                    "x_forwarded_for": False,
                },
                "response": {"status": answer.status, "content_length": len(answer.body)},
            },
            "aws": {
                "api_gateway": {
                    "account_id": stage.account_id,
                    "request_id": request.request_id,
                    "rest_api_id": stage.api_id,
                    "stage": stage.name,
                }
            },
            "annotations": {"aws:api_id": stage.api_id, "aws:api_stage": stage.name},
            "metadata": {
                "default": {
                    "extended_request_id": request.extended_id,
                    "request_id": request.request_id,
                }
            },
            "origin": "AWS::ApiGateway::Stage",
            "resource_arn": f"arn:aws:apigateway:{stage.region}::{path}",
            **verdict(answer.status),
        }
        if traced.trace.parent_id:
            document["parent_id"] = traced.trace.parent_id
        if traced.call is not None and (function or traced.uri):
            document["subsegments"] = [_call(traced, stage, function)]
        self._traces.add(stage.account_id, stage.region, document)


def _call(traced: RequestTrace, stage: Stage, function: str) -> dict[str, Any]:
    assert traced.call is not None
    if not function:
        # arn:aws:apigateway:{region}:{service}:action/{operation}, or path/… for S3, SQS and SNS.
        _, _, _, region, service, how = traced.uri.split(":", 5)
        operation = how.removeprefix("action/") if how.startswith("action/") else ""
        return {
            "id": traced.call_id,
            "name": _SERVICES.get(service, service),
            "start_time": traced.call[0],
            "end_time": traced.call[1],
            "namespace": "aws",
            "aws": {"region": region, **({"operation": operation} if operation else {})},
        }
    name = Arn.parse(function).resource.removeprefix("function:").partition(":")[0]
    return {
        "id": traced.call_id,
        "name": "Lambda",
        "start_time": traced.call[0],
        "end_time": traced.call[1],
        "namespace": "aws",
        "aws": {
            "function_name": name,
            "region": stage.region,
            "operation": "Invoke",
            "resource_names": [name],
        },
    }
