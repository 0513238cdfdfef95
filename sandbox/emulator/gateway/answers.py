"""Results and errors in the shape that a service's protocol gives them."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape

from moto.core.serialize import SerializationContext, get_serializer_class

from sandbox.emulator.calls import AwsError
from sandbox.emulator.gateway import cbor
from sandbox.emulator.gateway.operations import Operation
from sandbox.emulator.gateway.requests import HttpAnswer

_CBOR_HEADERS = (("Content-Type", cbor.CONTENT_TYPE), ("smithy-protocol", "rpc-v2-cbor"))


def write_result(operation: Operation, result: dict[str, Any], request_id: str) -> HttpAnswer:
    """An operation's output members as its protocol writes them."""
    ids = (("x-amzn-RequestId", request_id),)
    if operation.model.has_event_stream_output:
        return _write_stream(operation, dict(result), ids)
    if operation.protocol == cbor.PROTOCOL:
        shape = operation.model.output_shape
        return HttpAnswer(200, _CBOR_HEADERS + ids, cbor.serialize(result, shape) if shape else b"\xbf\xff")
    serializer = get_serializer_class(operation.service, operation.protocol)
    written = serializer(operation.model, context=SerializationContext(request_id)).serialize(result)
    body = written["body"]
    if hasattr(body, "read"):
        body = body.read()
    elif not isinstance(body, str | bytes):
        body = b"".join(body)
    if operation.protocol == "json":
        # moto takes it from the service's first protocol, which need not be this one.
        written["headers"]["Content-Type"] = _json_type(operation.model.service_model)
    headers = tuple((name, str(value)) for name, value in written["headers"].items())
    status = _told_status(operation, result) or written["status_code"]
    return HttpAnswer(status, headers + ids, body.encode() if isinstance(body, str) else bytes(body))


def _write_stream(
    operation: Operation, result: dict[str, Any], ids: tuple[tuple[str, str], ...]
) -> HttpAnswer:
    """An answer whose event stream member is frames that are complete already."""
    shape = operation.model.output_shape
    stream = result.pop(shape.event_stream_name)
    headers = tuple(
        (member.serialization["name"], str(result[name]))
        for name, member in shape.members.items()
        if member.serialization.get("location") == "header" and name in result
    )
    return HttpAnswer(_told_status(operation, result) or 200, headers + ids, b"", stream)


def _told_status(operation: Operation, result: dict[str, Any]) -> int | None:
    """The HTTP status, where it is a member of the output (Lambda's Invoke)."""
    shape = operation.model.output_shape
    members = shape.members.items() if shape is not None else ()
    for name, member in members:
        if member.serialization.get("location") == "statusCode" and name in result:
            return int(result[name])
    return None


def write_json(result: dict[str, Any], request_id: str, model: Any) -> HttpAnswer:
    """An answer that has the form of the wire already."""
    headers = (("Content-Type", _json_type(model)), ("x-amzn-RequestId", request_id))
    return HttpAnswer(200, headers, json.dumps(result, separators=(",", ":")).encode())


def write_error(
    error: AwsError, request_id: str, *, service: str = "", protocol: str = "json", model: Any = None
) -> HttpAnswer:
    """An error as the service's protocol writes it."""
    status, code, message = error.status, error.code, error.message
    ids = [("x-amzn-RequestId", request_id)]
    if service == "s3":
        extra = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in error.extra.items())
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(code)}</Code>'
            f"<Message>{escape(message)}</Message>{extra}<RequestId>{request_id}</RequestId></Error>"
        )
        return HttpAnswer(
            status, (("Content-Type", "application/xml"), ("x-amz-request-id", request_id)), text.encode()
        )
    if protocol in ("query", "ec2", "rest-xml"):
        fault = "Sender" if status < 500 else "Receiver"
        text = (
            f"<ErrorResponse><Error><Type>{fault}</Type><Code>{escape(code)}</Code>"
            f"<Message>{escape(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return HttpAnswer(status, (("Content-Type", "text/xml"), *ids), text.encode())
    if protocol == cbor.PROTOCOL:
        return HttpAnswer(status, (*_CBOR_HEADERS, *ids), cbor.serialize_error(code, message))
    query_code = _query_code(model, code)
    if query_code:
        ids.append(("x-amzn-query-error", f"{query_code};{'Sender' if status < 500 else 'Receiver'}"))
    in_headers = _header_members(model, code) if protocol == "rest-json" else {}
    ids += [(header, str(error.extra[name])) for name, header in in_headers.items() if name in error.extra]
    told = {name: value for name, value in error.extra.items() if name not in in_headers}
    body: dict[str, Any] = {"message": message, **told}
    if protocol == "rest-json":
        ids.append(("x-amzn-errortype", code))
        kind = "application/json"
        body = {"Message": message, **body} if service == "lambda" else body
    else:
        body = {"__type": code, **body}
        kind = _json_type(model)
    return HttpAnswer(status, (("Content-Type", kind), *ids), json.dumps(body).encode())


def _json_type(model: Any) -> str:
    version = (getattr(model, "metadata", None) or {}).get("jsonVersion", "1.0")
    return f"application/x-amz-json-{version}"


def _header_members(model: Any, code: str) -> dict[str, str]:
    """Members of a modelled error that travel as headers, with the headers' names."""
    if model is None or code not in model.shape_names:
        return {}
    members = getattr(model.shape_for(code), "members", {})
    return {
        name: member.serialization["name"]
        for name, member in members.items()
        if member.serialization.get("location") == "header"
    }


def _query_code(model: Any, code: str) -> str:
    """What a service that once spoke the query protocol still calls this error."""
    if model is None or "awsQueryCompatible" not in model.metadata:
        return ""
    if code not in model.shape_names:
        return code
    told = model.shape_for(code).metadata.get("error", {}).get("code")
    return str(told or code)
