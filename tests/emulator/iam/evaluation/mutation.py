"""Breaks the evaluator in one place at a time and asks whether the documented cases notice.

``python -m tests.emulator.iam.evaluation.mutation`` prints every mutant that survives. A mutant changes one
comparison, boolean operator, negation, branch, quantifier (``any``/``all``), arithmetic operator or constant
of the modules that decide. Those that cannot change a decision are listed in ``cases/equivalent.json``, each
with its reason.
"""

from __future__ import annotations

import ast
import copy
import importlib
import importlib.abc
import importlib.machinery
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

PACKAGE = "sandbox.emulator.iam.evaluation"
TABLES = "tests.emulator.iam.evaluation.tables"
MODULES = (
    "conditions",
    "context",
    "evaluator",
    "operators",
    "patterns",
    "principals",
    "statements",
    "variables",
)
EQUIVALENT = Path(__file__).with_name("cases") / "equivalent.json"
TIME_LIMIT_S = 30
_COMPARISONS = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_NAMES = {"any": "all", "all": "any", "max": "min", "min": "max"}
_ATTRIBUTES = {"eq": "ne", "lt": "le", "le": "lt", "gt": "ge", "ge": "gt"}
_BRANCHES = (ast.If, ast.IfExp)


@dataclass(frozen=True)
class Mutant:
    """One change. ``key`` names it whatever its line: module, function, before → after, and a count."""

    module: str
    key: str
    line: int
    place: int
    variant: int

    def code(self) -> CodeType:
        """The module with the change made."""
        tree = ast.parse(_source(self.module))
        node = next(islice(_places(tree), self.place, None))[0]
        _changes(node)[self.variant][2](node)
        return compile(ast.fix_missing_locations(tree), f"<{self.key}>", "exec")


def _source(module: str) -> str:
    return Path(importlib.import_module(f"{PACKAGE}.{module}").__file__ or "").read_text("utf-8")


@cache
def mutants() -> tuple[Mutant, ...]:
    """Every mutant of every module, in the order of the source."""
    return tuple(mutant for module in MODULES for mutant in _mutants_of(module))


def _mutants_of(module: str) -> Iterator[Mutant]:
    seen: dict[str, int] = {}
    for place, (node, function) in enumerate(_places(ast.parse(_source(module)))):
        for variant, (before, after, _) in enumerate(_changes(node)):
            name = f"{module}.{function}: {before} → {after}"
            seen[name] = seen.get(name, 0) + 1
            key = name if seen[name] == 1 else f"{name} #{seen[name]}"
            yield Mutant(module, key, getattr(node, "lineno", 0), place, variant)


def _places(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """The nodes that run, with the function they stand in: no annotations, decorators or docstrings."""

    def walk(node: ast.AST, function: str) -> Iterator[tuple[ast.AST, str]]:
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "type_comment"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if not isinstance(child, ast.AST) or _is_text(child):
                    continue
                inside = child.name if isinstance(child, ast.FunctionDef | ast.ClassDef) else ""
                name = ".".join(part for part in (function, inside) if part)
                yield child, name or "module"
                yield from walk(child, name)

    yield from walk(tree, "")


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


Change = tuple[str, str, Callable[[Any], None]]


def _changes(node: ast.AST) -> list[Change]:
    """What may be broken about a node: text before, text after, and the change itself."""
    found: list[Change] = []
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            other = _COMPARISONS[type(operator)]
            found.append(_change(node, lambda it, at=index, to=other: it.ops.__setitem__(at, to())))
    elif isinstance(node, ast.BoolOp):
        to = ast.Or if isinstance(node.op, ast.And) else ast.And
        found.append(_change(node, lambda it, to=to: setattr(it, "op", to())))
        for index in range(len(node.values)):
            found.append(_change(node, lambda it, at=index: _without(it, at)))
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        found.append(_change(node, lambda it: setattr(it, "op", _ARITHMETIC[type(it.op)]())))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        found.append(_change(node, lambda it: setattr(it, "op", ast.Not()) or _double(it)))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        found.append(_change(node, lambda it: setattr(it, "value", not it.value)))
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        found.append(_change(node, lambda it: setattr(it, "value", it.value + 1)))
    elif isinstance(node, ast.Name) and node.id in _NAMES:
        found.append(_change(node, lambda it: setattr(it, "id", _NAMES[it.id])))
    elif isinstance(node, ast.Attribute) and node.attr in _ATTRIBUTES:
        found.append(_change(node, lambda it: setattr(it, "attr", _ATTRIBUTES[it.attr])))
    if isinstance(node, _BRANCHES):
        found.append(
            _change(node.test, lambda it: setattr(it, "test", ast.UnaryOp(ast.Not(), it.test)), of=node)
        )
    return found


def _without(node: ast.BoolOp, index: int) -> None:
    """Leave out one operand."""
    del node.values[index]
    if len(node.values) == 1:
        # An `and` or `or` of one operand does not compile: repeat what is left.
        node.values.append(copy.deepcopy(node.values[0]))


def _double(node: ast.UnaryOp) -> None:
    """``not x`` becomes ``not not x``: the truth of x."""
    node.operand = ast.UnaryOp(ast.Not(), node.operand)


def _change(shown: ast.AST, apply: Callable[[Any], object], of: ast.AST | None = None) -> Change:
    changed = copy.deepcopy(of or shown)
    apply(changed)
    after = changed.test if of is not None else changed  # type: ignore[attr-defined]
    return ast.unparse(shown), ast.unparse(ast.fix_missing_locations(after)), lambda it: (apply(it), None)[1]


class _Replacing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module the mutant's code when it is imported."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name = name
        self._code = code

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, self) if fullname == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)


@contextmanager
def _fresh(mutant: Mutant) -> Iterator[ModuleType]:
    """The tables, on an evaluator with the mutant in it. What was imported before comes back afterwards."""
    code = mutant.code()
    mine = [name for name in sys.modules if name == TABLES or name.startswith(PACKAGE)]
    kept = {name: sys.modules.pop(name) for name in mine}
    finder = _Replacing(f"{PACKAGE}.{mutant.module}", code)
    sys.meta_path.insert(0, finder)
    try:
        yield importlib.import_module(TABLES)
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name == TABLES or name.startswith(PACKAGE)]:
            del sys.modules[name]
        sys.modules.update(kept)


def survives(mutant: Mutant) -> bool:
    """Whether every documented case still gets its answer. An error or an endless run is noticed, too."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(TIME_LIMIT_S)
    try:
        with _fresh(mutant) as tables:
            return all(row.holds() for row in tables.every_row())
    except Exception:
        return False
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def equivalent() -> dict[str, str]:
    """Mutants that cannot change a decision, with the reason."""
    reasons: dict[str, str] = json.loads(EQUIVALENT.read_text("utf-8"))
    return reasons


if __name__ == "__main__":
    chosen = [mutant for mutant in mutants() if len(sys.argv) < 2 or mutant.module in sys.argv[1:]]
    left = [mutant for mutant in chosen if survives(mutant)]
    for mutant in left:
        note = "  (equivalent)" if mutant.key in equivalent() else ""
        print(f"{mutant.module}.py:{mutant.line} {mutant.key}{note}")
    print(f"{len(chosen)} mutants, {len(left)} survive")
