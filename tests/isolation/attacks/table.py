"""The attack table: what a hostile function tries, and what is to come of it. One row each.

The programs are in ``programs/``, one for each language; a row names the one it runs. A row without a
program for a language cannot be tried in it (Java has no system calls), or would be the same again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.isolation.attacks import flows
from tests.isolation.attacks.flows import Flow, Seen
from tests.isolation.attacks.runners import ALL, FORK, GO, JAVA, NODE, PYTHON

Judge = Callable[[Seen], None]


def all_refused(seen: Seen) -> None:
    """Every single attempt was refused, and there was one."""
    assert seen.answers, seen
    done = {name: answer for name, answer in seen.answers.items() if not refusal(answer)}
    assert not done, done


def refusal(answer: Any) -> bool:
    """Whether an attempt was refused; counts are no attempts."""
    return isinstance(answer, int) or answer.startswith("refused")


def stops_by(most: int) -> Judge:
    """It came to an end at or below ``most``, or the whole was killed for the memory it took."""

    def judge(seen: Seen) -> None:
        if seen.answers:
            all_refused(seen)
            assert seen.answers["count"] <= most, seen
        else:
            assert seen.ended_itself_badly, seen
        assert seen.gone, seen

    return judge


def short_of_memory(seen: Seen) -> None:
    """The runtime said that there is no more, or it was ended for it; never over the limit."""
    if seen.answers:
        all_refused(seen)
    else:
        assert seen.ended_itself_badly, seen
    assert seen.memory_peak_mb <= seen.memory_mb, seen
    assert seen.gone, seen


def printed_and_ended(seen: Seen) -> None:
    """All was taken in, no more than a tail was kept, and the function was not held up."""
    assert seen.output_bytes >= 100 << 20, seen.output_bytes
    assert seen.status == 0, seen


def nothing_left(seen: Seen) -> None:
    """Every process is dead: nobody holds the output any more."""
    assert seen.gone, seen
    assert seen.kill_s < 10, seen.kill_s


@dataclass(frozen=True, slots=True)
class Attack:
    """``slow`` rows, and those whose runner is in ``slow_in``, are part of ``make verify`` alone."""

    program: str
    tries: str
    contained: str
    runners: frozenset[str]
    judge: Judge = all_refused
    flow: Flow = flows.run
    slow: bool = False
    wanted: dict[str, Any] = field(default_factory=dict)
    key: str = ""

    @property
    def name(self) -> str:
        """What the row is called in tests."""
        return self.key or self.program.replace("_", "-")


EVERYWHERE = frozenset(ALL)
NATIVE = frozenset({*PYTHON, GO})
PYTHONS = frozenset(PYTHON)

ATTACKS = (
    Attack(
        "host_files",
        "read a planted file, the repository, `/etc/shadow`, `/root`, `/home`, `/sys`; by `/proc/1/root`",
        "none of it exists",
        EVERYWHERE,
    ),
    Attack(
        "host_packages",
        "import what is installed on the machine; have its `.pth` files run",
        "`site-packages` is empty",
        PYTHONS,
    ),
    Attack(
        "writable",
        "write anywhere but `/tmp`; look for a place in the whole tree; `/dev/shm`",
        "read-only, or not there",
        EVERYWHERE,
    ),
    Attack(
        "tampering",
        "change, unlock or move `/var/task`, `/var/runtime`, `/opt`; mount them writable",
        "read-only, also for their owner",
        EVERYWHERE,
    ),
    Attack(
        "links",
        "symbolic links to host files, by `..`, `/proc/1/root`, `/proc/self/root`; hard links to the code",
        "they lead nowhere",
        EVERYWHERE,
    ),
    Attack(
        "other_processes",
        "list processes; read memory, variables, root and descriptors of the first",
        "none is to be seen but its own",
        EVERYWHERE,
    ),
    Attack(
        "kill_others",
        "SIGKILL to a planted process, to the owner, to their groups, to the first process",
        "no such process; the first ignores it",
        EVERYWHERE,
        flow=flows.run_and_look_at_canary,
    ),
    Attack(
        "planted_listeners",
        "connect to planted listeners: TCP (v4, v6, the machine's address), UDP, unix by name and path,"
        " the spawner's own socket",
        "refused; nothing arrives",
        EVERYWHERE,
        flow=flows.run_and_look_at_listeners,
    ),
    Attack(
        "outside",
        "metadata addresses, the internet, DNS, broadcast, by v4 and v6, TCP and UDP",
        "no route",
        EVERYWHERE,
    ),
    Attack(
        "exotic_sockets",
        "vsock, packet, raw, ICMP, SCTP, AF_ALG, XDP, TIPC, CAN, netlink",
        "no such family or protocol",
        NATIVE,
    ),
    Attack(
        "fork_bomb",
        "fork without end, every child as well",
        "ends at 1,024 processes or at the memory limit",
        EVERYWHERE,
        stops_by(1024),
        wanted={"memory_mb": 512},
        slow=True,
    ),
    Attack(
        "fork_bomb",
        "the same, flat, with a limit of 64",
        "ends at 64",
        EVERYWHERE,
        stops_by(64),
        wanted={"max_processes": 64, "memory_mb": 512},
        key="fork-bomb-of-64",
    ),
    Attack(
        "threads",
        "2,000 threads",
        "ends at 1,024",
        frozenset({*PYTHON, JAVA, GO}),
        stops_by(1024),
        wanted={"memory_mb": 512},
    ),
    Attack("descriptors", "100,000 open files", "ends at 1,024", EVERYWHERE, stops_by(1024)),
    Attack(
        "memory",
        "4 GB of memory in one process",
        "killed, or told that there is none",
        EVERYWHERE,
        short_of_memory,
    ),
    Attack(
        "memory_by_many",
        "4 GB over 64 processes",
        "killed for the sum",
        PYTHONS,
        short_of_memory,
    ),
    Attack(
        "uncounted_memory",
        "memfd, secret memory, System V and POSIX shared memory and queues, `/dev/shm`, mlock",
        "refused",
        NATIVE,
    ),
    Attack(
        "write_10_gb",
        "10 GB to `/tmp`, a gigabyte a file",
        "no space left at the size of `/tmp`",
        EVERYWHERE,
        stops_by(512),
        wanted={"tmp_mb": 512, "memory_mb": 512},
        slow=True,
    ),
    Attack(
        "write_10_gb",
        "the same with a `/tmp` of 64 MB",
        "no space left",
        EVERYWHERE,
        stops_by(64),
        wanted={"tmp_mb": 64},
        key="write-10-gb-to-64-mb",
    ),
    Attack(
        "one_huge_file",
        "one file of 10 GB: holes, reservation, a byte at its end, a mapping",
        "too large",
        EVERYWHERE,
    ),
    Attack(
        "inode_flood",
        "2,000,000 empty files",
        "no space left, at 200 files a megabyte",
        EVERYWHERE,
        stops_by(64 * 200),
        wanted={"tmp_mb": 64},
    ),
    Attack("print_100_mb", "print 100 MB", "taken in; the tail is kept", EVERYWHERE, printed_and_ended),
    Attack(
        "daemon",
        "a double-forked daemon that ignores signals and outlives the time limit",
        "dead with its environment",
        EVERYWHERE,
        nothing_left,
        flows.kill_once_connected,
    ),
    Attack(
        "daemon_and_exit",
        "leave such a daemon behind and exit",
        "dead with the function's process",
        PYTHONS,
        nothing_left,
    ),
    Attack(
        "spin",
        "keep computing, in daemons too, after the response",
        "frozen: no processor time until the next event; dies frozen",
        EVERYWHERE,
        nothing_left,
        flows.freeze_once_connected,
    ),
    Attack("trace", "ptrace, process_vm_readv and -writev, kcmp, pidfd_getfd", "refused", NATIVE),
    Attack(
        "other_views",
        "mount, unmount, chroot, pivot_root, setns, unshare, clone, clone3, open_tree, handles",
        "refused",
        NATIVE,
    ),
    Attack(
        "kernel_machinery",
        "bpf, keyctl, io_uring, userfaultfd, perf, modules, kexec, reboot, the clock, the kernel's log",
        "refused",
        NATIVE,
    ),
    Attack(
        "foreign_calls",
        "system calls by the x32 and 32-bit conventions",
        "no such call; killed",
        PYTHONS,
    ),
    Attack(
        "set_identity",
        "setuid, setgid, su, a set-id program of its own, capabilities",
        "stays who it is",
        EVERYWHERE,
    ),
    Attack(
        "capabilities",
        "look for a capability, a descriptor or a missing filter that was left",
        "none",
        PYTHONS,
    ),
    Attack(
        "raise_limits",
        "raise limits, nice -20, real-time scheduling, oom_score_adj -1000",
        "refused",
        EVERYWHERE,
    ),
    Attack(
        "devices",
        "`/dev/mem`, `/dev/kmsg`, disks, `/dev/kvm`, `/dev/fuse`, `/dev/vsock`; mknod",
        "not there; refused",
        EVERYWHERE,
    ),
    Attack(
        "kernel_settings",
        "core_pattern, modprobe, sysrq, uevent_helper, cgroups, own identity maps; `/proc/kcore`",
        "not there; refused",
        EVERYWHERE,
    ),
    Attack("core_dump", "leave a core file", "none is written", PYTHONS),
    Attack(
        "look_for_marks",
        "find what another account's function left: in `/tmp`, listening, in modules, variables and memory",
        "nothing is left",
        EVERYWHERE,
        flow=flows.after_a_marking_neighbour,
    ),
)

FAST_ELSEWHERE = frozenset({"host-files", "other-processes", "planted-listeners", "memory", "tampering"})


def is_slow(attack: Attack, runner: str) -> bool:
    """Whether a cell is for ``make verify`` alone."""
    if attack.slow:
        return True
    return runner != FORK and not (attack.name in FAST_ELSEWHERE and runner in (NODE, JAVA, GO))
