"""Values in words, for templates, in the page's language."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil

from flask import Flask
from flask_babel import format_datetime, format_decimal, format_timedelta, gettext, ngettext
from markupsafe import Markup, escape

from portal import markdown

# Each is said by later ones too, so the order decides.
_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_TICKED = re.compile(r"`([^`\n]+)`")


def register(app: Flask, now: Callable[[], datetime]) -> None:
    """Add all filters."""
    app.add_template_filter(markdown.render, "markdown")
    app.add_template_filter(translated, "translated")
    app.add_template_filter(ticks, "ticks")
    app.add_template_filter(points, "points")
    app.add_template_filter(duration, "duration")
    app.add_template_filter(seconds, "seconds")
    app.add_template_filter(precise, "precise")
    app.add_template_filter(moment, "moment")
    app.add_template_filter(clock, "clock")
    app.add_template_filter(device, "device")
    app.add_template_filter(lambda at: ago(at, now()), "ago")
    app.add_template_filter(lambda at: until(at, now()), "until")


def device(agent: str) -> str:
    """A browser's own description in a few words: ``Firefox, Linux``."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), agent.split("/")[0][:30] or "?")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return ", ".join(filter(None, [browser, system]))


def translated(text: str) -> str:
    """A text in the page's language where it is one of ours; as it is, and still to be escaped, where not.

    ``_()`` in a template takes what it is given for HTML and for a format: it is for texts of ours alone.
    """
    return str(gettext(str(text)))


def ticks(text: str) -> Markup:
    """A sentence with `code` in backticks, as HTML."""
    return Markup(_TICKED.sub(r"<code>\1</code>", str(escape(text))))


def points(value: float) -> str:
    """A number without needless decimals."""
    return str(format_decimal(value, "0.##"))


def duration(minutes: float) -> str:
    """Minutes as ``45 min`` or ``1 h 15 min``."""
    hours, rest = divmod(round(minutes), 60)
    return " ".join([f"{hours} h"] * bool(hours) + [f"{rest} min"] * (bool(rest) or not hours))


def seconds(value: float) -> str:
    """A rough span of time: ``5 seconds``, ``2 minutes``."""
    if value >= 90:
        return str(ngettext("%(num)s minute", "%(num)s minutes", round(value / 60)))
    return str(ngettext("%(num)s second", "%(num)s seconds", max(1, round(value))))


def precise(value: float) -> str:
    """Seconds to the hundredth: ``1.50 s``."""
    return f"{format_decimal(value, '0.00')} s"


def moment(at: datetime) -> str:
    """A date and a time in UTC."""
    return f"{format_datetime(at, 'd MMMM y, HH:mm')} UTC"


def clock(at: datetime) -> str:
    """A time of day in UTC, to the second."""
    return str(format_datetime(at, "HH:mm:ss"))


def ago(at: datetime, now: datetime) -> str:
    """How long ago."""
    passed = int((now - at).total_seconds())
    for size in (86400, 3600, 60):
        if passed >= size:
            return _told(timedelta(seconds=-(passed // size * size)))
    return str(gettext("just now"))


def until(at: datetime, now: datetime) -> str:
    """How long it takes until then, rounded up to minutes: ``in 3 minutes``."""
    return _told(timedelta(minutes=max(1, ceil((at - now).total_seconds() / 60))))


def _told(distance: timedelta) -> str:
    return str(format_timedelta(distance, threshold=1, add_direction=True))
