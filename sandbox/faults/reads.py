"""Faults that AWS allows itself when it is asked for data: late, partial and short answers."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sandbox.faults.model import Fault


class Unprocessed(Fault):
    """BatchWriteItem hands back a share of its items, as a table under pressure does."""

    name: ClassVar[str] = "dynamodb.unprocessed"

    share: float = Field(default=0.2, gt=0, le=0.95, description="how much of the items, 0 to 0.95")


class ShortPages(Fault):
    """A page of an S3 listing has so many keys at most, as S3 allows itself."""

    name: ClassVar[str] = "s3.short_pages"

    keys: int = Field(default=100, ge=1, description="how many keys at most")
