"""Where moto would notify by itself, the change to the object is told to :class:`Notifications`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.emulator.calls import current_call
from sandbox.emulator.fabric.s3.events import ObjectState
from sandbox.emulator.patches import replaces

# (event name such as s3:ObjectCreated:Put, moto's bucket, the object); must only enqueue.
Sink = Callable[[str, Any, ObjectState], None]
_sink: Sink | None = None

_DELETED = "s3:ObjectRemoved:Delete"
_MARKED = "s3:ObjectRemoved:DeleteMarkerCreated"


def notify(sink: Sink) -> None:
    """From now on changes go to ``sink``; there is one in an account's process."""
    global _sink
    _sink = sink


@replaces(
    "moto.s3.notifications",
    "send_event",
    source_sha256="da8a7c7c6f2b0a8f6477828b60095e82d8e2ac31e1dcec542a36c42ced32033e",
)
def _tell(_original: Callable[..., None]) -> Callable[..., None]:
    def send_event(account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
        name = str(event_name.value)
        if _sink is None or name.startswith("s3:ObjectRemoved:"):
            return  # deletions are told below: moto leaves out versions and delete markers
        version = str(key.version_id) if bucket.is_versioned else ""
        _sink(name, bucket, ObjectState(key.name, int(key.size), key.etag.strip('"'), version))

    return send_event


@replaces(
    "moto.s3.models",
    "S3Backend.delete_object",
    source_sha256="5c1677b529710591fc384f54adabcbad41169a8f059db76e129f2adea3d5e31f",
)
def _tell_deletions(original: Callable[..., tuple[bool, dict[str, Any]]]) -> Callable[..., Any]:
    def delete_object(
        backend: Any, bucket_name: str, key_name: str, version_id: str | None = None, bypass: bool = False
    ) -> tuple[bool, dict[str, Any]]:
        bucket = backend.get_bucket(bucket_name)
        before = {str(key.version_id) for key in bucket.keys.getlist(key_name, [])}
        done, answer = original(backend, bucket_name, key_name, version_id, bypass)
        if _sink is None or not before:
            return done, answer
        if version_id is not None:
            if str(version_id) in before:
                _sink(_DELETED, bucket, ObjectState(key_name, version_id=str(version_id)))
        elif bucket.is_versioned:
            _sink(_MARKED, bucket, ObjectState(key_name, version_id=str(answer.get("version-id", ""))))
        else:
            _sink(_DELETED, bucket, ObjectState(key_name))
        return done, answer

    return delete_object


@replaces(
    "moto.s3.models",
    "FakeKey.response_dict",
    source_sha256="57d0ac8aa00fe7bef968e0515f6488564880b1b7f79b901e2b0c823c13a32554",
)
def _tell_replication(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """moto has no status of replication; whoever reads an object is told it."""

    def response_dict(key: Any) -> dict[str, Any]:
        headers = original(key)
        call = current_call.get()
        status = getattr(key, "replication_status", "")
        if status and call is not None and call.operation in ("GetObject", "HeadObject"):
            headers["x-amz-replication-status"] = status
        return headers

    return response_dict
