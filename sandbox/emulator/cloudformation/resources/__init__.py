"""One provider for each resource type that stacks can hold."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from sandbox.emulator.cloudformation.resources.base import ResourceProvider


@functools.cache
def _collected() -> tuple[ResourceProvider, ...]:
    found: list[ResourceProvider] = []
    for module in pkgutil.iter_modules(__path__):
        found += getattr(importlib.import_module(f"{__name__}.{module.name}"), "PROVIDERS", ())
    return tuple(found)


def providers() -> dict[str, ResourceProvider]:
    """Every provider by its type: the ``PROVIDERS`` of each module of this package."""
    return {provider.type: provider for provider in _collected()}
