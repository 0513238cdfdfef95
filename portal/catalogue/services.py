"""Labs and tracks beside what a learner did in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate

from curriculum.loader import Catalogue, Lab, Track
from curriculum.manifest import LEVELS
from graders.checks import Check
from graders.findings import Visibility
from graders.labs import load_checks
from graders.report.words import DIMENSIONS
from records.store import Attempt

RUNTIME_NAMES = {"python": "Python", "nodejs": "Node.js", "java": "Java", "go": "Go"}


@dataclass(frozen=True, slots=True)
class Progress:
    """What a learner did in one lab."""

    lab: Lab
    attempts: int = 0
    best: Attempt | None = None
    passed: bool = False
    open: Attempt | None = None
    # What is best done before, and whether it is.
    after: tuple[tuple[Lab, bool], ...] = ()

    @property
    def state(self) -> str:
        """``passed``, ``grading``, ``tried`` or ``new``."""
        if self.open:
            return "grading"
        return "passed" if self.passed else "tried" if self.attempts else "new"


@dataclass(frozen=True, slots=True)
class Shelf:
    """A track with its labs; or the labs that no track lists."""

    title: str
    summary: str
    level: str
    labs: tuple[Progress, ...]

    @property
    def minutes(self) -> int:
        """How long all labs take together."""
        return sum(item.lab.manifest.minutes for item in self.labs)

    @property
    def spans(self) -> list[tuple[Progress, int]]:
        """Each lab with the minute at which it begins when one does them in order."""
        starts = accumulate((item.lab.manifest.minutes for item in self.labs), initial=0)
        return list(zip(self.labs, starts, strict=False))


@dataclass(frozen=True, slots=True)
class Tally:
    """A learner's work in figures."""

    labs: int
    passed: int
    attempts: int


def tally(found: Iterable[Shelf], attempts: int) -> Tally:
    """The figures over all shelves, each lab once."""
    labs = {item.lab.slug: item for shelf in found for item in shelf.labs}
    return Tally(len(labs), sum(item.passed for item in labs.values()), attempts)


def progress(lab: Lab, attempts: Iterable[Attempt]) -> Progress:
    """One lab's progress from a learner's attempts at any labs."""
    mine = [item for item in attempts if item.lab == lab.slug]
    graded = [item for item in mine if item.state == "closed" and item.counted and item.points is not None]
    best = max(graded, key=lambda item: (item.outcome == "passed", item.percent), default=None)
    return Progress(
        lab,
        len(mine),
        best,
        any(item.outcome == "passed" for item in graded),
        next((item for item in mine if item.is_open), None),
    )


def shelves(catalogue: Catalogue, attempts: list[Attempt]) -> list[Shelf]:
    """All labs, each once under every track that lists it, then the rest by level."""
    labs = {lab.slug: lab for lab in catalogue.labs}
    found = [_shelf(track, labs, attempts) for track in catalogue.tracks]
    listed = {entry.slug for track in catalogue.tracks for entry in track.labs}
    rest: dict[str, list[Progress]] = defaultdict(list)
    for lab in catalogue.labs:
        if lab.slug not in listed:
            rest[lab.manifest.level].append(progress(lab, attempts))
    found += [Shelf(level.capitalize(), "", level, tuple(items)) for level, items in rest.items()]
    return [shelf for shelf in found if shelf.labs]


def _shelf(track: Track, labs: dict[str, Lab], attempts: list[Attempt]) -> Shelf:
    here = {item.slug: progress(labs[item.slug], attempts) for item in track.labs if item.slug in labs}
    before = {item.slug: [here[slug] for slug in item.after if slug in here] for item in track.labs}
    found = tuple(
        replace(item, after=tuple((other.lab, other.passed) for other in before[slug]))
        for slug, item in here.items()
    )
    return Shelf(track.title, track.summary, track.level, found)


@dataclass(frozen=True, slots=True)
class Step:
    """A level on the way from junior to architect, or a competency: how many labs, how many passed."""

    code: str
    title: str
    labs: int
    passed: int


def levels(found: Iterable[Shelf]) -> list[Step]:
    """All levels in their order, those without labs too."""
    labs = _each_once(found)
    return [
        _step(level, level.capitalize(), [item for item in labs if item.lab.manifest.level == level])
        for level in LEVELS
    ]


def competencies(catalogue: Catalogue, found: Iterable[Shelf]) -> list[Step]:
    """The competencies that labs train."""
    labs = _each_once(found)
    steps = [
        _step(code, title, [item for item in labs if code in item.lab.manifest.competencies])
        for code, title in catalogue.competencies.items()
    ]
    return [step for step in steps if step.labs]


def _each_once(found: Iterable[Shelf]) -> list[Progress]:
    return list({item.lab.slug: item for shelf in found for item in shelf.labs}.values())


def _step(code: str, title: str, labs: list[Progress]) -> Step:
    return Step(code, title, len(labs), sum(item.passed for item in labs))


def search(catalogue: Catalogue, found: Iterable[Shelf], words: str, competency: str = "") -> list[Shelf]:
    """The shelves with the labs that have every word somewhere, and train the competency if one is named."""
    wanted = words.casefold().split()
    return [
        replace(shelf, labs=labs)
        for shelf in found
        if (labs := tuple(item for item in shelf.labs if _fits(catalogue, item.lab, wanted, competency)))
    ]


def _fits(catalogue: Catalogue, lab: Lab, words: list[str], competency: str) -> bool:
    manifest = lab.manifest
    if competency and competency not in manifest.competencies:
        return False
    told = (
        *(lab.code, lab.title, manifest.summary, manifest.level, lab.brief),
        *manifest.services,
        *(RUNTIME_NAMES.get(name, name) for name in manifest.runtimes),
        *(catalogue.competencies.get(code, "") for code in manifest.competencies),
    )
    text = "\n".join(told).casefold()
    return all(word in text for word in words)


@dataclass(frozen=True, slots=True)
class Judged:
    """What is judged in one dimension: the checks a learner may read, and how many stay hidden."""

    dimension: str
    shown: tuple[Check, ...]
    hidden: int
    hidden_points: float
    points: float


def judged(lab: Lab) -> list[Judged]:
    """What a lab judges, by dimension, as far as its checks may be known before grading."""
    groups: dict[str, list[Check]] = defaultdict(list)
    for check in load_checks(lab.checks_path).checks:
        groups[str(check.dimension)].append(check)
    return [
        Judged(
            DIMENSIONS.get(name, name),
            tuple(item for item in checks if item.visibility is not Visibility.H),
            sum(item.visibility is Visibility.H for item in checks),
            sum(item.points for item in checks if item.visibility is Visibility.H),
            sum(item.points for item in checks),
        )
        for name, checks in groups.items()
    ]
