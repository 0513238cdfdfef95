"""What can go wrong while grading, as one family.

GradersError
├── LabBroken               the lab's own files are wrong: ours to repair
├── UnknownCheck            a check id the lab does not have
└── CheckSignal             how a check ends early
    ├── ResourceNotFound        the learner's stack lacks something: a failed finding
    ├── PathNotAlive            the learner's working path showed no effect: not assessed
    ├── NotAssessed             this backend cannot show it: not assessed
    └── PositiveControlFailed   our own path is dead: inconclusive, never the learner's fault
"""

from __future__ import annotations


class GradersError(Exception):
    """Base of every error the graders raise on purpose."""


class LabBroken(GradersError):
    """A lab's checks or manifest can't be used as they are."""


class UnknownCheck(GradersError):
    """Somebody asked for a check the lab does not have.

    Attributes:
        known: the ids there are.
    """

    def __init__(self, check_id: str, known: tuple[str, ...]) -> None:
        super().__init__(f"There is no check `{check_id}`. This lab has: {', '.join(known)}.")
        self.check_id = check_id
        self.known = known


class CheckSignal(GradersError):
    """Ends a check early with an outcome of its own."""


class ResourceNotFound(CheckSignal):
    """Something the contract names is not in the learner's account; becomes a failed finding.

    Attributes:
        hint: what to do about it, one sentence.
        look: where to look, shortest first.
    """

    def __init__(self, message: str, *, hint: str = "", look: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.hint = hint
        self.look = look


class PathNotAlive(CheckSignal):
    """A stimulus that works on any working solution had no effect, so "nothing happened" proves nothing."""


class NotAssessed(CheckSignal):
    """The backend cannot show what the check asks about; the message says what is missing."""


class PositiveControlFailed(CheckSignal):
    """Our own fixture, client or path did not work; the check is inconclusive and will be run again."""
