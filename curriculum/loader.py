"""Labs and tracks, found in their folders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from curriculum.errors import ManifestInvalid, UnknownLab, UnknownTrack
from curriculum.manifest import RUNTIMES, Manifest, Variant, read_manifest, read_variant
from curriculum.tables import Key, Reader, number, text, texts

HOME = Path(__file__).resolve().parent
LABS = HOME.parent / "labs"
_IGNORED = frozenset({"__pycache__"})


@dataclass(frozen=True)
class Lab:
    """One exercise: a folder, known by its slug. ``skin`` names the skin it wears, if it is not its own."""

    slug: str
    folder: Path
    manifest: Manifest
    skin: str = ""

    @property
    def code(self) -> str:
        """The short code, e.g. ``A02``."""
        return self.manifest.code

    @property
    def title(self) -> str:
        """What it is called."""
        return self.manifest.title

    @property
    def brief(self) -> str:
        """The scenario and what to deliver, as Markdown."""
        return (self.folder / "brief.md").read_text("utf-8")

    @property
    def contract(self) -> str:
        """The rules a check relies on, as Markdown; empty when the tables of the manifest say it all."""
        path = self.folder / "contract.md"
        return path.read_text("utf-8") if path.is_file() else ""

    @property
    def checks_path(self) -> Path:
        """The file that declares the checks."""
        return self.folder / "checks.py"

    @property
    def notebooks(self) -> tuple[str, ...]:
        """The names of its notebooks, which lie at the top of a submission."""
        return tuple(path.name for path in sorted((self.folder / "notebooks").glob("*.ipynb")))

    @cached_property
    def mutants(self) -> tuple[Variant, ...]:
        """The named wrong solutions, by name."""
        return tuple(
            read_variant(folder, f"labs/{self.slug}/mutants/{folder.name}", mutant=True)
            for folder in _folders(self.folder / "mutants")
        )

    @cached_property
    def alternatives(self) -> tuple[Variant, ...]:
        """Other correct designs, by name."""
        return tuple(
            read_variant(folder, f"labs/{self.slug}/alternatives/{folder.name}", mutant=False)
            for folder in _folders(self.folder / "alternatives")
        )

    def starter(self, runtime: str) -> dict[str, bytes]:
        """The starter's files for a runtime family, by relative path; empty when there is none."""
        return read_files(self.folder / "starter" / runtime)

    @property
    def starters(self) -> tuple[str, ...]:
        """The runtime families that have a starter."""
        return tuple(folder.name for folder in _folders(self.folder / "starter"))

    @property
    def references(self) -> tuple[str, ...]:
        """The names of the reference solutions."""
        return tuple(folder.name for folder in _folders(self.folder / "solutions"))

    def reference(self, name: str) -> dict[str, bytes]:
        """A reference solution's files by relative path.

        Raises:
            ManifestInvalid: there is no such reference.
        """
        files = read_files(self.folder / "solutions" / name)
        if not files:
            raise ManifestInvalid([f"labs/{self.slug}/solutions/{name} does not exist or is empty."])
        return files

    def variant(self, variant: Variant) -> dict[str, bytes]:
        """The files of a mutant or alternative: its reference with the overlay applied.

        Raises:
            ManifestInvalid: the overlay does not fit the reference; carries every problem.
        """
        files = self.reference(variant.base)
        where = variant.folder.relative_to(self.folder.parent.parent).as_posix()
        problems = []
        for path in variant.delete:
            if files.pop(path, None) is None:
                problems.append(f"{where}: `delete` names {path}, which {variant.base} does not have.")
        for item in variant.replacements:
            body = files.get(item.path)
            times = body.count(item.old.encode()) if body is not None else 0
            if body is None or times != 1:
                problems.append(
                    f"{where}: `old` occurs {times} times in {item.path} of {variant.base}, "
                    f"not once: {item.old!r}."
                )
                continue
            files[item.path] = body.replace(item.old.encode(), item.new.encode())
        files |= read_files(variant.folder / "files")
        if problems:
            raise ManifestInvalid(problems)
        return files

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` over what decides a grade: manifest, checks, and notebooks with their tests."""
        total = hashlib.sha256()
        notebooks = sorted(f"notebooks/{path.name}" for path in (self.folder / "notebooks").glob("*.ipynb"))
        for name in ("lab.toml", "checks.py", *notebooks):
            path = self.folder / name
            total.update(name.encode() + b"\0" + (path.read_bytes() if path.is_file() else b"") + b"\0")
        return f"sha256:{total.hexdigest()}"


@dataclass(frozen=True, slots=True)
class TrackLab:
    """A lab's place in a track: which labs come before it."""

    slug: str
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Track:
    """Labs in order, with prerequisites."""

    slug: str
    title: str
    summary: str
    level: str
    order: int
    labs: tuple[TrackLab, ...]


@dataclass(frozen=True)
class Catalogue:
    """Every lab and track. ``labs_folder`` may be any folder of lab folders."""

    labs_folder: Path = LABS
    tracks_folder: Path = HOME / "tracks"

    @cached_property
    def labs(self) -> tuple[Lab, ...]:
        """All labs, by code.

        Raises:
            ManifestInvalid: problems of all manifests together.
        """
        found: list[Lab] = []
        problems: list[str] = []
        for folder in _folders(self.labs_folder):
            if not (folder / "lab.toml").is_file():
                continue
            try:
                found.append(self._read(folder))
            except ManifestInvalid as error:
                problems += error.problems
        if problems:
            raise ManifestInvalid(problems)
        return tuple(sorted(found, key=lambda lab: lab.code))

    def get_lab(self, name: str) -> Lab:
        """A lab by slug, or by code in any case. Only its own manifest has to be right.

        Raises:
            UnknownLab: there is none; suggests the nearest.
            ManifestInvalid: it is not as a manifest should be.
        """
        wanted = name.strip().lower()
        direct = self.labs_folder / wanted
        if wanted and "/" not in wanted and not wanted.startswith(".") and (direct / "lab.toml").is_file():
            return self._read(direct)
        for lab in self.labs:
            if lab.code.lower() == wanted:
                return lab
        raise UnknownLab(name, [*(lab.slug for lab in self.labs), *(lab.code.lower() for lab in self.labs)])

    @cached_property
    def tracks(self) -> tuple[Track, ...]:
        """All tracks in their order."""
        found = [_read_track(path) for path in sorted(self.tracks_folder.glob("*.toml"))]
        return tuple(sorted(found, key=lambda track: (track.order, track.slug)))

    def get_track(self, slug: str) -> Track:
        """A track by slug; raises UnknownTrack."""
        for track in self.tracks:
            if track.slug == slug:
                return track
        raise UnknownTrack(slug)

    @cached_property
    def competencies(self) -> dict[str, str]:
        """What a competency code stands for."""
        reader = Reader.open(HOME / "competencies.toml", "curriculum/competencies.toml")
        found = {code: reader.table(code, {"title": Key(text)})["title"] for code in reader.data}
        reader.finish()
        return found

    def _read(self, folder: Path) -> Lab:
        return Lab(folder.name, folder, read_manifest(folder / "lab.toml", f"labs/{folder.name}/lab.toml"))


@cache
def accepted_runtimes() -> frozenset[str]:
    """The Lambda runtimes that labs accept, from ``runtimes.toml``."""
    reader = Reader.open(HOME / "runtimes.toml", "curriculum/runtimes.toml")
    values = reader.table("runtimes", {"accepted": Key(texts)})
    reader.finish()
    return frozenset(values["accepted"])


def family_of(runtime: str) -> str:
    """The family of one of Lambda's runtimes; a name that is no runtime's is its own.

    A custom runtime is Go's here: Lambda runs Go on nothing else.
    """
    if runtime.startswith("provided"):
        return "go"
    return next((family for family in RUNTIMES if runtime.startswith(family)), runtime)


def read_files(folder: Path) -> dict[str, bytes]:
    """A folder's files by relative POSIX path, without caches; empty when there is no such folder."""
    if not folder.is_dir():
        return {}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _IGNORED.intersection(path.parts) and path.suffix != ".pyc"
    }


def _folders(parent: Path) -> Iterator[Path]:
    if parent.is_dir():
        for path in sorted(parent.iterdir()):
            if path.is_dir() and not path.name.startswith((".", "_")):
                yield path


def _read_track(path: Path) -> Track:
    reader = Reader.open(path, f"curriculum/tracks/{path.name}")
    reader.sections(("track", "labs"))
    values = reader.table(
        "track", {"title": Key(text), "summary": Key(text), "level": Key(text), "order": Key(number, 0)}
    )
    labs = reader.tables("labs", {"slug": Key(text), "after": Key(texts, [])})
    reader.finish()
    return Track(
        slug=path.stem,
        title=values["title"],
        summary=values["summary"],
        level=values["level"],
        order=int(values["order"]),
        labs=tuple(TrackLab(item["slug"], tuple(item["after"])) for item in labs),
    )
