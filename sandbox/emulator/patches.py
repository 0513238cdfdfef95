"""Replacements inside moto, each guarded by a hash of the source it replaces.

moto keeps state; what happens because of it is ours. A replacement is only applied when the
function it replaces is byte for byte the one that was read when the replacement was written, so
an upgrade of moto fails loudly instead of changing behaviour behind our back.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.errors import EnvironmentFault


@dataclass(frozen=True, slots=True)
class Patch:
    """``make(original)`` replaces ``module:qualname``; ``source_sha256`` is of the original's source."""

    module: str
    qualname: str
    source_sha256: str
    make: Callable[[Any], Any]

    @property
    def target(self) -> str:
        return f"{self.module}:{self.qualname}"


_PATCHES: list[Patch] = []
_applied: set[str] = set()


def replaces(module: str, qualname: str, *, source_sha256: str) -> Callable[[Callable[[Any], Any]], Any]:
    """Register ``make(original) -> replacement`` for ``module:qualname``.

    The module is not imported until :func:`apply_all`.
    """

    def register(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
        _PATCHES.append(Patch(module, qualname, source_sha256, make))
        return make

    return register


def registered() -> tuple[Patch, ...]:
    """Every replacement known so far."""
    return tuple(_PATCHES)


def source_digest(target: Any) -> str:
    """The hash that :func:`replaces` wants."""
    return hashlib.sha256(inspect.getsource(target).encode()).hexdigest()


def apply_all() -> None:
    """Apply each registered replacement once.

    Raises:
        EnvironmentFault: a replaced function is not the one the replacement was written against.
    """
    for patch in _PATCHES:
        if patch.target in _applied:
            continue
        owner: Any = importlib.import_module(patch.module)
        *path, name = patch.qualname.split(".")
        for part in path:
            owner = getattr(owner, part)
        raw = inspect.getattr_static(owner, name)
        original = raw.__func__ if isinstance(raw, staticmethod | classmethod) else raw
        original = raw.fget if isinstance(raw, property) else original
        digest = source_digest(original)
        if digest != patch.source_sha256:
            raise EnvironmentFault(
                f"{patch.target} is not the function its replacement was written against "
                f"(sha256 {digest}). Read the new source, then update the replacement and its hash."
            )
        made = patch.make(original)
        setattr(owner, name, property(made) if isinstance(raw, property) else made)
        _applied.add(patch.target)
