"""Faults that are made of AWS's own API calls, so that they exist on a real account, too."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import BeforeValidator, Field

from sandbox.faults.model import BadFault, Fault

_MISSING = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist", "404")
_LOOK_S = 0.05


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Listed = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Several values; as one text they are separated by commas."""


@dataclass(slots=True)
class Undo:
    """One thing to give back; ``what`` names it, for faults that overlap."""

    what: str
    action: Callable[[], object]

    def __call__(self) -> None:
        """Do it; what is gone meanwhile needs nothing."""
        try:
            self.action()
        except Exception as error:
            if not is_missing(error):
                raise


class Hands(Protocol):
    """What makes a fault: clients of an account, and what has to be remembered to undo it."""

    undos: list[Undo]

    def client(self, service: str, region: str = "") -> Any:
        """A client that acts as the grader."""

    def partners(self, service: str, region: str = "") -> Any:
        """A client in the account of the grader's partners."""

    def undo(self, what: str, action: Callable[[], object]) -> None:
        """When the fault ends, do this; ``what`` names what is given back."""

    def code_of(self, function: str, region: str = "") -> bytes:
        """The deployment package of a function."""

    def take_back(self, queue_url: str, message_id: str, region: str = "") -> None:
        """Remove a message from a queue, or from where the queue's dead letters go."""

    def roll(self, table: str, region: str = "") -> None:
        """Close the open shard of a table's stream, and begin another."""

    def renew(self, function: str, region: str = "") -> None:
        """Have every later invocation of a function start in a new environment."""


class MadeFault(Fault):
    """A fault that :meth:`make` makes by API calls; what it remembers with ``aws.undo`` undoes it."""

    on_aws: ClassVar[bool] = True
    switched: ClassVar[bool] = False
    """The emulator has a switch of its own for it, and makes no calls."""

    region: str = Field(default="", description="where it is; the account's region if empty")

    def make(self, aws: Hands) -> None:
        """Break it."""
        raise NotImplementedError


def make(fault: MadeFault, aws: Hands) -> list[Undo]:
    """Break it; what gives back what was changed, the latest change last. All or nothing.

    Raises:
        BadFault: AWS refused a call, or it can't be made of what there is.
    """
    try:
        fault.make(aws)
    except Exception as error:
        for undo in reversed(aws.undos):
            undo()
        if code_of_error(error):
            raise refused(fault, error) from error
        raise
    return aws.undos


def code_of_error(error: Exception) -> str:
    """The code that AWS refused with; empty when it is no error of AWS's."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def is_missing(error: Exception) -> bool:
    """Whether AWS says that there is no such thing."""
    code = code_of_error(error)
    return bool(code) and any(word in code for word in _MISSING)


def refused(fault: Fault, error: Exception) -> BadFault:
    """AWS did not let the fault be made."""
    doing = getattr(error, "operation_name", "a call")
    return BadFault(f"Fault `{fault.name}`: {doing} was refused: {error}")


def wait_until(holds: Callable[[], bool], what: str, limit_s: float = 60.0) -> None:
    """Look until something holds.

    Raises:
        BadFault: it does not within ``limit_s`` seconds.
    """
    until = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > until:
            raise BadFault(f"{what} did not happen within {limit_s:g} s.")
        time.sleep(_LOOK_S)


def configure(client: Any, function: str, variables: dict[str, str]) -> None:
    """Set a function's environment variables, all of them, and wait until that has been done."""
    client.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
    wait_for_update(client, function)


def wait_for_update(client: Any, function: str) -> None:
    """Return when a function's latest update is through."""
    wait_until(lambda: _is_updated(client, function), f"The update of {function}")


def _is_updated(client: Any, function: str) -> bool:
    found = client.get_function_configuration(FunctionName=function)
    return bool(found.get("LastUpdateStatus", "Successful") != "InProgress")


def function_name(function: str) -> tuple[str, str]:
    """A function's name and qualifier, from a name, ``name:alias`` or an ARN."""
    plain = function.split(":function:", 1)[-1]
    name, _, qualifier = plain.partition(":")
    return name, qualifier
