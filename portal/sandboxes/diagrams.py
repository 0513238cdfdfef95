"""A state machine as a drawing: where each state stands and what leads where. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

WIDTH, HEIGHT = 190, 46
_GAP_X, _GAP_Y = 26, 44
_PAD, _HEAD = 16, 30
_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Box:
    """A state, or a group of branches around others. Places are in pixels, from the top left."""

    name: str
    type: str
    x: float
    y: float
    width: float
    height: float
    is_group: bool = False
    status: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """What leads from one state to another; ``label`` says when, ``dashed`` for errors that are caught."""

    path: str
    label: str = ""
    x: float = 0
    y: float = 0
    dashed: bool = False


@dataclass(slots=True)
class Diagram:
    """Everything to draw."""

    width: float = 0
    height: float = 0
    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def moved(self, x: float, y: float) -> Diagram:
        """All of it, elsewhere."""
        boxes = [
            Box(b.name, b.type, b.x + x, b.y + y, b.width, b.height, b.is_group, b.status) for b in self.boxes
        ]
        lines = [
            Line(_shift(each.path, x, y), each.label, each.x + x, each.y + y, each.dashed)
            for each in self.lines
        ]
        return Diagram(self.width, self.height, boxes, lines)


def draw(definition: Mapping[str, Any], statuses: Mapping[str, str] | None = None) -> Diagram:
    """A definition as a drawing, its states as they fared; what is no definition draws nothing."""
    drawn = _machine(definition, statuses or {})
    return drawn if len(drawn.boxes) <= _LIMIT else Diagram()


def _machine(definition: Mapping[str, Any], statuses: Mapping[str, str]) -> Diagram:
    states = definition.get("States")
    if not isinstance(states, Mapping):
        return Diagram()
    parts = {
        name: _state(name, state, statuses) for name, state in states.items() if isinstance(state, Mapping)
    }
    places: dict[str, Box] = {}
    made = Diagram()
    y = 0.0
    rows = _rows(str(definition.get("StartAt", "")), states)
    widths = [sum(parts[name].width for name in row) + _GAP_X * (len(row) - 1) for row in rows]
    made.width = max(widths, default=0)
    for row, width in zip(rows, widths, strict=True):
        x = (made.width - width) / 2
        for name in row:
            part = parts[name].moved(x, y)
            made.boxes += part.boxes
            made.lines += part.lines
            places[name] = part.boxes[0]
            x += part.width + _GAP_X
        y += max(parts[name].height for name in row) + _GAP_Y
    made.height = max(0.0, y - _GAP_Y)
    for name, state in states.items():
        for target, label, dashed in _exits(state):
            if name in places and target in places:
                made.lines.append(_line(places[name], places[target], label, dashed))
    return made


def _state(name: str, state: Mapping[str, Any], statuses: Mapping[str, str]) -> Diagram:
    kind, status = str(state.get("Type", "")), statuses.get(name, "")
    inner = [found for found in (_machine(each, statuses) for each in _branches(state)) if found.boxes]
    if not inner:
        return Diagram(WIDTH, HEIGHT, [Box(name, kind, 0, 0, WIDTH, HEIGHT, False, status)])
    width = max(WIDTH, sum(each.width for each in inner) + _GAP_X * (len(inner) - 1) + 2 * _PAD)
    height = max(each.height for each in inner) + _HEAD + 2 * _PAD
    made = Diagram(width, height, [Box(name, kind, 0, 0, width, height, True, status)])
    x = (width - sum(each.width for each in inner) - _GAP_X * (len(inner) - 1)) / 2
    for each in inner:
        placed = each.moved(x, _HEAD + _PAD)
        made.boxes += placed.boxes
        made.lines += placed.lines
        x += each.width + _GAP_X
    return made


def _branches(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = state.get("Branches", [])
    one = state.get("ItemProcessor", state.get("Iterator"))
    found = [*(listed if isinstance(listed, list) else ()), *([one] if one else ())]
    return [each for each in found if isinstance(each, Mapping)]


def _exits(state: Any) -> Iterator[tuple[str, str, bool]]:
    """Where a state leads to: the next state, why, and whether it is an error that leads there."""
    if not isinstance(state, Mapping):
        return
    if state.get("Next"):
        yield str(state["Next"]), "", False
    for number, rule in enumerate(_list(state.get("Choices")), 1):
        if rule.get("Next"):
            yield str(rule["Next"]), str(number), False
    if state.get("Default"):
        yield str(state["Default"]), "default", False
    for rule in _list(state.get("Catch")):
        if rule.get("Next"):
            yield str(rule["Next"]), "catch", True


def _list(found: Any) -> list[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _rows(start: str, states: Mapping[str, Any]) -> list[list[str]]:
    """States by how many steps it takes to reach them; those that nothing leads to come last."""
    depth: dict[str, int] = {}
    waiting = [start] if start in states else []
    depth.update(dict.fromkeys(waiting, 0))
    while waiting:
        name = waiting.pop(0)
        for target, _label, _dashed in _exits(states[name]):
            if target in states and target not in depth:
                depth[target] = depth[name] + 1
                waiting.append(target)
    last = max(depth.values(), default=-1) + 1
    rows: dict[int, list[str]] = {}
    for name, state in states.items():
        if isinstance(state, Mapping):
            rows.setdefault(depth.get(name, last), []).append(name)
    return [rows[number] for number in sorted(rows)]


def _line(source: Box, target: Box, label: str, dashed: bool) -> Line:
    if target.y > source.y:
        x1, y1 = source.x + source.width / 2, source.y + source.height
        x2, y2 = target.x + target.width / 2, target.y
        middle = (y1 + y2) / 2
        path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2 - 5:.1f}"
        return Line(path, label, (x1 + x2) / 2 + 6, middle - 2, dashed)
    # Back to an earlier state, or to itself: around the right side.
    x1, y1 = source.x + source.width, source.y + source.height / 2
    x2, y2 = target.x + target.width, target.y + target.height / 2 + (8 if source is target else 0)
    out = max(x1, x2) + 22
    path = f"M{x1:.1f} {y1:.1f}C{out:.1f} {y1:.1f} {out:.1f} {y2:.1f} {x2 + 5:.1f} {y2:.1f}"
    return Line(path, label, out - 4, (y1 + y2) / 2, dashed)


def _shift(path: str, x: float, y: float) -> str:
    """A path of ours (``Mx yCx y x y x y``), moved."""
    head, _, tail = path[1:].partition("C")
    numbers = [float(each) for each in (*head.split(), *tail.split())]
    moved = [f"{value + (x if index % 2 == 0 else y):.1f}" for index, value in enumerate(numbers)]
    return f"M{moved[0]} {moved[1]}C{' '.join(moved[2:])}"
