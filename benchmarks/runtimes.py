"""Every runtime with and without the AWS SDK: cold, warm, ten at once, and what 10,000 leave behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.figures import Bench, Figure, timed
from benchmarks.functions import Measured, functions
from benchmarks.invocations import TRUST

STARTS = 10
WARM = 200
AT_ONCE = 10
CONCURRENT_INVOCATIONS = 1000
LEAK_INVOCATIONS = 10_000


def measure(bench: Bench) -> Iterator[Figure]:
    """Init of fresh environments (isolated), invocations through the API, a leak check."""
    account = bench.provider.open()
    role = account.client("iam").create_role(RoleName="bench", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    plain = []
    for number, function in enumerate(functions(account.runtimes)):
        name = f"bench-{number}"
        yield from _one_at_a_time(bench, account, role, name, function)
        if not function.sdk:
            plain.append(f"{name}-0")
            rate = _throughput(account.client("lambda"), plain[-1], bench.times(CONCURRENT_INVOCATIONS))
            title = f"invocations per second, {function.title}, {AT_ONCE} environments"
            yield Figure(title, "/s", (rate,), 300, at_most=False)
    yield from _leaks(account, plain, bench.times(LEAK_INVOCATIONS))
    account.close()


def _one_at_a_time(bench: Bench, account: Any, role: str, name: str, function: Measured) -> Iterator[Figure]:
    client = account.client("lambda")
    seen = len(account.timeline())
    for number in range(bench.times(STARTS)):
        client.create_function(
            FunctionName=f"{name}-{number}",
            Runtime=function.runtime,
            Handler=function.handler,
            Role=role,
            Code={"ZipFile": function.package},
            MemorySize=512,
            Timeout=10,
        )
        _invoke(client, f"{name}-{number}")
    inits = [
        float(event["detail"]["init_ms"])
        for event in account.timeline()[seen:]
        if event["kind"] == "invocation" and event["detail"].get("init_ms")
    ]
    warm = [timed(lambda: _invoke(client, f"{name}-0")) for _ in range(bench.times(WARM))]
    yield Figure(f"cold start, {function.title} (init, isolated)", "ms", tuple(inits[2:]), function.goal_ms)
    yield Figure(f"warm invoke, {function.title}, through the API", "ms", tuple(warm[bench.times(20) :]), 3)


def _throughput(client: Any, name: str, count: int) -> float:
    """Warm invocations per second from ten callers at once, each with an environment."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: _invoke(client, name), range(AT_ONCE * 3)))
        started = time.perf_counter()
        list(pool.map(lambda _: _invoke(client, name), range(count)))
        return count / (time.perf_counter() - started)


def _leaks(account: Any, names: list[str], count: int) -> Iterator[Figure]:
    """What is held after many warm invocations, of every runtime in turn, and was not before."""
    client = account.client("lambda")
    for name in names:
        _invoke(client, name)
    before = _held(account.pid)
    for number in range(count):
        _invoke(client, names[number % len(names)])
    after = _held(account.pid)
    title = f"left by {count:,} invocations of {len(names)} runtimes"
    yield Figure(f"processes {title}", "", (after[0] - before[0],), 1)
    yield Figure(f"descriptors {title}", "", (after[1] - before[1],), 2)
    yield Figure("memory that an invocation's records keep", "KB", ((after[2] - before[2]) / count,), 8)


def _invoke(client: Any, name: str) -> None:
    """Invoke, and read the answer: else the connection is not used again."""
    answer = client.invoke(FunctionName=name, Payload=b'{"n": "1"}')
    body = answer["Payload"].read()
    assert "FunctionError" not in answer, body


def _held(pid: int) -> tuple[int, int, float]:
    """Children and descriptors of an account's process, and its resident memory in KB."""
    place = Path("/proc", str(pid))
    children = sum(len((task / "children").read_text().split()) for task in (place / "task").iterdir())
    resident = int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1024
    return children, len(list((place / "fd").iterdir())), resident
