"""Levels 2 and 1, for machines without namespaces."""

from __future__ import annotations

import os
import socket
from typing import Any, NoReturn

from sandbox.isolation import wire


def serve(config: dict[str, Any], listener: socket.socket, ready: socket.socket) -> NoReturn:
    """Refuse."""
    listener.close()
    wire.send(ready, {"refused": f"Isolation level {config['level']} is not available."})
    os._exit(3)
