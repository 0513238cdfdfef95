"""Interpreters on this machine that functions may run on: found by asking each for its version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import EnvironmentFault

ARCHIVES = ("opt/node*/bin/node", "usr/local/bin/node", "usr/local/lib/nodejs/*/bin/node")
OLDEST_NODE = (20, 0, 0)
_ASK_TIMEOUT_S = 20.0
# Inside an environment /usr is shown as it is; /usr/local is not, because this program may lie there.
_SHOWN, _NOT_SHOWN = Path("/usr"), Path("/usr/local")


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """A Node.js interpreter."""

    version: tuple[int, int, int]
    executable: Path

    def __str__(self) -> str:
        return "Node.js " + ".".join(map(str, self.version))


def find_nodes(home: Path) -> list[Node]:
    """Every Node.js that the AWS SDK runs on (20 and newer), oldest first.

    One for each version, those in the PATH preferred. Looks in the PATH, in ``home``/interpreters, and
    where nvm and the archives of nodejs.org put it.
    """
    found: dict[tuple[int, int, int], Node] = {}
    seen: set[Path] = set()
    for candidate in _node_candidates(home):
        executable = candidate.resolve()
        if executable in seen or not os.access(executable, os.X_OK):
            continue
        seen.add(executable)
        version = _node_version(executable)
        if version is not None and version >= OLDEST_NODE:
            found.setdefault(version, Node(version, executable))
    return sorted(found.values())


def _node_candidates(home: Path) -> Iterator[Path]:
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        yield from (Path(directory, name) for name in ("node", "nodejs"))
    yield from sorted((home / "interpreters").glob("*/node_modules/node-linux-*/bin/node"))
    yield from sorted(Path.home().glob(".nvm/versions/node/*/bin/node"))
    for pattern in ARCHIVES:
        yield from sorted(Path("/").glob(pattern))


def _node_version(executable: Path) -> tuple[int, int, int] | None:
    try:
        done = subprocess.run(
            [str(executable), "--version"], capture_output=True, text=True, timeout=_ASK_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)", done.stdout.strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match and done.returncode == 0 else None


def nearest(nodes: list[Node], major: int) -> Node:
    """The newest of the wanted major version, else the next newer one, else the newest of all."""
    return min(nodes, key=lambda node: _distance(node, major))


def _distance(node: Node, major: int) -> tuple[int, int, tuple[int, ...]]:
    own = node.version[0]
    newer = tuple(-part for part in node.version)
    if own == major:
        return 0, 0, newer
    return (1, own - major, newer) if own > major else (2, major - own, newer)


def shown_in_environments(executable: Path) -> bool:
    """Whether an environment sees a file of this machine under its own name."""
    return executable.is_relative_to(_SHOWN) and not executable.is_relative_to(_NOT_SHOWN)


def language_dir(home: Path, node: Node) -> Path:
    """A directory for /var/lang that holds the interpreter alone; made on demand below ``home``.

    Raises:
        EnvironmentFault: it can't be written.
    """
    version = ".".join(map(str, node.version))
    place = home.absolute() / "runtimes" / f"node-{version}"
    executable = place / "bin" / "node"
    if executable.is_file() and executable.stat().st_size == node.executable.stat().st_size:
        return place
    unfinished = executable.with_name(f"node-{os.getpid()}")
    try:
        executable.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(node.executable, unfinished)
        except OSError:
            shutil.copy2(node.executable, unfinished)
        unfinished.replace(executable)
    except OSError as error:
        raise EnvironmentFault(f"{node} can't be kept in {place}: {error}.") from error
    return place
