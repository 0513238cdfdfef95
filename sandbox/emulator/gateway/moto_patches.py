"""What moto does anew on each call although it never changes."""

from __future__ import annotations

import functools
from typing import Any

from sandbox.emulator.patches import replaces


@replaces(
    "moto.core.responses",
    "method_names_from_class",
    source_sha256="9dbac89d082b655fee902c450e69de9dbadf9699ad06411298494984b55138c3",
)
def _remembered(original: Any) -> Any:
    @functools.cache
    def method_names_from_class(owner: type) -> frozenset[str]:
        return frozenset(original(owner))

    return method_names_from_class
