"""The Go functions of ``tests/fixtures/go``, built once and kept below the home folder."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from settings import REPOSITORY, Settings

FIXTURES = REPOSITORY / "tests" / "fixtures" / "go"


@functools.cache
def built(name: str) -> bytes:
    """A fixture's ``bootstrap``; skips the test where Go is not installed."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        pytest.skip("Go is not installed")
    source = FIXTURES / name
    files = sorted(path for path in source.iterdir() if path.is_file())
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]
    place = Settings().home.absolute() / "test-fixtures" / f"go-{name}-{digest}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_file():
            _build(go, source, place)
    return place.read_bytes()


def _build(go: str, source: Path, place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="build-") as work:
        project = Path(shutil.copytree(source, Path(work, "project")))
        variables = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -trimpath -ldflags=-s"}
        command = [go, "build", "-o", "bootstrap", "."]
        done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (project / "bootstrap").rename(place)
