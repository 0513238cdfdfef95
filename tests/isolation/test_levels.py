"""Which level follows from what worked, who may run at which, and that the self-test would notice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import doctor
from graders.backend import open_backend
from sandbox.errors import EnvironmentFault, IsolationUnavailable
from sandbox.isolation import levels, selftest
from sandbox.isolation.client import SpawnerClient, start_spawner
from sandbox.isolation.levels import IsolationRefused, LevelReport, Step, level_of
from sandbox.isolation.spec import IsolationLevel
from sandbox.runtimes.prepared import prepare_python_runtime
from settings import Settings

EVERYTHING = (
    levels.OWN_USER,
    *levels.NAMESPACE_STEPS,
    levels.NESTED_USER,
    levels.FILTER,
    levels.CGROUP,
    levels.LANDLOCK,
)
ROOT = Path(__file__).resolve().parents[2]


def without(*names: str) -> tuple[Step, ...]:
    """Everything worked but these, and what comes after a failed step was not tried."""
    tried = []
    for name in EVERYTHING:
        tried.append(Step(name, name not in names, "EPERM" if name in names else ""))
    return tuple(tried)


@pytest.mark.parametrize(
    ("missing", "root", "level"),
    [
        ((), False, 4),
        ((), True, 4),
        ((levels.CGROUP,), False, 3),
        ((levels.LANDLOCK,), False, 4),
        ((levels.OWN_USER, *levels.NAMESPACE_STEPS, levels.NESTED_USER), False, 2),
        ((levels.NESTED_USER,), False, 2),
        ((levels.NESTED_USER,), True, 4),
        (("fresh /proc",), False, 2),
        (("loopback network",), True, 2),
        (("new root", levels.LANDLOCK), True, 1),
        ((levels.FILTER,), True, 1),
    ],
)
def test_the_level_follows_from_what_worked(missing: tuple[str, ...], root: bool, level: int) -> None:
    assert level_of(without(*missing), root=root) == level


def test_steps_that_were_not_reached_did_not_work() -> None:
    tried = (Step(levels.OWN_USER, False, "EPERM"), Step(levels.FILTER, True), Step(levels.LANDLOCK, True))
    assert level_of(tried, root=False) == IsolationLevel.LANDLOCK


@pytest.mark.parametrize(
    ("found", "level", "minimum", "unsafe", "chosen"),
    [
        (4, None, 3, False, 4),
        (3, None, 3, False, 3),
        (3, 2, 3, False, 2),
        (2, None, 2, False, 2),
        (1, None, 1, True, 1),
        (1, None, 3, True, 1),
        (3, 1, 3, True, 1),
        (2, None, 3, False, "level 3 is the least allowed"),
        (3, None, 4, False, "level 4 is the least allowed"),
        (3, 4, 3, False, "level 4 is not to be had here, only level 3 (new root: EPERM)"),
        (1, None, 1, False, "ask for it with the word `unsafe`"),
        (4, 1, 3, False, "ask for it with the word `unsafe`"),
    ],
)
def test_a_level_is_chosen_or_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
    found: int,
    level: int | None,
    minimum: int,
    unsafe: bool,
    chosen: int | str,
) -> None:
    report = LevelReport(IsolationLevel(found), (Step("new root", False, "EPERM"),), False)
    monkeypatch.setattr(levels, "probe", lambda: report)
    if isinstance(chosen, int):
        assert levels.choose(level, minimum, unsafe=unsafe).level == chosen
    else:
        with pytest.raises(IsolationRefused) as refused:
            levels.choose(level, minimum, unsafe=unsafe)
        assert chosen in str(refused.value)
        assert refused.value.report is report


@pytest.mark.parametrize("wish", ["2", "unsafe"])
def test_a_server_opens_no_backend_below_level_3(wish: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLDSTART_ISOLATION", wish)
    with (
        pytest.raises(EnvironmentFault, match="at level 3 or above only"),
        open_backend("emulated", strangers=True),
    ):
        pass


def test_a_worker_refuses_to_grade_other_peoples_code_below_level_3(tmp_path: Path) -> None:
    wish = "2"
    variables = os.environ | {"COLDSTART_ISOLATION": wish, "COLDSTART_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "worker"],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3, done.stderr
    assert f"COLDSTART_ISOLATION is `{wish}`" in done.stderr
    assert "a server grades other people's code at level 3 or above only" in " ".join(done.stderr.split())


def test_doctor_prints_every_step_and_what_to_do_about_those_that_fail() -> None:
    report = LevelReport(IsolationLevel.LANDLOCK, without(levels.OWN_USER, levels.CGROUP), False)
    found = {each.name: each for each in doctor._isolation(report)}
    assert set(EVERYTHING) < set(found)
    assert "or run as root" in found[levels.OWN_USER].do
    assert "delegate a cgroup" in found[levels.CGROUP].do
    verdict = found["strangers' code kept in"]
    assert (verdict.works, verdict.needed, verdict.said) == (False, True, "level 2 (landlock)")


def test_doctor_says_the_level_found_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "_account", lambda _settings: iter(()))
    monkeypatch.setattr(doctor, "_interpreter", lambda _home: iter(()))
    done = CliRunner().invoke(doctor.command, ["--json"])
    document = json.loads(done.stdout)
    assert document["isolation"]["level"] == int(levels.probe().level)
    assert {step.name for step in levels.probe().steps} <= {each["name"] for each in document["findings"]}


@pytest.mark.skipif(sys.platform != "linux", reason="spawners are Linux's")
def test_the_self_test_notices_what_an_environment_without_walls_reaches(tmp_path: Path) -> None:
    """The same probe, at level 1, where it is not run because everything is in reach."""
    place = tmp_path / "spawner"
    runtime = prepare_python_runtime(Settings().home)
    process = start_spawner(place, runtime, level=IsolationLevel.NONE, unsafe=True)
    client = SpawnerClient(place)
    try:
        reached = selftest._reached_canaries(client)
        assert reached == [
            "the planted file",
            "the planted file's directory",
            "the planted listener",
            "the planted abstract socket",
            "the planted process in /proc",
            "the planted process by signal",
        ]
        client.level = IsolationLevel.CGROUPS
        with pytest.raises(IsolationUnavailable, match=r"reached the planted file, .*Nothing was run"):
            selftest.judge(reached)
    finally:
        client.close()
        process.kill()
        process.wait()


def test_a_self_test_that_does_not_answer_has_failed(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="did not answer"):
        selftest.read_answer(b"Traceback: something else\n", "canary-1")
    with pytest.raises(EnvironmentFault, match="did not answer"):
        selftest.read_answer(b'{"token": "another", "reached": []}\n', "canary-1")
    assert selftest.read_answer(b'noise\n{"token": "canary-1", "reached": ["x"]}\n', "canary-1") == ["x"]
