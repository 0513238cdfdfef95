"""What happens in buckets is copied: what is on its way, and what came of it.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnot-replicated.html
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from moto.s3.models import FakeBucket, FakeKey

from sandbox.emulator.calls import Handlers, current_call
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.s3.events import ObjectState, timestamp
from sandbox.emulator.fabric.s3.notifications import Notifications
from sandbox.emulator.fabric.s3.replication.copying import (
    Copier,
    Job,
    NotCopied,
    find_bucket,
    find_version,
    tags_of,
)
from sandbox.emulator.fabric.s3.replication.rules import Configuration, Rule
from sandbox.emulator.fabric.s3.replication.settings import Settings
from sandbox.emulator.links import SOON_S, Links

_MARKED = "s3:ObjectRemoved:DeleteMarkerCreated"
_FAILED = "s3:Replication:OperationFailedReplication"
_LATE = "s3:Replication:OperationMissedThreshold"
_AFTER_ALL = "s3:Replication:OperationReplicatedAfterThreshold"
_LOOK_EVERY_S = 60.0


@dataclass(slots=True)
class _Way:
    """What one bucket still has to copy to another. ``late`` are jobs whose delay was told already."""

    waiting: deque[Job] = field(default_factory=deque)
    planned: bool = False
    watched: bool = False
    late: set[tuple[str, str]] = field(default_factory=set)


class Replication:
    """Copies what happens in buckets. State is touched with the dispatch lock held."""

    def __init__(self, core: AccountCore, notifications: Notifications, links: Links) -> None:
        self._core = core
        self._notifications = notifications
        self._links = links
        self._copier = Copier(core)
        self._settings = Settings(core, notifications)
        self._ways: dict[tuple[str, str], _Way] = {}
        self._copying = False
        notifications.listeners.append(self._changed)
        links.when_changed(self._resume)

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        return self._settings.handlers()

    def _changed(self, event: str, bucket: FakeBucket, state: ObjectState) -> None:
        """Something happened to an object; only enqueues."""
        wanted = self._settings.find(bucket)
        if wanted is None or self._copying or not state.version_id:
            return
        if event == _MARKED:
            chosen = wanted.for_delete_marker(state.key)
            self._enqueue("DELETE_MARKER", bucket, wanted, chosen, state)
            return
        key = find_version(bucket, state.key, state.version_id)
        if not isinstance(key, FakeKey):
            return
        if event.startswith("s3:ObjectCreated:"):
            kms = str(key.encryption or "").startswith("aws:kms")
            chosen = wanted.for_object(key.name, _tags(key), kms)
            self._enqueue(
                "OBJECT_COPY" if event.endswith(":Copy") else "OBJECT_PUT", bucket, wanted, chosen, state
            )
        elif event.startswith("s3:ObjectTagging:") and getattr(key, "replication_status", "") in _COPIED:
            self._enqueue("OBJECT_TAGGING", bucket, wanted, key.replicated_by, state)

    def _enqueue(
        self, what: str, bucket: FakeBucket, wanted: Configuration, chosen: Iterable[Rule], state: ObjectState
    ) -> None:
        now = self._core.clock.time()
        found = list(chosen)
        subject = find_version(bucket, state.key, state.version_id)
        if found and what != "OBJECT_TAGGING":
            subject.replication_status, subject.replicated_by = "PENDING", found
            subject.copies_left = len(found)
        for rule in found:
            target = find_bucket(rule.target)
            region = str(target.region_name) if target is not None else str(bucket.region_name)
            delay_s = self._links.delay_s(str(bucket.region_name), region)
            job = Job(what, bucket, wanted.role, rule, state.key, state.version_id, now, now + delay_s)
            self._ways.setdefault((bucket.name, rule.target), _Way()).waiting.append(job)
            self._plan(bucket.name, rule.target, delay_s)

    def _plan(self, source: str, target: str, delay_s: float) -> None:
        way = self._ways[source, target]
        if way.planned:
            return
        way.planned = True
        self._core.work.submit(
            lambda: self._carry(source, target),
            label=f"s3:{source} → s3:{target}",
            delay_s=delay_s,
            awaited=delay_s <= SOON_S,
        )

    def _carry(self, source: str, target: str) -> None:
        with self._core.dispatch_lock:
            way = self._ways[source, target]
            way.planned = False
            if way.waiting and self._is_cut(way.waiting[0]):
                self._watch(source, target)
                return
            now = self._core.clock.time()
            while way.waiting and way.waiting[0].due <= now:
                self._do(way, way.waiting.popleft())
            if way.waiting:
                self._plan(source, target, way.waiting[0].due - now)

    def _is_cut(self, job: Job) -> bool:
        target = find_bucket(job.rule.target)
        return target is not None and self._links.is_cut(str(job.bucket.region_name), str(target.region_name))

    def _do(self, way: _Way, job: Job) -> None:
        try:
            self._copying = True
            state = self._copier.do(job)
        except NotCopied as failure:
            self._failed(job, failure)
            return
        finally:
            self._copying = False
        subject = find_version(job.bucket, job.key, job.version_id)
        if job.what != "OBJECT_TAGGING":
            subject.copies_left -= 1
            if not subject.copies_left and subject.replication_status == "PENDING":
                subject.replication_status = "COMPLETED"
        self._note(job, "ok")
        if (job.key, job.version_id) in way.late:
            way.late.discard((job.key, job.version_id))
            self._tell(_AFTER_ALL, job)
        if state is not None:
            event = _MARKED if job.what == "DELETE_MARKER" else "s3:ObjectCreated:Put"
            self._copying = True
            try:
                self._notifications.changed(event, find_bucket(job.rule.target), state)
            finally:
                self._copying = False

    def _failed(self, job: Job, failure: NotCopied) -> None:
        subject = find_version(job.bucket, job.key, job.version_id)
        if subject is not None:
            subject.replication_status = "FAILED"
        self._note(job, failure.reason, reason=failure.detail)
        if job.rule.metrics:
            self._tell(_FAILED, job, failureReason=failure.reason)

    def _tell(self, event: str, job: Job, **more: str) -> None:
        """Tell whoever wants to hear of replication itself."""
        subject = find_version(job.bucket, job.key, job.version_id)
        whole = isinstance(subject, FakeKey)
        state = ObjectState(
            job.key,
            int(subject.size) if whole else None,
            subject.etag.strip('"') if whole else "",
            job.version_id,
        )
        requested = timestamp(dt.datetime.fromtimestamp(job.requested, dt.UTC))
        data = {
            "replicationRuleId": job.rule.id,
            "destinationBucket": f"arn:aws:s3:::{job.rule.target}",
            "s3Operation": job.what,
            "requestTime": requested,
            **more,
        }
        self._notifications.replication(event, job.bucket, state, data)

    def _resume(self) -> None:
        """A way may be open again."""
        with self._core.dispatch_lock:
            for (source, target), way in self._ways.items():
                if way.waiting:
                    self._plan(source, target, 0.0)

    def _watch(self, source: str, target: str) -> None:
        """Tell once a minute how long the oldest copy is held up, for as long as one is."""
        way = self._ways[source, target]
        if way.watched:
            return
        way.watched = True
        self._core.work.submit(
            lambda: self._look(source, target),
            label=f"s3:{source} → s3:{target} is held up",
            delay_s=_LOOK_EVERY_S,
            observes=True,
        )

    def _look(self, source: str, target: str) -> None:
        with self._core.dispatch_lock:
            way = self._ways[source, target]
            way.watched = False
            if not way.waiting or not self._is_cut(way.waiting[0]):
                return
            self._note(way.waiting[0], "held up", waiting=len(way.waiting))
            now = self._core.clock.time()
            for job in way.waiting:
                limit, name = job.rule.threshold_s, (job.key, job.version_id)
                if limit is not None and now - job.requested > limit and name not in way.late:
                    way.late.add(name)
                    self._tell(_LATE, job)
            self._watch(source, target)

    def _note(self, job: Job, outcome: str, **detail: Any) -> None:
        self._core.timeline.add(
            "replication",
            f"s3:{job.bucket.name}",
            account_id=job.bucket.account_id,
            region=str(job.bucket.region_name),
            outcome=outcome,
            target=job.rule.target,
            rule=job.rule.id,
            operation=job.what,
            key=job.key,
            version=job.version_id,
            metrics=job.rule.metrics,
            latency_ms=round((self._core.clock.time() - job.requested) * 1000, 3),
            **detail,
        )


_COPIED = ("PENDING", "COMPLETED")


def _tags(key: FakeKey) -> dict[str, str]:
    """The tags of an object that is being made; moto gives them to one that is put only afterwards."""
    call = current_call.get()
    if call is not None and call.operation == "PutObject":
        return dict(parse_qsl(str(call.params.get("Tagging") or ""), keep_blank_values=True))
    return tags_of(key)
