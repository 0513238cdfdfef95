"""Markdown as safe HTML."""

from __future__ import annotations

from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

_reader = MarkdownIt("commonmark", {"html": False}).enable("table")


@lru_cache(maxsize=256)
def render(text: str) -> Markup:
    """HTML without scripts, styles or foreign attributes."""
    return Markup(nh3.clean(_reader.render(text), link_rel="noopener noreferrer"))
