"""Where API calls meet faults: between being let in and being performed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from sandbox.emulator.calls import AwsError, Call, Principal, PrincipalKind
from sandbox.emulator.faults.calls import Asked, CallFaults
from sandbox.emulator.faults.register import Faults
from sandbox.emulator.gateway import moto_app
from sandbox.emulator.iam.enforcement import Guard


class Gate:
    """Lets calls wait and fail. What it does not know of an account is set by whoever puts that together."""

    def __init__(self, faults: Faults, guard: Guard, lock: threading.RLock) -> None:
        self.faults = faults
        self.spared: set[str] = set()
        """Access keys of those who do not feel faults, and accounts in which nobody does."""
        self.home_of: Callable[[str], str] = lambda _environment_id: ""
        """The region that an execution environment is in."""
        self.attend: Callable[[Call], None] = lambda _call: None
        """Told of each call that may go on; returns when it shall."""
        self.reading: Callable[[Call | None], AbstractContextManager[None]] = lambda _call: nullcontext()
        """What a call finds while moto performs it; entered with the dispatch lock held."""
        self._guard = guard
        self._lock = lock
        self._calls = CallFaults(faults)

    def spares(self, who: Principal) -> bool:
        """Whether somebody does not feel faults: the grader, and everybody in its own account."""
        return who.access_key_id in self.spared or who.account_id in self.spared

    def meet(self, call: Call, *, in_process: bool) -> AwsError | None:
        """Return when a call may be performed; the error to answer although it was.

        What the account does for its owner within itself (``in_process``) is spared.

        Raises:
            AwsError: it is not performed.
        """
        if not self.faults.any:
            return None
        self.attend(call)
        trouble = self._calls.of(self._asked(call, in_process=in_process))
        if trouble.delay_s:
            self._calls.wait(trouble.delay_s)
        if trouble.error is not None and not trouble.performed:
            raise trouble.error
        return trouble.error

    def _asked(self, call: Call, *, in_process: bool) -> Asked:
        return Asked(
            call.service,
            call.operation,
            call.region,
            call.principal,
            resources=lambda: self._guard.resources_of(call),
            also_in=lambda: self._further_regions(call),
            spared=self.spares(call.principal) or (in_process and call.principal.kind is PrincipalKind.ROOT),
        )

    def _further_regions(self, call: Call) -> list[str]:
        """Regions beside the one asked that a call depends on: where it comes from, where its bucket is."""
        found = [self.home_of(call.environment_id)] if call.environment_id else []
        if call.service == "s3" and call.params.get("Bucket"):
            with self._lock:
                found.append(moto_app.bucket_region(str(call.params["Bucket"])))
        return found
