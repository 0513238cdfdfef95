"""An image of this very interpreter, made without a registry: for tests against an engine that is here."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

NAME = "coldstart-tests"
_PLACE = "usr/local/python"
_EMPTY = ("tmp", "proc", "dev", "etc", "opt", "var/task", "var/runtime", "var/lang")
_OURS = (".coldstart", ".coldstart-source")


def engine() -> str:
    """The command of an engine that answers; empty where there is none."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True).returncode:
        return ""
    return docker


def make(docker: str, runtime: Path) -> str:
    """The image's name, once it is there."""
    if subprocess.run([docker, "image", "inspect", NAME], capture_output=True).returncode == 0:
        return NAME
    packed = io.BytesIO()
    prefix = Path(sys.base_prefix)
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for place in (*_parents(_PLACE), *_EMPTY, *_OURS):
            _directory(archive, place)
        for part in ("bin", "lib"):
            archive.add(prefix / part, f"{_PLACE}/{part}", filter=_slim)
        programs = [Path("/bin/sh"), Path("/bin/date"), Path("/bin/kill")]
        native = [*prefix.glob("lib/python3*/lib-dynload/*.so"), *runtime.glob("*.so")]
        for library in sorted({found for each in (*programs, *native) for found in _libraries(each)}):
            archive.add(os.path.realpath(library), library.lstrip("/"))
        for program in programs:
            archive.add(os.path.realpath(program), str(program).lstrip("/"))
    settings = [f"ENV LD_LIBRARY_PATH=/{_PLACE}/lib", f"ENV PATH=/{_PLACE}/bin:/usr/bin:/bin"]
    changes = [word for setting in settings for word in ("--change", setting)]
    subprocess.run([docker, "import", *changes, "-", NAME], input=packed.getvalue(), check=True)
    return NAME


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:number]) for number in range(1, len(parts) + 1)]


def _directory(archive: tarfile.TarFile, place: str) -> None:
    entry = tarfile.TarInfo(place)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if place == "tmp" else 0o755
    archive.addfile(entry)


def _slim(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    unwanted = ("/test/", "/site-packages/", "__pycache__", ".a")
    return None if entry.name.endswith(".a") or any(each in entry.name for each in unwanted[:3]) else entry


def _libraries(program: Path) -> set[str]:
    said = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return {word for line in said.splitlines() for word in line.split() if word.startswith("/")}
