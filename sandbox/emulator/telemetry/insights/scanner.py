"""A query's text as symbols, each with its position."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Malformed(ValueError):
    """A query that CloudWatch Logs would not compile; ``start`` and ``end`` are offsets into its text."""

    def __init__(self, message: str, start: int = 0, end: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = max(start, end)


class Kind(StrEnum):
    NAME = "name"
    NUMBER = "number"
    PERIOD = "period"
    TEXT = "text"
    REGEX = "regex"
    MARK = "mark"
    END = "end"


@dataclass(frozen=True, slots=True)
class Symbol:
    """``value`` is what it means; ``quoted`` names are never words of the language."""

    kind: Kind
    value: str
    start: int
    end: int
    quoted: bool = False

    def is_word(self, *words: str) -> bool:
        """Whether it is one of the language's words, in any case."""
        return self.kind is Kind.NAME and not self.quoted and self.value.lower() in words

    def is_mark(self, *marks: str) -> bool:
        """Whether it is one of these marks."""
        return self.kind is Kind.MARK and self.value in marks


_SPACE = re.compile(r"(?:\s+|#[^\n]*)*")
_PART = r"(?:[@\w]+|`[^`]*`)"
_NAME = re.compile(rf"(?:[@A-Za-z_][@\w]*|`[^`]*`)(?:\.{_PART})*")
_PERIOD = re.compile(r"(\d+)([A-Za-z]+)")
_NUMBER = re.compile(r"(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")
_MARK = re.compile(r"=~|!=|<=|>=|==|[|,()\[\]=<>+\-*/%^.]")
_QUOTES = {
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
    "'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL),
}
_REGEX = re.compile(r"/((?:[^/\\]|\\.)*)/")
_ESCAPED = re.compile(r"\\([\"'\\])")


class Scanner:
    """Hands out symbols one after the other; a slash opens an expression only where one is asked for."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._at = 0
        self._next: Symbol | None = None
        self.last_end = 0

    def peek(self) -> Symbol:
        """The next symbol, which stays the next one."""
        if self._next is None:
            self._next = self._read(self._skip())
        return self._next

    def take(self) -> Symbol:
        """The next symbol."""
        symbol = self.peek()
        self._at, self._next, self.last_end = symbol.end, None, symbol.end
        return symbol

    def take_mark(self, *marks: str) -> bool:
        """Take the next symbol if it is one of these marks."""
        return self.peek().is_mark(*marks) and self.take() is not None

    def take_word(self, *words: str) -> bool:
        """Take the next symbol if it is one of these words."""
        return self.peek().is_word(*words) and self.take() is not None

    def peek_regex(self) -> bool:
        """Whether an expression between slashes comes next."""
        return self.source[self._skip() : self._skip() + 1] == "/"

    def take_regex(self) -> Symbol:
        """The expression between slashes that comes next."""
        start = self._skip()
        match = _REGEX.match(self.source, start)
        if match is None:
            raise self.unexpected(Symbol(Kind.MARK, "/", start, start + 1))
        self._at, self._next, self.last_end = match.end(), None, match.end()
        return Symbol(Kind.REGEX, match[1].replace(r"\/", "/"), start, match.end())

    def need_mark(self, mark: str) -> None:
        """Take a mark that has to come next."""
        if not self.take_mark(mark):
            raise self.unexpected()

    def unexpected(self, symbol: Symbol | None = None) -> Malformed:
        """What is said of a symbol that does not belong there."""
        symbol = symbol or self.peek()
        said = self.source[symbol.start : symbol.end] or "<end of query>"
        return self.malformed(f"unexpected symbol found {said}", symbol.start, symbol.end)

    def malformed(self, message: str, start: int, end: int) -> Malformed:
        """An error that names line and position."""
        line = self.source.count("\n", 0, start) + 1
        position = start - (self.source.rfind("\n", 0, start) + 1)
        return Malformed(f"{message} at line {line} and position {position}", start, end)

    def _skip(self) -> int:
        match = _SPACE.match(self.source, self._at)
        return match.end() if match is not None else self._at

    def _read(self, at: int) -> Symbol:
        source = self.source
        if at >= len(source):
            return Symbol(Kind.END, "", at, at)
        if source[at] in _QUOTES:
            if match := _QUOTES[source[at]].match(source, at):
                return Symbol(Kind.TEXT, _ESCAPED.sub(r"\1", match[1]), at, match.end())
            raise self.malformed("unterminated string", at, len(source))
        if match := _NAME.match(source, at):
            return Symbol(Kind.NAME, match[0].replace("`", ""), at, match.end(), "`" in match[0])
        if match := _NUMBER.match(source, at):
            if (period := _PERIOD.match(source, at)) and period.end() > match.end():
                return Symbol(Kind.PERIOD, f"{period[1]} {period[2]}", at, period.end())
            return Symbol(Kind.NUMBER, match[0], at, match.end())
        if match := _MARK.match(source, at):
            return Symbol(Kind.MARK, match[0], at, match.end())
        raise self.malformed(f"unexpected symbol found {source[at]}", at, at + 1)
