"""What stands behind named mistakes: the rule, where to look, and the same mistake in another story."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from curriculum.loader import Lab
from curriculum.manifest import RUNTIMES
from curriculum.tables import Key, Reader, text, texts

_FILE = Path(__file__).resolve().parent / "misconceptions.toml"


@dataclass(frozen=True, slots=True)
class Lesson:
    """A mistake that turns up in several labs. ``mutants`` are ``CODE.name``; texts have `code` in ticks.

    ``where`` are services, calls to make and fields to read; ``document`` is a title and its address.
    """

    name: str
    rule: str
    where: tuple[str, ...]
    document: str
    mistake: str
    repair: str
    mutants: frozenset[str]


@cache
def lessons() -> tuple[Lesson, ...]:
    """All lessons, from ``misconceptions.toml``.

    Raises:
        ManifestInvalid: the file is not as it should be; carries every problem.
    """
    reader = Reader.open(_FILE, f"curriculum/{_FILE.name}")
    reader.sections(("misconception",))
    keys = {name: Key(text) for name in ("name", "rule", "document", "mistake", "repair")}
    found = reader.tables("misconception", {**keys, "where": Key(texts), "mutants": Key(texts)})
    reader.finish()
    return tuple(
        Lesson(**{**item, "where": tuple(item["where"]), "mutants": frozenset(item["mutants"])})
        for item in found
    )


def lesson_of(lab: Lab, mutant: str, known: Iterable[Lesson] | None = None) -> Lesson | None:
    """What to learn from a wrong solution of a lab; None where nothing is written."""
    name = f"{lab.code}.{plain_name(mutant)}"
    return next((item for item in known or lessons() if name in item.mutants), None)


def plain_name(mutant: str) -> str:
    """A wrong solution's name without its runtime: the same mistake has one name in all of them."""
    return next((mutant.removesuffix(f"-{name}") for name in RUNTIMES if mutant.endswith(f"-{name}")), mutant)
