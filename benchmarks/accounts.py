"""How soon a new account is there, and answers."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.figures import Bench, Figure


def measure(bench: Bench) -> Iterator[Figure]:
    """From asking for an account to having one, and to its first answer."""
    ready, first = [], []
    for _ in range(12):
        started = time.perf_counter()
        account = bench.provider.open()
        ready.append((time.perf_counter() - started) * 1000)
        account.client("sqs").list_queues()
        first.append((time.perf_counter() - started) * 1000)
        account.close()
    yield Figure("new account: asked for → ready", "ms", tuple(ready[2:]), 50)
    yield Figure("new account: asked for → first call answered", "ms", tuple(first[2:]), 50)
