"""Faults that AWS allows itself when it is asked for data: late, partial and short answers."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sandbox.faults.model import Fault


class StaleReads(Fault):
    """DynamoDB's eventually consistent reads tell of a while ago.

    GetItem, BatchGetItem, Query and Scan without ConsistentRead, and always those of global indexes; never
    transactions and consistent reads, and never S3.
    """

    name: ClassVar[str] = "stale_reads"

    lag_s: float = Field(default=2.0, gt=0, le=3600, description="how far back readers see, in account time")
    table: str = Field(default="*", description="the table's name; `*` stands for anything")
    region: str = Field(default="", description="only in this region")
    grader: bool = Field(default=False, description="the grader reads so, too")


class Unprocessed(Fault):
    """BatchWriteItem hands back a share of its items, as a table under pressure does."""

    name: ClassVar[str] = "dynamodb.unprocessed"

    share: float = Field(default=0.2, gt=0, le=0.95, description="how much of the items, 0 to 0.95")


class ShortPages(Fault):
    """A page of an S3 listing has so many keys at most, as S3 allows itself."""

    name: ClassVar[str] = "s3.short_pages"

    keys: int = Field(default=100, ge=1, description="how many keys at most")
