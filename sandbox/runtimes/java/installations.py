"""The Java installations of this machine, and which of them a runtime identifier means."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PLACES = (Path("/usr/lib/jvm"), Path("/opt/java"), Path.home() / ".sdkman" / "candidates" / "java")
# The runtime client runs on Java 8; the flags we start it with are those of 11 and newer.
OLDEST = 11


@dataclass(frozen=True, slots=True)
class JavaInstallation:
    """One Java. ``home`` holds ``bin/java``; ``version`` is the whole one, e.g. ``17.0.15``."""

    home: Path
    version: str

    @property
    def major(self) -> int:
        """11, 17, 21 ..."""
        return int(self.version.partition(".")[0])

    @property
    def stamp(self) -> str:
        """Changes when the installation does: what was derived from it is then made anew."""
        image = (self.home / "lib" / "modules").stat()
        return f"{self.home} {self.version} {image.st_size} {image.st_mtime_ns}"


def find_java(places: Iterable[Path] = _PLACES) -> tuple[JavaInstallation, ...]:
    """What ``java`` on the PATH means, and what lies where systems and SDKMAN keep it; oldest first.

    One for each major version: the newest.
    """
    homes = []
    program = shutil.which("java")
    if program is not None:
        homes.append(Path(program).resolve().parent.parent)
    for place in places:
        if place.is_dir():
            homes += [each.resolve() for each in sorted(place.iterdir()) if not each.is_symlink()]
    found: dict[int, JavaInstallation] = {}
    for home in homes:
        installation = _read(home)
        if installation is None or installation.major < OLDEST:
            continue
        rival = found.get(installation.major)
        if rival is None or _numbers(installation.version) > _numbers(rival.version):
            found[installation.major] = installation
    return tuple(found[major] for major in sorted(found))


def _read(home: Path) -> JavaInstallation | None:
    try:
        release = (home / "release").read_text()
    except OSError:
        return None
    version = re.search(r'^JAVA_VERSION="(\d[\d.]*)', release, re.MULTILINE)
    if version is None or not (home / "bin" / "java").is_file() or not (home / "lib" / "modules").is_file():
        return None
    return JavaInstallation(home, version[1])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part)


def pick(wanted: int, installed: Iterable[JavaInstallation]) -> JavaInstallation | None:
    """The exact version if there, else the next newer one, which runs the same class files, else the newest.

    On an older one, class files made for ``wanted`` end in UnsupportedClassVersionError.
    """
    ordered = sorted(installed, key=lambda each: each.major)
    able = [each for each in ordered if each.major >= wanted]
    return able[0] if able else ordered[-1] if ordered else None
