"""What our Velocity lacks of Java's: methods of plain values, how they are shown and compared, escapes."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable
from typing import Any

import airspeed

from sandbox.emulator.fabric.apigateway import java
from sandbox.emulator.patches import replaces


@replaces(
    "airspeed",
    "NameOrCall.calculate",
    source_sha256="158e8e76b3ddfc3edf86b3d76dd03dae36ebed4841597a113852c10374236813",
)
def _java_has_methods(original: Any) -> Any:
    def calculate(self: Any, current_object: Any, loader: Any, top_namespace: Any) -> Any:
        method = java.method(current_object, self.name) if self.parameters is not None else None
        if method is None:
            return original(self, current_object, loader, top_namespace)
        return method(*self.parameters.calculate(top_namespace, loader))

    return calculate


@replaces(
    "airspeed",
    "FormalReference.evaluate_raw",
    source_sha256="4b26cd12b7d7819f21bfaf778cd817be24c1a0845b251c469f389948d7939d10",
)
def _java_shows_values(_original: Any) -> Any:
    def evaluate_raw(self: Any, stream: Any, namespace: Any, loader: Any) -> None:
        value = None if self.expression is None else self.expression.calculate(namespace, loader)
        if value is None and self.alternate is not None:
            value = self.alternate.calculate(namespace, loader)
        if value is None:
            value = "" if self.silent and self.expression is not None else self.my_text()
        stream.write(java.text(value))

    return evaluate_raw


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """A comparison that is false where the two have no order, as with null."""

    def safely(left: Any, right: Any) -> bool:
        try:
            return compare(left, right)
        except TypeError:
            return False

    return safely


@functools.lru_cache(maxsize=256)
def compiled(template: str) -> Any:
    """A template, ready to be merged with what it shows."""
    return airspeed.Template(template)


def _prepare() -> None:
    """Set the library's tables.

    A backslash in a string stands for itself: what AWS advises against escaped quotation marks,
    ``replaceAll`` with two backslashes and a quotation mark, is an expression that finds one before one.
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
    """
    airspeed.StringLiteral.ESCAPED_CHAR = re.compile(r"\\(')")
    airspeed.InterpolatedStringLiteral.ESCAPED_CHAR = re.compile(r'\\(")')
    ordered = {"gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le}
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    operators = airspeed.BinaryOperator.OPERATORS
    for name, compare in ordered.items():
        operators[name] = operators[signs[name]] = _ordered(compare)
    for name, compare in {"==": java.same, "!=": lambda a, b: not java.same(a, b)}.items():
        operators[name] = operators[{"==": "eq", "!=": "ne"}[name]] = compare
    operators["+"] = java.joined


_prepare()
