"""Emulator switches: what a check may break in an account beyond what AWS's own APIs can."""

from __future__ import annotations

import threading
from typing import Any

from sandbox.errors import EnvironmentFault

# ``slow``: calls of functions to a ``service`` are performed ``seconds`` late, as they are over a network.
# ``replication.delay``: data takes ``seconds`` to other regions (of ``source``, to ``target``).
KNOWN = frozenset({"calls.meet", "dynamodb.unprocessed", "replication.delay", "s3.short_pages", "slow"})


class Faults:
    """The faults that are switched on, each with its settings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on: dict[str, dict[str, Any]] = {}

    def set(self, name: str, **settings: Any) -> None:
        """Switch a fault on, or change its settings.

        Raises:
            EnvironmentFault: there is no such fault here.
        """
        if name not in KNOWN:
            raise EnvironmentFault(f"The emulator has no fault `{name}`. It has: {', '.join(sorted(KNOWN))}.")
        with self._lock:
            self._on[name] = settings

    def clear(self) -> None:
        """Switch everything off."""
        with self._lock:
            self._on.clear()

    def delay_s(self, service: str) -> float:
        """How late a service performs what functions ask of it."""
        slow = self.find("slow") or {}
        return float(slow["seconds"]) if slow.get("service") == service else 0.0

    def find(self, name: str) -> dict[str, Any] | None:
        """The settings of a fault that is on."""
        with self._lock:
            return self._on.get(name)
