"""Policy variables: ``${aws:username}``, with defaults, and the escapes ``${*}``, ``${?}``, ``${$}``.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from sandbox.emulator.iam.evaluation.patterns import FIXED_SEGMENTS, Pieces, Wild

_TOKEN = re.compile(r"\$\{([*?$])\}|\$\{\s*([^{},'\s][^{},']*?)\s*(?:,\s*'([^']*)'\s*)?\}|([*?])", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Variable:
    """A place for a context key's value. ``key`` is in lower case; ``default``: when the key is missing."""

    key: str
    default: str | None = None


Template = tuple[str | Wild | Variable, ...]


def read(text: str, *, variables: bool, wildcards: bool = True) -> Template:
    """Cut a value of a policy into text, wildcards and variables.

    ``variables``: the document's version knows them; otherwise ``${…}`` is text. Without ``wildcards`` ``*``
    and ``?`` are text.
    """
    pieces: list[str | Wild | Variable] = []
    at = 0
    for token in _TOKEN.finditer(text):
        escaped, key, default, wild = token.groups()
        piece: str | Wild | Variable
        if wild:
            if not wildcards:
                continue
            piece = Wild(wild)
        elif not variables:
            # `${*}` is text around a wildcard here, so look again inside it.
            pieces.extend(_plain(text[at : token.end()], wildcards))
            at = token.end()
            continue
        else:
            piece = escaped or Variable(key.lower(), default)
        pieces += [text[at : token.start()], piece]
        at = token.end()
    return _joined([*pieces, text[at:]])


def _plain(text: str, wildcards: bool) -> list[str | Wild]:
    return [Wild(part) if wildcards and part in ("*", "?") else part for part in re.split(r"([*?])", text)]


def _joined(pieces: list[str | Wild | Variable]) -> Template:
    joined: list[str | Wild | Variable] = []
    for is_text, run in groupby(pieces, key=lambda piece: isinstance(piece, str)):
        if is_text:
            text = "".join(str(piece) for piece in run)
            joined += [text] if text else []
        else:
            joined += run
    return tuple(joined)


def read_resource(text: str, *, variables: bool) -> Template:
    """A value of ``Resource``: variables stand only after the fifth colon, before it ``${…}`` is text."""
    head, tail = _cut_resource(text)
    return _joined([*read(head, variables=False), *read(tail, variables=variables)])


def _cut_resource(text: str) -> tuple[str, str]:
    parts = text.split(":", FIXED_SEGMENTS)
    if len(parts) <= FIXED_SEGMENTS:
        return text, ""
    return text[: -len(parts[-1])] if parts[-1] else text, parts[-1]


def literal_prefix(template: Template) -> str:
    """The text that everything a pattern covers begins with."""
    return template[0] if template and isinstance(template[0], str) else ""


def fixed(template: Template) -> Pieces | None:
    """The pattern, when no variable is in it."""
    if any(isinstance(piece, Variable) for piece in template):
        return None
    return template  # type: ignore[return-value]


def fill(template: Template, value_of: Callable[[str], tuple[str, ...]]) -> Pieces | None:
    """Put values in place. They are text: a ``*`` in a value is no wildcard.

    ``None``: a variable has no value and no default, or its key has several values, which AWS does not
    allow as a variable.
    """
    filled: list[str | Wild] = []
    text = ""
    for piece in template:
        if isinstance(piece, Variable):
            value = _value(piece, value_of(piece.key))
            if value is None:
                return None
            text += value
        elif isinstance(piece, Wild):
            if text:
                filled.append(text)
                text = ""
            filled.append(piece)
        else:
            text += piece
    return (*filled, text) if text else tuple(filled)


def _value(variable: Variable, values: tuple[str, ...]) -> str | None:
    if not values:
        return variable.default
    return values[0] if len(values) == 1 else None
