"""Reads one stream for one mapping and invokes its function with batches, in order within each lane."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.mappings import records
from sandbox.emulator.fabric.mappings.access import RoleAccess
from sandbox.emulator.fabric.mappings.consumers import Consumer, batch_failed_as, refused_as
from sandbox.emulator.fabric.mappings.discarded import Discarded, Reason, send
from sandbox.emulator.fabric.mappings.model import Polled, StartingPosition, StreamSettings
from sandbox.emulator.fabric.mappings.tumbling import Window, in_first_window
from sandbox.emulator.fabric.streams import Record, Shard, Stream, Streams
from sandbox.emulator.fabric.streams.model import TRIM_HORIZON
from sandbox.emulator.faults.deliveries import twice
from sandbox.emulator.functions.contract import InvokeOutcome
from sandbox.emulator.work import WorkItem

_BACKOFF_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class _Batch:
    """Records that go to the function together; of the counts only ``retries`` has a quota.

    ``final`` is the invocation that ends a tumbling window, with no records; ``repeated`` what a fault has
    the function do again.
    """

    records: tuple[Record, ...]
    retries: int = 0
    invoked: int = 0
    refused: int = 0
    final: bool = False
    repeated: bool = False


@dataclass(slots=True)
class _Lane:
    """What must be processed one batch after the other: a shard, or a part of its partition keys.

    ``again`` are batches that come before anything new: what failed, in order. ``tumbling`` is the
    window that is not finished yet.
    """

    shard_id: str
    new: list[Record] = field(default_factory=list)
    again: list[_Batch] = field(default_factory=list)
    busy: bool = False
    window: WorkItem | None = None
    tumbling: Window | None = None

    @property
    def empty(self) -> bool:
        return not (self.busy or self.new or self.again or self.tumbling)


@dataclass(slots=True)
class _ShardReader:
    """How far a shard was read, and its lanes."""

    position: int
    lanes: list[_Lane]


class StreamPoller:
    """Keeps its place while it is stopped. Nothing here runs or reads with its own lock held."""

    def __init__(
        self, core: AccountCore, consumer: Consumer, streams: Streams, stream: Stream, mapping: Polled
    ) -> None:
        self._core = core
        self._consumer = consumer
        self._streams = streams
        self._stream = stream
        self._mapping = mapping
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._stopped = True
        self._poll_planned = False
        self._readers = {
            shard.id: _ShardReader(self._first_position(shard), self._lanes(shard))
            for shard in stream.shards()
        }

    @property
    def _settings(self) -> StreamSettings:
        assert isinstance(self._mapping.settings, StreamSettings)
        return self._mapping.settings

    def _first_position(self, shard: Shard) -> int:
        settings = self._settings
        if settings.start == StartingPosition.LATEST:
            return self._stream.latest(shard.id)
        if settings.start_at is not None:
            return self._stream.at_time(shard.id, settings.start_at.timestamp())
        return TRIM_HORIZON

    def _lanes(self, shard: Shard) -> list[_Lane]:
        return [_Lane(shard.id) for _ in range(self._settings.lanes)]

    def start(self) -> None:
        """Begin to read, from where it was left."""
        with self._lock:
            if not self._stopped:
                return
            self._stopped = False
        self._streams.listen(self._stream.arn, self.wake)
        self.wake()

    def stop(self) -> None:
        """Invoke no more; a batch with the function is finished."""
        with self._lock:
            self._stopped = True
            for reader in self._readers.values():
                for lane in reader.lanes:
                    self._close_window(lane)
        self._streams.stop_listening(self._stream.arn, self.wake)

    def wake(self) -> None:
        """There may be something to read. Only plans to look."""
        with self._lock:
            if self._stopped or self._poll_planned:
                return
            self._poll_planned = True
        self._core.work.submit(self._poll, label=self._label("poll"))

    @property
    def _access(self) -> RoleAccess:
        return RoleAccess(self._core, self._consumer.principal(), self._mapping.source)

    def _label(self, what: str) -> str:
        return f"{self._subject}: {self._consumer.name}: {what}"

    @property
    def _subject(self) -> str:
        source = self._mapping.source
        return f"{source.service}:{source.resource.split('/')[1]}"

    def _poll(self, *, waited: bool = False) -> None:
        if self._core.faults.hold(self._mapping.region, self._poll, label=self._label("poll")):
            return  # It stays planned.
        with self._lock:
            self._poll_planned = False
        refusal = self._access.refusal("GetRecords")
        if refusal:
            self._blocked("AccessDenied", refusal, _BACKOFF_LIMIT_S)
            return
        met = self._access.trouble("GetRecords")
        if met.error is not None:
            self._blocked(met.error.code, str(met.error), 1.0)
            return
        if met.delay_s and not waited:
            self._core.work.submit(
                lambda: self._poll(waited=True), label=self._label("poll"), delay_s=met.delay_s
            )
            return
        with self._reading:
            shards = self._stream.shards()
            closed = {shard.id: shard for shard in shards if shard.closed}
            for shard in shards:
                reader = self._readers.get(shard.id)
                if reader is None:  # A child of a split or a merge: everything in it is new.
                    reader = self._readers[shard.id] = _ShardReader(TRIM_HORIZON, self._lanes(shard))
                if all(self._finished(parent, closed) for parent in shard.parents):
                    self._read(shard, reader)
        for reader in list(self._readers.values()):
            for lane in reader.lanes:
                self._feed(lane)

    def _blocked(self, code: str, refusal: str, delay_s: float) -> None:
        """The role may not read, or the stream's service fails: Lambda keeps trying."""
        self._mapping.last_result = f"PROBLEM: {refusal}"
        self._report(code, (), reason=refusal)
        self._core.work.submit(self.wake, label=self._label("retry after refusal"), delay_s=delay_s)

    def _finished(self, shard_id: str, closed: dict[str, Shard]) -> bool:
        """Whether everything in a shard and before it was processed, so that what came after it may be.

        A shard that never held a record is only as far as those that it came from.
        """
        reader = self._readers.get(shard_id)
        if reader is None or shard_id not in closed:
            return reader is None
        with self._lock:
            idle = all(lane.empty for lane in reader.lanes)
        done = idle and reader.position >= self._stream.latest(shard_id)
        return done and all(self._finished(parent, closed) for parent in closed[shard_id].parents)

    def _read(self, shard: Shard, reader: _ShardReader) -> None:
        found = self._stream.read(shard.id, reader.position)
        with self._lock:
            # More or fewer lanes only once nothing is on its way, or a key's order could be lost.
            if len(reader.lanes) != self._settings.lanes and all(lane.empty for lane in reader.lanes):
                reader.lanes = self._lanes(shard)
        if not found:
            return
        reader.position = found[-1].sequence
        passed: list[Record] = []
        dropped: list[Record] = []
        principal = self._consumer.principal() if self._mapping.source.service == "kinesis" else None
        role = principal.role_arn if principal is not None else ""
        for each in found:
            if role:
                each.record["invokeIdentityArn"] = role
            wanted = records.wanted(each.fields, self._mapping.patterns, "data")
            (passed if wanted else dropped).append(each)
        if dropped:
            self._report("filtered", dropped, reason="no filter pattern matches")
        with self._lock:
            for each in passed:
                digest = hashlib.md5(each.partition.encode(), usedforsecurity=False).digest()
                reader.lanes[int.from_bytes(digest) % len(reader.lanes)].new.append(each)

    def _feed(self, lane: _Lane) -> None:
        """Send a lane's next batch to the function, unless one is there or the batching window is open."""
        with self._lock:
            if self._stopped or lane.busy:
                return
            if lane.again:
                batch = lane.again.pop(0)
            elif self._tumbling_is_over(lane):
                batch = _Batch((), final=True)
            elif lane.new and self._window_is_over(lane):
                batch = self._cut(lane)
            else:
                return
            lane.busy = True
        self._core.work.submit(lambda: self._process(lane, batch), label=self._label("batch"))

    def _tumbling_is_over(self, lane: _Lane) -> bool:
        """Whether the function has had everything of a tumbling window, and has to be told so."""
        window = lane.tumbling
        if window is None:
            return False
        over = window.end <= self._core.clock.time() and not (lane.new and window.holds(lane.new[0]))
        return over or window.full

    def _window_is_over(self, lane: _Lane) -> bool:
        settings = self._settings
        if len(lane.new) >= settings.batch_size or not settings.window_s:
            return True
        if lane.window is None:
            lane.window = self._core.work.submit(
                self.wake, label=self._label("batching window"), delay_s=settings.window_s
            )
        return lane.window.due <= self._core.clock.time()

    def _cut(self, lane: _Lane) -> _Batch:
        self._close_window(lane)
        new: Sequence[Record] = lane.new[: self._settings.batch_size]
        if self._settings.tumbling_s:
            if lane.tumbling is None:
                lane.tumbling = Window.around(new[0].arrived, self._settings.tumbling_s)
                self._core.work.submit(
                    self.wake,
                    label=self._label("tumbling window"),
                    delay_s=max(0.0, lane.tumbling.end - self._core.clock.time()),
                )
            new = in_first_window(new, lane.tumbling)
        first, _payload = next(records.payloads(new))
        del lane.new[: len(first)]
        return _Batch(tuple(first))

    def _close_window(self, lane: _Lane) -> None:
        if lane.window is not None:
            self._core.work.cancel(lane.window)
            lane.window = None

    def _process(self, lane: _Lane, batch: _Batch) -> None:
        batch = self._without_expired(lane, batch)
        if not batch.records and not batch.final:
            self._go_on(lane)
            return
        payload = self._payload(lane, batch)
        try:
            outcome = self._consumer.invoke(payload, self._subject)
        except Exception:
            self._go_on(lane, batch)
            raise
        if outcome.status >= 300:
            # The function never saw it: tried until the records are too old, whatever the quota of retries.
            self._mapping.last_result = f"PROBLEM: {outcome.error_code or 'Function call failed'}"
            self._report("throttled", batch.records, outcome, reason=refused_as(outcome))
            again = replace(batch, refused=batch.refused + 1)
            self._retry(lane, [again], _backoff(again.refused))
            return
        self._finish(lane, replace(batch, invoked=batch.invoked + 1, refused=0), outcome)

    def _payload(self, lane: _Lane, batch: _Batch) -> bytes:
        plain = b'{"Records":[]}' if batch.final else next(records.payloads(batch.records))[1]
        if lane.tumbling is None:
            return plain
        return lane.tumbling.payload(plain, lane.shard_id, self._stream.arn, final=batch.final)

    def _finish(self, lane: _Lane, batch: _Batch, outcome: InvokeOutcome) -> None:
        if lane.tumbling is not None and outcome.succeeded and not batch.final:
            lane.tumbling.take(outcome)
        if batch.final:
            self._finish_window(lane, batch, outcome)
            return
        left = self._left(batch, outcome)
        result = "ok" if not left else "failed" if left == batch.records else "partial"
        why = {"reason": batch_failed_as(outcome, len(left), len(batch.records))} if left else {}
        self._report(result, batch.records, outcome, left, **why)
        self._mapping.last_result = "OK" if not left else "PROBLEM: Function call failed"
        if not left:
            self._done(lane, batch)
            return
        settings = self._settings
        if settings.bisects and len(batch.records) > 1:
            # Splitting takes nothing from the quota of retries; at the record that was named, if one was.
            halves = [left] if left != batch.records else _halves(left)
            self._retry(lane, [replace(batch, records=half) for half in halves], 0.0)
            return
        if settings.retries is not None and batch.retries >= settings.retries:
            self._discard(lane, replace(batch, records=left), Reason.RETRIES, outcome)
            self._go_on(lane)
            return
        again = replace(batch, records=left, retries=batch.retries + 1)
        self._retry(lane, [again], _backoff(again.retries))

    def _done(self, lane: _Lane, batch: _Batch) -> None:
        """On to the next batch, unless a fault has this one come again."""
        once = batch.repeated or lane.tumbling is not None
        if not once and twice(self._core, self._mapping.source.service, self._stream.arn):
            self._retry(lane, [_Batch(batch.records, repeated=True)], 0.0)
        else:
            self._go_on(lane)

    def _finish_window(self, lane: _Lane, batch: _Batch, outcome: InvokeOutcome) -> None:
        """The function has been told of a window's end, or has failed to take note."""
        settings = self._settings
        if outcome.succeeded:
            self._report("ok", (), outcome)
        else:
            self._report("failed", (), outcome, reason=batch_failed_as(outcome, 0, 0))
        self._mapping.last_result = "OK" if outcome.succeeded else "PROBLEM: Function call failed"
        if outcome.succeeded or (settings.retries is not None and batch.retries >= settings.retries):
            lane.tumbling = None
            self._go_on(lane)
            return
        again = replace(batch, retries=batch.retries + 1)
        self._retry(lane, [again], _backoff(again.retries))

    def _left(self, batch: _Batch, outcome: InvokeOutcome) -> tuple[Record, ...]:
        """What has to be tried again: everything from the first record that failed.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
        """
        if not outcome.succeeded:
            return batch.records
        if not self._settings.reports_failures:
            return ()
        ids = [str(each.sequence) for each in batch.records]
        failed = records.failed_ids(outcome.payload, ids)
        return batch.records[ids.index(failed[0]) :] if failed else ()

    def _without_expired(self, lane: _Lane, batch: _Batch) -> _Batch:
        """The batch less what is too old by now; that is discarded."""
        age_s = self._settings.age_s
        limit_s = min(self._stream.retention_s, float("inf") if age_s is None else age_s)
        oldest = self._core.clock.time() - limit_s
        expired = tuple(each for each in batch.records if each.arrived < oldest)
        if not expired:
            return batch
        self._discard(lane, replace(batch, records=expired), Reason.AGE)
        return replace(batch, records=tuple(each for each in batch.records if each.arrived >= oldest))

    def _retry(self, lane: _Lane, batches: list[_Batch], delay_s: float) -> None:
        """Keep the lane for these batches, from ``delay_s`` seconds on."""
        with self._lock:
            lane.again[:0] = batches
        self._core.work.submit(lambda: self._go_on(lane), label=self._label("retry"), delay_s=delay_s)

    def _go_on(self, lane: _Lane, batch: _Batch | None = None) -> None:
        with self._lock:
            if batch is not None:
                lane.again.insert(0, batch)
            lane.busy = False
        self.wake()

    def _discard(
        self, lane: _Lane, batch: _Batch, reason: Reason, outcome: InvokeOutcome | None = None
    ) -> None:
        self._report("discarded", batch.records, outcome, batch.records, reason=reason.value)
        arn = self._settings.on_failure
        if not arn:
            return
        discarded = Discarded(
            lane.shard_id, batch.records, reason, batch.invoked, outcome, self._core.clock.time()
        )
        principal = self._consumer.principal()
        if principal is not None:
            send(self._core, self._mapping, self._stream, self._consumer, discarded, arn, principal)

    def _report(
        self,
        result: str,
        batch: Sequence[Record],
        outcome: InvokeOutcome | None = None,
        failed: Sequence[Record] = (),
        **detail: Any,
    ) -> None:
        if outcome is not None:
            detail["request_id"] = outcome.request_id
            detail["error"] = outcome.error_code or outcome.function_error
        if batch and outcome is not None:
            detail["age_ms"] = round(max(0.0, self._core.clock.time() - batch[-1].arrived) * 1000)
        self._core.timeline.add(
            "delivery",
            self._subject,
            account_id=self._mapping.account_id,
            region=self._mapping.region,
            outcome=result,
            target=self._consumer.arn,
            mapping=self._mapping.uuid,
            messages=[str(each.sequence) for each in batch],
            failed=[str(each.sequence) for each in failed],
            **detail,
        )


def _halves(batch: tuple[Record, ...]) -> list[tuple[Record, ...]]:
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]


def _backoff(failures: int) -> float:
    return min(2.0 ** min(failures - 1, 10), _BACKOFF_LIMIT_S)
