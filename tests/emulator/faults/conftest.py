"""One emulated account with real functions, for the faults that need them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from sandbox.providers.emulated import EmulatedProvider
from settings import Settings
from tests.triggers.world import World


@pytest.fixture(scope="session")
def live() -> Iterator[World]:
    """The account, shared by all tests here."""
    with EmulatedProvider(Settings().home, say=lambda _text: None) as provider:
        account = provider.open()
        yield World(account)
        account.close()


@pytest.fixture
def world(live: World) -> Iterator[World]:
    """The shared account; what a test made or broke is gone afterwards."""
    live.begin()
    yield live
    live.account.clear_faults()
    live.end()


@pytest.fixture
def broken(world: World) -> Callable[..., AbstractContextManager[str]]:
    """``broken(name, **settings)``: a fault for the time of a block."""

    @contextmanager
    def on(name: str, **settings: Any) -> Iterator[str]:
        fault_id = world.account.begin_fault(name, settings)
        try:
            yield fault_id
        finally:
            world.account.end_fault(fault_id)

    return on
