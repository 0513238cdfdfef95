"""Runs a query's commands over events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sandbox.emulator.telemetry.insights.aggregates import aggregate
from sandbox.emulator.telemetry.insights.evaluation import Evaluate, Evaluator
from sandbox.emulator.telemetry.insights.events import Event, Row
from sandbox.emulator.telemetry.insights.functions import AGGREGATES
from sandbox.emulator.telemetry.insights.reader import MOST_ROWS
from sandbox.emulator.telemetry.insights.syntax import (
    Binary,
    Call,
    Command,
    Dedup,
    Display,
    Expression,
    Field,
    Fields,
    Filter,
    In,
    Like,
    Limit,
    Named,
    Parse,
    Sort,
    Stats,
    Unary,
)
from sandbox.emulator.telemetry.insights.values import Value, shown, sort_key, text, truth

Result = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows as GetQueryResults gives them, and how many events passed the filters."""

    rows: list[Result]
    matched: int


def run(commands: Sequence[Command], events: Iterable[Event], now_ms: int, limit: int | None) -> Answer:
    """Evaluate a query; ``limit`` holds where the query sets none."""
    newest_first = sorted(events, key=lambda event: event.timestamp, reverse=True)
    pipeline = _Pipeline(Evaluator(now_ms), [Row(event) for event in newest_first])
    for command in commands:
        pipeline.apply(command)
    if not any(isinstance(command, Limit) for command in commands):
        pipeline.rows = pipeline.rows[: limit or MOST_ROWS]
    return Answer([pipeline.show(row) for row in pipeline.rows], pipeline.matched)


class _Pipeline:
    def __init__(self, evaluator: Evaluator, rows: list[Row]) -> None:
        self._evaluator = evaluator
        self.rows = rows
        self.matched = len(rows)
        self._aggregated = False
        self._columns: list[str] = []
        self._parsed: list[str] = []
        self._displayed: list[str] | None = None

    def apply(self, command: Command) -> None:
        match command:
            case Fields(columns):
                self._compute(columns)
                self._columns += [each.name for each in columns if each.name not in self._columns]
            case Display(columns):
                self._compute(columns)
                self._displayed = [each.name for each in columns]
            case Filter(condition):
                test = self._evaluator.compile(condition)
                self.rows = [row for row in self.rows if truth(test(row))]
                if not self._aggregated:
                    self.matched = len(self.rows)
            case Parse():
                self._parse(command)
            case Stats():
                self._stats(command)
            case Sort(columns):
                self._sort(columns)
            case Limit(count, from_end):
                self.rows = self.rows[-count:] if from_end else self.rows[:count]
            case Dedup(columns):
                self._dedup(columns)

    def _compute(self, columns: Sequence[Named]) -> None:
        for column in columns:
            if isinstance(column.expression, Field) and not column.aliased:
                continue
            evaluate = self._named(column)
            for row in self.rows:
                row.columns[column.name] = evaluate(row)

    def _named(self, column: Named) -> Evaluate:
        """What computes a column, or looks it up where an earlier command made it."""
        if isinstance(column.expression, Field):
            return self._evaluator.compile(column.expression)
        if any(column.name in row.columns for row in self.rows[:1]):
            name = column.name
            return lambda row: row.get(name)
        return self._evaluator.compile(column.expression)

    def _parse(self, command: Parse) -> None:
        evaluate = self._evaluator.compile(command.source)
        named = command.pattern.groupindex
        for row in self.rows:
            words = text(evaluate(row))
            match = command.pattern.search(words) if words is not None else None
            if match is not None:
                row.columns |= {
                    name: match[named[name]] if name in named else match[index]
                    for index, name in enumerate(command.names, 1)
                }
        self._parsed += command.names

    def _stats(self, command: Stats) -> None:
        keys = [self._named(each) for each in command.by]
        groups: dict[tuple[str | None, ...], list[Row]] = {}
        for row in self.rows:
            groups.setdefault(tuple(text(key(row)) for key in keys), []).append(row)
        if not command.by and not groups:
            groups[()] = []
        made = []
        for rows in groups.values():
            row = Row(columns={each.name: key(rows[0]) for each, key in zip(command.by, keys, strict=True)})
            for column in command.columns:
                row.columns[column.name] = self._statistic(column.expression, rows, row)
            made.append(row)
        self.rows, self._aggregated, self._displayed = made, True, None
        self._columns = [each.name for each in (*command.by, *command.columns)]
        self._parsed = []

    def _statistic(self, expression: Expression, rows: list[Row], made: Row) -> Value:
        """Aggregations become fields of the made row; the rest is computed from those."""
        found: dict[str, Value] = {}

        def settle(part: Expression) -> Expression:
            if isinstance(part, Call) and part.name in AGGREGATES:
                name = f"{part.name}@{part.start}"
                arguments = [self._evaluator.compile(each) for each in part.arguments]
                found[name] = aggregate(part.name, rows, arguments)
                return Field(name)
            return _rebuilt(part, settle)

        settled = settle(expression)
        return self._evaluator.compile(settled)(Row(columns=made.columns | found))

    def _sort(self, columns: Sequence[tuple[Named, bool]]) -> None:
        for column, descends in reversed(columns):
            evaluate = self._named(column)
            if column.aliased:
                self._compute([column])
            self.rows.sort(key=lambda row, evaluate=evaluate: sort_key(evaluate(row)), reverse=descends)  # type: ignore[misc]

    def _dedup(self, columns: Sequence[Named]) -> None:
        keys, seen, kept = [self._named(each) for each in columns], set(), []
        for row in self.rows:
            values = tuple(text(key(row)) for key in keys)
            if None in values or values not in seen:
                kept.append(row)
                seen.add(values)
        self.rows = kept

    def show(self, row: Row) -> Result:
        """A row's columns that have a value."""
        names = self._displayed
        if names is None:
            names = self._columns or ["@timestamp", "@message"]
            names = names + [name for name in self._parsed if name not in names]
        found = [
            {"field": name, "value": shown(value)}
            for name, value in ((name, row.get(name)) for name in names)
            if value is not None
        ]
        if not self._aggregated and row.event is not None and "@ptr" not in names:
            found.append({"field": "@ptr", "value": row.event.pointer})
        return found


def _rebuilt(expression: Expression, change: Callable[[Expression], Expression]) -> Expression:
    match expression:
        case Unary(operand=operand) | Like(operand=operand):
            return replace(expression, operand=change(operand))
        case Binary(left=left, right=right):
            return replace(expression, left=change(left), right=change(right))
        case In(operand=operand, choices=choices):
            return replace(expression, operand=change(operand), choices=tuple(map(change, choices)))
        case Call(arguments=arguments):
            return replace(expression, arguments=tuple(map(change, arguments)))
    return expression
