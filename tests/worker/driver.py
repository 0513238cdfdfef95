"""A worker in a process of its own: ``driver.py DATABASE_URL hang|finish STARTED_FILE``."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from records.database import Database
from records.queue import Queue
from records.store import Store
from worker.loop import Worker


def main(url: str, mode: str, started: Path) -> None:
    """Work until the first attempt is closed, or for ever when told to hang."""
    database = Database(url)
    closed = threading.Event()

    def grade(lab: str, archive: bytes, on_progress: Any, seed: int | None) -> dict[str, Any]:
        on_progress({"phase": "build", "status": "started", "seed": 1})
        started.write_text(mode, "ascii")
        if mode == "hang":
            threading.Event().wait()
        return {"outcome": "passed", "points": 1, "points_possible": 1, "graded_by": mode}

    queue = Queue(database, lambda: datetime.now(UTC), timedelta(seconds=1))
    worker = Worker(queue, Store(database), grade)
    close = worker._close

    def close_and_tell(*arguments: Any) -> None:
        close(*arguments)
        closed.set()

    worker._close = close_and_tell  # type: ignore[method-assign]
    worker.start()
    closed.wait()
    worker.stop()
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
