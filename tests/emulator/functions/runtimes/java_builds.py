"""The Java functions of ``tests/fixtures/java``, built by Maven once and kept below the home folder."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from settings import REPOSITORY, Settings

FIXTURES = REPOSITORY / "tests" / "fixtures" / "java"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


def missing() -> str:
    """Why Java functions can't be built and run here; empty when they can."""
    absent = [name for name in ("java", "javac", "mvn") if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


@functools.cache
def built(name: str) -> dict[str, bytes]:
    """A fixture as a package: its classes, and what they need in ``lib``."""
    if missing():
        pytest.skip(missing())
    source = FIXTURES / name
    files = sorted(path for path in source.rglob("*") if path.is_file())
    parts = (part for path in files for part in (str(path.relative_to(source)).encode(), path.read_bytes()))
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    place = Settings().home.absolute() / "test-fixtures" / f"{name}-{digest}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            _build(source, place)
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def _build(source: Path, place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="build-") as work:
        project = Path(shutil.copytree(source, Path(work, "project")))
        done = subprocess.run(
            [
                "mvn",
                "--batch-mode",
                "--quiet",
                "-DskipTests",
                "compile",
                _COPY,
                "-DoutputDirectory=target/classes/lib",
            ],
            cwd=project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        Path(project, "target", "classes").rename(place)
