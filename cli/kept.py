"""What every command about a kept sandbox needs: which one, how errors end, how durations are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from cli.output import BAD_INPUT, errors_for_humans, progress, stop
from sandbox.providers.emulated import KeptSandboxes
from sandbox.supervisor.client import Wanted
from sandbox.supervisor.wire import BadRequest, NameTaken, NoSuchSandbox
from settings import Settings

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(click.ParamType[float]):
    """A span of time such as ``90s``, ``5m``, ``6h`` or ``1h30m``, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, int | float):
            return float(value)
        parts = _DURATION.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"`{value}` is not a duration. Write it like 90s, 5m, 6h or 1h30m.", param, ctx)
        return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


@contextmanager
def sandbox_errors() -> Iterator[None]:
    """Turns errors of kept sandboxes into a message and the promised exit code."""
    with errors_for_humans():
        try:
            yield
        except (NoSuchSandbox, NameTaken, BadRequest) as error:
            stop(str(error), BAD_INPUT)


def kept() -> KeptSandboxes:
    """The sandboxes of this installation."""
    settings = Settings()
    return KeptSandboxes(settings.home, Wanted.named(settings.isolation), say=say)


def say(text: str) -> None:
    """Progress, on stderr."""
    progress.print(text, markup=False, soft_wrap=True)


def named(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option --name."""
    return click.option(
        "--name", envvar="COLDSTART_SANDBOX", help="Which sandbox; by default the only one running."
    )(command)
