"""Polls one queue for one mapping and invokes its function with batches."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from moto.sqs.models import Queue

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.mappings import records
from sandbox.emulator.fabric.mappings.access import RoleAccess
from sandbox.emulator.fabric.mappings.consumers import Consumer, batch_failed_as, refused_as
from sandbox.emulator.fabric.mappings.model import Polled, QueueSettings
from sandbox.emulator.fabric.mappings.records import Received
from sandbox.emulator.fabric.sqs import Mailroom
from sandbox.emulator.functions.contract import InvokeOutcome
from sandbox.emulator.work import WorkItem

# Lambda starts with five batches at a time and adds up to 300 a minute while messages wait.
# Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
_BATCHES_AT_FIRST = 5
_BATCHES_PER_SECOND = 5
# AWS ends at 1,250; here each batch holds one of the account's threads.
_BATCHES_AT_MOST = 16
_BACKOFF_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class _Batch:
    """Messages received together; hidden until ``visible_at``."""

    queue: Queue
    messages: tuple[Received, ...]
    payload: bytes
    visible_at: float
    attempt: int = 0


class SqsPoller:
    """Takes batches while it may and there are any. Nothing here runs with a lock held."""

    def __init__(self, core: AccountCore, consumer: Consumer, mailroom: Mailroom, mapping: Polled) -> None:
        self._core = core
        self._consumer = consumer
        self._mailroom = mailroom
        self._mapping = mapping
        self._lock = threading.Lock()
        self._stopped = True
        self._poll_planned = False
        self._running = 0
        self._busy_since = 0.0
        self._window: WorkItem | None = None

    @property
    def _settings(self) -> QueueSettings:
        assert isinstance(self._mapping.settings, QueueSettings)
        return self._mapping.settings

    def start(self) -> None:
        """Begin to poll; messages that wait already are delivered too."""
        with self._lock:
            if not self._stopped:
                return
            self._stopped = False
        self._mailroom.listen(str(self._mapping.source), self.wake)

    def stop(self) -> None:
        """Take no more batches; those with the function are finished."""
        with self._lock:
            self._stopped = True
            self._close_window()
        self._mailroom.stop_listening(str(self._mapping.source), self.wake)

    def wake(self) -> None:
        """There may be something to receive. Only plans to look."""
        with self._lock:
            if self._stopped or self._poll_planned:
                return
            self._poll_planned = True
        self._core.work.submit(self._poll, label=self._label("poll"))

    @property
    def _access(self) -> RoleAccess:
        return RoleAccess(self._core, self._consumer.principal(), self._mapping.source)

    def _label(self, what: str) -> str:
        return f"sqs:{self._mapping.source.name} → {self._consumer.name}: {what}"

    def _poll(self, *, waited: bool = False) -> None:
        if self._core.faults.hold(self._mapping.region, self._poll, label=self._label("poll")):
            return  # It stays planned.
        with self._lock:
            self._poll_planned = False
        queue = self._mailroom.find_queue(str(self._mapping.source))
        if queue is None:
            return
        available = self._mailroom.available(queue)
        if not available or not self._window_is_over(available):
            return
        refusal = self._access.refusal("ReceiveMessage")
        if refusal:
            self._blocked("AccessDenied", refusal, _BACKOFF_LIMIT_S)
            return
        met = self._access.trouble("ReceiveMessage")
        if met.error is not None:
            self._blocked(met.error.code, str(met.error), 1.0)
            return
        if met.delay_s and not waited:
            self._core.work.submit(
                lambda: self._poll(waited=True), label=self._label("poll"), delay_s=met.delay_s
            )
            return
        if not self._take_slot():
            return
        settings = self._mapping.settings
        visible_at = self._core.clock.time() + float(queue.visibility_timeout)
        messages = self._mailroom.receive(queue, settings.batch_size)
        if self._mailroom.available(queue):
            self.wake()
        received = [records.receive(message, self._mapping.source) for message in messages]
        parts = list(records.payloads(self._filtered(queue, received)))
        if not parts:
            self._free_slot()
        for index, (part, payload) in enumerate(parts):
            if index:
                self._keep_slot()
            self._invoke(_Batch(queue, tuple(part), payload, visible_at))

    def _blocked(self, code: str, refusal: str, delay_s: float) -> None:
        """The function's role may not receive, or SQS fails: the messages stay, and Lambda keeps trying."""
        self._mapping.last_result = f"PROBLEM: {refusal}"
        self._report(code, (), reason=refusal)
        self._core.work.submit(self.wake, label=self._label("retry after refusal"), delay_s=delay_s)

    def _window_is_over(self, available: int) -> bool:
        """Whether a batch may be taken: it is full, there is no window, or the window has passed."""
        settings, now = self._mapping.settings, self._core.clock.time()
        with self._lock:
            if available >= settings.batch_size or not settings.window_s:
                return True
            if self._window is None:
                self._window = self._core.work.submit(
                    self.wake, label=self._label("batching window"), delay_s=settings.window_s
                )
            return self._window.due <= now

    def _close_window(self) -> None:
        if self._window is not None:
            self._core.work.cancel(self._window)
            self._window = None

    def _take_slot(self) -> bool:
        now = self._core.clock.time()
        with self._lock:
            if not self._running:
                self._busy_since = now
            scaled = _BATCHES_AT_FIRST + int((now - self._busy_since) * _BATCHES_PER_SECOND)
            limit = min(scaled, self._settings.maximum_concurrency or scaled, _BATCHES_AT_MOST)
            if self._stopped or self._running >= limit:
                return False
            self._running += 1
            self._close_window()
            return True

    def _keep_slot(self) -> None:
        """A slot for the next part of a batch that is too large for one invocation."""
        with self._lock:
            self._running += 1

    def _free_slot(self) -> None:
        with self._lock:
            self._running -= 1
        self.wake()

    def _filtered(self, queue: Queue, received: Sequence[Received]) -> list[Received]:
        """What passes the filters; Lambda deletes the rest."""
        passed: list[Received] = []
        dropped: list[Received] = []
        for each in received:
            (passed if records.wanted(each.record, self._mapping.patterns) else dropped).append(each)
        for each in dropped:
            self._mailroom.delete(queue, each.receipt)
        if dropped:
            self._report("filtered", dropped, reason="no filter pattern matches; the message is deleted")
        return passed

    def _invoke(self, batch: _Batch) -> None:
        # A batch begins a trace of its own, linked to those that its messages came from.
        # Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-tracelinking.html
        headers = tuple(dict.fromkeys(each.trace_header for each in batch.messages if each.trace_header))
        try:
            outcome = self._consumer.invoke(batch.payload, f"sqs:{self._mapping.source.name}", headers)
        except Exception:
            self._free_slot()
            raise
        if outcome.status == 429 or outcome.status >= 500:
            self._retry(batch, outcome)
            return
        self._finish(batch, outcome)
        self._free_slot()

    def _retry(self, batch: _Batch, outcome: InvokeOutcome) -> None:
        """Lambda keeps trying a batch it could not place, while the messages stay hidden."""
        self._report("throttled", batch.messages, outcome, reason=refused_as(outcome))
        delay_s = min(2.0**batch.attempt, _BACKOFF_LIMIT_S)
        if self._stopped or self._core.clock.time() + delay_s >= batch.visible_at:
            self._free_slot()
            return
        again = _Batch(batch.queue, batch.messages, batch.payload, batch.visible_at, batch.attempt + 1)
        self._core.work.submit(lambda: self._invoke(again), label=self._label("retry"), delay_s=delay_s)

    def _finish(self, batch: _Batch, outcome: InvokeOutcome) -> None:
        ids = [each.id for each in batch.messages]
        failed = ids
        if outcome.succeeded:
            reports = self._mapping.settings.reports_failures
            failed = records.failed_ids(outcome.payload, ids) if reports else []
        done = [each for each in batch.messages if each.id not in failed]
        refusal, code = self._access.refusal("DeleteMessage") if done else "", "AccessDenied"
        if done and not refusal and (error := self._access.trouble("DeleteMessage").error) is not None:
            refusal, code = str(error), error.code
        if refusal:
            done = []  # They come back when they are visible again.
            self._report(code, batch.messages, reason=refusal)
        for each in batch.messages:
            if each in done:
                self._mailroom.delete(batch.queue, each.receipt)
        result = "ok" if not failed else "failed" if len(failed) == len(ids) else "partial"
        why = "" if not failed else batch_failed_as(outcome, len(failed), len(ids))
        self._report(result, batch.messages, outcome, failed, reason=why)

    def _report(
        self,
        result: str,
        messages: Sequence[Received],
        outcome: InvokeOutcome | None = None,
        failed: Sequence[str] = (),
        reason: str = "",
    ) -> None:
        detail: dict[str, object] = (
            {}
            if outcome is None
            else {
                "request_id": outcome.request_id,
                "error": outcome.error_code or outcome.function_error,
                "failed": list(failed),
            }
        )
        self._core.timeline.add(
            "delivery",
            f"sqs:{self._mapping.source.name}",
            account_id=self._mapping.account_id,
            region=self._mapping.region,
            outcome=result,
            target=self._consumer.arn,
            mapping=self._mapping.uuid,
            messages=[each.id for each in messages],
            sent_during=[each.sent_during for each in messages if each.sent_during],
            **({"reason": reason} if reason else {}),
            **detail,
        )
