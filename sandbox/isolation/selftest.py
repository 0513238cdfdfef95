"""Plant a file, a listener and a process; an environment that reaches one of them fails the spawner.

Run once per spawner start, with a real environment, so what protects a grade is what was tested.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.errors import EnvironmentFault, IsolationUnavailable
from sandbox.isolation.client import IsolatedEnvironment, SpawnerClient
from sandbox.isolation.spec import EnvironmentSpec, IsolationLevel

# Lives until its standard input closes, so it ends with us whatever happens.
_WAIT = "import sys; sys.stdin.read()"
_PROBE = """
import json, os, signal, socket

targets = json.loads(os.environ["CANARIES"])
reached = []


def attempt(name, reach):
    try:
        if reach():
            reached.append(name)
    except (OSError, ValueError):
        pass


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        client.connect(address)
    return True


def process_is_seen():
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    if targets["token"].encode() in file.read():
                        return True
            except OSError:
                pass


def signalled():
    os.kill(targets["pid"], 0)
    return True


attempt("the planted file", lambda: open(targets["file"]).read())
attempt("the planted file's directory", lambda: os.listdir(os.path.dirname(targets["file"])))
attempt("the planted listener", lambda: connect(socket.AF_INET, ("127.0.0.1", targets["port"])))
attempt("the planted abstract socket", lambda: connect(socket.AF_UNIX, "\\0" + targets["token"]))
attempt("the planted process in /proc", process_is_seen)
attempt("the planted process by signal", signalled)
print(json.dumps({"token": targets["token"], "reached": reached}), flush=True)
os._exit(0)
"""


def run(socket_path: Path) -> None:
    """Try to reach canaries from inside a new environment.

    Raises:
        IsolationUnavailable: one was reached.
        EnvironmentFault: the probe did not answer, so nothing is known: that counts as failed.
    """
    spawner = SpawnerClient(socket_path)
    try:
        if spawner.level == IsolationLevel.NONE:
            return  # Level 1 promises nothing, so there is nothing to test.
        reached = _reached_canaries(spawner)
    finally:
        spawner.close()
    judge(reached)


def judge(reached: list[str]) -> None:
    """Let nothing run when a canary was reached.

    Raises:
        IsolationUnavailable: one was.
    """
    if reached:
        raise IsolationUnavailable(
            f"The isolation self-test failed: an environment reached {', '.join(reached)}. Nothing was run."
        )


def _reached_canaries(spawner: SpawnerClient) -> list[str]:
    token = f"canary-{secrets.token_hex(8)}"
    with (
        tempfile.TemporaryDirectory(prefix="coldstart-canary-") as directory,
        tempfile.TemporaryDirectory(prefix="coldstart-probe-") as code,
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as abstract,
        subprocess.Popen([sys.executable, "-I", "-S", "-c", _WAIT, token], stdin=subprocess.PIPE) as process,
    ):
        try:
            planted = Path(directory, "canary")
            planted.write_text(token)
            abstract.bind(f"\0{token}")
            abstract.listen()
            Path(code, "probe.py").write_text(_PROBE)
            Path(code).chmod(0o755)
            canaries = {
                "file": str(planted),
                "port": listener.getsockname()[1],
                "pid": process.pid,
                "token": token,
            }
            variables = {"_HANDLER": "probe.handler", "CANARIES": json.dumps(canaries)}
            said = _run_probe(spawner, EnvironmentSpec("self-test", Path(code), variables, 256, 4566))
        finally:
            process.kill()
    return read_answer(said, token)


def _run_probe(spawner: SpawnerClient, spec: EnvironmentSpec) -> bytes:
    environment = spawner.spawn(spec)
    try:
        return _read_to_the_end(environment)
    finally:
        environment.close()


def read_answer(said: bytes, token: str) -> list[str]:
    """What the probe reached, from what it printed.

    Raises:
        EnvironmentFault: it did not answer, or not to this question.
    """
    for line in said.splitlines():
        if line.startswith(b'{"token"'):
            answer = json.loads(line)
            if answer["token"] == token:
                reached: list[str] = answer["reached"]
                return reached
    tail = said[-500:].decode(errors="replace")
    raise EnvironmentFault(f"The isolation self-test did not answer; it said: {tail}")


def _read_to_the_end(environment: IsolatedEnvironment) -> bytes:
    said = b""
    while len(said) < 65536 and (chunk := os.read(environment.output, 65536)):
        said += chunk
    return said
