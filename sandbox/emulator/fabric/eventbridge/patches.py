"""Moto delivers events inside the call that produces them; here, deliveries are work."""

from __future__ import annotations

from typing import Any

from sandbox.emulator.patches import replaces


@replaces(
    "moto.events.models",
    "Rule.send_to_targets",
    source_sha256="472e002e2dab8a599554a7d6c7ea0910625a5b39c7699b9ca4404255efcfc172",
)
def _send_nothing(_original: Any) -> Any:
    def send_to_targets(_self: Any, _original_event: Any, transform_input: bool = True) -> None:
        """Rules are matched by the bus."""

    return send_to_targets


@replaces(
    "moto.events.models",
    "Replay.replay_events",
    source_sha256="9752fdb56ebb87d689c6401795332118f59d276072f62057e3db5ea9ab97b0f3",
)
def _replay_nothing(_original: Any) -> Any:
    def replay_events(_self: Any, _archive: Any) -> None:
        """The handler of StartReplay puts the events on the bus."""

    return replay_events


@replaces(
    "moto.events.notifications",
    "_send_safe_notification",
    source_sha256="37cbb40f24b1d54a894afd54dcda73daea2ecec6695a8908fa62edc1fa8f4992",
)
def _notify_nobody(_original: Any) -> Any:
    def send_safe_notification(
        source: str, event_name: str, region: str, resources: Any, detail: Any
    ) -> None:
        """Moto's made-up events of bucket creation are nobody's."""

    return send_safe_notification
