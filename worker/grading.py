"""What the worker needs of grading: one call, from stored files to a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from curriculum.loader import Catalogue
from graders.backend import Backend
from graders.progress import ProgressEvent
from graders.runner import grade
from sandbox.submissions import read_zip

Report = Mapping[str, Any]
OnProgress = Callable[[Mapping[str, Any]], None]
Grade = Callable[[str, bytes, OnProgress, int | None], Report]


def grader(catalogue: Catalogue, backend: Backend) -> Grade:
    """Grades a submission's zip against a lab of the catalogue, on a fresh seed unless one is given."""

    def run(lab: str, archive: bytes, on_progress: OnProgress, seed: int | None) -> Report:
        def watch(event: ProgressEvent) -> None:
            on_progress(event.as_json())

        return grade(catalogue.get_lab(lab), read_zip(archive), backend, seed=seed, progress=watch).report

    return run
