"""Deployments that shift a function's traffic, as far as CloudFormation waits for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.emulator.cloudformation.callbacks import Mailbox
from sandbox.emulator.timeline import Timeline, TimelineEvent

_SUBJECT = "codedeploy:"
_FINAL = ("Succeeded", "Failed", "Stopped")


class Shifts:
    """Hears on the timeline how deployments end, so that nobody has to ask again and again."""

    def __init__(self, timeline: Timeline) -> None:
        self._boxes: dict[str, Mailbox] = {}
        self._lock = threading.Lock()
        timeline.listeners.append(self._heard)

    @contextmanager
    def end_of(self, deployment_id: str) -> Iterator[Mailbox]:
        """A mailbox that is full once the deployment has ended; what ended before has to be asked for."""
        mailbox = Mailbox()
        with self._lock:
            self._boxes[deployment_id] = mailbox
        try:
            yield mailbox
        finally:
            with self._lock:
                self._boxes.pop(deployment_id, None)

    def _heard(self, event: TimelineEvent) -> None:
        if event.kind != "deployment" or not event.subject.startswith(_SUBJECT):
            return
        with self._lock:
            mailbox = self._boxes.get(event.subject.removeprefix(_SUBJECT))
        if mailbox is not None and event.outcome in _FINAL:
            mailbox.put(event.outcome.encode())
