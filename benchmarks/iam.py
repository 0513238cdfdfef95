"""How long one IAM decision takes, and a whole call through the gateway. Needs no account."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core.base_backend import BackendDict

from benchmarks.figures import Bench, Figure
from sandbox.emulator import patches
from sandbox.emulator.clock import VirtualClock
from sandbox.emulator.gateway.edge import Gateway
from sandbox.emulator.gateway.requests import HttpRequest
from sandbox.emulator.iam.evaluation import Caller, Policies, Request, evaluate, parse_policy
from sandbox.emulator.timeline import Timeline

ACCOUNT, REGION = "111122223333", "eu-north-1"
STATEMENTS = 100
ROUNDS, DECISIONS = 25, 200
CALLER = Caller.user("111122223333", "arn:aws:iam::111122223333:user/ada")


def _policies(statement: Callable[[int], dict[str, object]]) -> Policies:
    statements = [statement(number) for number in range(STATEMENTS)]
    return Policies(identity=(parse_policy({"Version": "2012-10-17", "Statement": statements}, "bench"),))


def _per_decision(policies: Policies, requests: Callable[[int], Request]) -> tuple[float, ...]:
    """Microseconds of a decision, one figure a round."""
    figures = []
    for turn in range(ROUNDS):
        asked = [requests(turn * DECISIONS + number) for number in range(DECISIONS)]
        started = time.perf_counter()
        for request in asked:
            evaluate(CALLER, request, policies)
        figures.append((time.perf_counter() - started) / DECISIONS * 1e6)
    return tuple(figures[5:])


def measure(bench: Bench) -> Iterator[Figure]:
    """A policy of 100 statements: requests seen before, new requests, and statements full of conditions."""
    del bench
    by_bucket = _policies(
        lambda number: {
            "Effect": "Allow",
            "Action": ["s3:Get*", "s3:PutObject"],
            "Resource": f"arn:aws:s3:::bucket-{number}/*",
            "Condition": {"Bool": {"aws:SecureTransport": "true"}},
        }
    )
    seen = Request("s3:GetObject", "arn:aws:s3:::bucket-70/a", context={"aws:SecureTransport": True})
    yield Figure(
        "IAM decision, 100 statements, request seen before",
        "µs",
        _per_decision(by_bucket, lambda _: seen),
        50,
    )

    def new(number: int) -> Request:
        key = f"arn:aws:s3:::bucket-{number % STATEMENTS}/{number}"
        return Request("s3:GetObject", key, context={"aws:SecureTransport": True})

    yield Figure("IAM decision, 100 statements, new request", "µs", _per_decision(by_bucket, new), 50)
    by_user = _policies(
        lambda number: {
            "Effect": "Allow",
            "Action": "s3:GetObject" if number % 10 == 0 else f"service-{number}:*",
            "Resource": "arn:aws:s3:::home/${aws:username}/*",
            "Condition": {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", f"10.{number}.0.0/16"]}},
        }
    )

    def at_home(number: int) -> Request:
        key = f"arn:aws:s3:::home/ada/{number}"
        return Request("s3:GetObject", key, context={"aws:SourceIp": "203.0.113.7"})

    yield Figure(
        "IAM decision, 100 statements, ten of the action with variables",
        "µs",
        _per_decision(by_user, at_home),
        50,
    )
    yield Figure("whole gateway, one GetItem of a role, 100 statements", "µs", tuple(_gateway()), 1000)


def _gateway() -> Iterator[float]:
    """Microseconds of a signed call whose operation itself does nothing: all of it is the gateway."""
    BackendDict.reset()
    patches.apply_all()
    clock = VirtualClock()
    gateway = Gateway(clock, Timeline(clock.now), threading.RLock(), enforcing=True)
    gateway.add({("dynamodb", "GetItem"): lambda _call: {}})
    iam = gateway.clients.client("iam", region=REGION, principal=gateway.root_keys(ACCOUNT).principal)
    iam.create_user(UserName="ada")
    statements = [
        {
            "Effect": "Allow",
            "Action": ["dynamodb:GetItem", "dynamodb:PutItem"],
            "Resource": f"arn:aws:dynamodb:*:{ACCOUNT}:t{number}",
        }
        for number in range(STATEMENTS // 5)
    ]
    statements.append({"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"})
    for part in range(5):
        document = {"Version": "2012-10-17", "Statement": statements}
        policy = iam.create_policy(PolicyName=f"part-{part}", PolicyDocument=json.dumps(document))
        iam.attach_user_policy(UserName="ada", PolicyArn=policy["Policy"]["Arn"])
    made = iam.create_access_key(UserName="ada")["AccessKey"]
    keys = Credentials(made["AccessKeyId"], made["SecretAccessKey"])
    for turn in range(ROUNDS):
        requests = [_get_item(keys, turn * ROUNDS + number) for number in range(ROUNDS)]
        started = time.perf_counter()
        for request in requests:
            if gateway.answer(request).status != 200:
                raise AssertionError("the gateway refused what is allowed")
        if turn >= 5:
            yield (time.perf_counter() - started) / ROUNDS * 1e6


def _get_item(keys: Credentials, number: int) -> HttpRequest:
    body = json.dumps({"TableName": "orders", "Key": {"pk": {"S": str(number)}}}).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "DynamoDB_20120810.GetItem",
        "Host": f"dynamodb.{REGION}.amazonaws.com",
    }
    request = AWSRequest("POST", f"https://{headers['Host']}/", data=body, headers=headers)
    SigV4Auth(keys, "dynamodb", REGION).add_auth(request)
    signed = {name.lower(): str(value) for name, value in request.headers.items()}
    return HttpRequest("POST", "/", "", signed, body)
