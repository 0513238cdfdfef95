"""The timeline as one page without requests to anywhere: its data, style and script are in it."""

from __future__ import annotations

import json
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from graders.timeline import lanes
from graders.timeline.axis import fold
from graders.timeline.recording import Recording

_HERE = Path(__file__).parent


def render(recording: Recording, title: str, nonce: str = "") -> str:
    """The whole page; its style and script carry the ``nonce`` that a server allows them by."""
    allowed = f' nonce="{escape(nonce)}"' if nonce else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}: timeline</title>"
        f"<style{allowed}>{_read('timeline.css')}</style></head><body>"
        f"{_read('timeline.html')}"
        f'<script type="application/json" id="data"{allowed}>{_embedded(document(recording, title))}</script>'
        f"<script{allowed}>{_read('timeline.js')}</script></body></html>\n"
    )


def document(recording: Recording, title: str) -> dict[str, Any]:
    """What the page draws, in plain JSON types. Times are seconds since the epoch."""
    shown = lanes.items(recording)
    moments = [moment for item in shown for moment in (item.begin, item.end) if item.kind not in _LONG]
    axis = fold([*moments, recording.begin, recording.end])
    return {
        "title": title,
        "account": recording.account_id,
        "region": recording.region,
        "begin": recording.begin,
        "end": recording.end,
        "knots": axis.knots,
        "folds": axis.folds,
        "lanes": [asdict(lane) for lane in lanes.lanes(recording, shown)],
        "items": [lanes.as_json(item) for item in shown],
    }


# What lasts while nothing happens does not keep idle time from being folded.
_LONG = frozenset({"alarm", "clock", "fault", "check"})


def _read(name: str) -> str:
    return (_HERE / name).read_text("utf-8")


def _embedded(data: Any) -> str:
    """JSON that no parser of HTML takes for its end."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, default=str)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
