"""What happened in the account: logs, traces, the timeline, and what roles did with their rights."""

from __future__ import annotations

import secrets
from datetime import timedelta
from itertools import islice
from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from graders.iam import reporting
from graders.iam.inspection import Inspector
from graders.timeline import lanes, page
from graders.timeline.recording import record
from graders.timeline.traces import find_traces
from portal.sandboxes.here import Here, here, problem_of, shown
from portal.sandboxes.waterfalls import waterfall
from sandbox.account import Account
from sandbox.console import logs
from sandbox.console.refusals import Refused, asks

_TRACES = 60
_TRACES_S = 30 * 86_400
# Of what is served in the frame: it draws itself from its own data, and reaches nothing.
_FRAME = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; style-src-attr 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
)


def register(bp: Blueprint) -> None:
    """The routes."""
    bp.get("/logs")(show_logs)
    bp.get("/traces")(show_traces)
    bp.get("/timeline")(show_timeline)
    bp.get("/timeline/page")(timeline_page)
    bp.get("/rights")(show_rights)


def show_logs(slug: str) -> ResponseReturnValue:
    """The newest log lines, of all groups or one, live."""
    place = here(slug)
    groups, words = logs.groups(place.account), request.args.get("words", "").strip()
    group = request.args.get("group", "")
    lines = logs.lines(place.account, group if group in groups else "", words)
    return shown("sandbox_logs.html", place, "logs", groups=groups, group=group, words=words, lines=lines)


def show_traces(slug: str) -> ResponseReturnValue:
    """The newest traces as waterfalls."""
    place = here(slug)
    words, problem = request.args.get("words", "").strip(), None
    try:
        found = _traces(place.account, words)
    except Refused as error:
        found, problem = [], problem_of(error)
    traces = [waterfall(trace) for trace in found]
    return shown("sandbox_traces.html", place, "traces", traces=traces, words=words, problem=problem)


def show_timeline(slug: str) -> ResponseReturnValue:
    """Everything that happened on one axis, in a frame of its own."""
    return shown("sandbox_timeline.html", here(slug), "timeline")


def timeline_page(slug: str) -> ResponseReturnValue:
    """The frame's content: no origin, no cookies, nothing but its own script."""
    place = here(slug)
    nonce = secrets.token_urlsafe(16)
    recording = asks(record)(place.account)
    answer = Response(page.render(recording, place.lab.title, nonce), mimetype="text/html")
    answer.headers["Content-Security-Policy"] = _FRAME.format(nonce=nonce)
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return answer


def show_rights(slug: str) -> ResponseReturnValue:
    """What each role was granted, used and refused, and the smallest policy that would have done."""
    place = here(slug)
    roles = asks(lambda: [reporting.role_json(each) for each in Inspector(place.account, ()).every_role()])()
    stack = place.stack
    mine = {each.physical_id for each in stack.of("AWS::IAM::Role")} if stack is not None else set()
    granted = {each["name"]: each["granted"] for each in place.account.iam() if each["kind"] == "role"}
    mine_only = [
        {**role, "name": name, "granted": granted.get(name, [])}
        for role in roles
        if (name := role["role"].rpartition("/")[2]) in mine
    ]
    return shown("sandbox_rights.html", place, "rights", roles=mine_only)


def told(account: Account, since: int) -> list[dict[str, Any]]:
    """What happened after a moment, without calls of ours, in the timeline's own words."""
    events = account.timeline(since)
    found = []
    for event in events:
        mine = getattr(account, "is_grader_key", lambda _: False)
        if not mine(str(event["detail"].get("access_key_id", ""))):
            placed = lanes.place_of(event)
            if placed is not None:
                reason = str(event["detail"].get("reason", "") or event["detail"].get("message", "") or "")
                found.append({**event, "name": placed[1], "tone": placed[2], "reason": reason})
    return found


def addresses(place: Here) -> dict[str, str]:
    """The stack's outputs that are addresses of AWS, as they answer on the server's machine."""
    stack = place.stack
    turned = {}
    for name, value in (stack.outputs if stack is not None else {}).items():
        if value.startswith("https://") and (local := place.account.url(value)) != value:
            turned[name] = local
    return turned


@asks
def _traces(account: Account, words: str) -> list[dict[str, Any]]:
    now = account.now() + timedelta(seconds=1)
    found: list[dict[str, Any]] = []
    span = 900.0
    # The newest come first: most people ask for what they did just now.
    while span <= _TRACES_S and len(found) < _TRACES:
        found = list(islice(find_traces(account.client("xray"), now, span, words), 2_000))
        span *= 24
    return sorted(found, key=lambda each: each["StartTime"], reverse=True)[:_TRACES]
