"""``coldstart doctor``: what this machine can and cannot do, found by doing it."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from cli.output import DONE, OUR_FAULT, out
from sandbox.building.tools import development_kits
from sandbox.emulator.functions.runtimes import EMULATED, find_runtimes, is_exact, language
from sandbox.errors import SandboxError
from sandbox.isolation import levels
from sandbox.isolation.spec import IsolationLevel
from sandbox.providers.emulated import EmulatedProvider
from sandbox.runtimes.prepared import prepare_python_runtime
from sandbox.runtimes.prepared_nodejs import prepare_nodejs_runtime
from sandbox.runtimes.prepared_notebooks import notebook_environment_place
from sandbox.supervisor import places
from sandbox.supervisor.client import Wanted
from settings import Settings

_DISK_GB = 2
_TOOL_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried. ``needed``: without it nothing can be graded."""

    part: str
    name: str
    works: bool
    said: str = ""
    do: str = ""
    needed: bool = False


# What else there may be: (command and its question, what it is for).
_TOOLS = (
    (("npm", "--version"), "functions in JavaScript: their AWS SDK and their builds"),
    (("mvn", "--version"), "building functions in Java with a pom.xml"),
    (("gradle", "--version"), "building functions in Java with a build.gradle"),
    (("go", "version"), "building functions in Go"),
    (("git", "--version"), "submissions by git push"),
    (("aws", "--version"), "using a sandbox by hand"),
    (("sam", "--version"), "deploying to a sandbox by hand"),
    (
        ("docker", "version", "--format", "engine {{.Server.Version}}"),
        "running functions in containers (experimental, see docs/security.md)",
    ),
)
# How to add what a runtime runs on: (language, whether a near version is there).
_HOW_TO_ADD = {
    ("nodejs", False): "apt-get install npm; npm install --prefix {home}/interpreters/node22 {node}@22",
    ("nodejs", True): "npm install --prefix {home}/interpreters/node{wanted} {node}@{wanted}",
    ("java", False): "apt-get install default-jdk-headless maven",
    ("java", True): "unpack a JDK {wanted} below /opt/java",
    ("python", True): "make install PYTHON=python{wanted}, for AWS's own version",
}
_ISOLATION_ADVICE = {
    "user namespace": "allow unprivileged user namespaces (sysctl -w kernel.unprivileged_userns_clone=1"
    " kernel.apparmor_restrict_unprivileged_userns=0), or run as root",
    "memory and process cgroup": "run as root or delegate a cgroup (systemd-run --user --scope"
    " -p Delegate=yes); without it a watchdog limits memory",
    "Landlock files, TCP and signals": "matters only where there are no namespaces; needs Linux 6.7",
}


@click.command("doctor", help="Say what this machine can and cannot do, found by doing it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(as_json: bool) -> None:
    """Examine this machine."""
    settings = Settings()
    report = levels.probe()
    found = [
        *_isolation(report),
        *_interpreter(settings.home),
        *runtimes(settings.home),
        *_account(settings),
        *_tools(),
    ]
    ok = all(item.works for item in found if item.needed)
    if as_json:
        document = {
            "ok": ok,
            "isolation": {"level": int(report.level), "name": report.level.name.lower()},
            "findings": [asdict(item) for item in found],
        }
        click.echo(json.dumps(document, indent=2))
    else:
        _print(found, report.level)
    raise SystemExit(DONE if ok else OUR_FAULT)


def _isolation(report: levels.LevelReport) -> Iterator[Finding]:
    for step in report.steps:
        advice = (
            ""
            if step.worked
            else _ISOLATION_ADVICE.get(step.name, "use a kernel or container that allows it")
        )
        yield Finding("isolation", step.name, step.worked, step.reason, advice)
    enough = report.level >= IsolationLevel.NAMESPACES
    advice = "" if enough else "COLDSTART_ISOLATION=2 or =unsafe grades code that you trust; a server refuses"
    said = f"level {int(report.level)} ({report.level.name.lower()})"
    yield Finding("isolation", "strangers' code kept in", enough, said, advice, needed=True)


def _interpreter(home: Path) -> Iterator[Finding]:
    enough = sys.version_info >= (3, 11)
    version = platform.python_version()
    yield Finding(
        "python", "Python 3.11 or newer", enough, version, "" if enough else "install it", needed=True
    )
    yield _tried("python", "runtime for functions", lambda: prepare_python_runtime(home, _quietly).name)
    yield _tried("home", "home can be written", lambda: _write(home))
    free_gb = shutil.disk_usage(_existing(home)).free / 1e9
    advice = "" if free_gb >= _DISK_GB else "free some disk space, or set COLDSTART_HOME to another disk"
    yield Finding("home", f"{_DISK_GB} GB of disk", free_gb >= _DISK_GB, f"{free_gb:.1f} GB free", advice)


def runtimes(home: Path) -> Iterator[Finding]:
    """What each Lambda runtime runs on here, and how to have AWS's own version of it."""
    installed = find_runtimes(home).mapping()
    machine = "arm64" if platform.machine() == "aarch64" else "x64"
    places = {"home": str(home.absolute()), "node": f"node-linux-{machine}"}
    groups: dict[tuple[str, str, bool], list[str]] = {}
    for identifier in EMULATED:
        on = installed.get(identifier, "")
        groups.setdefault((language(identifier), on, is_exact(identifier, on)), []).append(identifier)
    for (name, on, exact), identifiers in groups.items():
        wanted = [each.removeprefix(name).removesuffix(".x") for each in identifiers]
        advice = "" if exact else _HOW_TO_ADD[name, bool(on)].format(wanted=wanted[-1], **places)
        said = on if exact else f"{on}, the nearest" if on else "not here"
        yield Finding("runtimes", _short(identifiers), bool(on), said, advice)
    yield _notebooks(home)
    if any(identifier.startswith("nodejs") for identifier in installed):
        yield _tried("runtimes", "AWS SDK for Node.js", lambda: _sdk(home), needed=False)


def _notebooks(home: Path) -> Finding:
    """Whether notebooks can be run at once; nothing is installed for the answer."""
    place = notebook_environment_place(home)
    advice = (
        ""
        if place.is_dir()
        else "installed at the first use (half a minute), or at once: coldstart notebooks install"
    )
    return Finding(
        "runtimes", "notebooks", place.is_dir(), place.name if place.is_dir() else "not yet", advice
    )


def _sdk(home: Path) -> str:
    return prepare_nodejs_runtime(home, _quietly).name


def _short(identifiers: list[str]) -> str:
    """``nodejs22.x, 24.x``: the language once."""
    first, *rest = identifiers
    return ", ".join([first, *(each.removeprefix(language(first)) for each in rest)])


def _account(settings: Settings) -> Iterator[Finding]:
    yield _tried("sandbox", "an account opens and answers", lambda: _open_account(settings))


def _open_account(settings: Settings) -> str:
    wanted = Wanted.named(settings.isolation)
    began = time.monotonic()
    with EmulatedProvider(settings.home, wanted, _quietly) as provider:
        provider.open().close()
        warm = time.monotonic()
        account = provider.open()
        account.now()
        opened = time.monotonic()
        return f"{(opened - warm) * 1000:.0f} ms; {warm - began:.1f} s from nothing"


def _write(home: Path) -> str:
    home.mkdir(parents=True, exist_ok=True)
    probe = home / f".doctor-{os.getpid()}"
    probe.write_text("x")
    probe.unlink()
    places.run_directory(home)
    return str(home.absolute())


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.absolute().parent)


def _tried(part: str, name: str, attempt: Callable[[], str], *, needed: bool = True) -> Finding:
    try:
        return Finding(part, name, True, attempt(), needed=needed)
    except (OSError, SandboxError) as error:
        return Finding(part, name, False, str(error), "see the message", needed=needed)


def _tools() -> Iterator[Finding]:
    kits = development_kits(os.environ)
    versions = ", ".join(map(str, kits))
    yield Finding(
        "tools", "JDK", bool(kits), versions, "" if kits else "install openjdk-21-jdk-headless or the newest"
    )
    for question, purpose in _TOOLS:
        said = _ask(question)
        yield Finding(
            "tools", question[0], said is not None, said or "", "" if said else f"install it for {purpose}"
        )


def _ask(question: tuple[str, ...]) -> str | None:
    if shutil.which(question[0]) is None:
        return None
    try:
        done = subprocess.run(question, capture_output=True, text=True, timeout=_TOOL_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout or done.stderr)
    # Gradle frames its version.
    return next((line for line in map(str.strip, plain.splitlines()) if line.strip("-")), "")


def _quietly(_text: str) -> None:
    """The table will say it."""


def _print(found: list[Finding], level: IsolationLevel) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("", "", "Result", "What to do"):
        table.add_column(title)
    part = ""
    for item in found:
        style = "green" if item.works else "red" if item.needed else "yellow"
        mark = "✓" if item.works else "✗" if item.needed else "–"
        table.add_row(
            Text(item.part if item.part != part else "", style="bold"),
            Text.assemble((mark, style), " ", item.name),
            Text(item.said),
            Text(item.do),
        )
        part = item.part
    out.print(table)
    broken = [item.name for item in found if item.needed and not item.works]
    verdict = f"Submissions can't be graded here yet: {', '.join(broken)}." if broken else "Ready to grade."
    out.print(f"\nIsolation level {int(level)} of 4. {verdict}", markup=False)
