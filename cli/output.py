"""Where words go: results to stdout, progress and complaints to stderr; and the promised exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click
from rich.console import Console

from curriculum.errors import CurriculumError, ManifestInvalid
from graders.errors import GradersError, UnknownCheck
from sandbox.errors import BadSubmission, SandboxError
from sandbox.logs import log_to_stderr

DONE = 0
NOT_PASSED = 1
BAD_INPUT = 2
OUR_FAULT = 3

# What is logged is no result either: with --json stdout holds one document.
log_to_stderr()
progress = Console(stderr=True, highlight=False)
out = Console(highlight=False, soft_wrap=False)


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def stop(message: str, code: int) -> NoReturn:
    """End with a message on stderr."""
    progress.print(message, style="red" if code != DONE else "", markup=False, soft_wrap=True)
    raise SystemExit(code)


@contextmanager
def errors_for_humans() -> Iterator[None]:
    """Turns our errors into a message and the promised exit code."""
    try:
        yield
    except ManifestInvalid as error:
        stop("\n".join(error.problems), BAD_INPUT)
    except (CurriculumError, BadSubmission, UnknownCheck) as error:
        stop(str(error), BAD_INPUT)
    except (SandboxError, GradersError) as error:
        stop(f"Our environment failed: {error}", OUR_FAULT)
