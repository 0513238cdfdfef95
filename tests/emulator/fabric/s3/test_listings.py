"""Pages of a listing that S3 leaves shorter than it could."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.emulator import patches
from sandbox.emulator.fabric.s3 import listings
from sandbox.emulator.faults import Faults

KEYS = [f"in/{number}" for number in range(7)]


@pytest.fixture
def faults() -> Iterator[Faults]:
    patches.apply_all()
    made = Faults()
    listings.obey(made)
    yield made
    made.clear()


@pytest.fixture
def s3(bench: Any) -> Any:
    for key in KEYS:
        bench.s3.put_object(Bucket="uploads", Key=key, Body=b"")
    return bench.s3


def paged(s3: Any, operation: str) -> list[list[str]]:
    pages = s3.get_paginator(operation).paginate(Bucket="uploads", Prefix="in/")
    return [[item["Key"] for item in page["Contents"]] for page in pages]


@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects"])
def test_short_pages_hold_everything_together(s3: Any, faults: Faults, operation: str) -> None:
    assert paged(s3, operation) == [KEYS]
    faults.begin("s3.short_pages", {"keys": 3})
    assert paged(s3, operation) == [KEYS[:3], KEYS[3:6], KEYS[6:]]


def test_a_short_page_tells_of_the_length_that_was_asked_for(s3: Any, faults: Faults) -> None:
    faults.begin("s3.short_pages", {"keys": 3})
    page = s3.list_objects_v2(Bucket="uploads", MaxKeys=5)
    assert (page["MaxKeys"], page["KeyCount"], page["IsTruncated"]) == (5, 3, True)
    assert s3.list_objects_v2(Bucket="uploads", MaxKeys=2)["KeyCount"] == 2
