"""Containers: what is asked of an engine, and that environments in them are what they are elsewhere.

Against an engine where one answers, and everywhere against a program that stands in for its command.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import EnvironmentFault, IsolationUnavailable
from sandbox.isolation.client import SpawnerClient, start_spawner
from sandbox.isolation.docker import run_arguments
from sandbox.isolation.environment import Order
from sandbox.isolation.spec import Environment, EnvironmentSpec, IsolationLevel
from sandbox.runtimes.prepared import prepare_python_runtime
from settings import Settings
from tests.isolation import docker_image

STANDIN = Path(__file__).with_name("standin_docker.py")
ORDER = Order("e1", "/code", None, None, 256, 64, 4566, 64, cpus=0.5)
CONFIG = {"image": "python:3.11-slim", "runtime_dir": "/runtime", "source": "/source"}


def spec(code: Path, **wanted: Any) -> EnvironmentSpec:
    variables = {"_HANDLER": "app.handler", "SECRET": "s3cret", **wanted.pop("variables", {})}
    return EnvironmentSpec("e1", code, variables, 256, 4566, tmp_mb=64, **wanted)


def test_an_engine_is_asked_for_no_network_no_rights_and_limits(tmp_path: Path) -> None:
    said = " ".join(run_arguments(ORDER, CONFIG, "n", tmp_path))
    for wanted in (
        "--network none",
        "--ipc none",
        "--read-only",
        "--user 65534:65534",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--memory 336m --memory-swap 336m",
        "--pids-limit 65",
        "--cpus 0.5",
        "--pull never",
        "--log-driver none",
        "size=64m,nr_inodes=12800",
        "source=/code,target=/var/task,readonly",
    ):
        assert wanted in said, wanted
    assert said.count("--mount") == said.count(",readonly")


def test_the_real_command_understands_the_arguments(tmp_path: Path) -> None:
    """Its engine is missing, so it gets as far as looking for it."""
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("there is no docker command here")
    done = subprocess.run(
        [docker, *run_arguments(replace(ORDER, code_dir=str(tmp_path)), CONFIG, "n", tmp_path)],
        env=os.environ | {"DOCKER_HOST": f"unix://{tmp_path}/no-engine"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 125
    assert "unknown flag" not in done.stderr
    assert f"unix://{tmp_path}/no-engine" in done.stderr


@pytest.fixture(params=["stand-in", "engine"], scope="module")
def spawner(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SpawnerClient]:
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("a container's files are shown as root")
    place = tmp_path_factory.mktemp("docker")
    runtime = prepare_python_runtime(Settings().home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_STANDIN_RECORD", str(place / "record"))
        if request.param == "engine":
            docker = docker_image.engine()
            if not docker:
                pytest.skip("no Docker engine answers here")
            image, command = docker_image.make(docker, runtime), (docker,)
        else:
            image, command = "image", (sys.executable, str(STANDIN))
        process = start_spawner(place / "socket", runtime, image=image, docker=command)
    found = SpawnerClient(place / "socket")
    yield found
    found.close()
    process.kill()
    process.wait()


def put(tmp_path: Path, code: str) -> Path:
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    place = tmp_path / "code"
    place.mkdir()
    (place / "app.py").write_text(code)
    return place


def ended(environment: Environment) -> str:
    assert select.select([environment], [], [], 20)[0], "it never ended"
    said = b""
    while chunk := os.read(environment.output, 65536):
        said += chunk
    return said.decode()


def test_a_function_asks_for_its_first_event_and_is_frozen_and_killed(
    spawner: SpawnerClient, tmp_path: Path
) -> None:
    environment = spawner.spawn(spec(put(tmp_path, "def handler(event, context): ...")))
    try:
        assert spawner.level == IsolationLevel.NAMESPACES
        assert environment.runtime_api.getsockname() == ("127.0.0.1", 9001)
        assert select.select([environment.runtime_api], [], [], 20)[0], "it never asked"
        environment.freeze()
        used_s = environment.cpu_time_s()
        environment.thaw()
        assert environment.memory_peak_mb() > 0
        assert environment.cpu_time_s() >= used_s > 0
    finally:
        environment.close()


def test_the_functions_process_has_no_rights_and_no_way_out(spawner: SpawnerClient, tmp_path: Path) -> None:
    code = """
import json, os, socket
def attempt(act):
    try:
        return "done: %r" % (act(),)
    except OSError as error:
        return "refused"
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "filtered": status["Seccomp"].strip(), "capabilities": int(status["CapEff"], 16),
    "secret": os.environ["SECRET"], "user": os.getuid(), "fds": sorted(os.listdir("/proc/self/fd")),
    "answers": [
        attempt(lambda: open("/var/task/app.py", "a")),
        attempt(lambda: os.memfd_create("x")),
        attempt(lambda: socket.create_connection(("192.0.2.1", 80), 2)),
        attempt(lambda: os.kill(1, 9) or open("/proc/1/mem", "rb").read(1)),
        attempt(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect("/.coldstart/control")),
    ],
}), flush=True)
os._exit(0)
"""
    environment = spawner.spawn(spec(put(tmp_path, code)))
    try:
        seen = json.loads(ended(environment))
    finally:
        environment.close()
    assert seen["answers"] == ["refused"] * 5, seen
    assert (seen["filtered"], seen["capabilities"], seen["user"]) == ("2", 0, 65534)
    assert seen["secret"] == "s3cret"
    assert seen["fds"] == ["0", "1", "2", "3"]


def test_too_much_memory_ends_it(spawner: SpawnerClient, tmp_path: Path) -> None:
    environment = spawner.spawn(spec(put(tmp_path, "held = b'x' * (2 << 30)")))
    try:
        ended(environment)
        how = environment.exited()
    finally:
        environment.close()
    assert how is not None
    assert how.out_of_memory


def test_what_an_engine_refuses_is_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_STANDIN_RECORD", str(tmp_path / "record"))
    runtime = prepare_python_runtime(Settings().home)
    with pytest.raises(IsolationUnavailable, match="No such image: missing"):
        start_spawner(tmp_path / "a", runtime, image="missing", docker=(sys.executable, str(STANDIN)))
    with pytest.raises(IsolationUnavailable, match="/nonexistent"):
        start_spawner(tmp_path / "b", runtime, image="x", docker=("/nonexistent",))


def test_an_environment_that_cannot_be_is_our_fault_and_said(spawner: SpawnerClient, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="could not be started"):
        spawner.spawn(spec(tmp_path / "nothing" / "at" / "all"))
