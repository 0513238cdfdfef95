"""What functions of these tests bring along: fetched from registries once, kept below the home folder."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from sandbox.building.requirements import Installer, parse_requirements
from sandbox.runtimes.prepared import VERSION
from settings import REPOSITORY, Settings

FIXTURES = REPOSITORY / "tests" / "fixtures" / "nodejs"
_POWERTOOLS = b"aws-lambda-powertools==3.37.0\naws-xray-sdk==2.15.0\n"
_OPENTELEMETRY = b"""
opentelemetry-sdk==1.45.1
opentelemetry-exporter-otlp-proto-http==1.45.1
opentelemetry-sdk-extension-aws==2.1.0
opentelemetry-propagator-aws-xray==1.0.2
opentelemetry-instrumentation-aws-lambda==0.66b1
opentelemetry-instrumentation-botocore==0.66b1
"""
# What the runtime has as well; tests of its own say what comes of bringing it along.
_LEFT_OUT = ("botocore", "dateutil", "six.py", "urllib3")


def installed(*names: str) -> dict[str, bytes]:
    """Packages of this environment, as a function would bring them along."""
    files: dict[str, bytes] = {}
    for name in names:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        place = Path(spec.origin).parent
        for path in place.rglob("*"):
            if path.is_file() and path.suffix in (".py", ".so", ".json"):
                files[str(path.relative_to(place.parent))] = path.read_bytes()
    return files


@functools.cache
def powertools() -> dict[str, bytes]:
    """Powertools for Python with the X-Ray SDK, as published."""
    return _python(_POWERTOOLS, _LEFT_OUT)


@functools.cache
def opentelemetry() -> dict[str, bytes]:
    """OpenTelemetry for Python with what AWS's distribution adds, as published."""
    return _python(_OPENTELEMETRY, ())


def _python(requirements: bytes, left_out: tuple[str, ...]) -> dict[str, bytes]:
    folder = Settings().home.absolute() / "builds"
    folder.mkdir(parents=True, exist_ok=True)
    place = Installer(folder).install(parse_requirements("requirements.txt", requirements), VERSION)
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and not path.relative_to(place).parts[0].startswith(left_out)
    }


@functools.cache
def nodejs(fixture: str = "tracing") -> dict[str, bytes]:
    """A fixture with what it takes from npm, as published; skips the test where npm is missing."""
    source = FIXTURES / fixture
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    digest = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:16]
    place = Settings().home.absolute() / "test-fixtures" / f"nodejs-{fixture}-{digest}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            _install(source, place)
    found = {"index.js": (source / "index.js").read_bytes()}
    for path in (place / "node_modules").rglob("*"):
        if path.is_file() and path.suffix in (".js", ".json", ".cjs"):
            found[str(path.relative_to(place))] = path.read_bytes()
    return found


def _install(source: Path, place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="build-") as work:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, work)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=work, check=True, stdin=subprocess.DEVNULL)
        made = Path(work, "made")
        made.mkdir()
        Path(work, "node_modules").rename(made / "node_modules")
        made.rename(place)
