"""A fault is a name and settings; a wrong one is refused with what is wrong and what there is."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.errors import SandboxError

_KINDS: dict[str, type[Fault]] = {}


class BadFault(SandboxError, ValueError):
    """There is no such fault, or its settings make no sense; the message says which there are."""


class Fault(BaseModel):
    """One thing that is broken, with its settings.

    A subclass is one kind of fault: ``name`` is what people call it. The first line of its docstring is its
    help.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str] = ""
    on_aws: ClassVar[bool] = False
    """Whether a real account has it, too."""

    hidden: ClassVar[frozenset[str]] = frozenset()
    """Settings that nobody is shown."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in cls.__dict__ and cls.name:
            _KINDS[cls.name] = cls

    def shown(self) -> dict[str, Any]:
        """The settings that were given, as plain JSON; what is secret as asterisks."""
        return {name: "***" if name in self.hidden else value for name, value in self.given().items()}

    def given(self) -> dict[str, Any]:
        """The settings that were given, as plain JSON that :func:`read` takes."""
        return self.model_dump(mode="json", exclude_unset=True)


class Striking(Fault):
    """A fault that strikes a share of what it chooses, and so many times at most."""

    share: float = Field(default=1.0, gt=0, le=1, description="how many of those chosen, 0 to 1")
    first: int | None = Field(default=None, ge=1, description="only the first so many, then no more")
    seed: int = Field(default=0, description="which make up the share: the same seed, the same ones")


def kinds() -> Mapping[str, type[Fault]]:
    """Every fault there is, by name."""
    return _KINDS


def read(name: str, settings: Mapping[str, Any]) -> Fault:
    """A fault of this name with these settings; texts become what the setting wants.

    Raises:
        BadFault: there is none (a hyphen stands for an underscore), or a setting is missing, unknown or
            impossible. Tells of all at once.
    """
    kind = _KINDS.get(name.replace("-", "_"))
    if kind is None:
        raise BadFault(f"There is no fault `{name}`.{_meant(name, _KINDS)} There are: {', '.join(_KINDS)}.")
    try:
        return kind.model_validate(dict(settings))
    except ValidationError as error:
        known = list(kind.model_fields)
        problems = [_problem(each, known) for each in error.errors()]
        has = f"It has: {', '.join(known)}." if known else "It has no settings."
        raise BadFault(f"Fault `{name}`: {'; '.join(problems)}. {has}") from None


def _problem(error: Any, known: list[str]) -> str:
    setting = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"it has no setting `{setting}`.{_meant(setting, known)}".rstrip(".")
    if error["type"] == "missing":
        return f"`{setting}` is missing"
    said = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"`{setting}` {said} (it is {error['input']!r})" if setting else said


def _meant(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean `{near[0]}`?" if near else ""
