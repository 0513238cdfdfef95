"""The hints of a report's checks: what is open, what comes next, and what each step tells."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext

from curriculum.errors import ManifestInvalid
from curriculum.lessons import Lesson, lesson_of, plain_name
from curriculum.loader import Lab, family_of
from curriculum.manifest import Variant
from graders.labs import misconceptions
from graders.misconceptions import Misconception, ranked
from portal.hints.ladder import Next, following
from portal.languages import N_
from records.errors import NotFound
from records.hints import Hints
from records.store import Attempt

Report = Mapping[str, Any]

TITLES = {
    1: N_("Where to look"),
    2: N_("What it is, and the rule behind it"),
    3: N_("The same mistake elsewhere"),
    4: N_("The repair for this lab"),
}
_LOST = ("failed", "partial")


@dataclass(frozen=True, slots=True)
class Hint:
    """One step that is open."""

    step: int
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    document: tuple[str, str] | None = None
    patch: str = ""

    @property
    def title(self) -> str:
        """What this step is."""
        return TITLES[self.step]


@dataclass(frozen=True, slots=True)
class Ladder:
    """The hints of one check."""

    open: tuple[Hint, ...]
    next: Next | None

    @property
    def next_title(self) -> str:
        """What the next step is."""
        return TITLES[self.next.step] if self.next else ""


@dataclass(frozen=True, slots=True)
class HintService:
    """Opens hints by their rules and says what is in them."""

    records: Hints

    def ladders(self, lab: Lab, attempt: Attempt, report: Report, now: datetime) -> dict[str, Ladder]:
        """The hints of each check that lost points, by check id."""
        opened = self.records.opened(attempt.user_id, lab.slug)
        work = self.records.work(attempt.user_id, lab.slug)
        found = {}
        for check in report["checks"]:
            if check["outcome"] not in _LOST:
                continue
            steps = opened.get(check["id"], {})
            mistakes = _mistakes(lab, check["id"], report) if steps else []
            hints = tuple(_hint(lab, report, check, mistakes, step) for step in sorted(steps))
            found[check["id"]] = Ladder(hints, following(steps, work, now))
        return found

    def open_next(self, lab: Lab, attempt: Attempt, report: Report, check_id: str, now: datetime) -> bool:
        """Open the next step of a check; false when it is not its time yet.

        Raises:
            NotFound: the check lost nothing in this report.
        """
        ladder = self.ladders(lab, attempt, report, now).get(check_id)
        if ladder is None:
            raise NotFound("check", check_id)
        if ladder.next is None or not ladder.next.is_open:
            return False
        self.records.open(attempt.user_id, lab.slug, check_id, ladder.next.step, now)
        return True


def _mistakes(lab: Lab, check_id: str, report: Report) -> list[Misconception]:
    checks = report["checks"]
    lost = frozenset(item["id"] for item in checks if item["outcome"] in _LOST)
    judged = frozenset(item["id"] for item in checks if item["outcome"] != "not_assessed")
    return [item for item, _likeness in ranked(check_id, lost, judged, misconceptions(lab))]


def _hint(
    lab: Lab, report: Report, check: Mapping[str, Any], mistakes: list[Misconception], step: int
) -> Hint:
    lessons = [(item, lesson) for item in mistakes if (lesson := lesson_of(lab, item.name))]
    mistake, lesson = lessons[0] if lessons else (None, None)
    if step == 1:
        return Hint(1, points=(*(lesson.where if lesson else ()), *check["look"]))
    if step == 4:
        return _repair(lab, mistakes, {family_of(name) for name in report["runtimes"]})
    if mistake is None or lesson is None:
        return Hint(
            step,
            (gettext("No known mistake fails this check in this way; the evidence above is all we have."),),
        )
    if step == 3:
        return Hint(3, (lesson.mistake, lesson.repair))
    return Hint(2, (f"{lesson.name}: {_decapitalised(mistake.what)}", lesson.rule), (), _document(lesson))


def _repair(lab: Lab, mistakes: list[Misconception], families: Collection[str]) -> Hint:
    """From the likest wrong solution to the reference, in the learner's runtime where there is one."""
    try:
        variants = {item.name: item for item in lab.mutants}
        named = [variants[item.name] for item in mistakes]
        best = next((_in_runtime(item, variants, families) for item in named), None)
        if best is None:
            return Hint(
                4, (gettext("There is no repair for this one; compare with the contract, word by word."),)
            )
        patch = _patch(lab.variant(best), lab.reference(best.base))
    except ManifestInvalid:
        return Hint(4, (gettext("The repair can't be shown: this lab's files don't fit each other."),))
    told = gettext(
        "From the mistake to a solution that passes. Your files may differ: take the idea, not the lines."
    )
    return Hint(4, (told,), patch=patch)


def _in_runtime(mutant: Variant, variants: Mapping[str, Variant], families: Collection[str]) -> Variant:
    same = [item for name, item in variants.items() if plain_name(name) == plain_name(mutant.name)]
    return next((item for item in same if any(name in item.base for name in families)), mutant)


def _patch(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    lines: list[str] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path, b""), after.get(path, b"")
        if old != new:
            lines += difflib.unified_diff(_lines(old), _lines(new), f"a/{path}", f"b/{path}")
    return "".join(lines)


def _lines(body: bytes) -> list[str]:
    return body.decode("utf-8", "replace").splitlines(keepends=True)


def _document(lesson: Lesson) -> tuple[str, str]:
    title, _, address = lesson.document.rpartition(" ")
    return title, address


def _decapitalised(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
