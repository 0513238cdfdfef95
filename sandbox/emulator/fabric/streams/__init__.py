"""Streams of DynamoDB tables and of Kinesis: moto keeps records, their readers are told of new ones."""

from sandbox.emulator.fabric.streams.model import Record, Shard, Stream
from sandbox.emulator.fabric.streams.service import Streams

__all__ = ["Record", "Shard", "Stream", "Streams"]
