"""From a submission to its report, and how many a minute."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.figures import Bench, Figure, timed
from curriculum.loader import Catalogue
from graders.backend import SandboxBackend
from graders.runner import grade
from sandbox.submissions import read_folder

THROUGHPUT_S = 30.0


def measure(bench: Bench) -> Iterator[Figure]:
    """The reference of A02 with a warm worker: one seed, two seeds in parallel, and how many a minute."""
    lab = Catalogue().get_lab("a02")
    backend = SandboxBackend(bench.provider.open, bench.home / "builds", bench.home)
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
