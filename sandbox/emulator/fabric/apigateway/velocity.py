"""What our Velocity lacks of Java's: methods of plain values, how they are shown and compared, escapes."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Collection, Mapping
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


class Left(BaseException):
    """A loop is left. Not an ``Exception``: the library would take that for a template's error."""


class BreakDirective(airspeed._Element):  # type: ignore[misc]
    """``#break`` leaves the innermost loop, and outside of loops the template."""

    BREAK = re.compile(r"#(?:break\b|\{break\})")

    def parse(self) -> None:
        """Recognise it."""
        self.identity_match(self.BREAK)

    def evaluate_raw(self, stream: Any, namespace: Any, _loader: Any) -> None:
        """Leave."""
        if namespace.find_outermost("foreach") is not None:
            raise Left
        stream.stop = True


@replaces(
    "airspeed",
    "ForeachDirective.evaluate_raw",
    source_sha256="15bda2f10f583ebc0fb430acd5603431b040e4f58de8cae1c9e616a3ca5f3d28",
)
def _loops_are_java_s(_original: Any) -> Any:
    """Maps are gone through by their values; what is no collection is passed over; loops can be left."""

    def evaluate_raw(self: Any, stream: Any, namespace: Any, loader: Any) -> None:
        found = self.value.calculate(namespace, loader)
        items = found.values() if isinstance(found, Mapping) else found
        if isinstance(items, str) or not isinstance(items, Collection):
            return
        for count, item in enumerate(items, 1):
            inner = airspeed.LocalNamespace(namespace)
            more = count < len(items)
            inner["velocityCount"], inner["velocityHasNext"] = count, more
            told = {
                "count": count,
                "index": count - 1,
                "hasNext": more,
                "first": count == 1,
                "last": not more,
            }
            inner["foreach"] = told
            inner[self.loop_var_name] = item
            try:
                self.block.evaluate(stream, inner, loader)
            except Left:
                return

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
    airspeed.UserDefinedDirective.DIRECTIVES = [BreakDirective]


_prepare()
