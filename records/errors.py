"""What can go wrong with records, as one family."""

from __future__ import annotations


class RecordsError(Exception):
    """Base of every error that records raise on purpose."""


class NotFound(RecordsError):
    """There is no such record, or it belongs to somebody else."""

    def __init__(self, kind: str, key: object) -> None:
        self.kind = kind
        self.key = key
        super().__init__(f"There is no {kind} {key}.")


class Taken(RecordsError):
    """Somebody has that already."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"Somebody has that {kind} already.")


class AlreadyOpen(RecordsError):
    """A learner's attempt at a lab waits or runs already."""

    def __init__(self, lab: str, attempt_id: int) -> None:
        self.lab = lab
        self.attempt_id = attempt_id
        super().__init__(
            "Another attempt at this lab is being graded. Submit again when its report is there."
        )


class Deploying(RecordsError):
    """Another deployment of this learner waits or runs."""

    def __init__(self) -> None:
        super().__init__("Another deployment is under way. Deploy again when it has ended.")


class NoRoom(RecordsError):
    """As many practice accounts are open as this installation allows."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"All {limit} practice accounts of this installation are in use.")


class TooManyEvents(RecordsError):
    """A learner keeps as many test events for a lab as may be kept."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"{limit} events are kept already. Drop one first.")


class LoginTaken(RecordsError):
    """The login is in use."""
