"""Where moto would deliver to a subscription within the publisher's call, it only tells :class:`Sns`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.emulator.calls import trace_header
from sandbox.emulator.fabric.sns.messages import Publication
from sandbox.emulator.patches import replaces

Sink = Callable[[Any, Publication], None]  # (moto's subscription, what was published); must only enqueue
_sink: Sink | None = None


def deliver_to(sink: Sink) -> None:
    """From now on publications go to ``sink``; there is one in an account's process."""
    global _sink
    _sink = sink


@replaces(
    "moto.sns.models",
    "Subscription.publish",
    source_sha256="fd07bd0bb87fbe2a2756313a8dae6320aab8fc6540b59ea4bfe50139683f9674",
)
def _tell(_original: Callable[..., None]) -> Callable[..., None]:
    def publish(
        subscription: Any,
        message: str,
        message_id: str,
        subject: str | None = None,
        message_attributes: dict[str, Any] | None = None,
        group_id: str | None = None,
        deduplication_id: str | None = None,
        message_structure: str | None = None,
    ) -> None:
        if message_structure == "json":
            message = subscription._parse_message_structure(message, subscription.protocol)
        if _sink is not None:  # before there is an account nobody is delivered to, least of all over HTTP
            published = Publication(
                message_id,
                message,
                subject or "",
                message_attributes or {},
                group_id or "",
                deduplication_id or "",
                trace_header(),
            )
            _sink(subscription, published)

    return publish
