"""Groups and their limits: both versions on a tree that imitates the kernel, and freezing on the real one.

A machine that has given memory and processes to version 1 has no version 2 of them; where version 2 has
them, every other test of environments goes through it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.isolation.cgroups import Cgroups, Slot
from sandbox.isolation.hierarchy import Hierarchies, open_cgroups, remove_base
from tests.isolation.fake_cgroups import FakeCgroups

MB = 1024 * 1024
EVERYTHING = ("memory", "pids", "cpu")


def at(own: str, point: Path, root: str = "/") -> Hierarchies:
    """A machine with one unified hierarchy."""
    return Hierarchies({"": own}, {"": (root, str(point))})


@pytest.fixture
def unified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCgroups:
    return FakeCgroups(tmp_path / "unified", 2, EVERYTHING).install(monkeypatch)


def open_by(groups: Cgroups) -> Path:
    return Path(os.readlink(f"/proc/self/fd/{groups.roots[0]}"))


def test_version_2_sets_every_limit(unified: FakeCgroups) -> None:
    groups = open_cgroups(at("/", unified.root))
    base = open_by(groups)
    slot = groups.make("env-1", 300 * MB, 64, cpus=0.5)

    limits = {
        file: (base / "env-1" / file).read_text()
        for file in ("memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max")
    }
    assert limits == {
        "memory.max": str(300 * MB),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "64",
        "cpu.max": "50000 100000",
    }
    assert (base / "cpu.weight").read_text() == str(200 * (os.cpu_count() or 1))
    slot.enter()
    assert (base / "env-1" / "cgroup.procs").read_text() == "0", "that is: whoever writes"
    slot.close()


def test_version_2_without_a_cpu_controller_limits_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeCgroups(tmp_path / "unified", 2, ("memory", "pids")).install(monkeypatch)
    groups = open_cgroups(at("/", fake.root))
    groups.make("env-1", MB, 64, cpus=0.5).close()
    assert not (open_by(groups) / "env-1" / "cpu.max").exists()
    assert (open_by(groups) / "env-1" / "pids.max").read_text() == "64"


def test_version_2_reads_kills_for_memory(unified: FakeCgroups) -> None:
    groups = open_cgroups(at("/", unified.root))
    slot = groups.make("env-1", MB, 64)
    events = open_by(groups) / "env-1" / "memory.events"
    events.write_text("low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 0\n")
    assert not slot.out_of_memory()
    events.write_text("low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 1\n")
    assert slot.out_of_memory()


def test_version_1_sets_every_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = {}
    for name in EVERYTHING:
        fake = FakeCgroups(tmp_path / name, 1, (name,)).install(monkeypatch)
        mounts[name] = ("/", str(fake.root))
    groups = open_cgroups(Hierarchies(dict.fromkeys(EVERYTHING, "/"), mounts))
    slot = groups.make("env-1", 300 * MB, 64, cpus=2.0)

    bases = [Path(os.readlink(f"/proc/self/fd/{root}")) for root in groups.roots]
    memory, pids, cpu = (base / "env-1" for base in bases)
    assert groups.version == 1
    assert (memory / "memory.limit_in_bytes").read_text() == str(300 * MB)
    assert (memory / "memory.swappiness").read_text() == "0"
    assert (pids / "pids.max").read_text() == "64"
    assert (cpu / "cpu.cfs_quota_us").read_text() == "200000"
    assert (bases[2] / "cpu.shares").read_text() == str(2048 * (os.cpu_count() or 1))
    assert len(slot.join) == 3
    assert not slot.freeze(), "its freezer would keep a SIGKILL waiting"


def test_a_group_with_processes_is_left_alone_for_the_one_above(unified: FakeCgroups) -> None:
    """As systemd has it: we sit in a scope, and the slice above it already hands controllers down."""
    (unified.root / "cgroup.subtree_control").write_bytes(b"memory pids cpu")
    unified.add("user.slice", delegate=True)
    unified.add("user.slice/session-1.scope", processes=str(os.getpid()))
    groups = open_cgroups(at("/user.slice/session-1.scope", unified.root))
    assert open_by(groups).parent == unified.root / "user.slice"
    assert (unified.root / "user.slice/session-1.scope/cgroup.procs").read_text() == str(os.getpid())


def test_a_delegated_scope_moves_its_processes_to_a_leaf(unified: FakeCgroups) -> None:
    """``systemd-run --user --scope -p Delegate=yes``: the scope is ours, and nothing above it."""
    scope = unified.add("user.slice/run-1.scope", processes="41\n42")
    (scope / "cgroup.controllers").write_bytes(b"memory pids")
    (unified.root / "user.slice" / "cgroup.subtree_control").write_bytes(b"memory pids")
    unified.read_only |= {unified.root, unified.root / "user.slice"}
    groups = open_cgroups(at("/user.slice/run-1.scope", unified.root))
    assert open_by(groups).parent == scope
    assert (scope / "coldstart.owner/cgroup.procs").read_text() in {"41", "42"}
    assert (scope / "cgroup.procs").read_text() == ""
    assert (scope / "cgroup.subtree_control").read_text() == "memory pids"


def test_a_read_only_hierarchy_says_every_place_that_was_tried(unified: FakeCgroups) -> None:
    """A container sees its group and may not write it."""
    own = unified.add("docker", processes="1")
    unified.read_only |= {unified.root, own}
    with pytest.raises(PermissionError) as refused:
        open_cgroups(at("/docker", unified.root))
    assert f"{own}: it has no controller for memory and pids" in str(refused.value)
    assert f"{unified.root}: Permission denied" in str(refused.value)


def test_a_machine_without_hierarchies_says_so() -> None:
    with pytest.raises(FileNotFoundError, match="no cgroup hierarchy is mounted"):
        open_cgroups(Hierarchies({}, {}))


def test_a_limit_that_is_refused_leaves_no_group(
    unified: FakeCgroups, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = open_cgroups(at("/", unified.root))
    base = open_by(groups)
    (base / "cgroup.subtree_control").write_bytes(b"pids")
    with pytest.raises(FileNotFoundError):
        groups.make("env-1", MB, 64)
    assert not (base / "env-1").exists()


def test_groups_of_killed_spawners_are_removed_and_their_processes_killed(unified: FakeCgroups) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    stale = unified.add(f"coldstart-{gone.pid}")
    unified.add(f"coldstart-{gone.pid}/env-3")
    living = unified.add(f"coldstart-{os.getppid()}")
    open_cgroups(at("/", unified.root))
    assert not stale.exists()
    assert living.exists()


def test_a_group_that_still_holds_a_process_is_told_to_kill_it_and_removed_later(
    unified: FakeCgroups,
) -> None:
    groups = open_cgroups(at("/", unified.root))
    groups.make("env-1", MB, 64).close()
    group = open_by(groups) / "env-1"
    (group / "cgroup.procs").write_bytes(b"77")
    assert not groups.remove("env-1")
    assert (group / "cgroup.kill").read_text() == "1"
    (group / "cgroup.procs").write_bytes(b"")
    assert groups.remove("env-1")
    assert groups.remove("env-1"), "what is gone is gone"
    remove_base(os.getpid(), at("/", unified.root))
    assert not open_by(groups).exists()


def test_our_place_is_read_from_proc(tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text("4:memory:/a/b\n3:cpu,cpuacct:/\n1:name=systemd:/x\n0::/a/b/c\n")
    (tmp_path / "mountinfo").write_text(
        "30 23 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
        "31 23 0:27 /a /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
        "32 23 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "33 23 0:29 / /tmp rw - tmpfs tmpfs rw\n"
    )
    found = Hierarchies.read(tmp_path)
    assert found.group("memory") == Path("/sys/fs/cgroup/memory/b"), "relative to the mount's root"
    assert found.group("cpu") == Path("/sys/fs/cgroup/cpu")
    assert list(found.upwards("")) == [
        Path("/sys/fs/cgroup/unified", below) for below in ("a/b/c", "a/b", "a", "")
    ]


@pytest.fixture
def real_group() -> Iterator[Path]:
    """A group of the kernel's own version 2, which any machine has somewhere, if only without controllers."""
    found = Hierarchies.read()
    if "" not in found.mounts or os.geteuid() != 0:
        pytest.skip("needs root and a cgroup2 mount")
    group = Path(found.mounts[""][1], f"coldstart-test-{os.getpid()}")
    group.mkdir()
    yield group
    group.rmdir()


def test_the_kernel_freezes_thaws_and_kills_a_group(real_group: Path) -> None:
    descriptors = {
        name: os.open(real_group / f"cgroup.{name}", os.O_RDONLY if name == "events" else os.O_WRONLY)
        for name in ("procs", "freeze", "events")
    }
    slot = Slot(
        "x", (descriptors["procs"],), descriptors["events"], descriptors["freeze"], descriptors["events"]
    )
    program = "while True: print('tick', flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, preexec_fn=slot.enter
    ) as busy:
        assert busy.stdout is not None
        busy.stdout.readline()
        assert slot.freeze()
        before = Path(f"/proc/{busy.pid}/stat").read_text().split()[13:15]
        assert Path(f"/proc/{busy.pid}/stat").read_text().split()[13:15] == before
        slot.thaw()
        for _ in range(100_000):
            busy.stdout.readline()
        assert slot.freeze()
        (real_group / "cgroup.kill").write_text("1")
        assert busy.wait(10) == -signal.SIGKILL, "version 2 kills what is frozen"
    for descriptor in descriptors.values():
        os.close(descriptor)
