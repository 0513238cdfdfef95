"""What happens while a submission is graded, for whoever watches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """One step of a grading.

    ``phase`` is ``account``, ``build``, ``deploy``, ``checks``, ``rights``, ``redeploy``, ``delete`` or
    ``report``.
    ``status`` is ``started``, ``done`` or ``failed``; in the phase ``checks`` there is one event per
    finished check, with its outcome, and ``index`` of ``total`` counts them.
    """

    phase: str
    status: str
    seed: int = 0
    message: str = ""
    check_id: str = ""
    title: str = ""
    outcome: str = ""
    index: int = 0
    total: int = 0
    elapsed_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The event as plain JSON types, without what is empty."""
        return {key: value for key, value in asdict(self).items() if value not in ("", 0)}


Progress = Callable[[ProgressEvent], None]


def nobody(_: ProgressEvent) -> None:
    """Watches nothing."""


def one_at_a_time(progress: Progress) -> Progress:
    """The same watcher, called by one thread at a time."""
    lock = threading.Lock()

    def report(event: ProgressEvent) -> None:
        with lock:
            progress(event)

    return report
