"""Calls that fail, are throttled or take long: real requests by real SDKs over HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.emulator.calls import Principal, PrincipalKind
from sandbox.emulator.faults.calls import Asked, CallFaults
from sandbox.emulator.gateway import server

Client = Callable[..., Any]


@pytest.fixture
def outside(account: Any) -> Iterator[Client]:
    """Makes clients with the learner's keys, or others, which call over HTTP and try once."""
    listener = socket.create_server(("127.0.0.1", 0))
    running = server.serve(account.gateway.application(), listener)

    def make(service: str, *, keys: Any = None, region: str = "eu-north-1", tries: int = 1) -> Any:
        shown = keys or account.keys
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
            region_name=region,
            aws_access_key_id=shown.access_key_id,
            aws_secret_access_key=shown.secret_access_key,
            aws_session_token=getattr(shown, "session_token", "") or None,
            config=Config(retries={"total_max_attempts": tries, "mode": "standard"}),
        )

    yield make
    running.close()


def refused(call: Callable[..., Any], **parameters: Any) -> tuple[str, int]:
    """The code and the status that a call is refused with."""
    with pytest.raises(ClientError) as told:
        call(**parameters)
    return (
        told.value.response["Error"]["Code"],
        told.value.response["ResponseMetadata"]["HTTPStatusCode"],
    )


@pytest.mark.parametrize(
    ("service", "operation", "internal", "throttled"),
    [
        (
            "dynamodb",
            "list_tables",
            ("InternalServerError", 500),
            ("ProvisionedThroughputExceededException", 400),
        ),
        ("lambda", "list_functions", ("ServiceException", 500), ("TooManyRequestsException", 429)),
        ("s3", "list_buckets", ("InternalError", 500), ("SlowDown", 503)),
        ("sns", "list_topics", ("InternalError", 500), ("Throttled", 429)),
        ("sqs", "list_queues", ("InternalFailure", 500), ("RequestThrottled", 400)),
        (
            "kinesis",
            "list_streams",
            ("InternalFailureException", 500),
            ("ProvisionedThroughputExceededException", 400),
        ),
        ("stepfunctions", "list_state_machines", ("InternalFailure", 500), ("ThrottlingException", 400)),
        ("cloudwatch", "list_metrics", ("InternalServiceError", 500), ("Throttling", 400)),
    ],
)
def test_each_service_fails_in_its_own_words(
    account: Any, outside: Client, service: str, operation: str, internal: Any, throttled: Any
) -> None:
    call = getattr(outside(service), operation)

    fault = account.faults.begin("errors", {"service": service})
    assert refused(call) == internal
    account.faults.end(fault)
    call()
    fault = account.faults.begin("throttle_calls", {"service": service})
    assert refused(call) == throttled
    account.faults.end(fault)

    call()
    codes = [event.outcome for event in account.events("api") if event.subject.startswith(f"{service}:")]
    assert len([code for code in codes if code == "ok"]) == 2
    assert len(codes) == 4, "what was refused by a fault is on the timeline as well"


def test_an_sdk_that_tries_again_gets_over_the_first_calls(account: Any, outside: Client) -> None:
    account.faults.begin("throttle_calls", {"service": "dynamodb", "first": 2})

    assert outside("dynamodb", tries=4).list_tables()["TableNames"] == []

    outcomes = [event.outcome for event in account.events("api")]
    assert outcomes == ["ProvisionedThroughputExceededException"] * 2 + ["ok"]
    assert account.faults.active()[0].struck == 2


def test_an_error_of_ones_choice_has_the_status_it_has_at_the_service(account: Any, outside: Client) -> None:
    account.faults.begin("errors", {"service": "ssm", "code": "InternalServerError", "first": 1})
    account.faults.begin("errors", {"service": "lambda", "code": "EC2ThrottledException"})
    account.faults.begin(
        "errors", {"service": "secretsmanager", "code": "Teapot", "status": 418, "message": "short and stout"}
    )

    assert refused(outside("ssm").describe_parameters) == ("InternalServerError", 500)
    assert refused(outside("lambda").list_functions) == ("EC2ThrottledException", 502)
    with pytest.raises(ClientError, match=r"Teapot.*short and stout"):
        outside("secretsmanager").list_secrets()


def test_a_call_can_be_performed_and_fail_all_the_same(account: Any, outside: Client) -> None:
    account.faults.begin("errors", {"service": "sqs", "operation": "Create*", "performed": True})

    assert refused(outside("sqs").create_queue, QueueName="orders") == ("InternalFailure", 500)

    assert outside("sqs").list_queues()["QueueUrls"][0].endswith("/orders")


def test_a_share_is_made_up_of_the_same_calls_by_the_same_seed(account: Any, outside: Client) -> None:
    client = outside("dynamodb")

    def outcomes(seed: int) -> list[bool]:
        fault = account.faults.begin("errors", {"service": "dynamodb", "share": 0.3, "seed": seed})
        before = len(account.events("api"))
        for _ in range(60):
            try:
                client.list_tables()
            except ClientError:
                continue
        account.faults.end(fault)
        return [event.outcome == "ok" for event in account.events("api")[before:]]

    first = outcomes(1)

    assert outcomes(1) == first
    assert outcomes(2) != first
    assert 8 <= first.count(False) <= 28


def test_calls_are_chosen_by_what_is_asked_of_where_and_by_whom(account: Any, outside: Client) -> None:
    sqs = outside("sqs")
    orders, refunds = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("orders", "refunds"))

    fault = account.faults.begin("errors", {"resource": "arn:aws:sqs:*:orders"})
    assert refused(sqs.send_message, QueueUrl=orders, MessageBody="1") == ("InternalFailure", 500)
    sqs.send_message(QueueUrl=refunds, MessageBody="1")
    account.faults.end(fault)
    fault = account.faults.begin("errors", {"service": "sqs", "region": "eu-west-1"})
    sqs.list_queues()
    assert refused(outside("sqs", region="eu-west-1").list_queues) == ("InternalFailure", 500)
    account.faults.end(fault)
    account.faults.begin("errors", {"principal": "clerk*"})
    sqs.list_queues()
    clerk = Principal(
        PrincipalKind.ROLE_SESSION,
        account.core.account_id,
        f"arn:aws:sts::{account.core.account_id}:assumed-role/clerk-role/intake",
        role_arn=f"arn:aws:iam::{account.core.account_id}:role/clerk-role",
    )
    account.gateway.guard.enforcing = False
    acting = account.core.clients.client("sqs", region="eu-north-1", principal=clerk)
    assert refused(acting.list_queues) == ("InternalFailure", 500)
    account.faults.begin("throttle_calls", {"service": "sns", "principal": "intake"})
    acting = account.core.clients.client("sns", region="eu-north-1", principal=clerk)
    assert refused(acting.list_topics)[0] == "InternalError", "the earlier fault speaks first"


def test_the_graders_calls_are_spared_unless_it_asks(account: Any, outside: Client) -> None:
    grader = account.gateway.root_keys(account.core.account_id).keys
    account.gateway.gate.spared.add(grader.access_key_id)
    mine, theirs = outside("dynamodb", keys=grader), outside("dynamodb")

    fault = account.faults.begin("errors", {"service": "dynamodb"})
    mine.list_tables()
    assert refused(theirs.list_tables)[1] == 500
    account.faults.end(fault)
    account.faults.begin("errors", {"service": "dynamodb", "grader": True})

    assert refused(mine.list_tables)[1] == 500


def test_a_late_call_waits_in_account_time(account: Any, outside: Client) -> None:
    client = outside("dynamodb")
    fault = account.faults.begin("latency", {"service": "dynamodb", "seconds": 0.15})
    began = time.monotonic()
    client.list_tables()
    assert time.monotonic() - began >= 0.15
    account.faults.end(fault)
    account.faults.begin("latency", {"service": "dynamodb", "seconds": 600})
    done = threading.Event()
    threading.Thread(target=lambda: (client.list_tables(), done.set()), daemon=True).start()

    assert not done.wait(0.1)
    account.advance(601)

    assert done.wait(10)


def test_latency_can_have_a_long_tail(account: Any) -> None:
    account.faults.begin("latency", {"seconds": 0.1, "p99": 2.0, "seed": 3})
    asked = Asked("dynamodb", "GetItem", "eu-north-1", account.core.owner)

    delays = sorted(CallFaults(account.faults).of(asked).delay_s for _ in range(4_000))

    assert 0.09 < delays[2_000] < 0.11
    assert 1.5 < delays[3_960] < 2.7


def test_who_waits_goes_on_when_the_fault_ends(account: Any, outside: Client) -> None:
    client = outside("dynamodb")
    account.faults.begin("latency", {"service": "dynamodb", "seconds": 600})
    done = threading.Event()
    threading.Thread(target=lambda: (client.list_tables(), done.set()), daemon=True).start()
    assert not done.wait(0.1)

    account.faults.clear()

    assert done.wait(10)


def test_nothing_of_a_dark_region_answers(account: Any, outside: Client) -> None:
    outage = account.faults.begin("region_outage", {"region": "eu-west-1"})

    for service, operation in (
        ("dynamodb", "list_tables"),
        ("sqs", "list_queues"),
        ("lambda", "list_functions"),
    ):
        there = outside(service, region="eu-west-1")
        assert refused(getattr(there, operation))[1] == 503
        getattr(outside(service), operation)()
    outside("iam", region="eu-west-1").list_roles()
    account.faults.end(outage)

    outside("dynamodb", region="eu-west-1").list_tables()
