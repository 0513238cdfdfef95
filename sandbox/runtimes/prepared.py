"""Folders that functions find at /var/runtime, made on demand below the installation's home; Python's own."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox.errors import EnvironmentFault

LOCK = Path(__file__).with_name("python.lock")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
INSTALL_TIMEOUT_S = 300.0


def python_runtime_place(home: Path) -> Path:
    """Where the runtime is or will be: named by the lock file's content, interpreter and platform."""
    named = f"{VERSION} {sysconfig.get_platform()} ".encode() + LOCK.read_bytes()
    return home.absolute() / "runtimes" / f"python{VERSION}-{hashlib.sha256(named).hexdigest()[:16]}"


def prepare_python_runtime(home: Path, say: Callable[[str], None] | None = None) -> Path:
    """The packages of ``python.lock``, installed below ``home``; at once when they are there.

    Raises:
        EnvironmentFault: they can't be installed; with pip's last words.
    """
    return install_once(python_runtime_place(home), "Python", _install, say)


def install_once(
    place: Path, language: str, install: Callable[[Path], None], say: Callable[[str], None] | None = None
) -> Path:
    """``place``, filled by ``install``, which is given an empty directory beside it.

    Of several processes that ask at the same time one installs and the others wait. ``say`` is told
    when something has to be installed; by default it goes to standard error.

    Raises:
        EnvironmentFault: it can't be kept there, or ``install`` raised it.
    """
    if place.is_dir():
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(place.parent / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.is_dir():
                (say or _to_stderr)(f"Installing the {language} runtime for functions (once) ...")
                with tempfile.TemporaryDirectory(
                    dir=place.parent, prefix="install-", ignore_cleanup_errors=True
                ) as work:
                    target = Path(work, "target")
                    target.mkdir()
                    install(target)
                    target.chmod(0o755)
                    target.rename(place)
    except OSError as error:
        raise EnvironmentFault(f"The {language} runtime can't be kept in {place.parent}: {error}.") from error
    return place


def run_installer(
    language: str, command: list[str], *, folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run what fetches a runtime's packages; whether it could is for the caller to see.

    Raises:
        EnvironmentFault: it was not finished in :data:`INSTALL_TIMEOUT_S` seconds.
    """
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentFault(
            f"Installing the {language} runtime took longer than {INSTALL_TIMEOUT_S:.0f} s."
        ) from None


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _install(target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    command += ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--quiet"]
    command += ["--root-user-action", "ignore", "--target", str(target), "-r", str(LOCK)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = run_installer("Python", command, environ=environment | {"PIP_USER": "0"})
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise EnvironmentFault(f"The Python runtime can't be installed: {' '.join(words)}")
    shutil.rmtree(target / "bin", ignore_errors=True)
