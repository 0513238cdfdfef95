"""``coldstart worker``: grade what the portal queues."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime, timedelta

import click

from cli.output import errors_for_humans
from curriculum.loader import Catalogue
from graders.backend import open_backend
from records.database import Database
from records.queue import Queue
from records.store import Store
from settings import Settings
from worker.grading import grader
from worker.loop import Worker


@click.command("worker", help="Grade queued submissions until told to stop (SIGTERM or Ctrl-C).")
@click.option("--concurrency", type=click.IntRange(min=1), help="Gradings at a time.")
def command(concurrency: int | None) -> None:
    """Run a worker."""
    settings = Settings()
    database = Database(settings.database)
    database.upgrade()
    queue = Queue(database, lambda: datetime.now(UTC), timedelta(seconds=settings.lease_s))
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    with errors_for_humans(), open_backend(settings.provider, strangers=True) as backend:
        grade = grader(Catalogue(settings.labs_folder), backend)
        worker = Worker(queue, Store(database), grade, concurrency=concurrency or settings.concurrency)
        worker.start()
        click.echo(f"Worker {worker.owner} is ready.", err=True)
        told.wait()
        worker.stop()
    database.close()
    # A grading that outlived its patience runs in a daemon thread; nothing it does counts any more.
    os._exit(0)
