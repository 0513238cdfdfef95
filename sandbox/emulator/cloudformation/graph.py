"""In which order resources are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.emulator.cloudformation.errors import invalid
from sandbox.emulator.cloudformation.intrinsics import references

Graph = Mapping[str, frozenset[str]]


def dependencies(resources: Mapping[str, Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """What each resource needs to exist before it: what it mentions, and its ``DependsOn``."""
    found: dict[str, frozenset[str]] = {}
    for name, resource in resources.items():
        mentioned = {
            reference.name
            for part in ("Properties", "Metadata", "UpdatePolicy")
            for reference in references(resource.get(part, {}))
        }
        found[name] = frozenset((mentioned | set(depends_on(resource))) & resources.keys())
    return found


def depends_on(resource: Mapping[str, Any]) -> list[str]:
    """``DependsOn`` in either of its forms."""
    named = resource.get("DependsOn", [])
    return [named] if isinstance(named, str) else list(named)


def ordered(graph: Graph) -> list[str]:
    """Names so that each comes after what it depends on; ties in the order of the template.

    Raises:
        AwsError: some depend on each other.
    """
    done: dict[str, None] = {}
    waiting = dict(graph)
    while waiting:
        ready = [name for name, needs in waiting.items() if all(need in done for need in needs)]
        if not ready:
            raise invalid(f"Circular dependency between resources: [{', '.join(sorted(_cyclic(waiting)))}]")
        for name in ready:
            done[name] = None
            del waiting[name]
    return list(done)


def _cyclic(waiting: Graph) -> Iterable[str]:
    """Those of ``waiting`` that are part of a cycle or stand between two."""
    left = set(waiting)
    while True:
        needed = {need for name in left for need in waiting[name] if need in left}
        if needed == left:
            return left
        left = needed
