"""The attack table, run: every attack in every runtime it applies to, as root and as an ordinary user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.isolation.attacks import runners, table
from tests.isolation.attacks.flows import Attempt, Planted, planted
from tests.isolation.attacks.runners import Runner


@pytest.fixture(scope="session")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    directory = tmp_path_factory.mktemp("planted")
    for each in (directory, *directory.parents[:2]):
        each.chmod(0o755)
    with planted(directory) as found:
        yield found


@pytest.fixture(scope="session")
def programs(isolated: Any) -> Callable[[str], Runner]:
    """A language's attacks, built once where the spawner can show them."""

    @cache
    def built(name: str) -> Runner:
        place = Path(isolated.temporary, f"attacks-{runners.ALL.index(name)}")
        return runners.make(name, place, isolated.python)

    return built


def cells() -> Iterator[Any]:
    for attack in table.ATTACKS:
        for runner in runners.ALL:
            if runner in attack.runners:
                marks = [pytest.mark.slow] if table.is_slow(attack, runner) else []
                yield pytest.param(attack, runner, id=f"{attack.name}-{runner}", marks=marks)


@pytest.mark.parametrize(("attack", "runner"), list(cells()))
def test_contained(
    attack: table.Attack,
    runner: str,
    isolated: Any,
    canaries: Planted,
    programs: Callable[[str], Runner],
    record_property: Callable[[str, object], None],
) -> None:
    record_property("attack", attack.name)
    record_property("runner", runner)
    record_property("identity", isolated.identity)
    record_property("level", isolated.level)
    attempt = Attempt(attack.program, isolated, programs(runner), canaries, attack.wanted)
    attack.judge(attack.flow(attempt))


def test_the_table_is_as_large_as_promised() -> None:
    names = [attack.name for attack in table.ATTACKS]
    assert len(set(names)) == len(names) >= 30
