"""A grading's progress on stderr: live on a terminal, one line a step elsewhere."""

from __future__ import annotations

from collections import Counter
from types import TracebackType

from rich.console import Console
from rich.status import Status

from graders.progress import ProgressEvent

_WORDS = {
    "account": "opening an account",
    "build": "building",
    "deploy": "deploying",
    "checks": "asking the checks",
    "rights": "looking at the roles",
    "redeploy": "deploying again",
    "delete": "deleting",
    "report": "writing the report",
}


class Watcher:
    """Shows progress events; call it with each."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = console.status("starting") if console.is_terminal else None
        self._latest: dict[int, str] = {}
        self._outcomes: Counter[str] = Counter()

    def __enter__(self) -> Watcher:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the live line. Idempotent."""
        if self._status:
            self._status.stop()
            self._status = None

    def __call__(self, event: ProgressEvent) -> None:
        if event.phase == "report":
            return
        if event.check_id:
            self._outcomes[event.outcome] += 1
            text = f"check {event.index}/{event.total}"
        elif event.status == "started":
            text = event.message or _WORDS[event.phase]
        elif self._status is None:
            self._console.print(
                f"seed {event.seed}: {_WORDS[event.phase]}: {event.status} in {event.elapsed_s:.2f} s",
                markup=False,
            )
            return
        else:
            return
        self._latest[event.seed] = text
        if self._status:
            self._status.update(" · ".join(f"seed {seed}: {what}" for seed, what in self._latest.items()))
