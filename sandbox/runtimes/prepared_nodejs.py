"""The folder that a Node.js function finds at /var/runtime: our bootstrap and the AWS SDK, as on AWS."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.errors import EnvironmentFault
from sandbox.runtimes.prepared import install_once, run_installer

SOURCE = Path(__file__).with_name("nodejs")
RETRY_AFTER_S = 600.0
_DESCRIPTIONS = ("package.json", "package-lock.json")
Say = Callable[[str], None]
_TYPES_ONLY = (".d.ts", ".d.mts", ".d.cts", ".map")


@functools.cache
def nodejs_runtime_place(home: Path) -> Path:
    """Where the runtime is or will be: named by the content of the bootstrap and the lock file."""
    return home.absolute() / "runtimes" / f"nodejs-{_digest(_DESCRIPTIONS)}-{_digest(_bootstrap())}"


def _bootstrap() -> list[str]:
    return sorted(path.name for path in SOURCE.iterdir() if path.suffix in (".cjs", ".mjs"))


def _digest(names: tuple[str, ...] | list[str]) -> str:
    content = b"".join(name.encode() + (SOURCE / name).read_bytes() for name in names)
    return hashlib.sha256(content).hexdigest()[:12]


def prepare_nodejs_runtime(home: Path, say: Say | None = None) -> Path:
    """Our bootstrap and the packages of the lock file, below ``home``; at once when they are there.

    Raises:
        EnvironmentFault: they can't be installed: there is no npm, or with its last words.
    """
    place = nodejs_runtime_place(home)
    return install_once(place, "Node.js", lambda target: _fill(target, place), say)


def prepare_further_runtimes(home: Path, say: Say) -> None:
    """Whatever the runtimes beside Python's need, where their interpreters are installed.

    A function that needs what could not be had says so when it starts; until then nobody misses it, and
    it is not tried again at once.
    """
    failed = home / "runtimes" / "nodejs-failed"
    if shutil.which("node") is None or _is_younger(failed, RETRY_AFTER_S):
        return
    try:
        prepare_nodejs_runtime(home, say)
    except EnvironmentFault as error:
        failed.parent.mkdir(parents=True, exist_ok=True)
        failed.touch()
        say(f"{error} Functions in JavaScript can't run until it is.")


def _is_younger(path: Path, seconds: float) -> bool:
    try:
        return time.time() - path.stat().st_mtime < seconds
    except FileNotFoundError:
        return False


def _fill(target: Path, place: Path) -> None:
    earlier = _same_packages(place)
    if earlier is not None:
        packages = earlier / "node_modules"
        shutil.copytree(packages, target / "node_modules", symlinks=True, copy_function=os.link)
    else:
        _install_packages(target)
    for name in _bootstrap():
        shutil.copy(SOURCE / name, target / name)


def _same_packages(place: Path) -> Path | None:
    """A runtime with the same packages and another state of the bootstrap."""
    return next(place.parent.glob(f"nodejs-{_digest(_DESCRIPTIONS)}-*"), None)


def _install_packages(work: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise EnvironmentFault("The Node.js runtime can't be installed: there is no npm in the PATH.")
    for name in _DESCRIPTIONS:
        shutil.copy(SOURCE / name, work / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    # Without a network this fails at once instead of holding up every start.
    command += ["--fetch-retries=0", "--loglevel=error"]
    done = run_installer("Node.js", command, folder=work)
    if done.returncode != 0:
        raise EnvironmentFault(f"The Node.js runtime can't be installed: {_reason(done.stderr)}.")
    for path in (work / "node_modules").rglob("*"):
        if path.name.endswith(_TYPES_ONLY):  # What only compilers and editors read: two files of three.
            path.unlink()


def _reason(said: str) -> str:
    """The telling line of npm's many."""
    lines = [line.removeprefix("npm error ").strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "failed" in line]
    return (telling or lines or ["npm failed"])[0].rstrip(".")
