"""What resource types of CloudFormation itself work with, besides AWS calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sandbox.emulator.cloudformation.callbacks import Callbacks
from sandbox.emulator.cloudformation.errands import Errand
from sandbox.emulator.cloudformation.shifts import Shifts


class NestedStacks(Protocol):
    """Makes, changes and removes stacks that belong to the one being worked on. Stacks are told by id.

    Each returns once the nested stack has come to rest; a failure is a ``ResourceFailed``.
    """

    def create(self, name: str, request: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
        """A new stack of CreateStack's members: its id and outputs."""

    def update(self, stack_id: str, request: Mapping[str, Any]) -> Mapping[str, str]:
        """Change a stack, so that it can be undone until :meth:`settle`; its outputs."""

    def settle(self, stack_id: str) -> None:
        """Finish what :meth:`update` left to do."""

    def undo(self, stack_id: str) -> Mapping[str, str]:
        """Go back behind :meth:`update`; the outputs then."""

    def delete(self, stack_id: str) -> None:
        """Remove a stack with everything in it."""


@dataclass(frozen=True, slots=True)
class Backstage:
    """``errand`` is the operation in progress: what is waited for is waited for through it.

    ``shifts`` tells when a deployment that shifts traffic has ended.
    """

    callbacks: Callbacks
    errand: Errand
    nested: NestedStacks
    shifts: Shifts
