"""``lab.toml``: what a lab is, as data. Strict, and all problems are told together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from curriculum.tables import Key, Reader, flag, number, one_of, some_of, text, texts

LEVELS = ("associate", "practitioner", "senior", "architect")
RUNTIMES = ("python", "nodejs", "java", "go")


@dataclass(frozen=True, slots=True)
class Named:
    """An output, parameter or file that the contract names."""

    name: str
    description: str
    example: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """Something worth reading."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a lab is.

    ``registries`` is whether a submission's build may fetch packages.
    ``gate_points`` is what deploying from clean is worth, and ``starter_points`` what the starter earns at
    most: the gate's, unless the starter works already. ``leftovers`` are the CloudFormation types
    that may outlive the stack. ``assessed_later`` gives, by check id, why its mutants can't be judged yet.
    ``deploys`` is false where programs or notebooks are handed in and no stack; ``required`` are the files
    without which nothing can be judged, and ``notebook_time_s`` and ``notebook_memory_mb`` limit a notebook.
    """

    code: str
    title: str
    version: str
    summary: str
    level: str
    minutes: int
    runtimes: tuple[str, ...]
    services: tuple[str, ...]
    competencies: tuple[str, ...]
    objectives: tuple[str, ...]
    skills: tuple[str, ...]
    files: tuple[str, ...]
    limit_bytes: int
    registries: bool
    gate_points: float
    starter_points: float
    time_limit_s: float
    leftovers: tuple[str, ...]
    outputs: tuple[Named, ...]
    parameters: tuple[Named, ...]
    seeded_files: tuple[Named, ...]
    assessed_later: Mapping[str, str]
    docs: tuple[Document, ...]
    deploys: bool = True
    required: tuple[str, ...] = ()
    notebook_time_s: float = 90
    notebook_memory_mb: int = 1024


@dataclass(frozen=True, slots=True)
class Replacement:
    """One text in a file, occurring exactly once, and what replaces it."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Variant:
    """A mutant or an alternative: an overlay on a reference solution."""

    name: str
    what: str
    base: str
    folder: Path
    delete: tuple[str, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    must_fail: tuple[str, ...] = ()
    may_fail: tuple[str, ...] = ()
    deploys: bool = field(default=True)


_LAB = {
    "code": Key(text),
    "title": Key(text),
    "version": Key(text),
    "summary": Key(text),
    "level": Key(one_of(*LEVELS)),
    "minutes": Key(number),
    "runtimes": Key(some_of(*RUNTIMES)),
    "services": Key(texts),
    "competencies": Key(texts),
    "objectives": Key(texts, []),
    "skills": Key(texts, []),
}
_SUBMISSION = {
    "files": Key(texts, ["template.yaml"]),
    "limit_mb": Key(number, 10),
    "registries": Key(flag, True),
    "required": Key(texts, []),
}
_GRADING = {
    "gate_points": Key(number),
    "deploys": Key(flag, True),
    "starter_points": Key(number, 0),
    "time_limit_s": Key(number, 180),
    "leftovers": Key(texts, []),
}
_NAMED = {"name": Key(text), "description": Key(text), "example": Key(text, "")}
_FILE = {"path": Key(text), "description": Key(text)}
_DOC = {"title": Key(text), "url": Key(text)}
_NOTEBOOKS = {"time_limit_s": Key(number, 90), "memory_mb": Key(number, 1024)}
_SECTIONS = ("lab", "submission", "grading", "contract", "notebooks", "assessed_later", "docs")

_REPLACE = {
    "path": Key(text),
    "old": Key(text),
    "new": Key(lambda value: "" if isinstance(value, str) else "should be a text"),
}
_ALTERNATIVE = {"what": Key(text), "base": Key(text, "reference-python"), "delete": Key(texts, [])}
_MUTANT = {
    **_ALTERNATIVE,
    "must_fail": Key(texts),
    "may_fail": Key(texts, []),
    "deploys": Key(flag, True),
}


def read_manifest(path: Path, shown_as: str) -> Manifest:
    """The manifest in a ``lab.toml``.

    Raises:
        ManifestInvalid: something is wrong with it; carries every problem.
    """
    reader = Reader.open(path, shown_as)
    reader.sections(_SECTIONS)
    lab = reader.table("lab", _LAB)
    submission = reader.table("submission", _SUBMISSION)
    grading = reader.table("grading", _GRADING)
    notebooks = reader.table("notebooks", _NOTEBOOKS)
    contract = reader.data.get("contract", {})
    reader.check(
        "contract", contract, {key: Key(lambda _: "", []) for key in ("outputs", "parameters", "files")}
    )
    outputs = reader.tables("contract.outputs", _NAMED)
    parameters = reader.tables("contract.parameters", _NAMED)
    files = reader.tables("contract.files", _FILE)
    docs = reader.tables("docs", _DOC)
    later = reader.data.get("assessed_later", {})
    if not isinstance(later, Mapping) or not all(isinstance(value, str) for value in later.values()):
        reader.problems.append(f"{shown_as}: [assessed_later] should give a reason for each check id.")
        later = {}
    reader.finish()
    return Manifest(
        code=lab["code"],
        title=lab["title"],
        version=lab["version"],
        summary=lab["summary"],
        level=lab["level"],
        minutes=int(lab["minutes"]),
        runtimes=tuple(lab["runtimes"]),
        services=tuple(lab["services"]),
        competencies=tuple(lab["competencies"]),
        objectives=tuple(lab["objectives"]),
        skills=tuple(lab["skills"]),
        files=tuple(submission["files"]),
        limit_bytes=int(submission["limit_mb"] * 1_000_000),
        registries=submission["registries"],
        gate_points=grading["gate_points"],
        starter_points=grading["starter_points"] or grading["gate_points"],
        time_limit_s=grading["time_limit_s"],
        leftovers=tuple(grading["leftovers"]),
        outputs=tuple(Named(**item) for item in outputs),
        parameters=tuple(Named(**item) for item in parameters),
        seeded_files=tuple(Named(item["path"], item["description"]) for item in files),
        assessed_later=dict(later),
        docs=tuple(Document(**item) for item in docs),
        deploys=grading["deploys"],
        required=tuple(submission["required"]),
        notebook_time_s=notebooks["time_limit_s"],
        notebook_memory_mb=int(notebooks["memory_mb"]),
    )


def read_variant(folder: Path, shown_as: str, *, mutant: bool) -> Variant:
    """A mutant (``mutant.toml``) or an alternative (``alternative.toml``).

    Raises:
        ManifestInvalid: something is wrong with it; carries every problem.
    """
    name = "mutant.toml" if mutant else "alternative.toml"
    reader = Reader.open(folder / name, f"{shown_as}/{name}")
    keys = _MUTANT if mutant else _ALTERNATIVE
    table = {key: value for key, value in reader.data.items() if key != "replace"}
    values = reader.check("", table, keys)
    replacements = reader.tables("replace", _REPLACE)
    reader.finish()
    return Variant(
        name=folder.name,
        what=values["what"],
        base=values["base"],
        folder=folder,
        delete=tuple(values["delete"]),
        replacements=tuple(Replacement(**item) for item in replacements),
        must_fail=tuple(values.get("must_fail", ())),
        may_fail=tuple(values.get("may_fail", ())),
        deploys=values.get("deploys", True),
    )
