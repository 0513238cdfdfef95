"""One backend for all tests of labs: what it warms up stays warm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from graders.backend import Backend, open_backend


@pytest.fixture(scope="package")
def backend() -> Iterator[Backend]:
    with open_backend("emulated") as opened:
        yield opened
