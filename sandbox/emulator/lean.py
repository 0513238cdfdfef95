"""Leaves out what imports bring along and nobody here uses: a third of a supervisor's start, and of a fork.

Undone for whoever imports the whole libraries before us.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import Any


def import_without_ballast() -> None:
    """Import time_machine without pytest, cfn-lint without its rules, moto without EC2's catalogues."""
    _without_pytest("time_machine")
    _without_init("cfnlint")
    if "moto.ec2" not in sys.modules:
        _without_catalogues("moto.ec2")


def _without_pytest(name: str) -> None:
    """It registers a plugin where pytest is to be had."""
    if "pytest" in sys.modules:
        return
    sys.modules["pytest"] = None  # type: ignore[assignment]  # What an import takes for "not there".
    try:
        importlib.import_module(name)
    finally:
        del sys.modules["pytest"]


def _without_init(name: str) -> None:
    """A package whose modules are found, and whose own code (rules, a solver, graphs) has not run."""
    spec = importlib.util.find_spec(name) if name not in sys.modules else None
    if spec is None:
        return
    package = types.ModuleType(name)
    package.__spec__ = spec
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[name] = package


def _without_catalogues(name: str) -> None:
    """Instance types, offers and images: megabytes for a service that no lab has."""
    utils: Any = importlib.import_module("moto.utilities.utils")
    load = utils.load_resource
    utils.load_resource = lambda *_names: {}
    try:
        importlib.import_module(name)
    finally:
        utils.load_resource = load
