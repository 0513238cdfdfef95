"""A sandbox for each application. The applications' own tests are theirs, not ours to collect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.applications.harness import Shell, sandbox

collect_ignore_glob = ["*/*"]


@pytest.fixture(scope="session", autouse=True)
def kept_supervisor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The supervisor of all sandboxes ends with the last one; this one makes it stay for all tests."""
    with sandbox(tmp_path_factory.mktemp("kept") / "home", "kept"):
        yield


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A newcomer's shell with a sandbox of its own."""
    with sandbox(tmp_path / "home", "application") as opened:
        yield opened
