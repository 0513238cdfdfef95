"""Reading TOML tables strictly: every problem is found, and each says where and what to do."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curriculum.errors import ManifestInvalid

Kind = Callable[[Any], str]  # returns what is wrong with a value, or the empty text


def text(value: Any) -> str:
    """A text that is not empty."""
    return "" if isinstance(value, str) and value.strip() else "should be a text"


def texts(value: Any) -> str:
    """A list of texts."""
    good = isinstance(value, list) and all(isinstance(item, str) and item for item in value)
    return "" if good else "should be a list of texts"


def number(value: Any) -> str:
    """A number that is not negative."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
    return "" if good else "should be a number of at least 0"


def flag(value: Any) -> str:
    """True or false."""
    return "" if isinstance(value, bool) else "should be true or false"


def one_of(*choices: str) -> Kind:
    """One of these texts."""

    def kind(value: Any) -> str:
        return "" if value in choices else f"should be one of {', '.join(choices)}"

    return kind


def some_of(*choices: str) -> Kind:
    """A list, not empty, of these texts."""

    def kind(value: Any) -> str:
        good = isinstance(value, list) and value and all(item in choices for item in value)
        return "" if good else f"should be a list of {', '.join(choices)}"

    return kind


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table: its kind, and its default (required without one)."""

    kind: Kind
    default: Any = ...


@dataclass(slots=True)
class Reader:
    """Reads one file's tables and collects what is wrong."""

    file: str
    data: Mapping[str, Any]
    problems: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path, shown_as: str) -> Reader:
        """The file's data; raises ManifestInvalid when it is missing or not TOML."""
        try:
            return cls(shown_as, tomllib.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            raise ManifestInvalid([f"{shown_as} is missing."]) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ManifestInvalid([f"{shown_as}: {error}"]) from error

    def sections(self, known: tuple[str, ...]) -> None:
        """Complain about top-level keys that are not known."""
        for name in self.data:
            if name not in known:
                self.problems.append(f"{self.file}: there is no [{name}].{_suggest(name, known)}")

    def table(self, name: str, keys: Mapping[str, Key]) -> dict[str, Any]:
        """One ``[table]`` (dots descend), with defaults filled in."""
        return self.check(name, self._at(name, {}), keys)

    def tables(self, name: str, keys: Mapping[str, Key]) -> list[dict[str, Any]]:
        """All ``[[tables]]`` of a name, with defaults filled in."""
        found = self._at(name, [])
        if not isinstance(found, list):
            self.problems.append(f"{self.file}: write [[{name}]] with two brackets, once for each entry.")
            return []
        return [self.check(name, item, keys) for item in found]

    def check(self, name: str, found: Any, keys: Mapping[str, Key]) -> dict[str, Any]:
        """Check one table's keys and kinds; wrong values are replaced by None."""
        where = f"{self.file}: [{name}]" if name else f"{self.file}:"
        if not isinstance(found, Mapping):
            self.problems.append(f"{where} should be a table.")
            found = {}
        values: dict[str, Any] = {}
        for key in found:
            if key not in keys:
                self.problems.append(f"{where} has no key `{key}`.{_suggest(key, tuple(keys))}")
        for key, spec in keys.items():
            if key not in found:
                if spec.default is ...:
                    self.problems.append(f"{where} needs the key `{key}`.")
                values[key] = None if spec.default is ... else spec.default
                continue
            wrong = spec.kind(found[key])
            if wrong:
                self.problems.append(f"{where} `{key}` {wrong}, not {found[key]!r}.")
            values[key] = None if wrong else found[key]
        return values

    def finish(self) -> None:
        """Raise ManifestInvalid with every problem found."""
        if self.problems:
            raise ManifestInvalid(self.problems)

    def _at(self, name: str, default: Any) -> Any:
        value: Any = self.data
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return default
            value = value[part]
        return value


def _suggest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean `{close[0]}`?" if close else ""
