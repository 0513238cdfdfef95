"""Python: the sources, with what requirements.txt asks for beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sandbox.building.isolated import Files
from sandbox.building.requirements import Installer, parse_requirements
from sandbox.building.workshop import Wanted, Workshop, needs_registry

_LEFT_OUT = frozenset({"__pycache__"})


def build(wanted: Wanted, workshop: Workshop) -> Files:
    """The sources and their requirements; of two files with one name the learner's own.

    Raises:
        BadSubmission: in pip's own words.
        EnvironmentFault: the package index can't be reached, or our disk is full.
    """
    name = "requirements.txt"
    if name not in wanted.files:
        return wanted.files
    requirements = parse_requirements(wanted.path(name), wanted.files[name])
    if not requirements.lines:
        return wanted.files
    if not workshop.registries:
        raise needs_registry(wanted, name, "packages")
    installer = Installer(workshop.cache, workshop.environ)
    workshop.tell(f"installing packages of {wanted.logical} with pip")
    folder = installer.install(requirements, wanted.runtime.removeprefix("python"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in _files(folder)} | dict(
        wanted.files
    )


def _files(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        yield from (Path(here, name) for name in sorted(names))
