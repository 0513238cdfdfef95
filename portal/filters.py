"""Values in words, for templates."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from math import ceil

from flask import Flask
from markupsafe import Markup, escape

from portal import markdown

_TICKED = re.compile(r"`([^`\n]+)`")


def register(app: Flask, now: Callable[[], datetime]) -> None:
    """Add all filters."""
    app.add_template_filter(markdown.render, "markdown")
    app.add_template_filter(ticks, "ticks")
    app.add_template_filter(points, "points")
    app.add_template_filter(duration, "duration")
    app.add_template_filter(seconds, "seconds")
    app.add_template_filter(lambda at: ago(at, now()), "ago")
    app.add_template_filter(lambda at: until(at, now()), "until")


def ticks(text: str) -> Markup:
    """A sentence with `code` in backticks, as HTML."""
    return Markup(_TICKED.sub(r"<code>\1</code>", str(escape(text))))


def points(value: float) -> str:
    """A number without needless decimals."""
    return f"{value:g}"


def duration(minutes: float) -> str:
    """Minutes as ``45 min`` or ``1 h 15 min``."""
    hours, rest = divmod(round(minutes), 60)
    return " ".join([f"{hours} h"] * bool(hours) + [f"{rest} min"] * (bool(rest) or not hours))


def seconds(value: float) -> str:
    """A rough span of time: ``5 seconds``, ``2 minutes``."""
    size, word = (60, "minute") if value >= 90 else (1, "second")
    number = max(1, round(value / size))
    return f"{number} {word}{'' if number == 1 else 's'}"


def ago(at: datetime, now: datetime) -> str:
    """How long ago."""
    passed = int((now - at).total_seconds())
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if passed >= size:
            number = passed // size
            return f"{number} {word}{'' if number == 1 else 's'} ago"
    return "just now"


def until(at: datetime, now: datetime) -> str:
    """How long it takes until then, rounded up to minutes: ``in 3 minutes``."""
    number = max(1, ceil((at - now).total_seconds() / 60))
    return f"in {number} minute{'' if number == 1 else 's'}"
