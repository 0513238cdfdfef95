"""Partners on the real emulator: callable from the learner's account alone, told how to behave, recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from graders import telemetry
from graders.backend import open_backend
from graders.partners import Partner, PartnerCall, most_at_once, open_partners


@pytest.fixture(scope="module")
def opened() -> Iterator[tuple[Any, dict[str, str], Partner]]:
    with open_backend("emulated") as backend:
        account = backend.open()
        addresses, partners = open_partners(account, {"BankArn": "bank", "OtherBankArn": "bank"})
        yield account, addresses, partners["bank"]
        account.close()


def invoke(account: Any, arn: str, payload: dict[str, Any]) -> Any:
    return account.client("lambda").invoke(FunctionName=arn, Payload=json.dumps(payload).encode())


def test_every_call_is_in_the_ledger_with_what_it_said(opened: tuple[Any, dict[str, str], Partner]) -> None:
    account, addresses, bank = opened
    mark = telemetry.mark(account, telemetry.Cursor())
    text = "õ" * 3_000

    answer = invoke(account, addresses["BankArn"], {"token": "t-1", "text": text})

    assert addresses == {"BankArn": bank.arn, "OtherBankArn": bank.arn}
    assert bank.arn.split(":")[4] == account.fixture_account_id != account.account_id
    assert json.loads(answer["Payload"].read())["accepted"] is True
    (call,) = bank.calls(mark)
    assert call.accepted
    assert call.said["token"] == "t-1"
    assert call.says("text", text)
    assert not call.says("text", text[:-1])
    assert not call.says("amount", None)


def test_a_partner_fails_and_is_slow_for_a_while(opened: tuple[Any, dict[str, str], Partner]) -> None:
    account, _, bank = opened
    mark = telemetry.mark(account, telemetry.Cursor())

    with bank.behaving(failure="BankClosed", latency_ms=30):
        refused = invoke(account, bank.arn, {"token": "t-2"})
    taken = invoke(account, bank.arn, {"token": "t-3"})

    assert json.loads(refused["Payload"].read())["errorType"] == "BankClosed"
    assert "FunctionError" not in taken
    closed, served = bank.calls(mark)
    assert (closed.said["token"], closed.failure, closed.accepted) == ("t-2", "BankClosed", False)
    assert closed.ended is not None
    assert closed.ended - closed.began >= 0.03
    assert (served.said["token"], served.accepted) == ("t-3", True)


def test_a_share_of_the_calls_fails_after_the_work_was_done(
    opened: tuple[Any, dict[str, str], Partner],
) -> None:
    account, _, bank = opened
    mark = telemetry.mark(account, telemetry.Cursor())

    def outcomes(seed: int) -> list[str]:
        with bank.behaving(failure="AnswerLost", share=0.5, seed=seed, performed=True):
            return [invoke(account, bank.arn, {"n": n}).get("FunctionError", "") for n in range(12)]

    first = outcomes(1)

    assert outcomes(1) == first
    assert 2 <= first.count("Unhandled") <= 10
    assert all(call.performed for call in bank.calls(mark))
    assert [call.accepted for call in bank.calls(mark)][:12] == [not failed for failed in first]


def test_a_partner_takes_few_calls_at_once_and_answers_otherwise(
    opened: tuple[Any, dict[str, str], Partner],
) -> None:
    account, _, bank = opened
    client = account.client("lambda")

    with bank.behaving(answer={"version": 2}):
        assert json.loads(invoke(account, bank.arn, {})["Payload"].read())["version"] == 2
    with bank.behaving(concurrency=0), pytest.raises(client.exceptions.TooManyRequestsException):
        invoke(account, bank.arn, {})

    assert "FunctionError" not in invoke(account, bank.arn, {})
    assert [event["outcome"] for event in account.timeline() if event["kind"] == "fault"][-4:] == [
        "began",
        "ended",
    ] * 2


def test_calls_at_the_same_time_are_seen_to_overlap(opened: tuple[Any, dict[str, str], Partner]) -> None:
    account, _, bank = opened
    mark = telemetry.mark(account, telemetry.Cursor())

    with bank.behaving(latency_ms=800), ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda token: invoke(account, bank.arn, {"token": token}), ("a", "b", "c")))

    assert most_at_once(bank.calls(mark)) == 3


def test_the_learner_can_call_a_partner_and_nothing_else(opened: tuple[Any, dict[str, str], Partner]) -> None:
    account, _, bank = opened
    client = account.client("lambda")

    with pytest.raises(client.exceptions.ClientError) as refused:
        client.get_function(FunctionName=bank.arn)

    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def test_one_call_after_the_other_is_one_at_a_time() -> None:
    calls = [PartnerCall("1", {}, 1.0, 2.0), PartnerCall("2", {}, 2.0, 3.0), PartnerCall("3", {}, 2.5)]

    assert most_at_once(calls) == 1
    assert most_at_once([*calls, PartnerCall("4", {}, 2.6, 2.7)]) == 2
    assert most_at_once([]) == 0
