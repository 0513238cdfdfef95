"""Markdown as safe HTML that fits into a page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_reader = MarkdownIt("commonmark", {"html": False}).enable("table")
# What scrolls sideways has to be reachable by keyboard.
_SCROLLS = {"tabindex", "role", "aria-label", "class"}
_ATTRIBUTES = {**nh3.ALLOWED_ATTRIBUTES, "pre": {"tabindex"}, "div": _SCROLLS}


@lru_cache(maxsize=256)
def render(text: str, title: str = "") -> Markup:
    """HTML without scripts, styles or foreign attributes.

    The page has its own first heading: headings move one level down, and a first heading that
    only repeats ``title`` is left out.
    """
    tokens = _reader.parse(text)
    if len(tokens) > 2 and tokens[0].tag == "h1" and _same(tokens[1].content, title):
        tokens = tokens[3:]
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
    html = _framed(_reader.renderer.render(_prepared(tokens), _reader.options, {}))
    return Markup(nh3.clean(html, attributes=_ATTRIBUTES, link_rel="noopener noreferrer"))


def _prepared(tokens: Sequence[Token]) -> Sequence[Token]:
    shift = min((int(item.tag[1]) for item in tokens if item.type == "heading_open"), default=2) - 2
    if shift > 0:
        for token in tokens:
            if token.type in ("heading_open", "heading_close"):
                token.tag = f"h{int(token.tag[1]) - shift}"
    return tokens


def _framed(html: str) -> str:
    frame = '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>'
    html = html.replace("<table>", frame).replace("</table>", "</table></div>")
    return html.replace("<pre>", '<pre tabindex="0">')


def _same(heading: str, title: str) -> bool:
    return heading.strip().casefold() == title.strip().casefold()
