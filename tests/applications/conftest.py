"""A sandbox for each application. The applications' own tests are theirs, not ours to collect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.applications.harness import Shell, sandbox

collect_ignore_glob = ["*/*"]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A newcomer's shell with a sandbox of its own."""
    with sandbox(tmp_path / "home", "application") as opened:
        yield opened
