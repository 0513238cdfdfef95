"""What a trail of a real account can tell of a role's rights, and what it cannot. Pure.

Sources:
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_access-advisor.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graders.iam import actions
from graders.iam.evidence import Evidence, Seen
from sandbox.emulator.iam.evaluation import Request
from sandbox.emulator.iam.mapping.requests import RENAMED
from sandbox.emulator.iam.mapping.s3 import BUCKET_ACTIONS, OBJECT_ACTIONS

# Resource types of data events → the actions that only those events tell of.
DATA_EVENTS: Mapping[str, tuple[str, ...]] = {
    "AWS::S3::Object": ("s3:*Object*", "s3:*MultipartUpload*"),
    "AWS::Lambda::Function": ("lambda:Invoke*",),
    "AWS::DynamoDB::Table": (
        *("dynamodb:*Item*", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PartiQL*"),
        *("dynamodb:GetRecords", "dynamodb:GetShardIterator"),
    ),
    "AWS::SNS::Topic": ("sns:Publish",),
    "AWS::SQS::Queue": ("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessage*"),
    "AWS::Kinesis::Stream": ("kinesis:PutRecord*", "kinesis:GetRecords", "kinesis:GetShardIterator"),
    "AWS::StepFunctions::StateMachine": ("states:InvokeHTTPEndpoint",),
    "AWS::CloudWatch::Metric": ("cloudwatch:PutMetricData", "cloudwatch:GetMetric*"),
    "AWS::XRay::Trace": ("xray:Put*",),
}
# No trail tells of these: the action is checked within another call, or the service writes no events of it.
NEVER = ("iam:PassRole", "logs:PutLogEvents", "logs:CreateLogStream", "events:PutEvents", "execute-api:*")


@dataclass(frozen=True)
class Trail:
    """A trail with the resource types whose data events it logs; by default it logs none."""

    data_events: frozenset[str] = frozenset()

    def observable(self, action: str) -> bool:
        """Whether the trail would hold an event had this action been used."""
        if _among(action, NEVER):
            return False
        kinds = [kind for kind, patterns in DATA_EVENTS.items() if _among(action, patterns)]
        return not kinds or any(kind in self.data_events for kind in kinds)

    def evidence(self, role_arn: str, events: Iterable[Mapping[str, Any]]) -> Evidence:
        """A role's evidence from the trail's events (the ``CloudTrailEvent`` objects), as far as they tell.

        An event names the API's operation, which is not always the action. An operation of which we don't
        know the actions may have used any of its service, so none of them counts as unused. Events do not
        name the statement that allowed a call, so their uses rest on none.
        """
        used: list[Seen] = []
        denied: list[Seen] = []
        unread: set[str] = set()
        for event in events:
            issuer = event.get("userIdentity", {}).get("sessionContext", {}).get("sessionIssuer", {})
            if issuer.get("arn") != role_arn:
                continue
            action = _action(event)
            if not actions.exists(action):
                unread.add(action.partition(":")[0])
                continue
            action = actions.named(action)
            refused = event.get("errorCode", "") in _REFUSED
            request = Request(action, _resource(event), context={})
            seen = Seen(request, not refused, (), event["eventName"], event.get("eventTime", ""))
            (denied if refused else used).append(seen)

        def observable(asked: str) -> bool:
            return asked.partition(":")[0] not in unread and self.observable(asked)

        return Evidence(role_arn, tuple(used), tuple(denied), observable)


_REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
_S3 = {**BUCKET_ACTIONS, **OBJECT_ACTIONS, "ListBuckets": "ListAllMyBuckets"}
_SERVICES = {"monitoring": "cloudwatch", "tagging": "tag"}


def _action(event: Mapping[str, Any]) -> str:
    service = str(event.get("eventSource", "")).removesuffix(".amazonaws.com")
    service = _SERVICES.get(service, service)
    # Lambda's events carry the version of its API: Invoke, but CreateFunction20150331.
    name = str(event.get("eventName", "")).partition("2015")[0].partition("2016")[0]
    renamed = _S3.get(name) if service == "s3" else RENAMED.get((service, name))
    return f"{service}:{renamed or name}"


def _resource(event: Mapping[str, Any]) -> str:
    arns = [str(item.get("ARN") or item.get("arn") or "") for item in event.get("resources") or ()]
    return max((arn for arn in arns if arn), key=len, default="*")


def _among(action: str, patterns: Iterable[str]) -> bool:
    return action in actions.covered({"Effect": "Allow", "Action": list(patterns)})
