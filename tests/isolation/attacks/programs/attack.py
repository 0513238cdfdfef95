"""Attacks from Python, which reaches every system call. ``ATTACK`` names one; it says what came of it.

What was refused is said as ``refused: ERRNO``, what was not as ``done: ...``; the last line is JSON.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
TARGETS = json.loads(os.environ.get("TARGETS", "{}"))
X86 = os.uname().machine == "x86_64"
BLOCK = b"x" * (1 << 20)


def attempt(act, *arguments):
    try:
        value = act(*arguments)
    except BaseException as error:
        code = getattr(error, "errno", None)
        return "refused: " + (errno.errorcode.get(code or 0) or type(error).__name__)
    return f"done: {value!r}"[:200]


def number(x86, arm):
    return x86 if X86 else arm


def call(numbers, *arguments):
    ctypes.set_errno(0)
    value = libc.syscall(ctypes.c_long(number(*numbers)), *arguments)
    if value < 0:
        raise OSError(ctypes.get_errno(), "syscall")
    return value


def read(path):
    with open(path, "rb") as file:
        return len(file.read(64)) or 1


def append(path):
    with open(path, "ab") as file:
        file.write(b"x")


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        client.connect(address)


def datagram(address, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", address)


def shell(line):
    return subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True, timeout=20).stdout


def host_files():
    places = [*TARGETS["files"], "/proc/1/root" + TARGETS["files"][0], "/.host", "/env", "/etc/shadow"]
    return {place: attempt(read, place) for place in places} | {
        place: attempt(os.listdir, place)
        for place in ("/root", "/home", "/srv", "/mnt", "/boot", "/run", "/sys")
    }


def host_packages():
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    import sysconfig

    places = [sysconfig.get_path("purelib"), f"{sys.prefix}/lib/{version}/site-packages"]
    places += ["/usr/lib/python3/dist-packages", "/usr/local"]
    answers = {place: attempt(lambda place=place: os.listdir(place)[0]) for place in places}
    again = "import sys; print(sorted({'moto', 'flask', 'sandbox'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", again], capture_output=True, text=True)
    answers["what .pth files load"] = "refused: none" if loaded.stdout.strip() == "[]" else f"done: {loaded}"
    for name in ("moto", "sandbox", "graders", "flask"):
        answers[f"import {name}"] = attempt(__import__, name)
    return answers


def writable():
    answers = {}
    with open("/proc/self/mountinfo") as mounts:
        for line in mounts:
            place, rights = line.split()[4:6]
            expected = place in ("/tmp", "/proc") or place.startswith("/dev/")
            refused = expected or "ro" in rights.split(",")
            answers[f"the mount {place}"] = "refused: as it should be" if refused else f"done: {rights}"
    inside = ("/", "/usr", "/etc", "/dev", "/dev/shm", "/opt", "/var/lang", "/proc")
    answers |= {place: attempt(append, f"{place}/planted") for place in inside}
    return answers | {place: attempt(append, place) for place in ("/etc/passwd", "/etc/hosts")}


def tampering():
    own, runtime = "/var/task/" + os.listdir("/var/task")[0], "/var/runtime/" + os.listdir("/var/runtime")[0]
    answers = {}
    for path in (own, runtime, "/opt"):
        answers[f"write {path}"] = attempt(append, path if os.path.isfile(path) else path + "/x")
        answers[f"mode of {path}"] = attempt(os.chmod, path, 0o777)
        answers[f"remove {path}"] = attempt(os.rename, path, path + ".old")
    remount = 1 << 5 | 1 << 12
    answers["remount"] = attempt(call, (165, 40), b"none", b"/var/task", b"", remount, b"")
    return answers


def other_processes():
    answers = {}
    for name in sorted(name for name in os.listdir("/proc") if name.isdigit()):
        if int(name) not in (1, os.getpid()):
            answers[name] = "done: seen"
    for secret in ("environ", "mem", "maps"):
        answers[f"/proc/1/{secret}"] = attempt(read, f"/proc/1/{secret}")
    for place in ("root", "cwd", "fd"):
        answers[f"/proc/1/{place}"] = attempt(os.listdir, f"/proc/1/{place}")
    answers["open /proc/1/mem for writing"] = attempt(os.open, "/proc/1/mem", os.O_RDWR)
    return answers


def kill_others():
    answers = {f"kill {pid}": attempt(os.kill, pid, signal.SIGKILL) for pid in TARGETS["pids"]}
    answers["group"] = attempt(os.killpg, TARGETS["pids"][0], signal.SIGKILL)
    for deadly in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        try:
            os.kill(1, deadly)
        except OSError:
            continue  # Being ignored is as good: what is said after it is the proof.
    return answers


def planted_listeners():
    return {
        "TCP": attempt(connect, socket.AF_INET, ("127.0.0.1", TARGETS["port"])),
        "TCP by another loopback address": attempt(connect, socket.AF_INET, ("127.0.0.2", TARGETS["port"])),
        "TCP by the machine's own address": attempt(
            connect, socket.AF_INET, (TARGETS["address"], TARGETS["port"])
        ),
        "TCP by version 6": attempt(connect, socket.AF_INET6, ("::1", TARGETS["port6"])),
        "UDP by the machine's own address": attempt(datagram, (TARGETS["address"], TARGETS["udp"])),
        "abstract unix socket": attempt(connect, socket.AF_UNIX, "\0" + TARGETS["token"]),
    } | {path: attempt(connect, socket.AF_UNIX, path) for path in TARGETS["sockets"]}


def outside():
    return {
        "metadata": attempt(connect, socket.AF_INET, ("169.254.169.254", 80)),
        "task metadata": attempt(connect, socket.AF_INET, ("169.254.170.2", 80)),
        "metadata by version 6": attempt(connect, socket.AF_INET6, ("fd00:ec2::254", 80)),
        "internet": attempt(connect, socket.AF_INET, ("192.0.2.1", 443)),
        "internet by version 6": attempt(connect, socket.AF_INET6, ("2001:db8::1", 443)),
        "DNS by UDP": attempt(datagram, ("192.0.2.53", 53)),
        "DNS by version 6": attempt(datagram, ("2001:db8::53", 53), socket.AF_INET6),
        "broadcast": attempt(datagram, ("255.255.255.255", 9)),
        "multicast": attempt(datagram, ("224.0.0.251", 5353)),
        "a name": attempt(socket.getaddrinfo, "example.com", 443),
    }


def exotic_sockets():
    kinds = {
        "vsock": (40, 1, 0),
        "packet": (17, 3, 3),
        "algorithms": (38, 5, 0),
        "express data path": (44, 3, 0),
        "TIPC": (30, 1, 0),
        "CAN": (29, 3, 1),
        "bluetooth": (31, 3, 1),
        "raw": (2, 3, 6),
        "ICMP": (2, 2, 1),
        "SCTP": (2, 1, 132),
        "netlink audit": (16, 3, 9),
        "netlink netfilter": (16, 3, 12),
        "kernel events": (16, 3, 15),
        "RDS": (21, 5, 0),
        "PPPoX": (24, 1, 0),
    }
    return {name: attempt(lambda kind=kind: socket.socket(*kind).close()) for name, kind in kinds.items()}


def fork_bomb():
    made = 0
    while made < 5000:
        try:
            child = os.fork()
        except OSError as error:
            return {"count": made, "forks": "refused: " + errno.errorcode[error.errno]}
        if child == 0:
            while True:
                try:
                    if os.fork() == 0:
                        continue
                except OSError:
                    signal.pause()
        made += 1
    return {"count": made, "forks": "done: never refused"}


def threads():
    threading.stack_size(64 * 1024)
    stop = threading.Event()
    made = 0
    try:
        while made < 2000:
            threading.Thread(target=stop.wait, daemon=True).start()
            made += 1
    except RuntimeError:
        return {"count": made, "threads": "refused: EAGAIN"}
    return {"count": made, "threads": "done: never refused"}


def descriptors():
    held = []
    try:
        while len(held) < 100_000:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        return {"count": len(held), "descriptors": "refused: " + errno.errorcode[error.errno]}
    return {"count": len(held), "descriptors": "done: never refused"}


def memory():
    held = []
    for _ in range(4096):
        block = bytearray(1 << 20)
        block[::4096] = b"x" * 256
        held.append(block)
    return {"4 GB": "done: held"}


def memory_by_many():
    for _ in range(64):
        if os.fork() == 0:
            held = bytearray(64 << 20)
            held[::4096] = b"x" * (len(held) // 4096)
            signal.pause()
    signal.pause()


def uncounted_memory():
    return {
        "memfd": attempt(os.memfd_create, "x"),
        "secret memory": attempt(call, (447, 447), 0),
        "System V": attempt(call, (29, 194), 0, ctypes.c_size_t(1 << 30), 0o1600),
        "semaphores": attempt(call, (64, 190), 0, 1000, 0o1600),
        "message queue": attempt(call, (68, 186), 0, 0o1600),
        "POSIX queue": attempt(call, (240, 180), b"/x", 0o102, 0o600, None),
        "/dev/shm": attempt(append, "/dev/shm/x"),
        "locked memory": attempt(lambda: libc.mlockall(3) == 0 or 1 / 0),
    }


def write_10_gb():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    written, reason = 0, "done: all of it"
    for name in range(10):
        try:
            with open(f"/tmp/{name}", "wb", buffering=0) as file:
                for _ in range(1024):
                    written += file.write(BLOCK)
        except OSError as error:
            reason = "refused: " + errno.errorcode[error.errno]
    return {"count": written >> 20, "10 GB": reason}


def one_huge_file():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    file = os.open("/tmp/huge", os.O_CREAT | os.O_RDWR)
    answers = {
        "10 GB of holes": attempt(os.ftruncate, file, 10 << 30),
        "reserved": attempt(os.posix_fallocate, file, 0, 10 << 30),
        "a byte at 10 GB": attempt(os.pwrite, file, b"x", 10 << 30),
        "mapped": attempt(lambda: mmap.mmap(file, 10 << 30)),
    }
    os.close(file)
    return answers


def inode_flood():
    made = 0
    try:
        while made < 2_000_000:
            os.close(os.open(f"/tmp/{made}", os.O_CREAT | os.O_WRONLY))
            made += 1
    except OSError as error:
        return {"count": made, "files": "refused: " + errno.errorcode[error.errno]}
    return {"count": made, "files": "done: never refused"}


def print_100_mb():
    line = BLOCK[:-1] + b"\n"
    for _ in range(100):
        sys.stdout.buffer.write(line)
    sys.stdout.flush()
    return {}


def daemon_and_exit():
    start_daemon()
    os._exit(3)


def daemon():
    start_daemon()
    signal.pause()


def start_daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for ignored in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(ignored, signal.SIG_IGN)
            while True:
                with socket.socket() as client:
                    client.connect(("127.0.0.1", 4566))
                time.sleep(0.002)
        os._exit(0)
    os.wait()


def spin():
    for _ in range(2):
        if os.fork() == 0:
            os.setsid()
            while True:
                continue
    connect(socket.AF_INET, ("127.0.0.1", 4566))
    while True:
        continue


def trace():
    first = os.getpid()
    child = os.fork()
    if child == 0:
        signal.pause()
    buffer = ctypes.create_string_buffer(64)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 64)
    answers = {
        "ptrace the first process": attempt(call, (101, 117), 16, 1, 0, 0),
        "ptrace a child": attempt(call, (101, 117), 16, child, 0, 0),
        "process_vm_readv": attempt(call, (310, 270), first, vector, 1, vector, 1, 0),
        "process_vm_writev": attempt(call, (311, 271), first, vector, 1, vector, 1, 0),
        "kcmp": attempt(call, (312, 272), first, 1, 0, 0, 0),
        "pidfd_getfd": attempt(lambda: call((438, 438), os.pidfd_open(1), 0, 0)),
    }
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return answers


def other_views():
    return {
        "mount": attempt(call, (165, 40), b"none", b"/tmp", b"tmpfs", 0, b""),
        "unmount": attempt(call, (166, 39), b"/var/task", 2),
        "chroot": attempt(os.chroot, "/tmp"),
        "pivot_root": attempt(call, (155, 41), b"/tmp", b"/tmp"),
        "open_tree": attempt(call, (428, 428), -100, b"/", 1),
        "fsopen": attempt(call, (430, 430), b"tmpfs", 0),
        "setns": attempt(call, (308, 268), 0, 0),
        "unshare a user namespace": attempt(call, (272, 97), 0x10000000),
        "unshare a mount namespace": attempt(call, (272, 97), 0x00020000),
        "clone a user namespace": attempt(call, (56, 220), 0x10000000 | 17, 0, 0, 0, 0),
        "clone3": attempt(call, (435, 435), 0, 88),
        "open_by_handle_at": attempt(call, (304, 265), 0, 0, 0),
    }


def kernel_machinery():
    return {
        "bpf": attempt(call, (321, 280), 5, 0, 0),
        "keyctl": attempt(call, (250, 219), 0, -3, 0),
        "add_key": attempt(call, (248, 217), b"user", b"x", b"x", 1, -3),
        "io_uring": attempt(call, (425, 425), 8, 0),
        "asynchronous I/O": attempt(call, (206, 0), 65536, 0),
        "userfaultfd": attempt(call, (323, 282), 1),
        "perf_event_open": attempt(call, (298, 241), 0, 0, -1, -1, 0),
        "kernel module": attempt(call, (175, 105), 0, 0, b""),
        "kexec": attempt(call, (246, 104), 0, 0, 0, 0),
        "reboot": attempt(call, (169, 142), 0xFEE1DEAD, 672274793, 0x1234567, 0),
        "syslog": attempt(call, (103, 116), 3, 0, 0),
        "the clock": attempt(time.clock_settime, time.CLOCK_REALTIME, 0),
        "host name": attempt(socket.sethostname, "x"),
        "swap": attempt(call, (167, 224), b"/tmp/x", 0),
        "accounting": attempt(call, (163, 89), b"/tmp/x"),
    }


def foreign_calls():
    """The x32 and 32-bit conventions, whose numbers mean other calls."""
    if not X86:
        return {"x32": "refused: no such convention"}
    libc.syscall.restype = ctypes.c_long
    answers = {"x32": attempt(lambda: libc.syscall(ctypes.c_long(0x40000000 | 39)) > 0 or 1 / 0)}
    child = os.fork()
    if child == 0:
        # mov eax, 20 (getpid of 32-bit programs); int 0x80; ret
        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
        place = ctypes.addressof(ctypes.c_char.from_buffer(code))
        ctypes.CFUNCTYPE(ctypes.c_int)(place)()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    answers["32-bit"] = f"refused: signal {-code}" if code < 0 else "done: answered"
    return answers


def set_identity():
    def own_set_id():
        shutil.copyfile("/bin/sh", "/tmp/shell")
        os.chmod("/tmp/shell", 0o6755)
        shell("/tmp/shell -p -c 'test $(id -u) = 0 || test $(id -ru) != $(id -u)'")

    return {
        "setuid": attempt(os.setuid, 0),
        "setresgid": attempt(os.setresgid, 0, 0, 0),
        "setgroups": attempt(os.setgroups, [0]),
        "su": attempt(shell, "su -c id </dev/null"),
        "a set-id program of its own": attempt(own_set_id),
        "capset": attempt(
            call,
            (126, 91),
            ctypes.create_string_buffer(b"\x22\x05\x08\x20" + bytes(4)),
            ctypes.create_string_buffer(b"\xff" * 24),
        ),
        "ambient capability": attempt(lambda: libc.prctl(47, 2, 21, 0, 0) == 0 or 1 / 0),
        "off with no_new_privs": attempt(lambda: libc.prctl(38, 0, 0, 0, 0) == 0 or 1 / 0),
    }


def capabilities():
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    answers = {}
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        answers[name] = "refused: none held" if int(status[name], 16) == 0 else f"done: {status[name]}"
    answers["no_new_privs"] = "refused: set" if status["NoNewPrivs"].strip() == "1" else "done: not set"
    answers["system call filter"] = "refused: set" if status["Seccomp"].strip() == "2" else "done: not set"
    held = sorted(os.listdir("/proc/self/fd"))
    answers["descriptors"] = "refused: none" if held == ["0", "1", "2", "3"] else f"done: {held}"
    return answers


def raise_limits():
    answers = {}
    for name in ("NOFILE", "NPROC", "FSIZE", "CORE", "MEMLOCK", "CPU", "MSGQUEUE", "RTPRIO"):
        limit = getattr(resource, f"RLIMIT_{name}")
        answers[name] = attempt(resource.setrlimit, limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    answers["nice"] = attempt(os.nice, -20)
    answers["real time"] = attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(50))
    answers["i/o class"] = attempt(call, (251, 30), 1, 0, 1 << 13)

    def lower(path, value):
        with open(path, "w") as file:
            file.write(value)

    answers["oom_score_adj"] = attempt(lower, "/proc/self/oom_score_adj", "-1000")
    answers["the first's oom_score_adj"] = attempt(lower, "/proc/1/oom_score_adj", "1000")
    return answers


def devices():
    paths = (
        "/dev/mem",
        "/dev/kmem",
        "/dev/kmsg",
        "/dev/sda",
        "/dev/vda",
        "/dev/kvm",
        "/dev/fuse",
        "/dev/tty",
        "/dev/ptmx",
        "/dev/net/tun",
        "/dev/vsock",
        "/dev/loop-control",
    )
    answers = {path: attempt(os.open, path, os.O_RDWR) for path in paths}
    for kind, major in ((0o60660, 8), (0o20660, 1)):
        answers[f"mknod {kind:o}"] = attempt(os.mknod, "/tmp/device", kind, os.makedev(major, 1))
    return answers


def kernel_settings():
    paths = (
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/user/max_user_namespaces",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sysrq-trigger",
        "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/cgroup.procs",
    )
    answers = {f"write {path}": attempt(os.open, path, os.O_WRONLY) for path in paths}
    for path in ("/proc/self/uid_map", "/proc/self/gid_map", "/proc/1/uid_map", "/proc/1/attr/current"):
        answers[f"write {path}"] = attempt(append, path)
    for path in ("/proc/kcore", "/proc/kmsg", "/proc/kpagecount", "/proc/timer_list", "/proc/vmallocinfo"):
        answers[f"read {path}"] = attempt(read, path)
    return answers


def core_dump():
    os.chdir("/tmp")
    child = os.fork()
    if child == 0:
        os.abort()
    _pid, status = os.waitpid(child, 0)
    found = [name for name in os.listdir("/tmp") if "core" in name]
    dumped = os.WCOREDUMP(status) or found
    return {"a core file": f"done: {found}" if dumped else "refused: none written"}


def links():
    host = TARGETS["files"][0]
    answers = {}
    for name, target in {
        "absolute": host,
        "dots": "../" * 20 + host.lstrip("/"),
        "first": "/proc/1/root" + host,
        "own": "/proc/self/root/../.." + host,
        "directory": "/proc/self/cwd/../../.." + host,
        "host": "/.host" + host,
    }.items():
        os.symlink(target, f"/tmp/{name}")
        answers[f"{name}: read"] = attempt(read, f"/tmp/{name}")
        answers[f"{name}: write"] = attempt(lambda name=name: os.open(f"/tmp/{name}", os.O_WRONLY))
    answers["hard link to the code"] = attempt(
        os.link, "/var/task/" + os.listdir("/var/task")[0], "/tmp/hard"
    )
    answers["hard link to a system file"] = attempt(os.link, "/usr/bin/env", "/tmp/system")
    return answers


def mark():
    """The first half of two attacks: leave everything that could be left."""
    token = TARGETS["token"]
    with open("/tmp/left", "w") as file:
        file.write(token)
    listener = socket.create_server(("127.0.0.1", 7777))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0left")
    abstract.listen()
    sys.left = os.environ["LEFT"] = token
    json.left = token
    modules = [name for name in ("boto3", "botocore", "awslambdaric") if name in sys.modules]
    for name in modules:
        sys.modules[name].left = token
    held = [listener, abstract, (token + token) * 1000]
    say({"marked": "done: yes"})
    while True:
        time.sleep(60 + len(held))


def look_for_marks():
    return {
        "/tmp": attempt(read, "/tmp/left"),
        "its listener": attempt(connect, socket.AF_INET, ("127.0.0.1", 7777)),
        "its abstract socket": attempt(connect, socket.AF_UNIX, "\0left"),
        "sys": attempt(lambda: sys.left),
        "a shared module": attempt(lambda: json.left),
        "a variable": attempt(lambda: os.environ["LEFT"]),
        "boto3": attempt(lambda: sys.modules["boto3"].left),
        "memory": attempt(in_memory, re.compile(rb"[l]eaked-[0-9a-f]{16}")),
    }


def in_memory(secret):
    """Somebody else's secret in our memory, of which a fork has all that its parent had.

    The pattern does not match its own text, so nothing is found that was not left.
    """
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
        for line in maps.read().splitlines():
            place, rights, *_rest = line.split()
            begin, end = (int(part, 16) for part in place.split("-"))
            if not rights.startswith("r") or end >= 1 << 63:
                continue
            try:
                memory.seek(begin)
                data = memory.read(end - begin)
            except OSError:
                continue
            if found := secret.search(data):
                return line, found[0]
    raise LookupError


def say(answers):
    print(json.dumps(answers), flush=True)


def main():
    answers = globals()[os.environ["ATTACK"]]()
    say(answers or {})
    os._exit(0)


main()
