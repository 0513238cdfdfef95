"""Which resources a request names, by the types that AWS's action list speaks of.

One builder for each type of resource: it reads the parameters under the names that the service's
operations use, and gives ARNs. Names, partial ARNs, full ARNs and URLs all become ARNs.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlsplit

from sandbox.emulator.iam.mapping.model import Asked

Builder = Callable[[Asked], list[str]]

_ACCOUNT = re.compile(r"\d{12}")


def named(service: str, template: str, *params: str, kind: str = "") -> Builder:
    """ARNs of what stands under ``params``: as it is when it is an ARN, else put into ``template``.

    ``kind`` has the account asked for the ARN first, for those that hold more than the name.
    """

    def build(asked: Asked) -> list[str]:
        return [_complete(asked, service, template, kind, text) for text in asked.texts(*params)]

    return build


def _complete(asked: Asked, service: str, template: str, kind: str, text: str) -> str:
    if text.startswith("arn:"):
        return text
    known = asked.find(kind, text) if kind else None
    if known:
        return known
    resource = template.replace("{}", text.lstrip("/") if template.endswith("/{}") else text)
    region = "" if service in _WITHOUT_REGION else asked.region
    account = "" if service in _WITHOUT_ACCOUNT else asked.account_id
    return f"arn:aws:{service}:{region}:{account}:{resource}"


_WITHOUT_REGION = frozenset({"iam", "route53", "organizations", "s3"})
_WITHOUT_ACCOUNT = frozenset({"route53", "s3"})


def function_arn(asked: Asked, text: str, qualifier: str = "") -> str:
    """A function's ARN from a name, ``name:qualifier``, ``account:function:name`` or an ARN."""
    parts = text.split(":")
    if text.startswith("arn:") and len(parts) >= 7:
        region, account, rest = parts[3], parts[4], parts[6:]
    elif _ACCOUNT.fullmatch(parts[0]) and len(parts) >= 3:
        region, account, rest = asked.region, parts[0], parts[2:]
    else:
        region, account, rest = asked.region, asked.account_id, parts
    name, own = rest[0], rest[1] if len(rest) > 1 else ""
    wanted = qualifier or own
    tail = f":{wanted}" if wanted else ""
    return f"arn:aws:lambda:{region}:{account}:function:{name}{tail}"


def _function(asked: Asked) -> list[str]:
    text = asked.text("FunctionName")
    if text:
        return [function_arn(asked, text, asked.text("Qualifier"))]
    return [arn for arn in asked.texts("Resource", "FunctionArn") if ":function:" in arn]


def _layer(asked: Asked) -> list[str]:
    name = asked.text("LayerName")
    if not name:
        return []
    bare = ":".join(name.split(":")[:7])
    return [bare if name.startswith("arn:") else asked.arn("lambda", f"layer:{name}")]


def _layer_version(asked: Asked) -> list[str]:
    version = asked.params.get("VersionNumber")
    whole = [arn for arn in asked.texts("Arn", "LayerVersionArn") if ":layer:" in arn]
    return [f"{arn}:{version}" for arn in _layer(asked)] if version is not None else whole


def tagged(part: str, *params: str) -> Builder:
    """The ARN under ``params`` (``ResourceArn`` of tagging operations) when it holds ``part``."""

    def build(asked: Asked) -> list[str]:
        return [text for text in asked.texts(*params) if text.startswith("arn:") and part in text]

    return build


def both(*builders: Builder) -> Builder:
    """What the first builder that finds anything finds."""

    def build(asked: Asked) -> list[str]:
        return next((found for builder in builders if (found := builder(asked))), [])

    return build


def queue_arn(asked: Asked, url: str) -> str:
    """A queue's ARN from its URL, which ends in ``/account/name``; region is the caller's."""
    parts = [part for part in urlsplit(url).path.split("/") if part]
    if len(parts) >= 2 and _ACCOUNT.fullmatch(parts[-2]):
        return f"arn:aws:sqs:{asked.region}:{parts[-2]}:{unquote(parts[-1])}"
    return asked.arn("sqs", unquote(parts[-1]) if parts else url)


def _queue(asked: Asked) -> list[str]:
    url = asked.text("QueueUrl")
    if url:
        return [url if url.startswith("arn:") else queue_arn(asked, url)]
    name = asked.text("QueueName")
    if name:
        owner = asked.text("QueueOwnerAWSAccountId") or asked.account_id
        return [f"arn:aws:sqs:{asked.region}:{owner}:{name}"]
    handle = asked.text("TaskHandle")
    return asked.texts("SourceArn") + ([_moved_from(handle)] if handle else [])


def _moved_from(handle: str) -> str:
    try:
        told = json.loads(base64.b64decode(handle))
        return str(told.get("sourceArn") or told.get("SourceArn") or "*")
    except (ValueError, binascii.Error, AttributeError):
        return "*"


def _topic(asked: Asked) -> list[str]:
    found = []
    for text in asked.texts("TopicArn", "TargetArn", "ResourceArn", "SubscriptionArn"):
        parts = text.split(":")
        if text.startswith("arn:") and len(parts) >= 6 and "/" not in parts[5]:
            found.append(":".join(parts[:6]))
    return found or ([asked.arn("sns", asked.text("Name"))] if asked.text("Name") else [])


def _log_group(asked: Asked) -> list[str]:
    """Operations on a group are authorised for its stream of no name; tagging for the group itself.

    That is how CloudWatch Logs words its refusals, and why policies have to end in ``:*``.
    """
    names = asked.texts(
        "logGroupName", "logGroupIdentifier", "logGroupNames", "logGroupIdentifiers", "logGroupArnList"
    )
    arns = [text for text in asked.texts("resourceArn") if ":log-group:" in text]
    if arns or asked.operation in ("TagLogGroup", "UntagLogGroup", "ListTagsLogGroup"):
        return [arn.removesuffix(":*") for arn in arns] or [_group_arn(asked, name) for name in names]
    return [f"{_group_arn(asked, name)}:log-stream:" for name in names]


def _group_arn(asked: Asked, name: str) -> str:
    return name.removesuffix(":*") if name.startswith("arn:") else asked.arn("logs", f"log-group:{name}")


def _log_stream(asked: Asked) -> list[str]:
    group = asked.text("logGroupName", "logGroupIdentifier")
    if not group:
        return []
    return [f"{_group_arn(asked, group)}:log-stream:{asked.text('logStreamName')}"]


def _bus_name(asked: Asked) -> str:
    text = asked.text("EventBusName") or "default"
    return text.rsplit("/", 1)[-1] if text.startswith("arn:") else text


def _rule(asked: Asked) -> list[str]:
    name = asked.text("Rule")
    if not name and "Rule" in asked.operation:
        name = asked.text("Name")
    if not name:
        return [text for text in asked.texts("ResourceARN") if ":rule/" in text]
    bus = _bus_name(asked)
    within = asked.text("EventBusName")
    at = ":".join(within.split(":")[:5]) if within.startswith("arn:") else asked.arn("events", "")[:-1]
    return [f"{at}:rule/{name}" if bus == "default" else f"{at}:rule/{bus}/{name}"]


def _bus(asked: Asked) -> list[str]:
    names = asked.texts("EventBusName", "EventSourceArn")
    if not names and asked.operation in ("PutPermission", "RemovePermission", "DescribeEventBus"):
        names = asked.texts("Name") or ["default"]
    if asked.operation in ("CreateEventBus", "DeleteEventBus", "UpdateEventBus"):
        names = asked.texts("Name")
    tagging = [text for text in asked.texts("ResourceARN") if ":event-bus/" in text]
    return tagging or [
        name if name.startswith("arn:") else asked.arn("events", f"event-bus/{name}") for name in names
    ]


def _stack(asked: Asked) -> list[str]:
    name = asked.text("StackName", "StackId", "PhysicalResourceId")
    if not name and asked.operation not in ("DescribeStacks", "ListStacks"):
        name = asked.text("ResourceArn")
    if name.startswith("arn:"):
        return [name]
    return [asked.arn("cloudformation", f"stack/{name}/*")] if name else []


def _secret(asked: Asked) -> list[str]:
    found = []
    for text in asked.texts("SecretId", "SecretIdList", "Name"):
        known = asked.find("secret", text)
        found.append(
            known or (text if text.startswith("arn:") else asked.arn("secretsmanager", f"secret:{text}"))
        )
    return found


def _key(asked: Asked) -> list[str]:
    found = []
    for text in asked.texts("KeyId", "TargetKeyId", "DestinationKeyId", "SourceKeyId"):
        if text.startswith("arn:") and ":key/" in text:
            found.append(text)
            continue
        known = asked.find("key", text)
        found.append(known or (text if text.startswith("arn:") else asked.arn("kms", f"key/{text}")))
    return found or [known for blob in _ciphertexts(asked) if (known := asked.find("ciphertext", blob))]


def _ciphertexts(asked: Asked) -> list[str]:
    blob = asked.params.get("CiphertextBlob")
    if isinstance(blob, bytes):
        return [base64.b64encode(blob).decode()]
    return [blob] if isinstance(blob, str) and blob else []


def _state_machine(asked: Asked) -> list[str]:
    """Versions and aliases are allowed through their state machine."""
    found = [
        ":".join(text.split(":")[:7])
        for text in asked.texts("stateMachineArn", "stateMachineVersionArn", "stateMachineAliasArn")
        + [text for text in asked.texts("resourceArn") if ":stateMachine:" in text]
    ]
    for route in asked.params.get("routingConfiguration") or ():
        found.append(":".join(str(route.get("stateMachineVersionArn", "")).split(":")[:7]))
    if not found and asked.operation in ("CreateStateMachine",):
        found = [asked.arn("states", f"stateMachine:{asked.text('name')}")]
    return list(dict.fromkeys(found))


def _execution(asked: Asked) -> list[str]:
    return [text for text in asked.texts("executionArn") if ":express:" not in text]


def _schedule(asked: Asked) -> list[str]:
    name = asked.text("Name") if "ScheduleGroup" not in asked.operation else ""
    return [asked.arn("scheduler", f"schedule/{asked.text('GroupName') or 'default'}/{name}")] if name else []


def _schedule_group(asked: Asked) -> list[str]:
    tagging = asked.texts("ResourceArn")
    name = asked.text("Name") if "ScheduleGroup" in asked.operation else ""
    return tagging or ([asked.arn("scheduler", f"schedule-group/{name}")] if name else [])


def _iam(kind: str, *params: str) -> Builder:
    def build(asked: Asked) -> list[str]:
        found = []
        for text in asked.texts(*params):
            known = None if text.startswith("arn:") else asked.find(kind, text)
            path = asked.text("Path") if asked.text("Path").startswith("/") else "/"
            made = f"arn:aws:iam::{asked.account_id}:{kind}{path}{text}"
            found.append(text if text.startswith("arn:") else known or made)
        return found

    return build


def _user(asked: Asked) -> list[str]:
    """Operations on one's own keys and password leave the user's name out."""
    return _iam("user", "UserName")(asked)


def _zone(kind: str, *params: str) -> Builder:
    def build(asked: Asked) -> list[str]:
        return [
            f"arn:aws:route53:::{kind}/{text.rsplit('/', 1)[-1]}"
            for text in asked.texts(*params)
            if kind not in ("hostedzone", "healthcheck", "change")
            or "Id" not in params
            or _meant(asked.operation, kind)
        ]

    return build


def _meant(operation: str, kind: str) -> bool:
    words = {"hostedzone": ("HostedZone", "QueryLogging", "DNSSEC", "VPC"), "change": ("GetChange",)}
    return any(word in operation for word in words.get(kind, ()))


def _stream(asked: Asked) -> list[str]:
    found = named("kinesis", "stream/{}", "StreamARN", "StreamName")(asked)
    found += [t for t in asked.texts("ResourceARN") if ":stream/" in t and "/consumer/" not in t]
    iterator = asked.text("ShardIterator")
    if not found and iterator:
        known = asked.find("kinesis-iterator", iterator)
        found = [known] if known else []
    return found[:1]


def _consumer(asked: Asked) -> list[str]:
    return asked.texts("ConsumerARN") + [t for t in asked.texts("ResourceARN") if "/consumer/" in t]


def _parameter(asked: Asked) -> list[str]:
    names = asked.texts("Name", "Names", "Path")
    if "Parameter" not in asked.operation:
        names = asked.texts("ResourceId") if asked.text("ResourceType") == "Parameter" else []
    return [
        text if text.startswith("arn:") else asked.arn("ssm", f"parameter/{_bare(text)}") for text in names
    ]


def _bare(name: str) -> str:
    """A parameter's name without slash in front and without version or label behind."""
    return name.lstrip("/").split(":", 1)[0]


BUILDERS: Mapping[str, Mapping[str, Builder]] = {
    "cloudformation": {
        "stack": _stack,
        "changeset": lambda asked: [],
        "stackset": named("cloudformation", "stackset/{}:*", "StackSetName"),
    },
    "cloudtrail": {
        "trail": named("cloudtrail", "trail/{}", "Name", "TrailName", "TrailNameList", "ResourceId"),
        "eventdatastore": named("cloudtrail", "eventdatastore/{}", "EventDataStore"),
        "channel": named("cloudtrail", "channel/{}", "Channel"),
        "dashboard": named("cloudtrail", "dashboard/{}", "DashboardId"),
    },
    "cloudwatch": {
        "alarm": both(
            named("cloudwatch", "alarm:{}", "AlarmName", "AlarmNames"), tagged(":alarm:", "ResourceARN")
        ),
        "dashboard": both(tagged(":dashboard/", "ResourceARN"), lambda asked: _dashboards(asked)),
        "insight-rule": named("cloudwatch", "insight-rule/{}", "RuleName", "RuleNames"),
        "metric-stream": named("cloudwatch", "metric-stream/{}", "Name", "Names"),
        "alarm-mute-rule": lambda asked: (
            named("cloudwatch", "alarm-mute-rule:{}", "AlarmMuteRuleName", "Name")(asked)
            if "MuteRule" in asked.operation
            else []
        ),
    },
    "cognito-idp": {"userpool": named("cognito-idp", "userpool/{}", "UserPoolId", "ResourceArn")},
    "events": {
        "rule-on-default-event-bus": _rule,
        "rule-on-custom-event-bus": lambda asked: [],
        "event-bus": _bus,
        "archive": named("events", "archive/{}", "ArchiveName"),
        "replay": named("events", "replay/{}", "ReplayName"),
        "connection": lambda asked: (
            named("events", "connection/{}", "Name", kind="connection")(asked)
            if "Connection" in asked.operation
            else []
        ),
        "api-destination": lambda asked: (
            named("events", "api-destination/{}", "Name", kind="api-destination")(asked)
            if "ApiDestination" in asked.operation
            else []
        ),
        "endpoint": lambda asked: (
            named("events", "endpoint/{}", "Name")(asked) if "Endpoint" in asked.operation else []
        ),
        "event-source": lambda asked: (
            [f"arn:aws:events:{asked.region}::event-source/{asked.text('Name', 'EventSourceName')}"]
            if "EventSource" in asked.operation and asked.text("Name", "EventSourceName")
            else []
        ),
    },
    "firehose": {"deliverystream": named("firehose", "deliverystream/{}", "DeliveryStreamName")},
    "iam": {
        "role": _iam("role", "RoleName", "RoleArn"),
        "user": _user,
        "group": _iam("group", "GroupName"),
        "policy": _iam("policy", "PolicyName", "PolicyArn"),
        "instance-profile": _iam("instance-profile", "InstanceProfileName"),
        "server-certificate": _iam("server-certificate", "ServerCertificateName"),
        "mfa": _iam("mfa", "SerialNumber", "VirtualMFADeviceName"),
        "oidc-provider": named("iam", "oidc-provider/{}", "OpenIDConnectProviderArn"),
        "saml-provider": named("iam", "saml-provider/{}", "SAMLProviderArn", "Name"),
    },
    "kinesis": {"stream": _stream, "consumer": _consumer},
    "kms": {"key": _key, "alias": named("kms", "{}", "AliasName")},
    "lambda": {
        "function": _function,
        "function alias": lambda asked: [],
        "function version": lambda asked: [],
        "layer": _layer,
        "layerVersion": _layer_version,
        "eventSourceMapping": both(
            named("lambda", "event-source-mapping:{}", "UUID"),
            tagged(":event-source-mapping:", "Resource"),
        ),
        "code signing config": both(
            named("lambda", "code-signing-config:{}", "CodeSigningConfigArn"),
            tagged(":code-signing-config:", "Resource"),
        ),
        "capacityProvider": both(
            named("lambda", "capacity-provider:{}", "CapacityProviderName"),
            tagged(":capacity-provider:", "Resource"),
        ),
        "durable execution": lambda asked: list(asked.texts("DurableExecutionArn")),
    },
    "logs": {
        "log-group": _log_group,
        "log-stream": _log_stream,
        "destination": named("logs", "destination:{}", "destinationName"),
        "delivery": named("logs", "delivery:{}", "id"),
        "delivery-source": named("logs", "delivery-source:{}", "deliverySourceName", "name"),
        "delivery-destination": named(
            "logs", "delivery-destination:{}", "deliveryDestinationName", "deliveryDestinationArn", "name"
        ),
        "anomaly-detector": named("logs", "anomaly-detector:{}", "anomalyDetectorArn"),
        "scheduled-query": named("logs", "scheduled-query:{}", "identifier"),
    },
    "pipes": {"pipe": named("pipes", "pipe/{}", "Name", "resourceArn")},
    "route53": {
        "hostedzone": both(_zone("hostedzone", "HostedZoneId"), _zone("hostedzone", "Id")),
        "healthcheck": _zone("healthcheck", "HealthCheckId"),
        "change": _zone("change", "Id"),
        "delegationset": _zone("delegationset", "DelegationSetId"),
        "cidrcollection": _zone("cidrcollection", "CollectionId"),
        "queryloggingconfig": lambda asked: (
            _zone("queryloggingconfig", "Id")(asked) if "QueryLoggingConfig" in asked.operation else []
        ),
    },
    "scheduler": {"schedule": _schedule, "schedule-group": _schedule_group},
    "secretsmanager": {"Secret": _secret},
    "sns": {"topic": _topic},
    "sqs": {"queue": _queue},
    "ssm": {
        "parameter": _parameter,
        "document": lambda asked: (
            named("ssm", "document/{}", "Name", "DocumentName")(asked)
            if "Parameter" not in asked.operation
            else []
        ),
        "maintenancewindow": named("ssm", "maintenancewindow/{}", "WindowId"),
        "patchbaseline": named("ssm", "patchbaseline/{}", "BaselineId"),
        "opsitem": named("ssm", "opsitem/{}", "OpsItemId"),
        "association": named("ssm", "association/{}", "AssociationId"),
        "automation-execution": named("ssm", "automation-execution/{}", "AutomationExecutionId"),
        "servicesetting": named("ssm", "servicesetting/{}", "SettingId"),
        "session": named("ssm", "session/{}", "SessionId"),
    },
    "states": {
        "statemachine": _state_machine,
        "execution": _execution,
        "express": lambda asked: [t for t in asked.texts("executionArn") if ":express:" in t],
        "activity": both(
            named("states", "activity:{}", "activityArn"),
            tagged(":activity:", "resourceArn"),
            lambda asked: (
                [asked.arn("states", f"activity:{asked.text('name')}")]
                if asked.operation == "CreateActivity"
                else []
            ),
        ),
        "maprun": named("states", "mapRun:{}", "mapRunArn"),
    },
    "sts": {"role": named("iam", "role/{}", "RoleArn")},
    "xray": {
        "group": lambda asked: (
            asked.texts("GroupARN")
            or (
                [asked.arn("xray", f"group/{asked.text('GroupName')}/*")]
                if "Group" in asked.operation and asked.text("GroupName")
                else []
            )
        ),
        "sampling-rule": lambda asked: _sampling_rule(asked),
    },
}


def _dashboards(asked: Asked) -> list[str]:
    return [
        f"arn:aws:cloudwatch::{asked.account_id}:dashboard/{name}"
        for name in asked.texts("DashboardName", "DashboardNames")
    ]


def _sampling_rule(asked: Asked) -> list[str]:
    given = asked.params.get("SamplingRule") or asked.params.get("SamplingRuleUpdate") or asked.params
    arn, name = given.get("RuleARN"), given.get("RuleName")
    return [str(arn)] if arn else [asked.arn("xray", f"sampling-rule/{name}")] if name else []


def build(asked: Asked, prefix: str, types: tuple[str, ...]) -> list[str]:
    """Every ARN that a request names of these types, once."""
    builders = BUILDERS.get(prefix, {})
    found: dict[str, None] = {}
    for name in types:
        builder = builders.get(name)
        for arn in builder(asked) if builder is not None else ():
            found[arn] = None
    if not found and types:
        # Operations on tags and resource policies say the whole ARN.
        said = asked.texts("ResourceArn", "resourceArn", "ResourceARN", "Resource")
        found = dict.fromkeys(arn for arn in said if arn.startswith("arn:"))
    return list(found)
