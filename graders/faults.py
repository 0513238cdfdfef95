"""Faults a check switches on for the time of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from graders.errors import NotAssessed
from sandbox.account import Account
from sandbox.faults import read
from sandbox.faults.made import MadeFault, make
from sandbox.faults.remote import RemoteHands

# What a backend has to enforce for a fault to mean anything.
_NEEDS = {"deny": "IE", "close": "IE", "throttle": "LC", "stale_reads": "DE", "new_environments": "LE"}


class Faults:
    """The faults of one check. Every one is undone when its block ends, also when the check breaks."""

    def __init__(self, account: Account) -> None:
        self._account = account

    @contextmanager
    def on(self, name: str, **settings: Any) -> Iterator[None]:
        """One fault by name.

        On the emulator the account makes it and undoes it, also when this process is killed: a leased
        account ends with it. On a real account it is made by the same AWS calls from here.

        Raises:
            NotAssessed: the backend has no such fault.
            BadFault: there is none, or its settings make no sense.
        """
        fault = read(name, settings)
        needs = _NEEDS.get(fault.name)
        if needs is not None and needs not in self._account.capabilities:
            raise NotAssessed(f"This backend does not provide {needs}, which the fault `{fault.name}` needs.")
        if self._account.backend == "emulated":
            fault_id = self._account.begin_fault(fault.name, fault.given())
            try:
                yield
            finally:
                self._account.end_fault(fault_id)
            return
        if not (isinstance(fault, MadeFault) and fault.on_aws):
            raise NotAssessed(f"A fault `{fault.name}` exists on the emulator only.")
        undos = make(fault, RemoteHands(self._account.client))
        try:
            yield
        finally:
            for undo in reversed(undos):
                undo()
