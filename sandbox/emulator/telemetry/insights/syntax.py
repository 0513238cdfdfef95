"""Queries as trees.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """A field by its name, nested ones with dots."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Period:
    """``count`` units of time: ms, s, m, h, d, w, mo, q or y."""

    count: int
    unit: str


@dataclass(frozen=True, slots=True)
class Unary:
    sign: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    sign: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Like:
    """Whether the text of ``operand`` contains a string, or something that an expression matches."""

    operand: Expression
    pattern: str | re.Pattern[str]


@dataclass(frozen=True, slots=True)
class In:
    operand: Expression
    choices: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the language, its name in lower case; ``start`` and ``end`` say where it stands."""

    name: str
    arguments: tuple[Expression, ...]
    start: int
    end: int


Expression = Field | Literal | Period | Unary | Binary | Like | In | Call


@dataclass(frozen=True, slots=True)
class Named:
    """An expression and the name of its column: its alias, or itself as it is written."""

    name: str
    expression: Expression
    aliased: bool = False


@dataclass(frozen=True, slots=True)
class Fields:
    columns: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Display:
    columns: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    condition: Expression


@dataclass(frozen=True, slots=True)
class Parse:
    source: Expression
    pattern: re.Pattern[str]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stats:
    columns: tuple[Named, ...]
    by: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Sort:
    """Columns to sort by, each with whether it descends."""

    columns: tuple[tuple[Named, bool], ...]


@dataclass(frozen=True, slots=True)
class Limit:
    count: int
    from_end: bool = False


@dataclass(frozen=True, slots=True)
class Dedup:
    columns: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Unmask:
    columns: tuple[Named, ...]


Command = Fields | Display | Filter | Parse | Stats | Sort | Limit | Dedup | Unmask
