"""A PostgreSQL server of one's own: in a folder that goes with it, reached by a socket in there alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_READY_S = 30.0
_NAME = "coldstart"


def programs() -> Path | None:
    """Where PostgreSQL's programs are: the newest of Debian's, or those on the path; None without any."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb")
    place = places[-1] if places else Path(found).resolve() if found else None
    return place and place.parent


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database on a server that ends with the block.

    Raises:
        RuntimeError: PostgreSQL is not installed, or does not start; carries its words.
    """
    place = programs()
    if place is None:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
    # Its socket's path has to be short, and the folder to belong to whom it runs as, who is never root.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    person: dict[str, Any] = {}
    if os.getuid() == 0:
        person = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
    server = None
    try:
        data = folder / "data"
        made = subprocess.run(
            [place / "initdb", "-D", data, "-U", _NAME, "-A", "trust", "-E", "UTF8", "--no-sync"],
            capture_output=True,
            text=True,
            cwd=folder,
            **person,
        )
        if made.returncode:
            raise RuntimeError(f"initdb: {made.stderr}")
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [place / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"],
                stdout=log,
                stderr=log,
                cwd=folder,
                **person,
            )
        _wait(place, folder, server)
        subprocess.run([place / "createdb", "-h", folder, "-U", _NAME, _NAME], check=True, **person)
        yield f"postgresql+psycopg://{_NAME}@/{_NAME}?host={folder}"
    finally:
        if server is not None:
            server.terminate()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(place: Path, folder: Path, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _READY_S
    asked = [place / "pg_isready", "-q", "-h", folder, "-U", _NAME]
    while subprocess.run(asked).returncode:
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
        time.sleep(0.05)
