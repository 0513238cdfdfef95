"""The two ways in which ``parse`` and ``like`` look at text: expressions and globs."""

from __future__ import annotations

import re

_FLAGS = re.compile(r"\(\?([imsx]+)\)")
_GROUP = re.compile(r"\(\?<(?![=!])")


def expression(source: str) -> re.Pattern[str]:
    """An expression as Logs Insights writes it: ``(?<name>…)``, and flags that hold from where they stand.

    Raises:
        re.error: it is none.
    """
    source = _GROUP.sub("(?P<", source)
    while match := _FLAGS.search(source):
        rest, depth = source[match.end() :], _open(source[: match.start()])
        if depth:
            # Within a group flags would end with it; the language's own engines rarely see such.
            source = f"(?{match[1]}:{source[: match.start()]}{rest})"
        else:
            source = f"{source[: match.start()]}(?{match[1]}:{rest})"
    return re.compile(source)


def _open(source: str) -> int:
    plain = re.sub(r"\\.|\[[^\]]*\]", "", source)
    return plain.count("(") - plain.count(")")


def glob(source: str) -> re.Pattern[str]:
    """A text in which each ``*`` stands for something to take."""
    parts = [re.escape(part) for part in source.split("*")]
    ends_open = len(parts) > 1 and not parts[-1]
    joined = "(.*?)".join(parts[:-1] if ends_open else parts)
    return re.compile(f"{joined}(.*)" if ends_open else joined, re.DOTALL)
