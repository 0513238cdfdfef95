"""The environment that notebooks run in, made on demand below the installation's home: JupyterLab, nbgrader.

It is far too heavy for the portal's and the grader's own processes, and what runs in it is a learner's.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from sandbox.errors import EnvironmentFault
from sandbox.runtimes.prepared import VERSION, install_once, run_installer

LOCK = Path(__file__).resolve().parents[2] / "requirements-notebooks.lock"


def notebook_environment_place(home: Path) -> Path:
    """Where the environment is or will be: named by the lock file's content, interpreter and platform."""
    named = f"{sys.base_prefix} {VERSION} {sysconfig.get_platform()} ".encode() + LOCK.read_bytes()
    return home.absolute() / "runtimes" / f"notebooks-{hashlib.sha256(named).hexdigest()[:16]}"


def prepare_notebook_environment(home: Path, say: Callable[[str], None] | None = None) -> Path:
    """The packages of ``requirements-notebooks.lock`` in an environment of their own below ``home``.

    At once when it is there; else about half a minute.

    Raises:
        EnvironmentFault: they can't be installed; with pip's last words.
    """
    place = notebook_environment_place(home)
    return install_once(place, "notebook", lambda target: _install(target, place), say)


def interpreter(environment: Path) -> Path:
    """The Python of such an environment."""
    return environment / "bin" / "python"


def _install(target: Path, place: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PIP_USER": "0"}
    python = str(interpreter(target))
    pip = [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--quiet"]
    pip += ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(LOCK)]
    for command in ([sys.executable, "-m", "venv", str(target)], pip):
        done = run_installer("notebook", command, environ=environ)
        if done.returncode != 0:
            words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
            raise EnvironmentFault(f"The notebook environment can't be installed: {' '.join(words)}")
    # Programs name their interpreter by where it is now, and the whole is moved.
    for program in (target / "bin").iterdir():
        if program.is_file() and not program.is_symlink():
            body = program.read_bytes()
            if body.startswith(b"#!"):
                program.write_bytes(body.replace(os.fsencode(target), os.fsencode(place), 1))
