"""Which faults are on in an account, since when and until when."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sandbox.emulator.timeline import Timeline
from sandbox.emulator.work import WorkItem, WorkQueue
from sandbox.errors import EnvironmentFault
from sandbox.faults import BadFault, Fault, read
from sandbox.faults.made import Hands, MadeFault, Undo, make
from sandbox.faults.regions import CutReplication, RegionOutage, ReplicationDelay

F = TypeVar("F", bound=Fault)
# How much of a setting the timeline shows: a package of code may be one.
_SHOWN = 200


@dataclass(slots=True, eq=False)
class Active:
    """A fault that is on. ``began`` and ``ends`` are seconds of account time."""

    id: str
    fault: Fault
    began: float
    ends: float | None = None
    number: int = 0
    undos: list[Undo] = field(default_factory=list, repr=False)
    """What gives back what was changed by calls, the latest change last."""
    timer: WorkItem | None = field(default=None, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    struck: int = 0
    """How often it has struck."""
    chance: random.Random | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """What a person wants to know of it."""
        return {
            "id": self.id,
            "name": self.fault.name,
            "settings": self.fault.shown(),
            "began": self.began,
            "ends": self.ends,
            "struck": self.struck,
        }


class Faults:
    """The faults that are on. Safe across threads.

    With a ``timeline`` they stand on it under ``account_id`` and ``region``; with ``work`` they can end by
    the account's clock.
    """

    def __init__(
        self,
        work: WorkQueue | None = None,
        timeline: Timeline | None = None,
        *,
        account_id: str = "",
        region: str = "",
    ) -> None:
        self._work = work
        self._timeline = timeline
        self._account_id = account_id
        self._region = region
        self._lock = threading.RLock()
        self._changing = threading.RLock()
        """Held while something is changed by calls or given back: what one finds is what another left."""
        self._on: dict[str, Active] = {}
        self._numbers = itertools.count(1)
        self._listeners: list[Callable[[Fault], None]] = []
        self.hands: Callable[[], Hands] = _no_hands
        """Makes what faults that are made of calls make them with."""
        self._held: list[tuple[str, Callable[[], None], str]] = []

    @property
    def any(self) -> bool:
        """Whether anything is broken."""
        return bool(self._on)

    def now(self) -> float:
        """Seconds since the epoch in the account's time."""
        return self._work.now() if self._work is not None else time.time()

    def begin(self, name: str, settings: Mapping[str, Any] | None = None, *, for_s: float = 0.0) -> str:
        """Switch a fault on, for ``for_s`` seconds of account time if that is given; its id.

        Raises:
            BadFault: there is no such fault, or its settings make no sense.
        """
        fault = read(name, settings or {})
        if for_s < 0:
            raise BadFault(f"Fault `{name}`: it can't end {-for_s:g} s ago.")
        with self._changing:
            active = self._register(fault, self._made(fault), for_s)
        self._note(active, "began")
        return active.id

    def _register(self, fault: Fault, undos: list[Undo], for_s: float) -> Active:
        with self._lock:
            now = self.now()
            number = next(self._numbers)
            ends = now + for_s if for_s else None
            active = Active(f"{fault.name}-{number}", fault, now, ends, number, undos)
            self._on[active.id] = active
            if for_s and self._work is not None:
                active.timer = self._work.submit(
                    lambda: self._expire(active),
                    label=f"fault {active.id} ends",
                    delay_s=for_s,
                    observes=True,
                )
        return active

    def end(self, fault_id: str) -> None:
        """Undo one fault.

        Raises:
            BadFault: none of this id is on.
        """
        with self._lock:
            active = self._on.pop(fault_id, None)
            if active is None:
                on = f"On are: {', '.join(self._on)}." if self._on else "None is on."
                raise BadFault(f"There is no fault with the id `{fault_id}`. {on}")
        if active.timer is not None and self._work is not None:
            self._work.cancel(active.timer)
        with self._changing:
            problems = self._give_back(active)
        self._note(active, "ended", **({"reason": "; ".join(problems)} if problems else {}))
        if isinstance(active.fault, RegionOutage):
            self._release()
        for listener in list(self._listeners):
            listener(active.fault)
        if problems:
            raise EnvironmentFault(f"Fault {fault_id} could not be undone: {'; '.join(problems)}")

    def clear(self) -> list[str]:
        """Undo every fault, the latest first; the ids of those that were on."""
        with self._lock:
            ids = list(self._on)
        failed: list[str] = []
        for fault_id in reversed(ids):
            try:
                self.end(fault_id)
            except EnvironmentFault as error:
                failed.append(str(error))
        if failed:
            raise EnvironmentFault(" ".join(failed))
        return ids

    def _made(self, fault: Fault) -> list[Undo]:
        """Make a fault by calls, if it is made of any; what undoes it."""
        if not isinstance(fault, MadeFault) or fault.switched:
            return []
        return make(fault, self.hands())

    def _give_back(self, active: Active) -> list[str]:
        """Undo what was made by calls. What a later fault has changed again is left to that one."""
        problems = []
        for undo in reversed(active.undos):
            heir = next((each for each in self._later_undos(active) if each.what == undo.what), None)
            if heir is not None:
                heir.action = undo.action
                continue
            try:
                undo()
            except Exception as error:
                problems.append(f"{undo.what}: {error}")
        return problems

    def _later_undos(self, active: Active) -> list[Undo]:
        later = [each for each in self.active() if each.number > active.number]
        return [undo for each in later for undo in each.undos]

    def active(self) -> list[Active]:
        """Those that are on, the earliest first."""
        with self._lock:
            return list(self._on.values())

    def of_kind(self, kind: type[F]) -> list[F]:
        """The faults of one kind that are on, the earliest first."""
        if not self._on:
            return []
        return [each.fault for each in self.active() if isinstance(each.fault, kind)]

    def find(self, kind: type[F]) -> F | None:
        """The latest fault of a kind that is on."""
        found = self.of_kind(kind)
        return found[-1] if found else None

    def listen(self, listener: Callable[[Fault], None]) -> None:
        """Call ``listener`` with each fault right after it has ended; it must only enqueue."""
        self._listeners.append(listener)

    def region_down(self, region: str) -> bool:
        """Whether nothing of a region answers, runs or is delivered at the moment."""
        return any(each.region == region for each in self.of_kind(RegionOutage))

    def replication_cut(self, region_from: str, region_to: str) -> bool:
        """Whether nothing is replicated from one region to another at the moment.

        It is cut, or one of the two is dark. :meth:`listen` tells when to look again.
        """
        way = (region_from, region_to)
        return (
            self.region_down(region_from)
            or self.region_down(region_to)
            or any(
                way == (cut.source, cut.target) or (cut.both and way == (cut.target, cut.source))
                for cut in self.of_kind(CutReplication)
            )
        )

    def replication_delay_s(self, region_from: str, region_to: str, usual_s: float) -> float:
        """How long a change takes from one region to another that sets out now, in account time."""
        for delay in reversed(self.of_kind(ReplicationDelay)):
            if delay.source in ("", region_from) and delay.target in ("", region_to):
                return delay.seconds
        return usual_s

    def hold(self, region: str, action: Callable[[], None], *, label: str) -> bool:
        """Keep what a service would do in a dark region until it is back; False when it is not dark."""
        if not self._on:
            return False
        with self._lock:
            if not self.region_down(region):
                return False
            self._held.append((region, action, label))
        return True

    def _release(self) -> None:
        """Do what was held in regions that are back."""
        with self._lock:
            back = [each for each in self._held if not self.region_down(each[0])]
            self._held = [each for each in self._held if self.region_down(each[0])]
        for _region, action, label in back:
            if self._work is not None:
                self._work.submit(action, label=label)

    def _expire(self, active: Active) -> None:
        with contextlib.suppress(BadFault):  # It was ended a moment ago.
            self.end(active.id)

    def _note(self, active: Active, outcome: str, **detail: Any) -> None:
        if self._timeline is None:
            return
        settings = active.fault.shown()
        self._timeline.add(
            "fault",
            active.fault.name,
            account_id=self._account_id,
            region=str(settings.get("region") or self._region),
            outcome=outcome,
            id=active.id,
            settings={name: _shortened(value) for name, value in settings.items()},
            **({"ends": active.ends} if active.ends is not None and outcome == "began" else {}),
            **detail,
        )


def _shortened(value: Any) -> Any:
    return f"{value[:_SHOWN]}… ({len(value)})" if isinstance(value, str) and len(value) > _SHOWN else value


def _no_hands() -> Hands:
    raise EnvironmentFault("This account can't make faults by calls.")
