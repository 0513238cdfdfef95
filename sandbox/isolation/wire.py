"""Messages between an owner, the spawner and an environment's init: JSON with descriptors."""

from __future__ import annotations

import json
import socket
from typing import Any

LARGEST_BYTES = 256 * 1024
MOST_DESCRIPTORS = 12

RUNTIME_API_PORT = 9001
OTLP_PORT = 4318
XRAY_PORT = 2000
DNS_PORT = 53
TLS_PORT = 443


def send(channel: socket.socket, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
    """Send one message; it arrives whole or not at all (SEQPACKET)."""
    socket.send_fds(channel, [json.dumps(message).encode()], list(descriptors))


def receive(channel: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """One message and its descriptors; None when the other side is gone."""
    try:
        data, descriptors, _flags, _address = socket.recv_fds(channel, LARGEST_BYTES, MOST_DESCRIPTORS)
    except ConnectionResetError:
        return None, []
    if not data:
        return None, []
    message: dict[str, Any] = json.loads(data)
    return message, descriptors
