"""Leaves out what imports bring along and nobody here uses: a third of a supervisor's start, and of a fork.

Nothing is imported before somebody asks for it: a grader that only evaluates policies never loads moto.
Without effect for whoever imports the whole libraries before us.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any


def import_without_ballast() -> None:
    """From now on time_machine comes without pytest, cfn-lint without its rules, moto without EC2's lists."""
    if not any(isinstance(finder, _LeanFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _LeanFinder())


@contextmanager
def _without_pytest() -> Iterator[None]:
    """time_machine registers a plugin where pytest is to be had."""
    if "pytest" in sys.modules:
        yield
        return
    sys.modules["pytest"] = None  # type: ignore[assignment]  # What an import takes for "not there".
    try:
        yield
    finally:
        del sys.modules["pytest"]


@contextmanager
def _without_catalogues() -> Iterator[None]:
    """Instance types, offers and images: megabytes for a service that no lab has."""
    utils: Any = importlib.import_module("moto.utilities.utils")
    load = utils.load_resource
    utils.load_resource = lambda *_names: {}
    try:
        yield
    finally:
        utils.load_resource = load


_LEAN: dict[str, Callable[[], AbstractContextManager[None]] | None] = {
    "time_machine": _without_pytest,
    # A package whose modules are found, and whose own code (rules, a solver, graphs) does not run.
    "cfnlint": None,
    "moto.ec2": _without_catalogues,
}


class _LeanFinder(MetaPathFinder):
    """Finds what everybody finds, with a loader that leaves the ballast behind."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _LEAN:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _LeanLoader(spec.loader, _LEAN[name])
        return spec


class _LeanLoader(Loader):
    def __init__(self, whole: Loader, within: Callable[[], AbstractContextManager[None]] | None) -> None:
        self._whole = whole
        self._within = within

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        return self._whole.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        if self._within is not None:
            with self._within():
                self._whole.exec_module(module)

    def __getattr__(self, name: str) -> Any:
        # Readers of package data ask the loader for what only the whole one has.
        return getattr(self._whole, name)
