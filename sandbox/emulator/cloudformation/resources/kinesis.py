"""AWS::Kinesis: streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    call,
    changed,
    or_else,
    pick,
    stale,
    tags,
    unless_absent,
    whole,
)

_ABSENT = "ResourceNotFoundException"
_RETENTION_HOURS = 24


class Stream:
    """A data stream. ``Ref`` is its name."""

    type = "AWS::Kinesis::Stream"
    properties = frozenset(
        {"Name", "RetentionPeriodHours", "ShardCount", "StreamEncryption", "StreamModeDetails", "Tags"}
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        streams = context.client("kinesis")
        name = properties.get("Name") or context.unique_name(128)
        settings = pick(properties, ("ShardCount", "StreamModeDetails"))
        if not settings:
            settings = {"ShardCount": 1}
        call(streams, "CreateStream", settings, StreamName=name)
        with or_else(lambda: streams.delete_stream(StreamName=name)):
            self._configure(context, name, {}, properties)
        return _stream(streams, name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        streams = context.client("kinesis")
        made = _stream(streams, physical_id)
        if changed(old, new, "StreamModeDetails"):
            mode = new.get("StreamModeDetails") or {"StreamMode": "PROVISIONED"}
            streams.update_stream_mode(StreamARN=made.attributes["Arn"], StreamModeDetails=mode)
        if changed(old, new, "ShardCount") and new.get("ShardCount"):
            streams.update_shard_count(
                StreamName=physical_id,
                TargetShardCount=whole(new["ShardCount"]),
                ScalingType="UNIFORM_SCALING",
            )
        self._configure(context, physical_id, old, new)
        return made

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("kinesis").delete_stream(StreamName=physical_id, EnforceConsumerDeletion=True)

    def _configure(
        self, context: ResourceContext, name: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> None:
        streams = context.client("kinesis")
        before, after = _retention(old), _retention(new)
        if after > before:
            streams.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=after)
        elif after < before:
            streams.decrease_stream_retention_period(StreamName=name, RetentionPeriodHours=after)
        if changed(old, new, "StreamEncryption"):
            if encryption := new.get("StreamEncryption"):
                call(streams, "StartStreamEncryption", encryption, StreamName=name)
            else:
                call(streams, "StopStreamEncryption", old["StreamEncryption"], StreamName=name)
        listed = streams.list_tags_for_stream(StreamName=name)["Tags"]
        current = {tag["Key"]: tag["Value"] for tag in listed}
        wanted = tags(context, new.get("Tags"))
        if gone := stale(current, wanted):
            streams.remove_tags_from_stream(StreamName=name, TagKeys=gone)
        if wanted != current:
            streams.add_tags_to_stream(StreamName=name, Tags=wanted)


def _stream(streams: Any, name: str) -> Physical:
    found = streams.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    return Physical(name, {"Arn": found["StreamARN"]})


def _retention(properties: Mapping[str, Any]) -> int:
    return whole(properties.get("RetentionPeriodHours") or _RETENTION_HOURS)


PROVIDERS = (Stream(),)
