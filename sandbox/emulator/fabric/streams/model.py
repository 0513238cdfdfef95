"""What a reader sees of a stream, whichever service keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

TRIM_HORIZON = -1
"""The position before a shard's first record."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a shard. ``arrived`` is in seconds since the epoch, account time.

    ``partition`` names what must stay in order. ``record`` is what a function is given; ``fields`` is
    what filter criteria see of it.
    """

    sequence: int
    partition: str
    arrived: float
    record: dict[str, Any] = field(repr=False)
    fields: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard; one that was split or merged is closed and must be read to its end before its children."""

    id: str
    parents: tuple[str, ...] = ()
    closed: bool = False


class Stream(Protocol):
    """One stream. Positions are sequence numbers; reading starts behind a position."""

    @property
    def arn(self) -> str:
        """The ARN that an event source mapping names."""

    @property
    def retention_s(self) -> float:
        """How long records are kept, in seconds."""

    @property
    def batch_info(self) -> str:
        """The member that describes a discarded batch: ``KinesisBatchInfo`` or ``DDBStreamBatchInfo``."""

    def shards(self) -> list[Shard]:
        """Every shard there is, parents before their children; none when the stream is gone."""

    def latest(self, shard_id: str) -> int:
        """The position behind the shard's last record."""

    def at_time(self, shard_id: str, moment: float) -> int:
        """The position before the first record that arrived at or after ``moment``."""

    def read(self, shard_id: str, after: int) -> list[Record]:
        """Every record behind the position ``after``."""
