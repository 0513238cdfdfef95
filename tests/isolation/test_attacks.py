"""What a hostile function tries, and what it gets: one test per attack, as root and as a user.

Each attack runs at the function's init, prints one JSON line of what it managed, and ends.
"""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

BEGIN = """
import ctypes, errno, json, os, signal, socket, struct, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)


def attempt(act):
    try:
        value = act()
    except Exception as error:
        return "refused: " + (errno.errorcode.get(getattr(error, "errno", None) or 0) or type(error).__name__)
    return "done: %r" % (value,)


def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "syscall")
    return result


def say(**what):
    print(json.dumps(what), flush=True)
"""
END = "\nos._exit(0)\n"


def test_the_repository_and_installed_packages_are_out_of_sight(isolated: Any) -> None:
    seen = isolated.observe(
        BEGIN
        + f"""
names = set()
writable = []
for directory, directories, files in os.walk("/"):
    if directory == "/proc":
        directories.clear()
        continue
    names.update(files)
    if os.access(directory, os.W_OK):
        writable.append(directory)
say(
    repository=attempt(lambda: os.listdir({str(ROOT)!r})),
    secret=attempt(lambda: open({str(ROOT / "pyproject.toml")!r}).read()),
    homes=[attempt(lambda place=place: os.listdir(place)) for place in ("/root", "/home", "/srv", "/mnt")],
    graders=sorted(names & {{"lab.toml", "STYLE.md", "requirements.lock", "client.py.in"}}),
    moto=attempt(lambda: __import__("moto")),
    ourselves=attempt(lambda: __import__("sandbox")),
    writable=writable,
    code=attempt(lambda: open("/var/task/app.py", "a")),
    shared_memory=attempt(lambda: os.listdir("/dev/shm")),
    descriptors=sorted(os.listdir("/proc/self/fd")),
)
"""
        + END
    )
    assert seen["repository"] == seen["secret"] == "refused: ENOENT"
    assert set(seen["homes"]) == {"refused: ENOENT"}
    assert seen["graders"] == []
    assert seen["moto"] == seen["ourselves"] == "refused: ModuleNotFoundError"
    assert seen["writable"] == ["/tmp"]
    assert seen["code"] in {"refused: EROFS", "refused: EACCES"}
    assert seen["shared_memory"] == "refused: ENOENT"
    assert seen["descriptors"] == ["0", "1", "2", "3"], "3 is the listing itself"


def test_processes_of_others_are_out_of_sight_and_out_of_reach(isolated: Any) -> None:
    seen = isolated.observe(
        BEGIN
        + f"""
say(
    pids=sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
    me=os.getpid(),
    environ=attempt(lambda: open("/proc/1/environ").read()),
    memory=attempt(lambda: open("/proc/1/mem", "rb").read(1)),
    root=attempt(lambda: os.listdir("/proc/1/root")),
    descriptor=attempt(lambda: os.readlink("/proc/1/fd/0")),
    signal_test=attempt(lambda: os.kill({os.getpid()}, 0)),
    interrupt_first=attempt(lambda: os.kill(1, signal.SIGINT)),
    kill_first=attempt(lambda: os.kill(1, signal.SIGKILL)),
    variables=sorted(os.environ),
)
"""
        + END
    )
    assert seen["pids"] == [1, seen["me"]]
    for secret in ("environ", "memory", "root", "descriptor"):
        assert seen[secret] in {"refused: EACCES", "refused: EPERM"}, secret
    assert seen["signal_test"] == "refused: ESRCH"
    # Signals to the first process are either refused or ignored: the line above was still printed.
    assert "COLDSTART_HOME" not in seen["variables"]


def test_the_network_ends_at_the_four_sockets(isolated: Any) -> None:
    token = secrets.token_hex(8)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as abstract,
    ):
        datagrams.bind(("127.0.0.1", 0))
        datagrams.setblocking(False)
        abstract.bind(f"\0{token}")
        abstract.listen()
        seen = isolated.observe(
            BEGIN
            + f"""
def connect(address, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        client.connect(address)


def datagram(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", address)


say(
    gateway=attempt(lambda: connect(("127.0.0.1", 4566))),
    otlp=attempt(lambda: connect(("127.0.0.1", 4318))),
    xray=attempt(lambda: datagram(("127.0.0.1", 2000))),
    host=attempt(lambda: connect(("127.0.0.1", {listener.getsockname()[1]}))),
    metadata=attempt(lambda: connect(("169.254.169.254", 80))),
    internet=attempt(lambda: connect(("192.0.2.1", 443))),
    internet6=attempt(lambda: connect(("2001:db8::1", 443), socket.AF_INET6)),
    udp_host=attempt(lambda: datagram(("127.0.0.1", {datagrams.getsockname()[1]}))),
    udp_out=attempt(lambda: datagram(("192.0.2.1", 53))),
    abstract=attempt(lambda: connect("\\x00{token}", socket.AF_UNIX)),
    vsock=attempt(lambda: socket.socket(40, socket.SOCK_STREAM)),
    packet=attempt(lambda: socket.socket(17, socket.SOCK_RAW)),
    algorithm=attempt(lambda: socket.socket(38, 5)),
    raw=attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
    names=attempt(lambda: socket.getaddrinfo("example.com", 443)),
)
"""
            + END
        )
        with pytest.raises(BlockingIOError):
            datagrams.recv(1)
    assert seen["gateway"] == seen["otlp"] == "done: None"
    assert seen["xray"].startswith("done")
    assert seen["host"] == seen["abstract"] == "refused: ECONNREFUSED"
    assert (
        seen["metadata"] == seen["internet"] == seen["internet6"] == seen["udp_out"] == "refused: ENETUNREACH"
    )
    assert seen["vsock"] == seen["packet"] == seen["algorithm"] == "refused: EAFNOSUPPORT"
    assert seen["raw"] == "refused: EPROTONOSUPPORT"
    assert seen["names"].startswith("refused")


def test_a_fork_bomb_stops_at_the_limit_and_dies_with_the_environment(isolated: Any) -> None:
    result = isolated.run(
        BEGIN
        + """
made = 0
while True:
    try:
        child = os.fork()
    except OSError:
        break
    if child == 0:
        while True:
            try:
                if os.fork() == 0:
                    continue
            except OSError:
                signal.pause()
    made += 1
say(made=made)
"""
        + END,
        max_processes=64,
    )
    assert result["output"].startswith('{"made"'), result
    assert 1 <= int(result["output"].split(":")[1].strip(" }\n")) <= 64
    assert result["output_ended"], "no process holds the pipe any more"
    assert result["kill_s"] < 10


def test_allocating_4_gb_is_killed_as_out_of_memory(isolated: Any) -> None:
    result = isolated.run(
        BEGIN
        + """
held = []
for _ in range(4096):
    block = bytearray(1 << 20)
    block[::4096] = b"x" * 256
    held.append(block)
say(survived=True)
"""
        + END,
        memory_mb=256,
    )
    assert "survived" not in result["output"]
    assert result["out_of_memory"], result
    assert result["signal"] == 9
    assert result["memory_peak_mb"] == 256


def test_allocating_4_gb_over_many_processes_is_killed_as_well(isolated: Any) -> None:
    result = isolated.run(
        BEGIN
        + """
for _ in range(16):
    if os.fork() == 0:
        held = bytearray(256 << 20)
        held[::4096] = b"x" * 65536
        signal.pause()
signal.pause()
"""
        + END,
        memory_mb=256,
    )
    assert result["out_of_memory"], result


def test_memory_that_no_limit_counts_is_refused(isolated: Any) -> None:
    seen = isolated.observe(
        BEGIN
        + """
say(
    memfd=attempt(lambda: os.memfd_create("x")),
    system_v=libc.shmget(0, 1 << 30, 0o1600),
)
"""
        + END
    )
    assert seen == {"memfd": "refused: EPERM", "system_v": -1}


def test_writing_10_gb_ends_at_the_size_of_tmp(isolated: Any) -> None:
    seen = isolated.observe(
        BEGIN
        + """
block = b"x" * (1 << 20)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
written, reason = 0, ""
for number in range(10):
    try:
        with open(f"/tmp/{number}", "wb", buffering=0) as file:
            for _ in range(1024):
                written += file.write(block)
    except OSError as error:
        reason = errno.errorcode[error.errno]
elsewhere = [
    attempt(lambda place=place: open(place + "/x", "wb"))
    for place in ("/", "/dev", "/usr", "/opt", "/etc", "/var/task", "/var/runtime", "/proc")
]
say(written_mb=written >> 20, reason=reason, elsewhere=elsewhere)
"""
        + END,
        tmp_mb=64,
    )
    assert seen["written_mb"] <= 64
    assert seen["reason"] == "ENOSPC"
    assert all(answer.startswith("refused") for answer in seen["elsewhere"])


def test_a_flood_of_empty_files_ends(isolated: Any) -> None:
    seen = isolated.observe(
        BEGIN
        + """
made = 0
try:
    while made < 1_000_000:
        os.close(os.open(f"/tmp/{made}", os.O_CREAT | os.O_WRONLY))
        made += 1
except OSError as error:
    say(made=made, reason=errno.errorcode[error.errno])
"""
        + END,
        tmp_mb=64,
    )
    assert seen["made"] < 64 * 200
    assert seen["reason"] == "ENOSPC"


def test_printing_100_mb_neither_blocks_nor_fills_memory(isolated: Any) -> None:
    result = isolated.run(
        BEGIN
        + """
line = b"x" * ((1 << 20) - 1) + b"\\n"
for _ in range(100):
    sys.stdout.buffer.write(line)
sys.stdout.flush()
"""
        + END
    )
    assert result["output_bytes"] == 100 << 20
    assert result["status"] == 0
    assert len(result["output"]) <= 64 * 1024


DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        while True:
            with socket.socket() as client:
                client.connect(("127.0.0.1", 4566))
            time.sleep(0.002)
    os._exit(0)
os.wait()
"""


def test_a_double_forked_daemon_does_not_outlive_the_kill(isolated: Any) -> None:
    name = isolated.start(BEGIN + DAEMON + "\ndef handler(event, context): ...\n")
    assert isolated.ask("accepted", name=name, timeout_s=10)["value"] > 0, "the daemon works"
    result = isolated.ask("kill", name=name)
    assert result["output_ended"], "the daemon held the output pipe; it is gone"
    assert result["signal"] == 9
    assert result["kill_s"] < 5


def test_a_daemon_is_ended_when_the_functions_process_exits(isolated: Any) -> None:
    result = isolated.run(BEGIN + DAEMON + "\nos._exit(3)\n")
    assert result["status"] == 3
    assert result["output_ended"]


def test_a_frozen_environment_uses_no_processor_time_until_it_is_thawed(isolated: Any) -> None:
    name = isolated.start(
        BEGIN
        + """
def spin():
    while True:
        pass


if os.fork() == 0:
    os.setsid()
    spin()
threading.Thread(target=spin, daemon=True).start()
def handler(event, context): ...
"""
    )
    isolated.ask("wait", name=name)
    isolated.ask("freeze", name=name)
    first = isolated.ask("usage", name=name)["cpu_time_s"]
    others = isolated.observe(BEGIN + "say(ok=True)" + END)
    assert others == {"ok": True}
    assert isolated.ask("usage", name=name)["cpu_time_s"] == pytest.approx(first, abs=0.001)
    isolated.ask("thaw", name=name)
    while isolated.ask("usage", name=name)["cpu_time_s"] < first + 0.01:
        isolated.ask("accepted", name=name, timeout_s=0.01)
    isolated.ask("freeze", name=name)
    assert isolated.ask("kill", name=name)["output_ended"], "frozen processes die as well"


def test_tricks_for_more_privilege_are_refused(isolated: Any) -> None:
    seen = isolated.observe(
        BEGIN
        + """
NUMBERS = {"x86_64": (101, 165, 161, 272, 308, 155, 435), "aarch64": (117, 40, 51, 97, 268, 41, 435)}
PTRACE, MOUNT, CHROOT, UNSHARE, SETNS, PIVOT, CLONE3 = NUMBERS[os.uname().machine]


def set_id():
    with open("/tmp/shell", "wb") as file:
        file.write(open("/bin/sh", "rb").read())
    os.chmod("/tmp/shell", 0o4755)
    return os.system("/tmp/shell -c 'test $(id -u) = 0'") == 0 or 1 / 0


status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
say(
    ptrace=attempt(lambda: call(PTRACE, 16, 1, 0, 0)),
    mount=attempt(lambda: call(MOUNT, b"none", b"/tmp", b"tmpfs", 0, 0)),
    chroot=attempt(lambda: call(CHROOT, b"/tmp")),
    unshare=attempt(lambda: call(UNSHARE, 0x10000000)),
    setns=attempt(lambda: call(SETNS, 0, 0)),
    clone3=attempt(lambda: call(CLONE3, 0, 0)),
    setuid=attempt(lambda: os.setuid(0)),
    setgid=attempt(lambda: os.setgid(0)),
    set_id=attempt(set_id),
    nice=attempt(lambda: os.nice(-5)),
    device=attempt(lambda: os.mknod("/tmp/disk", 0o60660, os.makedev(8, 0))),
    sysctl=attempt(lambda: open("/proc/sys/kernel/core_pattern", "w")),
    oom=attempt(lambda: os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"-1000")),
    capabilities=[status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    no_new_privileges=status["NoNewPrivs"].strip(),
    filtered=status["Seccomp"].strip(),
)
"""
        + END
    )
    for name in ("ptrace", "mount", "chroot", "unshare", "setns", "device"):
        assert seen[name] == "refused: EPERM", name
    assert {seen["setuid"], seen["setgid"]} <= {"refused: EINVAL", "refused: EPERM"}, "0 is nobody in here"
    assert seen["clone3"] == "refused: ENOSYS"
    assert seen["set_id"] == "refused: ZeroDivisionError"
    assert seen["nice"] in {"refused: EPERM", "refused: EACCES"}
    assert seen["sysctl"].startswith("refused")
    assert seen["oom"].startswith("refused")
    assert set(seen["capabilities"]) == {"0000000000000000"}
    assert seen["no_new_privileges"] == "1"
    assert seen["filtered"] == "2"
