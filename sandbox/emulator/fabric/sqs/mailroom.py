"""Every queue's messages behind one lock, and who is told when some can be received."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from moto.sqs.models import Queue, sqs_backends

from sandbox.emulator.calls import whence
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.sqs.errors import invalid_receipt, invalid_value
from sandbox.emulator.fabric.sqs.messages import Message, State
from sandbox.emulator.fabric.sqs.store import QueueStore
from sandbox.emulator.faults.deliveries import held_back_s, twice
from sandbox.emulator.work import WorkItem

# A clock that jumps does not wake a waiting thread, so long polls look this often (wall seconds).
_LOOK_EVERY_S = 0.1


class Mailroom:
    """Sends, receives and deletes on account time. Lock order: dispatch lock, then this one's."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self._stores: WeakKeyDictionary[Queue, QueueStore] = WeakKeyDictionary()
        self._changed = threading.Condition(threading.RLock())
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._wakes: dict[str, WorkItem] = {}
        self._sequence = 18_870_000_000_000_000_000
        self.watch: Callable[[Queue, str, int], None] = lambda queue, what, count: None
        """Told what happened to how many messages (``Sent``, ``Received``, ``Deleted``); must be quick."""

    def find_queue(self, arn: str) -> Queue | None:
        """moto's record of the queue: its attributes and policy, never its messages."""
        where = Arn.parse(arn)
        with self._core.dispatch_lock:
            return sqs_backends[where.account_id][where.region].queues.get(where.name)

    def send(
        self,
        queue: Queue,
        body: str,
        *,
        attributes: dict[str, Any] | None = None,
        group: str = "",
        deduplication_id: str = "",
        delay_s: float | None = None,
        sender_id: str = "",
        trace_header: str = "",
        message_id: str = "",
    ) -> Message:
        """Store a message, or find the one it repeats (FIFO)."""
        now = self._core.clock.time()
        if queue.fifo_queue and not deduplication_id and queue.content_based_deduplication:
            deduplication_id = hashlib.sha256(body.encode()).hexdigest()
        with self._changed:
            store = self._store(queue)
            scope = group if queue.deduplication_scope == "messageGroup" else ""
            if queue.fifo_queue:
                known = store.duplicate_of(deduplication_id, scope, now)
                if known is not None:
                    return known
                self._sequence += 256
            message = Message(
                message_id or str(uuid.uuid4()),
                body,
                now,
                sender_id or queue.account_id,
                attributes=attributes or {},
                group=group,
                deduplication_id=deduplication_id if queue.fifo_queue else "",
                sequence_number=str(self._sequence) if queue.fifo_queue else "",
                trace_header=trace_header,
                sent_during=whence().get("during", ""),
            )
            delay = float(queue.delay_seconds) if delay_s is None else delay_s
            if not queue.fifo_queue:
                delay += held_back_s(self._core, "sqs", queue.queue_arn)
            store.add(message, now, delay_s=delay)
            if queue.fifo_queue:
                store.remember(message, scope, now)
            self._announce(store)
        self.watch(queue, "Sent", 1)
        return message

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is sent inside becomes receivable at once: nobody receives in between."""
        with self._changed:
            yield

    def receive(self, queue: Queue, count: int, *, visibility_s: float | None = None) -> list[Message]:
        """Up to ``count`` messages, hidden from now on; those received too often go to the DLQ."""
        now = self._core.clock.time()
        hide_s = float(queue.visibility_timeout) if visibility_s is None else visibility_s
        received: list[Message] = []
        with self._changed:
            store = self._current(queue, now)
            while len(received) < count and (taken := store.take()):
                for index, message in enumerate(taken):
                    if len(received) == count:
                        store.put_back(taken[index:])
                        break
                    if not self._redriven(queue, store, message, now):
                        received.append(message)
            # Only now, so that a visibility timeout of 0 can't return one message twice.
            for message in received:
                store.hide(message, now, hide_s)
            self._announce(store)
        self.watch(queue, "Received", len(received))
        return received

    def receive_waiting(
        self, queue: Queue, count: int, *, visibility_s: float | None, wait_s: float
    ) -> list[Message]:
        """Like :meth:`receive`, but wait ``wait_s`` of account time for a first message."""
        until = self._core.clock.time() + wait_s
        while True:
            with self._changed:
                received = self.receive(queue, count, visibility_s=visibility_s)
                left = until - self._core.clock.time()
                if received or left <= 0:
                    return received
                self._changed.wait(min(left, _LOOK_EVERY_S))

    def peek(self, queue: Queue, limit: int) -> list[Message]:
        """The oldest messages, received or not; looking changes nothing about them."""
        now = self._core.clock.time()
        with self._changed:
            found = sorted(self._current(queue, now).messages.values(), key=lambda each: each.order)
            return found[:limit]

    def delete(self, queue: Queue, receipt: str) -> None:
        """Delete by receipt handle; deleting again is no error.

        Raises:
            AwsError: SQS never gave this handle out.
        """
        with self._changed:
            store = self._store(queue)
            message = self._by_receipt(store, receipt)
            # A standard queue deletes by any handle; FIFO wants the latest one.
            if message is not None and (not store.fifo or message.receipt == receipt):
                store.remove(message)
                self.watch(queue, "Deleted", 1)
                self._deliver_again(queue, store, message)
            self._announce(store)

    def _deliver_again(self, queue: Queue, store: QueueStore, message: Message) -> None:
        """A copy of a deleted message that a server of a standard queue still has, under a fault.

        Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues-at-least-once-delivery.html
        """
        if store.fifo or message.repeated or not twice(self._core, "sqs", queue.queue_arn):
            return
        message.repeated = True
        message.receives = max(0, message.receives - 1)
        message.receipt = ""
        store.add(message, self._core.clock.time())

    def change_visibility(self, queue: Queue, receipt: str, visibility_s: float) -> None:
        """Hide a received message for ``visibility_s`` from now.

        Raises:
            AwsError: the handle is unknown, or the message is not in flight.
        """
        now = self._core.clock.time()
        with self._changed:
            store = self._current(queue, now)
            message = self._by_receipt(store, receipt)
            if message is None or message.state is not State.IN_FLIGHT:
                raise invalid_value(
                    receipt,
                    "ReceiptHandle",
                    "Message does not exist or is not available for visibility timeout change.",
                )
            store.change_visibility(message, now, visibility_s)
            self._announce(store)

    def move_one(self, queue: Queue, destination: str = "") -> bool:
        """Send the next receivable message of a DLQ to ``destination``, or to the queue it came from.

        False when there is none, or it has nowhere to go.
        """
        now = self._core.clock.time()
        with self._changed:
            store = self._current(queue, now)
            taken = store.take()
            if not taken:
                return False
            message, rest = taken[0], taken[1:]
            target = _find(destination or message.dead_letter_source)
            if target is None:
                store.put_back(taken)
                return False
            store.put_back(rest)
            store.remove(message)
            # A moved message is a new one to its queue: sent now, never received.
            message.sent_at, message.receives, message.first_received_at = now, 0, 0.0
            message.receipt = message.dead_letter_source = ""
            arrived = self._store(target)
            arrived.add(message, now)
            self._announce(store)
            self._announce(arrived)
        return True

    def discard(self, queue: Queue, message_id: str) -> None:
        """Forget a message, whoever has it; none of this id is no error."""
        with self._changed:
            store = self._store(queue)
            message = store.messages.get(message_id)
            if message is not None:
                store.remove(message)
                self._announce(store)

    def purge(self, queue: Queue) -> None:
        """Delete every message."""
        with self._changed:
            store = self._store(queue)
            store.clear()
            self._announce(store)

    def counts(self, queue: Queue) -> dict[State, int]:
        """How many messages are ready, delayed and in flight."""
        with self._changed:
            store = self._current(queue, self._core.clock.time())
            return {state: store.counts[state] for state in State}

    def oldest_age_s(self, queue: Queue) -> float:
        """Seconds since the oldest message that was not deleted was sent; 0 of an empty queue."""
        now = self._core.clock.time()
        with self._changed:
            messages = self._current(queue, now).messages.values()
            return max(0.0, now - min((message.sent_at for message in messages), default=now))

    def available(self, queue: Queue) -> int:
        """How many messages can be received now."""
        with self._changed:
            return self._current(queue, self._core.clock.time()).available()

    def listen(self, arn: str, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever the queue has something to receive; it must only enqueue."""
        with self._changed:
            self._listeners.setdefault(arn, []).append(listener)
        queue = self.find_queue(arn)
        if queue is not None:
            with self._changed:
                self._announce(self._current(queue, self._core.clock.time()))

    def stop_listening(self, arn: str, listener: Callable[[], None]) -> None:
        """Undo :meth:`listen`."""
        with self._changed:
            listeners = self._listeners.get(arn, [])
            if listener in listeners:
                listeners.remove(listener)
            if not listeners and (wake := self._wakes.pop(arn, None)) is not None:
                self._core.work.cancel(wake)

    def _store(self, queue: Queue) -> QueueStore:
        if queue not in self._stores:
            self._stores[queue] = QueueStore(queue.queue_arn, fifo=queue.fifo_queue)
        return self._stores[queue]

    def _current(self, queue: Queue, now: float) -> QueueStore:
        store = self._store(queue)
        store.expire(now, float(queue.message_retention_period))
        return store

    def _redriven(self, queue: Queue, store: QueueStore, message: Message, now: float) -> bool:
        policy = queue.redrive_policy
        if not policy or message.receives < int(policy["maxReceiveCount"]):
            return False
        target = _find(policy["deadLetterTargetArn"])
        if target is None:
            return False
        store.remove(message)
        message.dead_letter_source = queue.queue_arn
        dead_letters = self._store(target)
        dead_letters.add(message, now)
        self._announce(dead_letters)
        self._core.timeline.add(
            "delivery",
            f"sqs:{queue.name}",
            account_id=queue.account_id,
            region=queue.region,
            outcome="dead-lettered",
            target=target.queue_arn,
            message_id=message.id,
            receives=message.receives,
            reason=f"received {message.receives} times, and maxReceiveCount is {policy['maxReceiveCount']}",
        )
        return True

    def _by_receipt(self, store: QueueStore, receipt: str) -> Message | None:
        message_id, mark, _ = receipt.partition("#")
        if not mark:
            raise invalid_receipt(receipt)
        return store.messages.get(message_id)

    def _announce(self, store: QueueStore) -> None:
        """Tell pollers and listeners, and come back when the next hidden message shows."""
        self._changed.notify_all()
        listeners = self._listeners.get(store.arn)
        if not listeners:
            return
        if store.has_available():
            for listener in listeners:
                listener()
        self._plan_wake(store)

    def _plan_wake(self, store: QueueStore) -> None:
        due, planned = store.next_change(), self._wakes.get(store.arn)
        if planned is not None:
            if due is not None and abs(planned.due - due) < 1e-3:
                return
            self._core.work.cancel(planned)
            del self._wakes[store.arn]
        if due is not None:
            delay_s = max(0.0, due - self._core.clock.time())
            self._wakes[store.arn] = self._core.work.submit(
                lambda: self._wake(store), label=f"{store.arn}: message becomes visible", delay_s=delay_s
            )

    def _wake(self, store: QueueStore) -> None:
        with self._changed:
            self._wakes.pop(store.arn, None)
            queue = next((queue for queue, known in self._stores.items() if known is store), None)
            if queue is not None:
                self._announce(self._current(queue, self._core.clock.time()))


def _find(arn: str) -> Queue | None:
    # Without the dispatch lock, which may not be taken after ours; looking one key up is atomic.
    if not arn:
        return None
    where = Arn.parse(arn)
    return sqs_backends[where.account_id][where.region].queues.get(where.name)
