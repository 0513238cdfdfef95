"""X-Ray's own endpoint for OTLP, ``POST /v1/traces``: closed, as on AWS until Transaction Search is enabled.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-OTLPEndpoint.html
"""

from __future__ import annotations

from sandbox.emulator.calls import Principal
from sandbox.emulator.gateway.requests import HttpAnswer, HttpRequest
from sandbox.emulator.iam.enforcement import Guard
from sandbox.emulator.telemetry.otlp.receiver import refused
from sandbox.emulator.timeline import Timeline

_DESTINATION = (
    "The OTLP API is supported with CloudWatch Logs as a Trace Segment Destination. Please enable the"
    " CloudWatch Logs destination for your traces using the UpdateTraceSegmentDestination API"
    " (https://docs.aws.amazon.com/xray/latest/api/API_UpdateTraceSegmentDestination.html)"
)


def is_export(request: HttpRequest, service: str) -> bool:
    """Whether somebody sends spans."""
    return service == "xray" and request.method == "POST" and request.path == "/v1/traces"


def answer(
    request: HttpRequest, principal: Principal, region: str, guard: Guard, timeline: Timeline
) -> HttpAnswer:
    """Refuse the spans: whoever may send them is told what AWS tells."""
    refusal = guard.refusal(principal, "xray:PutSpans", "*", region=region)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    told = refused(refusal or _DESTINATION, kind)
    status = 403 if refusal else told.status
    timeline.add(
        "api",
        "xray:PutSpans",
        account_id=principal.account_id,
        region=region,
        outcome="AccessDeniedException" if refusal else "InvalidRequestException",
        status=status,
        principal=principal.arn,
        environment_id=request.environment_id,
        message=refusal or _DESTINATION,
    )
    return HttpAnswer(status, (("Content-Type", told.content_type),), told.body)
