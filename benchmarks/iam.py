"""How long one IAM decision takes. Needs no account."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from benchmarks.figures import Bench, Figure
from sandbox.emulator.iam.evaluation import Caller, Policies, Request, evaluate, parse_policy

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
