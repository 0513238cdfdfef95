"""What a learner's program finds on this machine beside the system's own: interpreters, read-only."""

from __future__ import annotations

import os
import sys
from functools import cache

from sandbox.building import tools
from sandbox.errors import EnvironmentFault


@cache
def languages() -> tuple[tuple[str, ...], str]:
    """What to show of this machine, and the PATH that finds Python, Node.js, Java and Go there."""
    shown = [*_outside_usr(sys.base_prefix)]
    folders = [f"{sys.base_prefix}/bin"]
    for find in (tools.node, tools.jdk, tools.go):
        try:
            found = find(os.environ)
        except EnvironmentFault:
            continue  # A machine without it; programs in that language end with "not found".
        shown += found.shown
        folders.append(os.path.dirname(found.argv[0]))
    return tuple(dict.fromkeys(shown)), ":".join(dict.fromkeys((*folders, "/usr/bin", "/bin")))


def _outside_usr(prefix: str) -> tuple[str, ...]:
    return () if prefix == "/usr" else (prefix,)
