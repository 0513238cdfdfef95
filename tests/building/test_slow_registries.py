"""A registry that takes its time is no fault of the build that waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sandbox.building import isolated
from sandbox.building.isolated import Job, Limits, Step
from sandbox.building.registry import Answer
from sandbox.isolation.building import REGISTRY_PORT

_CONNECT = f"exec 3<>/dev/tcp/127.0.0.1/{REGISTRY_PORT}"
_ASK = f"{_CONNECT}; printf 'GET /thing HTTP/1.1\\r\\n\\r\\n' >&3; head -1 <&3"


class SlowRegistry:
    """Answers once it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()

    def get(self, path: str, accept: str) -> Answer:
        self.let.wait(30)
        return Answer(200, "text/plain", b"thing")


@pytest.fixture
def registry() -> Iterator[SlowRegistry]:
    found = SlowRegistry()
    yield found
    found.let.set()


def test_a_build_that_waits_for_a_registry_is_ended_without_blame(registry: SlowRegistry) -> None:
    step = Step(("/bin/bash", "-c", _ASK), {"PATH": "/usr/bin:/bin"}, "fetching")

    outcome = isolated.run(Job({}, (), (step,), registry=registry, limits=Limits(time_s=1.5)))

    assert outcome.reason == "time"
    assert "registry was too slow" in outcome.trouble
