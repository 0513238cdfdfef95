"""Prints each figure as median and range, with its goal and their ratio. Fails nothing: machines differ."""

from __future__ import annotations

import io
import json
import os
import platform
import statistics
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from curriculum.loader import Catalogue
from graders.backend import SandboxBackend
from graders.runner import grade
from sandbox.providers.emulated import EmulatedAccount, EmulatedProvider
from sandbox.submissions import read_folder
from settings import Settings

HANDLER = """
import boto3
s3 = boto3.client("s3")
dynamodb = boto3.client("dynamodb")

def handler(event, context):
    return event
"""
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
THROUGHPUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. ``goal`` is in the same unit; ``at_most``: smaller is better."""

    name: str
    unit: str
    values: tuple[float, ...]
    goal: float
    at_most: bool = True

    def row(self) -> tuple[str, ...]:
        """Its line in the table."""
        median = statistics.median(self.values)
        ratio = median / self.goal
        met = ratio <= 1 if self.at_most else ratio >= 1
        spread = f"{min(self.values):.3g}–{max(self.values):.3g}"
        sign = "≤" if self.at_most else "≥"
        return (
            self.name,
            f"{median:.3g} {self.unit}",
            spread,
            str(len(self.values)),
            f"{sign} {self.goal:g} {self.unit}",
            f"{ratio:.2f}×",
            "met" if met else "missed",
        )


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds that ``work`` took."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def new_accounts(provider: EmulatedProvider) -> Iterator[Figure]:
    """From asking for an account to having one, and to its first answer."""
    ready, first = [], []
    for _ in range(12):
        started = time.perf_counter()
        account = provider.open()
        ready.append((time.perf_counter() - started) * 1000)
        account.client("sqs").list_queues()
        first.append((time.perf_counter() - started) * 1000)
        account.close()
    yield Figure("new account: asked for → ready", "ms", tuple(ready[2:]), 50)
    yield Figure("new account: asked for → first call answered", "ms", tuple(first[2:]), 50)


def functions(account: EmulatedAccount) -> Iterator[Figure]:
    """Cold starts of fresh functions with two boto3 clients, and warm invocations, through the API."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("app.py", HANDLER)
    role = account.client("iam").create_role(RoleName="bench", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    client = account.client("lambda")
    cold, inits, warm = [], [], []
    for number in range(10):
        name = f"bench-{number}"
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Handler="app.handler",
            Role=role,
            Code={"ZipFile": archive.getvalue()},
            MemorySize=512,
            Timeout=10,
        )
        cold.append(timed(lambda name=name: client.invoke(FunctionName=name, Payload=b"{}")))  # type: ignore[misc]
    for event in account.timeline():
        if event["kind"] == "invocation" and event["detail"].get("init_ms"):
            inits.append(float(event["detail"]["init_ms"]))
    for _ in range(300):
        warm.append(timed(lambda: client.invoke(FunctionName="bench-0", Payload=b'{"n": 1}')))
    yield Figure("cold start, Python with boto3 (init, isolated)", "ms", tuple(inits[2:]), 60)
    yield Figure("cold invoke through the API", "ms", tuple(cold[2:]), 100)
    yield Figure("warm invoke through the API", "ms", tuple(warm[20:]), 3)


def grading(backend: SandboxBackend) -> Iterator[Figure]:
    """The reference of A02: one seed, two seeds in parallel, and how many a minute."""
    lab = Catalogue().get_lab("a02")
    submission = read_folder(lab.folder / "solutions" / "reference-python")
    grade(lab, submission, backend, seed=1)
    one = [
        timed(lambda n=n: grade(lab, submission, backend, seed=n, seeds=1)) / 1000  # type: ignore[misc]
        for n in range(2, 9)
    ]
    two = [
        timed(lambda n=n: grade(lab, submission, backend, seed=n)) / 1000  # type: ignore[misc]
        for n in range(12, 19)
    ]
    yield Figure("A02 reference: submission → report, one seed", "s", tuple(one), 1.0)
    yield Figure("A02 reference: submission → report, two seeds", "s", tuple(two), 1.0)
    until = time.monotonic() + THROUGHPUT_S

    def work(worker: int) -> int:
        done = 0
        while time.monotonic() < until:
            grade(lab, submission, backend, seed=1000 * worker + done, seeds=1)
            done += 1
        return done

    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        total = sum(pool.map(work, (1, 2)))
    rate = total * 60 / (time.monotonic() - started)
    yield Figure("A02 gradings per minute, one seed each, two at a time", "/min", (rate,), 120, at_most=False)


def main() -> None:
    """Measure everything and print the table."""
    console = Console(width=max(120, Console().width))
    cores, machine = os.cpu_count(), platform.machine()
    console.print(
        f"{cores} cores, {machine}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )
    table = Table("figure", "median", "range", "n", "goal", "ratio", "")
    settings = Settings()
    with EmulatedProvider(settings.home) as provider:
        provider.open().close()
        account = provider.open()
        backend = SandboxBackend(provider.open, settings.home / "builds")
        for part in (new_accounts(provider), functions(account), grading(backend)):
            for figure in part:
                table.add_row(*figure.row())
                console.print(f"  {figure.row()[0]}: {figure.row()[1]}")
        account.close()
    console.print(table)


if __name__ == "__main__":
    main()
