"""Accounts as their owner holds them."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.errors import AccountUnavailable, EnvironmentFault, IsolationUnavailable, SandboxError
from sandbox.isolation.spec import IsolationLevel
from sandbox.providers.emulated import EmulatedProvider
from sandbox.supervisor import wire
from sandbox.supervisor.client import Wanted
from tests.supervisor.conftest import Watched, make_function, quietly


def test_an_account_answers_as_the_grader_and_as_its_fixture(provider: EmulatedProvider) -> None:
    account = provider.open(region="eu-central-1")

    assert account.client("sts").get_caller_identity()["Account"] == account.account_id
    assert account.client("sts", fixture=True).get_caller_identity()["Account"] == account.fixture_account_id
    assert account.client("s3").meta.region_name == "eu-central-1"
    assert account.isolation["level"] >= IsolationLevel.NAMESPACES
    account.close()


def test_the_users_own_aws_settings_have_no_say(
    provider: EmulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody-has-this-profile")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1")
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    account = provider.open()

    assert account.client("sns").list_topics()["Topics"] == []
    account.close()


def test_two_accounts_opened_at_once_share_nothing(provider: EmulatedProvider) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: provider.open(), range(2))

    first.client("s3").create_bucket(Bucket="only-here")

    assert second.client("s3").list_buckets()["Buckets"] == []
    assert first.account_id != second.account_id
    first.close()
    second.close()


def test_time_passes_without_waiting(provider: EmulatedProvider) -> None:
    account = provider.open()
    before = account.now()

    quiet = account.advance(6 * 3600)

    assert quiet.settled
    assert quiet.now - before >= timedelta(hours=6)
    assert account.settle().settled
    assert account.timeline()[-1]["kind"] == "clock"
    assert account.timeline(since=account.timeline()[-1]["sequence"]) == []
    account.close()


def test_addresses_are_turned_into_ones_that_answer_here(provider: EmulatedProvider) -> None:
    account = provider.open()

    assert account.url("https://abc.execute-api.us-east-1.amazonaws.com/dev/x").startswith(
        account.endpoint_url
    )
    account.close()


def test_what_makes_no_sense_is_said_so(provider: EmulatedProvider) -> None:
    account = provider.open()

    with pytest.raises(wire.BadRequest):
        account.advance(-1)
    with pytest.raises(wire.BadRequest, match="no fault `nix`"):
        account.begin_fault("nix", {})
    account.close()


def test_closing_ends_the_process_and_its_files(provider: EmulatedProvider) -> None:
    account = provider.open()
    process = Watched([account.pid])

    account.close()
    account.close()

    assert process.await_end(0) == [], "it is gone when close returns"
    with pytest.raises(AccountUnavailable, match="closed"):
        account.client("s3").list_buckets()


def test_an_account_that_died_is_noticed(provider: EmulatedProvider) -> None:
    account, other = provider.open(), provider.open()
    client = account.client("s3")
    process = Watched([account.pid])

    os.kill(account.pid, signal.SIGKILL)
    process.await_end()

    with pytest.raises(AccountUnavailable):
        account.settle()
    account.close()
    with pytest.raises(AccountUnavailable):
        client.list_buckets()
    assert other.settle().settled, "the others live on"
    other.close()


def test_isolation_that_is_not_to_be_had_is_refused_in_words(home: Path) -> None:
    wanted = Wanted(IsolationLevel.LANDLOCK)
    assert Wanted.named("2") == wanted
    assert Wanted.named("unsafe") == Wanted(IsolationLevel.NONE, unsafe=True)
    with pytest.raises(EnvironmentFault, match="COLDSTART_ISOLATION is `5`"):
        Wanted.named("5")
    with pytest.raises(IsolationUnavailable):
        raise wire.result({"error": "no", "kind": "IsolationUnavailable"})


def test_a_runtime_that_can_not_be_read_is_told_with_the_reason(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = home / "broken-runtime"
    broken.mkdir(exist_ok=True)
    monkeypatch.setattr("sandbox.supervisor.client.prepare_python_runtime", lambda *_: broken)

    with EmulatedProvider(home, say=quietly) as provider, pytest.raises(SandboxError, match="awslambdaric"):
        provider.open()


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n", b'{"do":"nothing"}\n', b"\n"])
def test_a_connection_that_speaks_nonsense_hurts_nobody(provider: EmulatedProvider, line: bytes) -> None:
    account = provider.open()
    with_nonsense = wire.Line(account._control, 5)
    with_nonsense.socket.sendall(line)
    with_nonsense.close()

    assert account.settle().settled
    account.close()


def test_many_may_ask_at_the_same_moment(provider: EmulatedProvider) -> None:
    account = provider.open()
    os.kill(account.pid, signal.SIGSTOP)  # So busy that it takes nobody in.
    try:
        asking = [wire.Line(account._control, 5) for _ in range(100)]
    finally:
        os.kill(account.pid, signal.SIGCONT)

    assert all(line.ask("now", 5) for line in asking)
    for line in asking:
        line.close()
    account.close()


@pytest.mark.parametrize("level", [IsolationLevel.LANDLOCK, IsolationLevel.NONE])
def test_functions_run_at_the_lower_levels_too(home: Path, level: IsolationLevel) -> None:
    """With the AWS endpoint, the runtime API and /tmp at places of this machine."""
    code = """
import boto3, tempfile
def handler(event, context):
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
    return boto3.client("s3").list_buckets()["Buckets"][0]["Name"]
"""
    wanted = Wanted(IsolationLevel.NONE, unsafe=True, exactly=level)
    with EmulatedProvider(home, wanted, quietly) as provider:
        account = provider.open()
        assert account.isolation["level"] == level
        account.client("s3").create_bucket(Bucket="seen-by-the-function")
        function = make_function(account, code)

        answer = account.client("lambda").invoke(FunctionName=function, Payload=b"{}")

        assert json.load(answer["Payload"]) == "seen-by-the-function"
