"""Spans as segments: how the collector's exporter for X-Ray says what a span says.

Source: https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/awsxrayexporter
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sandbox.emulator.telemetry.otlp import stacks
from sandbox.emulator.telemetry.otlp.http import http_block
from sandbox.emulator.telemetry.otlp.spans import (
    CLIENT,
    CONSUMER,
    ERROR,
    INTERNAL,
    PRODUCER,
    SERVER,
    Attributes,
    Span,
)
from sandbox.emulator.telemetry.traces.documents import Document
from sandbox.emulator.telemetry.traces.headers import new_id

_NOT_IN_NAMES = re.compile(r"[^\w .:/%&#=+\\\-@]")
_NOT_IN_KEYS = re.compile(r"[^0-9A-Za-z_]")
_NAME_LIMIT = 200
_ANNOTATIONS, _METADATA = "aws.xray.annotations", "aws.xray.metadata."
_IN_PROGRESS = "aws.xray.inprogress"
_ORIGINS = {
    "aws_app_runner": "AWS::AppRunner::Service",
    "aws_ec2": "AWS::EC2::Instance",
    "aws_ecs": "AWS::ECS::Container",
    "aws_eks": "AWS::EKS::Container",
    "aws_elastic_beanstalk": "AWS::ElasticBeanstalk::Environment",
}
_SQL = frozenset(
    {"db2", "derby", "hive", "mariadb", "mssql", "mysql", "oracle", "postgresql", "sqlite", "teradata"}
)
# Where X-Ray has a place of its own for what an attribute says.
_IN_AWS = {
    "aws.region": "remote_region",
    "aws.request_id": "request_id",
    "aws.requestId": "request_id",
    "aws.queue_url": "queue_url",
    "aws.queue.url": "queue_url",
    "aws.table_name": "table_name",
    "aws.table.name": "table_name",
}


def segment(span: Span) -> Document:
    """The segment that a span becomes, or the subsegment where it has a parent and serves nobody."""
    below = span.kind != SERVER and bool(span.parent_id)
    left = dict(span.attributes)
    http = http_block(span, left)
    document: Document = {
        "id": span.span_id,
        "trace_id": f"1-{span.trace_id[:8]}-{span.trace_id[8:]}",
        "name": _name(span),
        "start_time": span.start,
        "end_time": span.end,
        "http": http,
        "aws": _aws(span.resource, left),
        "service": _service(span.resource),
        "sql": _sql(left),
        "namespace": _namespace(span),
        "links": [
            {"trace_id": f"1-{link.trace_id[:8]}-{link.trace_id[8:]}", "id": link.span_id}
            | ({"attributes": dict(link.attributes)} if link.attributes else {})
            for link in span.links
        ],
    }
    document["parent_id"] = span.parent_id
    document["type"] = "subsegment" if below else ""
    document["origin"] = _origin(span.resource)
    if left.pop(_IN_PROGRESS, False) is True:
        document["in_progress"] = True
        del document["end_time"]
    document |= _outcome(span, left)
    document |= _told(left, {} if below else span.resource)
    return {name: value for name, value in document.items() if value not in ("", None, {}, [], False)}


def _name(span: Span) -> str:
    """Segments are named after services, spans after what they do: look for a service's name."""
    given, found = span.attributes, ""
    root = span.kind == INTERNAL and given.get("aws.span.kind") == "LOCAL_ROOT"
    if span.kind == SERVER or root:
        found = _text(given, "aws.local.service")
    elif span.kind in (CLIENT, PRODUCER, CONSUMER):
        found = _text(given, "aws.remote.service")
        if _is_sdk(span):
            found = re.sub(r"^AWS(\.SDK\.|::)", "", found)
    found = found or _text(given, "peer.service") or _text(given, "aws.service") or _database(given)
    if not found and span.kind == SERVER:
        found = _text(span.resource, "service.name")
    for name in ("rpc.service", "http.host", "net.peer.name"):
        found = found or _text(given, name)
    return _NOT_IN_NAMES.sub("", found or span.name)[:_NAME_LIMIT] or "span"


def _database(given: Attributes) -> str:
    name = _text(given, "db.name")
    if name:
        try:
            host = urlsplit(_text(given, "db.connection_string").removeprefix("jdbc:")).hostname
        except ValueError:
            host = None
        name += f"@{host}" if host else ""
    return name


def _namespace(span: Span) -> str:
    named = any(
        span.attributes.get(name) for name in ("peer.service", "aws.remote.service", "aws.local.service")
    )
    if _is_sdk(span) or (_text(span.attributes, "aws.service") and not named):
        return "aws"
    return "remote" if span.kind == CLIENT else ""


def _is_sdk(span: Span) -> bool:
    return span.attributes.get("rpc.system") == "aws-api"


def _origin(resource: Attributes) -> str:
    if resource.get("cloud.provider", "aws") != "aws":
        return ""
    platform = _text(resource, "cloud.platform")
    launched = _text(resource, "aws.ecs.launchtype").lower()
    if platform == "aws_ecs" and launched in ("ec2", "fargate"):
        return "AWS::ECS::Fargate" if launched == "fargate" else "AWS::ECS::EC2"
    return _ORIGINS.get(platform, "")


def _aws(resource: Attributes, left: dict[str, Any]) -> dict[str, Any] | None:
    """What AWS is told of itself; takes what it tells out of ``left``."""
    made: dict[str, Any] = {"account_id": _text(resource, "cloud.account.id")}
    method = left.pop("rpc.method", None)
    operation = left.pop("aws.operation", None)
    made["operation"] = operation if isinstance(operation, str) else method
    if (account := left.pop("aws.account_id", None)) is not None:
        made["account_id"] = account
    for name, place in _IN_AWS.items():
        if (value := left.pop(name, None)) is not None:
            made[place] = value
    if resource.get("cloud.provider", "aws") not in ("aws", ""):
        return None
    if url := _text(left, "messaging.url"):
        made["queue_url"] = url
    tables = left.get("aws.dynamodb.table_names")
    if isinstance(tables, str) or (isinstance(tables, list) and len(tables) == 1):
        made["table_name"] = tables if isinstance(tables, str) else tables[0]
    elif isinstance(tables, list) and tables:
        made.pop("table_name", None)
        made["table_names"] = tables
    made["cloudwatch_logs"] = _log_groups(resource)
    made["xray"] = _sdk(resource)
    return {name: value for name, value in made.items() if value not in ("", None, {}, [])}


def _sdk(resource: Attributes) -> dict[str, Any]:
    name, language = _text(resource, "telemetry.sdk.name"), _text(resource, "telemetry.sdk.language")
    by_itself = _text(resource, "telemetry.auto.version") or _text(resource, "telemetry.distro.version")
    made = {"sdk": f"{name} for {language}" if name and language else name}
    made["sdk_version"] = _text(resource, "telemetry.sdk.version")
    return {key: value for key, value in made.items() if value} | {"auto_instrumentation": bool(by_itself)}


def _log_groups(resource: Attributes) -> list[dict[str, str]]:
    if arns := _texts(resource.get("aws.log.group.arns")):
        return [{"log_group": (arn.split(":") + [arn] * 7)[6], "arn": arn} for arn in arns]
    return [{"log_group": name} for name in _texts(resource.get("aws.log.group.names"))]


def _texts(value: Any) -> list[str]:
    found = value.split("&") if isinstance(value, str) else value if isinstance(value, list) else []
    return [each for each in found if isinstance(each, str) and each]


def _service(resource: Attributes) -> dict[str, Any]:
    return {"version": version} if (version := _text(resource, "service.version")) else {}


def _sql(left: dict[str, Any]) -> dict[str, Any] | None:
    """Who was asked, in a database that speaks SQL; takes what it tells out of ``left``."""
    if left.get("db.system") not in _SQL:
        return None
    named = {
        "db.connection_string": "url",
        "db.system": "database_type",
        "db.user": "user",
        "db.statement": "sanitized_query",
    }
    made = {place: left.pop(name) for name, place in named.items() if isinstance(left.get(name), str)}
    if database := left.pop("db.name", None):
        made["url"] = f"{made.get('url', 'localhost')}/{database}"
    return made


def _outcome(span: Span, left: dict[str, Any]) -> dict[str, Any]:
    """Whose fault it was, and the exceptions. HTTP's status counts for more than the span's."""
    status = span.attributes.get("http.status_code", span.attributes.get("http.response.status_code"))
    code = status if isinstance(status, int) and 400 <= status <= 599 else 0
    made: dict[str, Any] = {
        "error": 400 <= code < 500,
        "throttle": code == 429,
        "fault": code >= 500 or (code == 0 and span.status == ERROR),
    }
    exceptions = stacks.exceptions(span)
    if not exceptions and span.status == ERROR:
        text = left.pop("http.status_text", "")
        if message := span.message or text:
            exceptions = [{"id": new_id(), "message": message}]
    if exceptions:
        made["cause"] = {"exceptions": exceptions}
    return made


def _told(left: dict[str, Any], resource: Attributes) -> dict[str, Any]:
    """The user, what can be searched for, and all the rest."""
    user = left.pop("enduser.id", "")
    named = left.pop(_ANNOTATIONS, None)
    indexed = {name for name in named if isinstance(name, str)} if isinstance(named, list) else set()
    annotations: dict[str, Any] = {}
    plain: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, value in [*_named(resource).items(), *left.items()]:
        if name in indexed:
            if isinstance(value, str | int | float | bool):
                annotations[_NOT_IN_KEYS.sub("_", name)] = value
        elif name.startswith(_METADATA) and (own := _object(value)) is not None:
            place = name.removeprefix(_METADATA)
            metadata[place] = own
        elif value is not None:
            plain[name] = value
    if default := {**plain, **metadata.pop("default", {})}:
        metadata["default"] = default
    return {"user": user if isinstance(user, str) else "", "annotations": annotations, "metadata": metadata}


def _named(resource: Attributes) -> dict[str, Any]:
    return {f"otel.resource.{name}": value for name, value in resource.items()}


def _object(value: Any) -> dict[str, Any] | None:
    try:
        found = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(given: Mapping[str, Any], name: str) -> str:
    found = given.get(name)
    return found if isinstance(found, str) else ""
