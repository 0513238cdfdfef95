"""How our own processes log: to standard error, and never the values of variables, which may be keys."""

from __future__ import annotations

import sys

import structlog


def log_to_stderr() -> None:
    """Configure logging for this process and those it forks; call once, at its start."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.dev.set_exc_info,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S"),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        logger_factory=lambda *_args: structlog.PrintLogger(sys.stderr),
    )
