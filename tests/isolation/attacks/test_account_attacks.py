"""Attacks on the Runtime API and the AWS endpoint, by functions of a real account."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.isolation.client import SpawnerClient
from tests.emulator.functions.conftest import authority
from tests.emulator.functions.test_own_names import Town
from tests.isolation.attacks import runners
from tests.isolation.attacks.account_table import ATTACKS


@pytest.fixture
def attack(
    functions: Any, spawner_socket: Path, record_property: Callable[[str, object], None]
) -> Callable[..., Any]:
    """Invoke a row's function; its answer."""
    rows = {each.name: each for each in ATTACKS}

    def run(name: str, event: Any = None) -> Any:
        record_property("attack", name)
        record_property("runner", runners.FORK)
        record_property("identity", "root")
        spawner = SpawnerClient(spawner_socket)
        record_property("level", int(spawner.level))
        spawner.close()
        functions.create(rows[name].code)
        return functions.invoke(event)

    return run


def test_a_forged_request_id_answers_nobody(attack: Callable[[str], Any], functions: Any) -> None:
    for answer in (attack("forged-request-id"), functions.invoke()):
        assert "FunctionError" not in answer, answer
        statuses = answer["Payload"]["statuses"]
        assert statuses
        assert set(statuses) <= {400, 403, 404, 405}, statuses


def test_a_response_of_7_mb_is_too_large(attack: Callable[[str], Any]) -> None:
    answer = attack("seven-megabyte-response")
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorType"] == "Function.ResponseSizeTooLarge"


def test_floods_of_headers_are_hung_up_on(attack: Callable[[str], Any]) -> None:
    answer = attack("header-flood")
    assert "FunctionError" not in answer, answer
    for said in answer["Payload"]["said"]:
        assert said in {"closed", "waits"} or said.startswith(("HTTP/1.1 4", "HTTP/1.0 4")), answer


def test_a_flood_of_connections_costs_only_its_own_environment(
    attack: Callable[[str], Any], functions: Any
) -> None:
    functions.create("import boto3\ndef handler(event, context):\n    return 'still here'", name="other")
    answer = attack("connection-flood")
    assert answer["Payload"] == {"held": 900}
    assert functions.invoke(name="other")["Payload"] == "still here"


def test_the_emulators_own_paths_are_closed(attack: Callable[[str], Any], functions: Any) -> None:
    answer = attack("emulator-administration")
    assert "FunctionError" not in answer, answer
    statuses = answer["Payload"]["statuses"]
    assert all(status >= 400 for status in statuses.values()), statuses
    assert functions.api.get_function(FunctionName="fn"), "nothing was reset"


def test_keys_are_believed_only_when_we_issued_them(attack: Callable[[str], Any]) -> None:
    answer = attack("keys-of-others")
    assert "FunctionError" not in answer, answer
    payload = answer["Payload"]
    assert ":assumed-role/fn-role/" in payload["own"]
    assert all(status in (400, 403) for status in payload["refused"]), payload


def test_nothing_is_called_between_invocations(attack: Callable[[str], Any], functions: Any) -> None:
    assert "FunctionError" not in attack("calls-after-the-response")

    def calls() -> int:
        return sum("GetCallerIdentity" in event.subject for event in functions.events("api"))

    functions.create("import time\ndef handler(event, context): time.sleep(0.2)", name="other")
    functions.invoke(name="other")  # What was on its way when the environment froze has arrived.
    before = calls()
    functions.invoke(name="other")
    assert calls() == before
    functions.invoke()
    assert calls() > before


def test_the_key_of_the_authority_is_in_no_environment(attack: Callable[..., Any]) -> None:
    key = authority().place / "key.pem"
    assert key.stat().st_mode & 0o777 == 0o600

    digest = hashlib.sha256(key.read_bytes().splitlines()[1]).hexdigest()
    answer = attack("authority-key", {"key": str(key), "digest": digest})

    assert "FunctionError" not in answer, answer
    payload = answer["Payload"]
    assert all(said.startswith("refused") for said in payload["read"] + payload["written"]), payload
    assert set(payload["trusted"]) == {"done"}
    assert payload["seen"] > 100
    assert payload["found"] == []


def test_no_names_but_those_of_aws_and_of_zones_lead_anywhere(
    attack: Callable[..., Any], functions: Any
) -> None:
    town = Town(functions)
    town.plain("queue.example.com", "sqs.eu-north-1.amazonaws.com", kind="CNAME")
    root = functions.account.gateway.root_keys("222222222222").principal
    other = functions.core.clients.client("route53", region="eu-north-1", principal=root)
    zone = other.create_hosted_zone(Name="example.org", CallerReference="1")["HostedZone"]["Id"]
    town.plain("foreign.example.org", "192.0.2.1", client=other, zone=zone)

    answer = attack("other-names", {"own": "queue.example.com", "foreign": "foreign.example.org"})
    assert "FunctionError" not in answer, answer
    payload = answer["Payload"]
    assert set(payload["answers"].values()) == {"done"}, payload["answers"]
    assert all(said.startswith("refused") for said in payload["refused"].values()), payload["refused"]


def test_a_flood_of_names_and_handshakes_costs_only_its_own_environment(
    attack: Callable[..., Any], functions: Any
) -> None:
    functions.create(
        "import boto3, os\n"
        "def handler(event, context):\n"
        "    os.environ['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] = 'true'\n"
        "    return boto3.client('sts').get_caller_identity()['Account']",
        name="other",
    )
    answer = attack("flood-of-names")
    assert answer["Payload"] == {"held": 400, "still": "127.0.0.1"}
    assert functions.invoke(name="other")["Payload"] == functions.core.account_id
    assert functions.invoke({"close": True})["Payload"]["still"] == "127.0.0.1"
