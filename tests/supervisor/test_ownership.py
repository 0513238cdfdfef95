"""Nothing outlives whom it works for, however that one ends."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import AccountUnavailable
from sandbox.providers.emulated import EmulatedProvider, KeptSandboxes
from sandbox.supervisor import places
from sandbox.supervisor.client import find_shared
from sandbox.supervisor.wire import NameTaken, NoSuchSandbox
from tests.supervisor.conftest import ROOT, Watched, below, quietly

_OWNER = """
import json, sys, threading
from pathlib import Path
from sandbox.providers.emulated import EmulatedProvider
from tests.supervisor.conftest import make_function

provider = EmulatedProvider(Path(sys.argv[1]), say=lambda text: None).__enter__()
account = provider.open()
if "function" in sys.argv:
    name = make_function(account, "import time\\ndef handler(event, context):\\n    time.sleep(event)")
    invoke = account.client("lambda").invoke
    invoke(FunctionName=name, Payload=b"0")
    call = {"FunctionName": name, "Payload": b"500"}
    threading.Thread(target=invoke, kwargs=call, daemon=True).start()
    while not account.settle(0.05).running:
        pass
about = provider._get_supervisor().about
print(json.dumps({"account": account.pid, "supervisor": about["pid"], "shared": about["shared"]}), flush=True)
sys.stdin.read()
"""


class Owner:
    """A process of ours that opens an account and then waits."""

    def __init__(self, home: Path, *wanted: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _OWNER, str(home), *wanted],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the owner ended"
        self.told: dict[str, Any] = json.loads(line)

    def kill(self) -> None:
        """As `kill -9` would."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@contextmanager
def kept_sandboxes(home: Path) -> Iterator[KeptSandboxes]:
    kept = KeptSandboxes(home, say=quietly)
    try:
        yield kept
    finally:
        for account in kept.running():
            kept.down(account.name)


@pytest.fixture
def kept(home: Path) -> Iterator[KeptSandboxes]:
    with kept_sandboxes(home) as made:
        yield made


def test_a_killed_owner_leaves_no_process(home: Path) -> None:
    owner = Owner(home, "function")
    watched = Watched(below(owner.told["supervisor"]))
    assert len(watched.held) >= 5, "supervisor, spawner (2), account, environment (2)"

    owner.kill()

    assert watched.await_end() == []


def test_a_killed_supervisor_leaves_no_process(home: Path) -> None:
    owner = Owner(home, "function")
    watched = Watched(below(owner.told["supervisor"]))

    os.kill(owner.told["supervisor"], signal.SIGKILL)

    assert watched.await_end() == []
    owner.kill()


def test_a_killed_account_takes_its_environments_along(home: Path) -> None:
    owner = Owner(home, "function")
    alone = set(below(owner.told["supervisor"]))
    spawner = [pid for pid in alone if b"spawner" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    environments = [
        pid for pid in alone - {owner.told["account"], owner.told["supervisor"]} if pid not in spawner
    ]
    watched = Watched([owner.told["account"], *environments])

    os.kill(owner.told["account"], signal.SIGKILL)

    assert watched.await_end() == []
    owner.kill()


def test_a_lease_at_the_shared_supervisor_ends_with_its_killed_owner(home: Path, kept: KeptSandboxes) -> None:
    sandbox = kept.up("stays")
    owner = Owner(home)
    assert owner.told["shared"], "a running supervisor is used"
    leased = Watched([owner.told["account"]])

    owner.kill()

    assert leased.await_end() == []
    assert sandbox.settle().settled, "what is kept stays"


def test_a_kept_account_lives_until_it_is_taken_down(home: Path, kept: KeptSandboxes) -> None:
    first, second = kept.up(), kept.up()
    supervisor = find_shared(home)
    assert supervisor is not None
    everything = Watched(below(supervisor.about["pid"]))
    assert [account.name for account in kept.running()] == ["default", "default-2"]
    assert kept.get("default-2").account_id == second.account_id
    first.client("s3").create_bucket(Bucket="kept")
    assert kept.get("default").client("s3").list_buckets()["Buckets"][0]["Name"] == "kept"

    kept.down("default")
    kept.down("default-2")

    assert everything.await_end() == [], "the supervisor ends with its last account"
    assert find_shared(home) is None
    assert not list(places.run_directory(home).glob("s-*/**/default*"))


def test_names_are_unique_and_have_to_exist(kept: KeptSandboxes) -> None:
    with pytest.raises(NoSuchSandbox, match="No sandbox is running"):
        kept.get()
    kept.up("one")
    with pytest.raises(NameTaken):
        kept.up("one")
    with pytest.raises(NoSuchSandbox, match="Running: one"):
        kept.get("two")
    with pytest.raises(NoSuchSandbox):
        kept.down("two")
    kept.up("two")
    with pytest.raises(NoSuchSandbox, match="--name: one, two"):
        kept.get()


def test_sandboxes_survive_the_shell_that_started_them(home: Path, kept: KeptSandboxes) -> None:
    kept.up("stays")
    supervisor = find_shared(home)
    assert supervisor is not None
    pid = supervisor.about["pid"]

    assert os.getsid(pid) != os.getsid(0), "a session of its own: no hang-up, no Ctrl-C"
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"


def test_a_supervisor_of_older_source_is_passed_over(
    home: Path, kept: KeptSandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.up("stays")
    monkeypatch.setattr(places, "source_stamp", lambda: "edited since")

    with EmulatedProvider(home, say=quietly) as provider:
        provider.open().close()
        assert not provider._get_supervisor().about["shared"]


def test_another_supervisor_is_started_when_the_one_in_use_was_killed(home: Path) -> None:
    with EmulatedProvider(home, say=quietly) as provider:
        account = provider.open()
        os.kill(provider._get_supervisor().about["pid"], signal.SIGKILL)
        _await_hang_up(account)
        with pytest.raises(AccountUnavailable):
            account.settle()

        again = provider.open()

        assert again.settle().settled
        left = list(places.run_directory(home).glob("s-*"))
        assert len(left) <= 2, "what the killed one left was swept (another test's supervisor may run)"


def _await_hang_up(account: Any) -> None:
    poll = select.poll()
    poll.register(account._line, select.POLLIN | select.POLLRDHUP)
    assert poll.poll(10_000)
