"""Errors of a running state machine."""

from __future__ import annotations

# These end an execution whatever its states retry or catch.
# Source: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
TERMINAL = frozenset({"States.Runtime", "States.DataLimitExceeded"})
RUNTIME = "States.Runtime"
TIMEOUT = "States.Timeout"
QUERY_FAILED = "States.QueryEvaluationError"


class StatesError(Exception):
    """An error by its name (``States.Timeout``, or a learner's own) and its cause."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(f"{name}: {cause}")
        self.name = name
        self.cause = cause

    def matches(self, wanted: list[str]) -> bool:
        """Whether a ``Retry`` or ``Catch`` that names ``wanted`` is for this error."""
        if self.name in wanted:
            return True
        if self.name in TERMINAL:
            return False
        if "States.TaskFailed" in wanted and self.name not in (TIMEOUT,):
            return True
        return "States.ALL" in wanted
