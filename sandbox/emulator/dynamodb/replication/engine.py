"""Carries writes from each replica to the others: later, and the last writer wins.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.emulator.core import AccountCore
from sandbox.emulator.dynamodb.replication.group import Change, Group, Stamp, Status, change_of, write
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.streams import Streams
from sandbox.emulator.links import SOON_S, Links

_LONG_AGO = Stamp(float("-inf"), "")
_LOOK_EVERY_S = 60.0


class Replicator:
    """Moves changes between the replicas of ``groups`` (by account and table).

    A replica's stream says what was written there; what this class writes itself it does not take up
    again, so a change goes from its region to each other one and no further.
    """

    def __init__(self, core: AccountCore, streams: Streams, links: Links) -> None:
        self._core = core
        self._streams = streams
        self._links = links
        self.groups: dict[tuple[str, str], Group] = {}
        links.when_changed(self.resume)

    def follow(self, group: Group, region: str) -> None:
        """Hear of what is written in a region from now on. Call with the dispatch lock held."""
        table = group.table(region)
        assert table is not None
        arn = f"{table.table_arn}/stream/{table.latest_stream_label}"
        assert self._streams.find(Arn.parse(arn)) is not None
        self._streams.listen(arn, lambda: self._wake(group, region))

    def take_up(self, group: Group, region: str) -> None:
        """Put what was written in a region on its way. Call with the dispatch lock held."""
        replica = group.replicas[region]
        targets = group.others(region)
        for record in group.new_records(region):
            for target in targets:
                change = change_of(record, region, self._links.delay_s(region, target))
                group.way(region, target).waiting.append(change)
            own = change_of(record, region, 0.0)
            replica.stamps[own.name] = own.stamp

    def _wake(self, group: Group, region: str) -> None:
        """Something was written; only enqueues. Whether it stays shows once the call is over."""
        with self._core.dispatch_lock:
            if region not in group.replicas or group.replicas[region].status is not Status.ACTIVE:
                return
            for target in group.others(region):
                self._plan(group, region, target, self._links.delay_s(region, target))

    def _plan(self, group: Group, source: str, target: str, delay_s: float) -> None:
        way = group.way(source, target)
        if way.planned:
            return
        way.planned = True
        self._core.work.submit(
            lambda: self._carry(group, source, target),
            label=f"dynamodb:{group.name} {source} → {target}",
            delay_s=delay_s,
            awaited=delay_s <= SOON_S,
        )

    def _carry(self, group: Group, source: str, target: str) -> None:
        """Tell ``target`` what has been under way long enough."""
        with self._core.dispatch_lock:
            way = group.way(source, target)
            way.planned = False
            if not {source, target} <= set(group.live()):
                return
            self.take_up(group, source)
            if self._links.is_cut(source, target):
                if way.waiting:
                    self._watch(group)
                return
            now = self._core.clock.time()
            while way.waiting and way.waiting[0].due <= now:
                self._deliver(group, target, way.waiting.popleft())
            if way.waiting:
                self._plan(group, source, target, way.waiting[0].due - now)

    def _deliver(self, group: Group, target: str, change: Change) -> None:
        table, replica = group.table(target), group.replicas[target]
        if table is None:
            return
        self.take_up(group, target)
        newer = change.stamp >= replica.stamps.get(change.name, _LONG_AGO)
        if newer:
            replica.stamps[change.name] = change.stamp
            write(table, change)
            group.skip(target)
        self._note(group, change.stamp, target, "ok" if newer else "superseded", key=dict(change.key))

    def flush(self, group: Group, source: str) -> None:
        """Tell what ``source`` still has to tell at once, where the way is open: its table will be gone."""
        for target in group.others(source):
            way = group.way(source, target)
            while way.waiting and not self._links.is_cut(source, target):
                self._deliver(group, target, way.waiting.popleft())

    def resume(self) -> None:
        """A way may be open again, or a new one has something to carry."""
        with self._core.dispatch_lock:
            for group in self.groups.values():
                for (source, target), way in group.ways.items():
                    if way.waiting:
                        self._plan(group, source, target, 0.0)

    def _watch(self, group: Group) -> None:
        """Tell once a minute how long the oldest change is held up, for as long as one is."""
        if group.watched:
            return
        group.watched = True
        self._core.work.submit(
            lambda: self._look(group),
            label=f"dynamodb:{group.name} is held up",
            delay_s=_LOOK_EVERY_S,
            observes=True,
        )

    def _look(self, group: Group) -> None:
        with self._core.dispatch_lock:
            group.watched = False
            for target, oldest, count in self._held_up(group):
                self._note(group, oldest, target, "held up", waiting=count)
                self._watch(group)

    def _held_up(self, group: Group) -> Iterator[tuple[str, Stamp, int]]:
        for (source, target), way in group.ways.items():
            if way.waiting and self._links.is_cut(source, target):
                yield target, way.waiting[0].stamp, len(way.waiting)

    def _note(self, group: Group, stamp: Stamp, target: str, outcome: str, **detail: object) -> None:
        self._core.timeline.add(
            "replication",
            f"dynamodb:{group.name}",
            account_id=group.account_id,
            region=stamp.region,
            outcome=outcome,
            target=target,
            latency_ms=round((self._core.clock.time() - stamp.at) * 1000, 3),
            **detail,
        )
