"""Asks the linter's process, and starts another one when it ended or thought for too long."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger()

TIME_LIMIT_S = 15.0
# How long somebody waits for others' templates before giving up; the next save asks again.
PATIENCE_S = 5.0
LARGEST = 500_000
_ROOT = Path(__file__).resolve().parents[2]


def is_machine(path: str) -> bool:
    """Whether a file is a state machine's definition, by its name: ``order.asl.json``, ``order.asl.yaml``."""
    return path.endswith((".asl.json", ".asl.yaml", ".asl.yml"))


@dataclass
class Linter:
    """One process for all, one template at a time. Safe across threads."""

    time_limit_s: float = TIME_LIMIT_S
    _process: subprocess.Popen[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lint(self, path: str, text: str) -> list[dict[str, Any]] | None:
        """What is wrong with a template or state machine; None when nobody could tell.

        That is: others are busy with it, the text is too large, or too much for the linter.
        """
        if len(text) > LARGEST or not self._lock.acquire(timeout=PATIENCE_S):
            return None
        try:
            return self._ask(path, text)
        finally:
            self._lock.release()

    def warm_up(self) -> None:
        """Start it, so that whoever asks first does not wait for that."""
        if self._lock.acquire(blocking=False):
            try:
                self._running()
            finally:
                self._lock.release()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _ask(self, path: str, text: str) -> list[dict[str, Any]] | None:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"path": path, "text": text}) + "\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], self.time_limit_s)
            answer = process.stdout.readline() if ready else ""
        except OSError:
            answer = ""
        if not answer:
            log.warning("linter_ended", characters=len(text), status=process.poll())
            self._end()
            return None
        found: list[dict[str, Any]] = json.loads(answer)["problems"]
        return found

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "portal.workspace.linter"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=_ROOT,
                env={"PATH": os.defpath, "PYTHONPATH": str(_ROOT), "HOME": "/nonexistent"},
            )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.communicate()
