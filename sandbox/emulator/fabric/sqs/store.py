"""Where a queue's messages are: heaps of times, so depth costs O(log n).

Nothing here locks; :class:`sandbox.emulator.fabric.sqs.mailroom.Mailroom` does, for all queues.
"""

from __future__ import annotations

import heapq
import itertools
import uuid
from collections import Counter
from dataclasses import dataclass, field

from sandbox.emulator.fabric.sqs.messages import Message, State

DEDUPLICATION_S = 300.0
_order = itertools.count(1)


@dataclass(slots=True)
class _Group:
    """One FIFO message group: it is locked while any of its messages is in flight."""

    ready: list[tuple[int, int, Message]] = field(default_factory=list)
    in_flight: int = 0


class QueueStore:
    """The messages of one queue; every method takes the account's time as ``now``."""

    def __init__(self, arn: str, *, fifo: bool) -> None:
        self.arn = arn
        self.fifo = fifo
        self.messages: dict[str, Message] = {}
        self.counts: Counter[State] = Counter()
        self._ready: list[tuple[int, int, Message]] = []
        self._waiting: list[tuple[float, int, int, Message]] = []
        self._groups: dict[str, _Group] = {}
        self._open_groups: list[tuple[int, str]] = []
        self._seen: dict[tuple[str, str], tuple[float, Message]] = {}

    def duplicate_of(self, deduplication_id: str, scope: str, now: float) -> Message | None:
        """The message sent with the same id in ``scope`` within five minutes, deleted or not."""
        while self._seen:
            oldest = next(iter(self._seen))
            if now - self._seen[oldest][0] < DEDUPLICATION_S:
                break
            del self._seen[oldest]
        found = self._seen.get((scope, deduplication_id))
        return found[1] if found is not None else None

    def remember(self, message: Message, scope: str, now: float) -> None:
        """Find ``message`` by its deduplication id for the next five minutes."""
        self._seen[(scope, message.deduplication_id)] = (now, message)

    def add(self, message: Message, now: float, *, delay_s: float = 0.0) -> None:
        """Store a message; it can be received after ``delay_s``."""
        message.order = next(_order)
        self.messages[message.id] = message
        if delay_s > 0:
            self._wait(message, State.DELAYED, now + delay_s)
        else:
            self._make_ready(message)

    def expire(self, now: float, retention_s: float) -> None:
        """Drop what is older than the retention period, and show what has waited long enough."""
        while self.messages:
            oldest = next(iter(self.messages.values()))
            if oldest.sent_at + retention_s > now:
                break
            self.remove(oldest)
        while (due := self.next_change()) is not None and due <= now:
            message = heapq.heappop(self._waiting)[3]
            if message.state is State.DELAYED and not self.fifo:
                message.order = next(_order)  # Behind those that could be received before it.
            self._leave(message)
            self._make_ready(message)

    def next_change(self) -> float | None:
        """When the next delayed or hidden message becomes visible."""
        while self._waiting:
            due, _, epoch, message = self._waiting[0]
            if epoch == message.epoch and message.id in self.messages:
                return due
            heapq.heappop(self._waiting)
        return None

    def has_available(self) -> bool:
        """Whether a receive would return something now."""
        return self._open_group() is not None if self.fifo else self.counts[State.READY] > 0

    def available(self) -> int:
        """How many messages a receive could return now."""
        if not self.fifo:
            return self.counts[State.READY]
        # A group's heap may hold entries of removed messages, so the head decides.
        return sum(
            len(group.ready)
            for group in self._groups.values()
            if not group.in_flight and self._head(group.ready)
        )

    def take(self) -> tuple[Message, ...]:
        """The next receivable messages of one group (FIFO) or the next one, still in the store."""
        if not self.fifo:
            head = self._head(self._ready)
            if head is None:
                return ()
            heapq.heappop(self._ready)
            return (head,)
        group = self._open_group()
        if group is None:
            return ()
        heapq.heappop(self._open_groups)
        taken = []
        while (message := self._head(group.ready)) is not None:
            heapq.heappop(group.ready)
            taken.append(message)
        return tuple(taken)

    def put_back(self, messages: tuple[Message, ...]) -> None:
        """Return taken messages that were not needed."""
        for message in messages:
            self.counts[message.state] -= 1
            self._make_ready(message)

    def hide(self, message: Message, now: float, visibility_s: float) -> None:
        """Mark a taken message received and hide it."""
        message.receives += 1
        message.first_received_at = message.first_received_at or now
        message.receipt = f"{message.id}#{uuid.uuid4().hex}"
        self._leave(message)
        if visibility_s > 0:
            self._wait(message, State.IN_FLIGHT, now + visibility_s)
        else:
            self._make_ready(message)

    def change_visibility(self, message: Message, now: float, visibility_s: float) -> None:
        """Hide an in-flight message for ``visibility_s`` from now; 0 shows it at once."""
        self._leave(message)
        if visibility_s > 0:
            self._wait(message, State.IN_FLIGHT, now + visibility_s)
        else:
            self._make_ready(message)

    def remove(self, message: Message) -> None:
        """Forget a message."""
        if self.messages.pop(message.id, None) is not None:
            self._leave(message)

    def clear(self) -> None:
        """Forget every message."""
        for message in list(self.messages.values()):
            self.remove(message)
        for emptied in (self._ready, self._waiting, self._open_groups, self._groups):
            emptied.clear()

    def _leave(self, message: Message) -> None:
        self.counts[message.state] -= 1
        message.epoch += 1
        if self.fifo and message.state is State.IN_FLIGHT:
            group = self._groups[message.group]
            group.in_flight -= 1
            if not group.in_flight and self._head(group.ready) is None:
                del self._groups[message.group]
            else:
                self._open(message.group, group)

    def _wait(self, message: Message, state: State, until: float) -> None:
        message.state = state
        self.counts[state] += 1
        message.epoch += 1
        if self.fifo and state is State.IN_FLIGHT:
            self._groups.setdefault(message.group, _Group()).in_flight += 1
        heapq.heappush(self._waiting, (until, message.order, message.epoch, message))

    def _make_ready(self, message: Message) -> None:
        message.state = State.READY
        self.counts[State.READY] += 1
        message.epoch += 1
        if not self.fifo:
            heapq.heappush(self._ready, (message.order, message.epoch, message))
            return
        group = self._groups.setdefault(message.group, _Group())
        heapq.heappush(group.ready, (message.order, message.epoch, message))
        self._open(message.group, group)

    def _open_group(self) -> _Group | None:
        """The receivable group whose first message is the oldest; its entry stays on the heap."""
        while self._open_groups:
            order, name = self._open_groups[0]
            group = self._groups.get(name)
            first = self._head(group.ready) if group is not None and not group.in_flight else None
            if group is not None and first is not None and first.order == order:
                return group
            heapq.heappop(self._open_groups)
        return None

    def _open(self, name: str, group: _Group) -> None:
        head = self._head(group.ready) if not group.in_flight else None
        if head is not None:
            heapq.heappush(self._open_groups, (head.order, name))

    def _head(self, heap: list[tuple[int, int, Message]]) -> Message | None:
        while heap:
            _, epoch, message = heap[0]
            if epoch == message.epoch and message.id in self.messages:
                return message
            heapq.heappop(heap)
        return None
