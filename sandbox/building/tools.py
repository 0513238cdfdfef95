"""The tools that builds need: where they are on this machine, and what to install where they are not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sandbox.errors import EnvironmentFault

SYSTEM_PATH = "/usr/bin:/bin"
_JVMS = Path("/usr/lib/jvm")
# What a build sees of /usr without being shown it.
_HIDDEN_BELOW_USR = ("/usr/local/", "/usr/src/")


@dataclass(frozen=True, slots=True)
class Tool:
    """A program: how to start it, its version, and what a build has to be shown for it."""

    argv: tuple[str, ...]
    version: str
    home: Path
    shown: tuple[str, ...]


def go(environ: Mapping[str, str]) -> Tool:
    """The Go toolchain.

    Raises:
        EnvironmentFault: there is none; says what to install.
    """
    program = _which(
        "go", environ, "Go functions can't be built: install Go (package golang-go, or go.dev/dl)."
    )
    home = program.parents[1]
    version = _version((str(program), "env", "GOVERSION"), r"go(\d[\w.]*)")
    return Tool((str(program),), version, home, _shown(home))


def node(environ: Mapping[str, str]) -> Tool:
    """Node.js."""
    program = _which(
        "node",
        environ,
        "Node.js functions can't be built: install Node.js and npm (packages nodejs and npm).",
    )
    home = program.parents[1]
    return Tool((str(program),), _version((str(program), "--version"), r"v(\S+)"), home, _shown(home))


def npm(environ: Mapping[str, str]) -> Tool:
    """npm, as a program for :func:`node`."""
    runs = node(environ)
    script = _which("npm", environ, "Node.js functions can't be built: install npm (package npm).")
    home = script.parents[1]
    shown = tuple(dict.fromkeys((*runs.shown, *_shown(home))))
    version = _version((*runs.argv, str(script), "--version"), r"(\d\S*)")
    return Tool((*runs.argv, str(script)), version, home, shown)


def development_kits(environ: Mapping[str, str]) -> dict[int, Path]:
    """The Java development kits of this machine by feature release, oldest first."""
    places = [Path(environ["JAVA_HOME"])] if environ.get("JAVA_HOME") else []
    places += sorted(_JVMS.iterdir()) if _JVMS.is_dir() else []
    found = shutil.which("javac", path=environ.get("PATH", SYSTEM_PATH))
    places += [Path(found).resolve().parents[1]] if found else []
    kits = {place.resolve() for place in places if (place / "bin/javac").is_file()}
    return dict(sorted((_java_version(str(kit)), kit) for kit in kits))


def jdk(environ: Mapping[str, str], runtime: str = "") -> Tool:
    """The Java development kit of a runtime's version, else the next newer one, else the newest."""
    versions = development_kits(environ)
    if not versions:
        raise EnvironmentFault(
            "Java functions can't be built here: install a development kit (package openjdk-21-jdk-headless"
            " or the newest there is)."
        )
    number = re.match(r"java(\d+)", runtime)
    fitting = [version for version in versions if number and version >= int(number[1])]
    home = versions[min(fitting) if fitting else max(versions)]
    # Debian keeps a kit's settings in /etc.
    settings = tuple(str(place) for place in Path("/etc").glob("java-*-openjdk"))
    version = str(_java_version(str(home)))
    return Tool((str(home / "bin/java"),), version, home, (*_shown(home), *settings))


def maven(environ: Mapping[str, str], runtime: str = "") -> Tool:
    """Maven, with the kit it runs on."""
    kit = jdk(environ, runtime)
    program = _which("mvn", environ, "Java functions can't be built with Maven here: install maven.")
    home = program.parents[1]
    # Without Maven's own settings.xml, which may hold credentials.
    settings = ("/etc/maven/m2.conf", "/etc/maven/logging")
    shown = tuple(dict.fromkeys((*kit.shown, *_shown(home), *settings)))
    return Tool((str(program),), f"{home.stat().st_mtime_ns:x}-{kit.version}", home, shown)


def gradle(environ: Mapping[str, str], runtime: str = "", *, kotlin: bool = False) -> Tool:
    """Gradle, with the kit it runs on; ``kotlin``: one that reads ``build.gradle.kts``."""
    kit = jdk(environ, runtime)
    program = _which(
        "gradle",
        environ,
        "Java functions can't be built with Gradle here: install gradle, or hand in a pom.xml. A wrapper"
        " (gradlew) is not used, as it fetches a program that no registry vouches for.",
    )
    home = program.parents[1]
    if kotlin and not list(home.glob("lib/gradle-kotlin-dsl-*.jar")):
        raise EnvironmentFault(
            "Functions with a build.gradle.kts can't be built here: this machine's Gradle has no Kotlin DSL,"
            " as Debian's has none. Install Gradle's own distribution, or hand in a build.gradle or pom.xml."
        )
    shown = tuple(dict.fromkeys((*kit.shown, *_shown(home))))
    return Tool((str(program),), f"{home.stat().st_mtime_ns:x}-{kit.version}", home, shown)


def _which(name: str, environ: Mapping[str, str], missing: str) -> Path:
    found = shutil.which(name, path=environ.get("PATH", SYSTEM_PATH))
    if found is None:
        raise EnvironmentFault(missing)
    return Path(found).resolve()


def _shown(home: Path) -> tuple[str, ...]:
    text = f"{home}/"
    if text == "/usr/" or (text.startswith("/usr/") and not text.startswith(_HIDDEN_BELOW_USR)):
        return ()
    return (str(home),)


@cache
def _version(command: tuple[str, ...], pattern: str) -> str:
    environ = {"PATH": SYSTEM_PATH, "HOME": "/nonexistent", "GOTOOLCHAIN": "local", "GOENV": "off"}
    try:
        said = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFault(f"{command[0]} does not run here: {error}") from None
    match = re.search(pattern, said.stdout)
    if match is None:
        raise EnvironmentFault(f"{command[0]} does not say its version: {(said.stdout + said.stderr)[-300:]}")
    return match[1]


@cache
def _java_version(home: str) -> int:
    """The feature release, from the file that every kit since 7 has."""
    try:
        text = Path(home, "release").read_text("utf-8")
    except OSError:
        return 0
    match = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', text)
    return int(match[1]) if match else 0


def machine_architecture() -> str:
    """This machine's architecture in Lambda's words."""
    return "arm64" if os.uname().machine == "aarch64" else "x86_64"
