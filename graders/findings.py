"""A check's answer: an outcome, the evidence for it, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Outcome(StrEnum):
    PASSED = "passed"
    PARTIAL = "partial"
    FAILED = "failed"
    NOT_ASSESSED = "not_assessed"
    INCONCLUSIVE = "inconclusive"


class Dimension(StrEnum):
    FUN = "FUN"
    RES = "RES"
    SEC = "SEC"
    OBS = "OBS"
    IAC = "IAC"
    PERF = "PERF"
    COST = "COST"
    DIAG = "DIAG"


class Visibility(StrEnum):
    V = "V"
    """Rule and values are public."""
    N = "N"
    """The rule is public, the values are not."""
    H = "H"
    """Only dimension and number are known until the attempt is graded."""


@dataclass(frozen=True, slots=True)
class Did:
    """Something the grader did: ``at`` is account time, ``api`` is ``service:Operation``."""

    api: str
    what: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Saw:
    """Something the grader observed: ``source`` says where anyone can look it up again."""

    source: str
    what: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a pattern of findings usually means, and how sure that is."""

    pattern: str
    likelihood: str = "possible"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    ``points`` is set for partial findings only: how many of the check's points were earned.
    ``patch`` is a unified diff of the submission that would repair it, where one is known.
    ``reason`` says why a finding is not_assessed or inconclusive. ``blocked`` marks a not_assessed
    finding that the submission caused (a gate or an earlier check failed), so its points stay
    in the points possible; without it the backend was unable and the points are left out.
    """

    outcome: Outcome
    headline: str
    points: float | None = None
    did: tuple[Did, ...] = ()
    saw: tuple[Saw, ...] = ()
    ruled_out: tuple[str, ...] = ()
    means: tuple[Meaning, ...] = ()
    look: tuple[str, ...] = ()
    docs: tuple[str, ...] = ()
    expected: str = ""
    hint: str = ""
    reason: str = ""
    blocked: bool = False
    patch: str = ""

    def with_evidence(self, did: Iterable[Did], saw: Iterable[Saw]) -> Finding:
        """The finding with this evidence wherever it brought none of its own."""
        return replace(self, did=self.did or tuple(did), saw=self.saw or tuple(saw))


def _texts(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _meanings(value: str | Meaning | Iterable[str | Meaning]) -> tuple[Meaning, ...]:
    items = (value,) if isinstance(value, (str, Meaning)) else tuple(value)
    return tuple(Meaning(item) if isinstance(item, str) else item for item in items)


def _finding(
    outcome: Outcome,
    headline: str,
    points: float | None,
    did: Did | Iterable[Did],
    saw: Saw | Iterable[Saw],
    ruled_out: str | Iterable[str],
    means: str | Meaning | Iterable[str | Meaning],
    look: str | Iterable[str],
    docs: str | Iterable[str],
    expected: str,
    hint: str,
) -> Finding:
    return Finding(
        outcome,
        headline,
        points=points,
        did=(did,) if isinstance(did, Did) else tuple(did),
        saw=(saw,) if isinstance(saw, Saw) else tuple(saw),
        ruled_out=_texts(ruled_out),
        means=_meanings(means),
        look=_texts(look),
        docs=_texts(docs),
        expected=expected,
        hint=hint,
    )


def passed(
    headline: str,
    *,
    did: Did | Iterable[Did] = (),
    saw: Saw | Iterable[Saw] = (),
    ruled_out: str | Iterable[str] = (),
    docs: str | Iterable[str] = (),
) -> Finding:
    """The good state holds. ``headline`` says what was seen, with counts: "9 rows became 9 items"."""
    return _finding(Outcome.PASSED, headline, None, did, saw, ruled_out, (), (), docs, "", "")


def partial(
    points: float,
    headline: str,
    *,
    did: Did | Iterable[Did] = (),
    saw: Saw | Iterable[Saw] = (),
    ruled_out: str | Iterable[str] = (),
    means: str | Meaning | Iterable[str | Meaning] = (),
    look: str | Iterable[str] = (),
    docs: str | Iterable[str] = (),
    expected: str = "",
    hint: str = "",
) -> Finding:
    """Part of the good state holds and earns ``points`` (more than 0, less than the check's points).

    Only where the check's row in the lab says how the points divide.
    """
    return _finding(Outcome.PARTIAL, headline, points, did, saw, ruled_out, means, look, docs, expected, hint)


def failed(
    headline: str,
    *,
    did: Did | Iterable[Did] = (),
    saw: Saw | Iterable[Saw] = (),
    ruled_out: str | Iterable[str] = (),
    means: str | Meaning | Iterable[str | Meaning] = (),
    look: str | Iterable[str] = (),
    docs: str | Iterable[str] = (),
    expected: str = "",
    hint: str = "",
) -> Finding:
    """The good state does not hold. ``headline`` says what was seen instead; evidence first, advice last.

    ``did``/``saw`` default to what the check recorded with :meth:`Sandbox.did` and :meth:`Sandbox.saw`.
    ``means`` may stay empty: the runner fills it from the lab's mutants.
    """
    return _finding(Outcome.FAILED, headline, None, did, saw, ruled_out, means, look, docs, expected, hint)


def not_assessed(reason: str, *, blocked: bool = False) -> Finding:
    """The check could not be put to the question; says why."""
    return Finding(Outcome.NOT_ASSESSED, reason, reason=reason, blocked=blocked)


def inconclusive(reason: str) -> Finding:
    """The environment, not the learner, was at fault; says how."""
    return Finding(Outcome.INCONCLUSIVE, reason, reason=reason)
