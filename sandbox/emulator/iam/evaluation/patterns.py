"""Wildcards of the policy language, as regular expressions that match in time linear in the text.

A pattern is a tuple of pieces: literal text and ``Wild`` marks. Stars between literals become atomic groups,
so no pattern a learner writes can make a match run away.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

FIXED_SEGMENTS = 5
"""``arn:partition:service:region:account:`` end with the fifth colon; what follows names the resource."""


class Wild(Enum):
    """``*`` and ``?``."""

    MANY = "*"
    ONE = "?"

    # Enum's own goes through Python, and patterns are looked up by their pieces.
    __hash__ = object.__hash__


Pieces = tuple[str | Wild, ...]
EVERYTHING: Pieces = (Wild.MANY,)
_ANY, _WITHIN_SEGMENT = ".", "[^:]"


def text_of(pieces: Pieces) -> str | None:
    """The text, when there is no wildcard in it."""
    if any(isinstance(piece, Wild) for piece in pieces):
        return None
    return "".join(str(piece) for piece in pieces)


def split_segments(pieces: Pieces, limit: int = FIXED_SEGMENTS) -> list[Pieces]:
    """Cut at the first ``limit`` colons of the literal text."""
    segments: list[list[str | Wild]] = [[]]
    for piece in pieces:
        if isinstance(piece, Wild):
            segments[-1].append(piece)
            continue
        first, *rest = piece.split(":", limit + 1 - len(segments))
        segments[-1].append(first)
        segments.extend([part] for part in rest)
    return [tuple(piece for piece in segment if piece != "") for segment in segments]


@lru_cache(maxsize=4096)
def glob(pieces: Pieces, *, ignore_case: bool = False) -> re.Pattern[str]:
    """Matches whole texts: ``*`` any characters, ``?`` one, also across colons and line ends."""
    return re.compile(expression(pieces), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def expression(pieces: Pieces, character: str = _ANY, last_star: str | None = None) -> str:
    """A regular expression for the pieces, to be matched whole.

    ``character`` is what a wildcard may stand for; ``last_star`` what a star at the very end may.
    """
    chunks = [""]
    for piece in pieces:
        if piece is Wild.MANY:
            chunks.append("")
        else:
            chunks[-1] += character if piece is Wild.ONE else re.escape(str(piece))
    first, *rest = chunks
    if not rest:
        return first
    *middle, last = rest
    # The leftmost place of each chunk is as good as any other, so the search never has to come back to it.
    found = "".join(f"(?>{character}*?{chunk})" for chunk in middle if chunk)
    return f"{first}{found}{character if last or last_star is None else last_star}*{last}"


@lru_cache(maxsize=4096)
def resource_pattern(pieces: Pieces) -> re.Pattern[str]:
    """Matches whole resources that a value of ``Resource`` covers."""
    return re.compile(resource_expression(pieces), re.DOTALL)


def resource_expression(pieces: Pieces) -> str:
    """For the ``Resource`` element.

    In the first five segments a wildcard stays within its segment, save a star that ends one, which "can
    expand to match beyond the colon boundaries". In the last segment wildcards also match colons.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    *fixed, last = split_segments(pieces)
    if len(fixed) < FIXED_SEGMENTS:
        fixed, last = [*fixed, last], ()
        return ":".join(expression(segment, _WITHIN_SEGMENT, _ANY) for segment in fixed)
    head = ":".join(expression(segment, _WITHIN_SEGMENT, _ANY) for segment in fixed)
    return f"{head}:{expression(last)}"


@lru_cache(maxsize=4096)
def arn_matcher(pieces: Pieces) -> tuple[re.Pattern[str], ...] | None:
    """For the ARN operators, which compare the six components one by one. ``None``: a lone ``*``.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_ARN
    """
    if pieces == EVERYTHING:
        return None
    return tuple(glob(segment) for segment in split_segments(pieces))


def matches_arn(pieces: Pieces, arn: str) -> bool:
    """Whether an ARN matches component by component. What is not an ARN matches nothing."""
    components = arn.split(":", FIXED_SEGMENTS)
    if len(components) <= FIXED_SEGMENTS:
        return False
    matchers = arn_matcher(pieces)
    if matchers is None:
        return True
    return len(matchers) == len(components) and all(
        matcher.fullmatch(component) for matcher, component in zip(matchers, components, strict=True)
    )
