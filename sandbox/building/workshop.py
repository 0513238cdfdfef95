"""Where builders work: what they may use, and what was built before."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from sandbox.building import isolated, keeping
from sandbox.building.isolated import Files, Job, Limits, Outcome, is_program
from sandbox.building.operator import Upstream
from sandbox.building.registry import CachedRegistry, Registry
from sandbox.errors import BadSubmission, EnvironmentFault
from sandbox.isolation.frames import read_frames, write_end, write_frame

# Raise it when a builder makes something else of the same files.
BUILDERS_VERSION = 1

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be built: the files of one folder, for one runtime.

    ``folder`` is where they are in the submission, for messages. ``where`` is the template's line.
    """

    logical: str
    folder: str
    files: Files = field(repr=False)
    runtime: str = ""
    architecture: str = ""
    handler: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    layer: bool = False

    def path(self, name: str) -> str:
        """A file of the folder as a path in the submission."""
        return name if self.folder in ("", ".") else f"{self.folder}/{name}"


@dataclass(frozen=True, slots=True)
class Workshop:
    """What builders share. ``registries`` is whether the lab allows them to be asked."""

    cache: Path
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    registries: bool = True
    limits: Limits = field(default_factory=Limits)
    tell: Tell = lambda _: None

    def made(self, builder: str, version: str, wanted: Wanted, make: Callable[[], Files]) -> Files:
        """What ``make`` makes, kept under everything that decides it: builder, tools, sources, options."""
        key = _digest(
            {
                "builder": [BUILDERS_VERSION, builder, version],
                "runtime": [wanted.runtime, wanted.architecture, wanted.handler, wanted.layer],
                "properties": wanted.properties,
                "registries": self.registries,
                "files": {name: hashlib.sha256(body).hexdigest() for name, body in wanted.files.items()},
            }
        )
        kept = self.cache / "built" / key[:2] / key
        with self._alone(key):
            found = _read_kept(kept)
            if found is None:
                found = make()
                _keep(kept, found)
            return found

    def seed(self, kind: str, parts: Mapping[str, Any], make: Callable[[], Files | None]) -> Path | None:
        """A folder of our own making (never of a learner's code) that builds start from; None: none.

        Such a folder is a pure function of ``parts``.
        """
        key = _digest({"seed": [BUILDERS_VERSION, kind], **parts})
        ready = self.cache / "seeds" / kind / key
        if ready.is_dir():
            return ready
        with self._alone(key):
            if ready.is_dir():
                return ready
            made = make()
            if made is None:
                return None
            unfinished = ready.with_name(f"{key}.{os.getpid()}-{os.urandom(4).hex()}")
            for name, body in made.items():
                path = unfinished / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(body)
            try:
                unfinished.rename(ready)
            except OSError:
                shutil.rmtree(unfinished, ignore_errors=True)
            return ready if ready.is_dir() else None

    def run(self, job: Job) -> Outcome:
        """Run a build.

        Raises:
            EnvironmentFault: it could not be isolated, or the registry could not be reached.
        """
        outcome = isolated.run(job, self.tell)
        keeping.prune_daily(self.cache)
        if outcome.status != 0 and outcome.trouble:
            raise EnvironmentFault(outcome.trouble)
        return outcome

    def build(
        self, wanted: Wanted, job: Job, refused: Callable[[str], BadSubmission | EnvironmentFault]
    ) -> Files:
        """What a build makes; when it fails, ``refused`` says what its output means.

        Raises:
            BadSubmission: it used too much, or ``refused`` says so.
            EnvironmentFault: as :meth:`run`, or ``refused`` says so.
        """
        outcome = self.run(job)
        if outcome.status != 0:
            raise _limit_reached(wanted, outcome, job.limits) or refused(outcome.output)
        return outcome.made

    def registry(
        self, name: str, upstreams: tuple[Upstream, ...], constant: re.Pattern[str]
    ) -> Registry | None:
        """A registry with what it gave before kept here, where the lab allows it."""
        if not self.registries:
            return None
        return CachedRegistry(name, upstreams, constant, self.cache / "registry", self.environ)

    @contextlib.contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """One maker of the same thing at a time, on this machine."""
        locks = self.cache / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / key[:2]).open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _limit_reached(wanted: Wanted, outcome: Outcome, limits: Limits) -> BadSubmission | None:
    """What a learner is told when a build was ended for what it used."""
    used = {
        "time": f"was not finished after {limits.time_s:g} s",
        "memory": f"needs more than {limits.memory_mb} MB of memory",
        "disk": f"writes more than {limits.disk_mb} MB",
        "result": f"makes {limits.result_bytes // 1_048_576} MiB, more than a function may have",
    }.get(outcome.reason)
    if used is None:
        return None
    return BadSubmission(
        f"The build of `{wanted.logical}` {used}.",
        where=wanted.where,
        what_to_do="Leave out dependencies that the function does not need.",
    )


def needs_registry(wanted: Wanted, name: str, what: str) -> BadSubmission:
    """What a learner is told when a lab's builds can't fetch anything."""
    return BadSubmission(
        f"`{wanted.logical}` needs {what} from a package registry, which builds of this lab may not use.",
        where=wanted.path(name),
        what_to_do="Write it without them.",
    )


def _digest(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _keep(place: Path, files: Files) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(f"{place.name}.{os.getpid()}-{os.urandom(4).hex()}")
    with unfinished.open("wb") as stream:
        for name, body in files.items():
            write_frame(stream, name, body, runs=is_program(name, body))
        write_end(stream)
    unfinished.replace(place)


def _read_kept(place: Path) -> Files | None:
    try:
        stream = BytesIO(place.read_bytes())
        return {name: stream.read(size) for name, _runs, size in read_frames(stream)}
    except (OSError, EOFError, ValueError):
        return None
