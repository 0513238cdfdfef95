"""The two query languages: how a state reads its input, and how its fields are filled in."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from jsonata import jsonata

from sandbox.emulator.fabric.stepfunctions import intrinsics, paths
from sandbox.emulator.fabric.stepfunctions.errors import QUERY_FAILED, RUNTIME, StatesError

_OPEN, _CLOSE = "{%", "%}"


@dataclass(slots=True)
class Scope:
    """What a state's fields can refer to: its input, the context object, variables; later its result."""

    input: Any
    context: Mapping[str, Any]
    variables: Mapping[str, Any]
    result: Any = None
    error: Mapping[str, str] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Language(Protocol):
    """Fills in a template written in one of the query languages."""

    def fill(self, template: Any, scope: Scope, where: str = "") -> Any:
        """The template with everything it refers to in place."""


class JsonPath:
    """Fields whose names end in ``.$`` hold a path or an intrinsic function."""

    def fill(self, template: Any, scope: Scope, where: str = "") -> Any:
        """Raises StatesError when a path leads nowhere."""
        if isinstance(template, dict):
            made: dict[str, Any] = {}
            for name, value in template.items():
                if name.endswith(".$") and isinstance(value, str):
                    made[name[:-2]] = self.resolve(value, scope, name)
                else:
                    made[name] = self.fill(value, scope, name)
            return made
        if isinstance(template, list):
            return [self.fill(item, scope, where) for item in template]
        return template

    def resolve(self, text: str, scope: Scope, name: str = "") -> Any:
        """What a path, a variable or an intrinsic function gives."""
        if intrinsics.is_call(text):
            return intrinsics.call(text, lambda path: self.resolve(path, scope, name))
        try:
            if text.startswith("$$"):
                return paths.read(text[1:], scope.context)
            if text.startswith("$") and text[1:2] not in ("", ".", "["):
                return paths.read(f"$.{text[1:]}", scope.variables)
            return paths.read(text, scope.input)
        except paths.NoSuchPath:
            given = json.dumps(scope.context if text.startswith("$$") else scope.input, default=str)
            raise StatesError(
                RUNTIME,
                f"The JSONPath '{text}' specified for the field '{name}' could not be found in the input "
                f"'{given}'",
            ) from None


class Jsonata:
    """Texts in ``{% %}`` are expressions.

    Source: https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
    """

    def fill(self, template: Any, scope: Scope, where: str = "") -> Any:
        """Raises StatesError when an expression fails or gives nothing."""
        if isinstance(template, dict):
            return {name: self.fill(value, scope, f"{where}/{name}") for name, value in template.items()}
        if isinstance(template, list):
            return [self.fill(item, scope, f"{where}/{index}") for index, item in enumerate(template)]
        if isinstance(template, str) and template.startswith(_OPEN) and template.endswith(_CLOSE):
            return self._evaluate(template[2:-2].strip(), scope, where)
        return template

    def _evaluate(self, expression: str, scope: Scope, where: str) -> Any:
        states = {"input": scope.input, "context": scope.context}
        if scope.result is not None:
            states["result"] = scope.result
        if scope.error is not None:
            states["errorOutput"] = scope.error
        try:
            compiled = jsonata.Jsonata(expression)
            for name, function, signature in _FUNCTIONS:
                compiled.register_lambda(name, function)
                del signature
            bindings = compiled.create_frame()
            for name, value in {**scope.variables, **scope.extra, "states": states}.items():
                bindings.bind(name, value)
            found = compiled.evaluate(None, bindings)
        except StatesError:
            raise
        except Exception as error:  # the library raises its own types and Python's
            raise self._failed(expression, where, str(error)) from None
        if found is None and not expression.endswith("null"):
            raise self._failed(expression, where, "it returned nothing (undefined)")
        return _plain(found)

    @staticmethod
    def _failed(expression: str, where: str, why: str) -> StatesError:
        return StatesError(
            QUERY_FAILED,
            f"The JSONata expression '{expression}' specified for the field '{where.lstrip('/')}' "
            f"threw an error during evaluation. {why}",
        )


def _plain(value: Any) -> Any:
    """The library's own sequences as ordinary JSON values; whole numbers without a fraction."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _partition(values: list[Any], size: int) -> list[list[Any]]:
    return [list(values[first : first + int(size)]) for first in range(0, len(values), int(size))]


def _range(first: int, last: int, step: int) -> list[int]:
    return list(range(int(first), int(last) + (1 if step > 0 else -1), int(step)))


# What Step Functions adds to JSONata.
_FUNCTIONS: tuple[tuple[str, Any, str], ...] = (
    ("partition", _partition, "<a-n:a>"),
    ("range", _range, "<n-nn:a>"),
    ("uuid", lambda: str(uuid.uuid4()), "<:s>"),
    ("parse", json.loads, "<s-:x>"),
    ("hash", intrinsics._hash, "<x-s:s>"),
    ("random", lambda seed=None: random.Random(seed).random() if seed is not None else random.random(), ""),
)
JSONPATH, JSONATA = JsonPath(), Jsonata()


def language(name: str) -> Language:
    """The language that a machine or a state names in ``QueryLanguage``."""
    return JSONATA if name == "JSONata" else JSONPATH
