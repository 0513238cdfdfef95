"""Where supervisors keep sockets and scratch files, and how what a dead one left is found."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sandbox.errors import EnvironmentFault

SOURCE = Path(__file__).resolve().parents[2]
# A unix socket's path has room for 107 bytes; ours need up to 40 below the run directory.
_LONGEST = 64
_LOG_LIMIT_BYTES = 5_000_000


def run_directory(home: Path) -> Path:
    """The directory of this user's sockets, readable by nobody else: ``run`` in the home if that is short.

    Raises:
        EnvironmentFault: it can't be made, or belongs to somebody else.
    """
    home = home.absolute()
    place = home / "run"
    if len(os.fsencode(place)) > _LONGEST:
        named = f"coldstart-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"
        place = Path(tempfile.gettempdir(), f"{named}-{os.geteuid()}")
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = place.lstat()
        if about.st_uid != os.geteuid() or not stat.S_ISDIR(about.st_mode):
            raise EnvironmentFault(f"{place} is not a directory of ours.")
        place.chmod(0o700)
    except OSError as error:
        raise EnvironmentFault(f"{place} can't be used: {error.strerror}.") from error
    return place


def shared_socket(run: Path) -> Path:
    """Where the shared supervisor listens."""
    return run / "supervisor"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; whoever else wants it waits."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def claim_instance(run: Path) -> tuple[Path, IO[str]]:
    """A new directory for one supervisor, ours for as long as the returned lock file is open.

    Directories whose supervisors died are removed on the way.
    """
    with locked(run / "sweep.lock"):
        for left in run.glob("s-*"):
            _remove_if_dead(left)
        place = Path(tempfile.mkdtemp(dir=run, prefix="s-"))
        lock = open(place / "lock", "w")  # noqa: SIM115  Held until the supervisor ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
    return place, lock


def _remove_if_dead(place: Path) -> None:
    try:
        with open(place / "lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)
    except BlockingIOError:
        return
    except OSError:
        shutil.rmtree(place, ignore_errors=True)


def open_log(home: Path) -> IO[bytes]:
    """What supervisors and accounts print; begun anew when it has grown large."""
    place = home.absolute() / "log" / "supervisor.log"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        too_large = place.exists() and place.stat().st_size > _LOG_LIMIT_BYTES
        return open(place, "wb" if too_large else "ab")
    except OSError as error:
        raise EnvironmentFault(f"{place} can't be written: {error.strerror}.") from error


def source_stamp() -> str:
    """Changes with every edit of the sandbox, so that nobody is served by an older one that still runs."""
    found = hashlib.sha256()
    for folder, _folders, names in sorted(os.walk(SOURCE / "sandbox")):
        for name in sorted(names):
            if name.endswith((".py", ".lock")):
                about = os.stat(os.path.join(folder, name))
                found.update(f"{folder}/{name} {about.st_mtime_ns} {about.st_size}\n".encode())
    return found.hexdigest()[:16]
