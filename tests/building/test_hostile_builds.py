"""What a build that means harm can do: nothing outside its own place, as root and as an ordinary user.

Each row is a step or a build of one script; it prints what it reached. The canaries are real: files, a
listening server, processes and variables of this very test.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECRET = f"canary-{secrets.token_hex(8)}"
SLEEPER = "86397"
SMALL = {"memory_mb": 96, "disk_mb": 32, "processes": 48, "time_s": 20}

# name → script; what it finds it prints after REACHED.
FILES = {
    "read the repository": f"cat {ROOT}/pyproject.toml && echo REACHED",
    "read the portal's data": f"ls -A {ROOT}/var && echo REACHED",
    "read home folders": "ls -A /root /home/* && echo REACHED",
    "read a planted file": "cat $(dirname {canary})/* && echo REACHED",
    "walk everything for the secret": "grep -rslF {secret} / --exclude-dir=proc --exclude-dir=sys"
    # All but the system's own programs and libraries, which are many and the same everywhere.
    " --exclude-dir=src --exclude-dir=lib --exclude-dir=share --exclude-dir=bin && echo REACHED",
    "read the caches of others": "ls -A {caches} && echo REACHED",
    "read mail, logs and services": "ls -A /var/log /var/spool /srv /opt && echo REACHED",
    "write outside its place": "for d in / /usr /usr/local /etc /dev /dev/shm /proc/sys/kernel /var;"
    " do touch $d/x 2>/dev/null && echo REACHED $d; done; true",
    "read the first process's variables": "cat /proc/1/environ | tr '\\0' '\\n' | grep . && echo REACHED",
    "read its own variables": "env | grep -F {secret} && echo REACHED",
    "see other processes": "ls -d /proc/[0-9]* | wc -l | awk '$1 > 6 {{print \"REACHED\", $1}}'",
}
NETWORK = {
    "reach a server on loopback": "(exec 3<>/dev/tcp/127.0.0.1/{port}) && echo REACHED",
    "reach it by IPv6": "(exec 3<>/dev/tcp/::1/{port}) && echo REACHED",
    "reach it by the machine's address": "(exec 3<>/dev/tcp/{address}/{port}) && echo REACHED",
    "reach a metadata service": "(exec 3<>/dev/tcp/169.254.169.254/80) && echo REACHED",
    "reach the outside": "(exec 3<>/dev/tcp/1.1.1.1/443) && echo REACHED",
    "send a datagram": "(echo x > /dev/udp/{address}/{port}) && echo REACHED",
    "resolve a name": "getent hosts example.com && echo REACHED",
}
POWER = {
    "mount": "mount -t tmpfs x /build/tmp && echo REACHED",
    "become root": "su -c 'echo REACHED' 2>/dev/null; true",
    "make namespaces": "unshare -Ur true && echo REACHED",
    "change the root": "chroot /build/src /bin/true && echo REACHED",
    "trace the first process": "cat /proc/1/mem >/dev/null && echo REACHED",
    "end the first process": "kill -9 1; sleep 0.1; true",
    "signal everything": "trap '' TERM; kill -TERM -1; true",
    "make a device": "mknod /build/tmp/m c 1 1 && echo REACHED",
    "raise its limits": "ulimit -u 100000 && echo REACHED",
    "write kernel settings": "echo x > /proc/sys/kernel/core_pattern && echo REACHED",
}
EXCESS = {
    "fork without end": ("b() {{ b | b & }}; b; wait; true", {"time_s": 2.0}),
    "allocate without end": ("tail /dev/zero", {}),
    "fill the disk": ("cat /dev/zero > /build/tmp/x", {}),
    "fill the disk with what is deleted": ("exec 9>/tmp/x; rm /tmp/x; cat /dev/zero >&9", {}),
    "make files without end": ("i=0; while echo > /tmp/$i; do i=$((i+1)); done; exit 1", {"disk_mb": 4}),
    "talk without end": ("head -c 50000000 /dev/zero", {}),
    "go on without end": ("sleep 600", {"time_s": 1.0}),
    "make too large a result": ("head -c 8000000 /dev/zero > ../out/x", {"result_bytes": 1_000_000}),
    "make too many results": ("for i in $(seq 300); do echo > ../out/$i; done", {"result_files": 100}),
}
RESULTS = {
    "leave a daemon": f"setsid nohup sleep {SLEEPER} >/dev/null 2>&1 & disown; echo done",
    "hand out what is not its own": "cd ../out; ln -s /etc/passwd p; ln -s / all; ln -s ../src up;"
    " ln -s . loop; mkfifo f; echo x > good; ln -s good same; true",
}


@pytest.fixture(scope="module")
def canaries() -> Iterator[dict[str, Any]]:
    """A server, a file and folders that nobody inside may reach."""
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route,
        tempfile.TemporaryDirectory() as folder,
    ):
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", 0))
        server.listen(16)
        hits: list[Any] = []
        threading.Thread(target=_count, args=(server, hits), daemon=True).start()
        route.connect(("192.0.2.1", 9))
        Path(folder, "canary").write_text(SECRET)
        os.chmod(folder, 0o755)
        yield {
            "port": server.getsockname()[1],
            "address": route.getsockname()[0],
            "canary": f"{folder}/canary",
            "caches": folder,
            "secret": SECRET,
            "hits": hits,
        }


def _count(server: socket.socket, hits: list[Any]) -> None:
    while True:
        try:
            hits.append(server.accept()[1])
        except OSError:
            return


@pytest.fixture(scope="module", params=["as-root", "as-nobody"])
def ended(request: pytest.FixtureRequest, canaries: dict[str, Any]) -> dict[str, Any]:
    """How every build ended, by its name."""
    if os.geteuid() != 0 and request.param == "as-root":
        pytest.skip("not root")
    together = FILES | NETWORK | POWER
    rows: list[dict[str, Any]] = [
        {
            "scripts": {name: script.format_map(canaries) for name, script in together.items()},
            "limits": SMALL | {"time_s": 60},
        }
    ]
    rows += [
        {"name": name, "script": script.format_map(canaries), "limits": SMALL}
        for name, script in RESULTS.items()
    ]
    rows += [
        {"name": name, "script": script.format_map(canaries), "limits": SMALL | limits}
        for name, (script, limits) in EXCESS.items()
    ]
    with tempfile.TemporaryDirectory() as temporary:
        os.chmod(temporary, 0o755)
        flags = ["--as-nobody"] if request.param == "as-nobody" and os.geteuid() == 0 else []
        program = [sys.executable, str(Path(__file__).with_name("probe.py")), str(ROOT), temporary, *flags]
        run = subprocess.run(
            program,
            input=json.dumps(rows),
            env={**os.environ, "COLDSTART_TEST_SECRET": SECRET},
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("name", [*FILES, *NETWORK, *POWER])
def test_a_build_can_not(name: str, ended: dict[str, Any]) -> None:
    assert "fault" not in ended[name]
    assert "REACHED" not in ended[name]["output"]
    assert "the build ended before" not in ended[name]["output"]
    assert SECRET not in ended[name]["output"]


def test_nobody_came_to_the_server(ended: dict[str, Any], canaries: dict[str, Any]) -> None:
    assert ended
    assert canaries["hits"] == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("allocate without end", "memory"),
        ("fill the disk", "disk"),
        ("make files without end", "disk"),
        ("go on without end", "time"),
        ("make too large a result", "result"),
        ("make too many results", "result"),
    ],
)
def test_a_build_that_takes_too_much_is_ended_and_told_why(
    name: str, reason: str, ended: dict[str, Any]
) -> None:
    assert ended[name]["status"] != 0
    assert ended[name]["reason"] == reason


def test_space_that_is_taken_by_a_deleted_file_is_limited_too(ended: dict[str, Any]) -> None:
    assert ended["fill the disk with what is deleted"]["status"] != 0
    assert "fault" not in ended["fill the disk with what is deleted"]


def test_a_fork_bomb_ends_with_its_build(ended: dict[str, Any]) -> None:
    assert "fault" not in ended["fork without end"]


def test_only_the_ends_of_a_flood_of_words_are_kept(ended: dict[str, Any]) -> None:
    assert ended["talk without end"]["status"] == 0
    assert 100_000 < len(ended["talk without end"]["output"]) < 500_000


def test_a_daemon_ends_with_its_build(ended: dict[str, Any]) -> None:
    assert ended["leave a daemon"]["output"] == "done\n"
    commands = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(entry.read_bytes())
        except OSError:
            continue
    assert not [words for words in commands if words == f"sleep\0{SLEEPER}\0".encode()]


def test_only_regular_files_of_its_own_come_out(ended: dict[str, Any]) -> None:
    assert ended["hand out what is not its own"]["made"] == {"good": 2, "same": 2}
