"""The docker executor: what it asks of an engine, and that its part inside works; no engine is involved."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import EnvironmentFault
from sandbox.isolation.docker import DockerSpawner, Image, run_arguments
from sandbox.isolation.spec import Environment, EnvironmentSpec, IsolationLevel
from sandbox.runtimes.prepared import prepare_python_runtime
from settings import Settings

STANDIN = Path(__file__).with_name("standin_docker.py")
PYTHON = f"{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor}"


def spec(code: Path, **wanted: Any) -> EnvironmentSpec:
    variables = {"_HANDLER": "app.handler", "SECRET": "s3cret", **wanted.pop("variables", {})}
    return EnvironmentSpec("e1", code, variables, 256, 4566, tmp_mb=64, **wanted)


def test_an_engine_is_asked_for_no_network_no_rights_and_limits(tmp_path: Path) -> None:
    image = Image("python:3.11-slim", "/usr/local/bin/python3", tmp_path / "runtime")
    arguments = run_arguments(spec(tmp_path / "code", cpus=0.5, max_processes=64), image, "n", tmp_path)
    said = " ".join(arguments)
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
        f"source={tmp_path}/code,target=/var/task,readonly",
    ):
        assert wanted in said, wanted
    assert "s3cret" not in said, "keys are for the socket, not for `ps`"
    assert said.count("--mount") == said.count(",readonly")


def test_the_real_command_understands_the_arguments(tmp_path: Path) -> None:
    """Its engine is missing, so it gets as far as looking for it."""
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("there is no docker command here")
    image = Image("x", "python", tmp_path)
    done = subprocess.run(
        [docker, *run_arguments(spec(tmp_path, cpus=0.5), image, "n", tmp_path)],
        env=os.environ | {"DOCKER_HOST": f"unix://{tmp_path}/no-engine"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 125
    assert "unknown flag" not in done.stderr
    assert f"unix://{tmp_path}/no-engine" in done.stderr


@pytest.fixture
def spawner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerSpawner]:
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("the stand-in for an engine needs root")
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    monkeypatch.setenv("STANDIN_RECORD", str(tmp_path / "record"))
    image = Image("image", PYTHON, prepare_python_runtime(Settings().home))
    found = DockerSpawner(image, (sys.executable, str(STANDIN)))
    yield found
    found.close()


def put(tmp_path: Path, code: str) -> Path:
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
    spawner: DockerSpawner, tmp_path: Path
) -> None:
    environment = spawner.spawn(spec(put(tmp_path, "def handler(event, context): ...")))
    try:
        assert spawner.level == IsolationLevel.NONE, "nothing is promised without an engine"
        assert environment.runtime_api.getsockname() == ("127.0.0.1", 9001)
        assert select.select([environment.runtime_api], [], [], 20)[0], "it never asked"
        environment.freeze()
        used_s = environment.cpu_time_s()
        environment.thaw()
        assert environment.memory_peak_mb() > 0
        assert environment.cpu_time_s() >= used_s > 0
    finally:
        environment.close()
    (asked, *_others) = (tmp_path / "record").read_text().splitlines()
    assert json.loads(asked)[0] == "run"


def test_the_functions_process_has_no_rights_and_no_way_out(spawner: DockerSpawner, tmp_path: Path) -> None:
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


def test_too_much_memory_ends_it(spawner: DockerSpawner, tmp_path: Path) -> None:
    environment = spawner.spawn(spec(put(tmp_path, "held = b'x' * (2 << 30)")))
    try:
        ended(environment)
        how = environment.exited()
    finally:
        environment.close()
    assert how is not None
    assert how.out_of_memory


def test_the_engines_refusal_is_told_in_its_words(spawner: DockerSpawner, tmp_path: Path) -> None:
    refusing = DockerSpawner(Image("missing", PYTHON, tmp_path), (sys.executable, str(STANDIN)))
    with pytest.raises(EnvironmentFault, match="No such image: missing"):
        refusing.spawn(spec(put(tmp_path, "")))
    with pytest.raises(EnvironmentFault, match="`/nonexistent run` failed"):
        DockerSpawner(Image("x", PYTHON, tmp_path), ("/nonexistent",)).spawn(spec(tmp_path / "code"))
