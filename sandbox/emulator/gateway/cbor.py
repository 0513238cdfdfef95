"""The Smithy RPC v2 CBOR protocol: newer clients of CloudWatch and CodeDeploy speak it, moto does not."""

from __future__ import annotations

import io
import re
from typing import Any

from botocore.parsers import RpcV2CBORParser
from botocore.serialize import CBORSerializer

from sandbox.emulator.calls import AwsError

CONTENT_TYPE = "application/cbor"
PROTOCOL = "smithy-rpc-v2-cbor"
_PATH = re.compile(r"/service/[^/]+/operation/(?P<operation>\w+)")


def operation_name(path: str, model: Any) -> str:
    """The operation that a path names.

    Raises:
        AwsError: it names none of this service.
    """
    found = _PATH.fullmatch(path)
    if found is None or found["operation"] not in model.operation_names:
        raise AwsError("UnknownOperationException", f"{path} names no operation of this service.", 404)
    return found["operation"]


def parse(body: bytes, operation: Any) -> dict[str, Any]:
    """The parameters in a request's body.

    Raises:
        AwsError: it is no CBOR.
    """
    if not body or operation.input_shape is None:
        return {}
    reader = RpcV2CBORParser()
    try:
        value = reader.parse_data_item(io.BufferedReader(io.BytesIO(body)))
    except Exception:  # botocore's reader raises whatever the bytes make it raise
        raise AwsError("SerializationException", "The request body is no CBOR.", 400) from None
    return value if isinstance(value, dict) else {}


def serialize(value: dict[str, Any], shape: Any) -> bytes:
    """Output members as CBOR."""
    written = bytearray()
    writer: Any = CBORSerializer()
    writer._serialize_data_item(written, value, shape)
    return bytes(written)


def serialize_error(code: str, message: str) -> bytes:
    """An error as CBOR: a map of two texts."""
    return b"\xbf" + _text("__type") + _text(code) + _text("message") + _text(message) + b"\xff"


def _text(value: str) -> bytes:
    data = value.encode()
    if len(data) < 24:
        return bytes([0x60 | len(data)]) + data
    return b"\x79" + min(len(data), 65535).to_bytes(2, "big") + data[:65535]
