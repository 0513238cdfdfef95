"""The practice account: opened, deployed to, its clock moved, its keys handed out, reset, ended."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.languages import N_
from portal.sandboxes import calling, computing, exports, observing, storing
from portal.sandboxes.errands import errands
from portal.sandboxes.here import HANDLERS, Here, NoAccount, here, problem_of
from portal.sandboxes.streams import follow
from portal.services import services
from portal.submissions.services import read_checked
from portal.users.session import current_user, require_user
from portal.workspace.views import files_of
from sandbox.account import Quiet
from sandbox.console.refusals import Refused
from sandbox.errors import BadSubmission
from sandbox.submissions import pack

bp = Blueprint("sandbox", __name__, url_prefix="/labs/<slug>/sandbox", template_folder="templates")
streams = Blueprint("practice_streams", __name__)
bp.before_request(require_user)
for _kind, _handler in HANDLERS.items():
    bp.register_error_handler(_kind, _handler)
for _part in (storing, computing, calling, observing):
    _part.register(bp)

JUMPS = {"1m": 60, "15m": 900, "1h": 3600, "6h": 21_600}
_LONGEST_S = 400 * 86_400
_DURATION = re.compile(r"\s*(\d{1,6}(?:\.\d{1,3})?)\s*([smhd])\s*")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_HAPPENED = 100


@bp.get("")
def show(slug: str) -> ResponseReturnValue:
    """The account, and what is deployed in it."""
    return _page(slug)


@bp.post("/open")
def open_account(slug: str) -> ResponseReturnValue:
    """Open the learner's account."""
    services().catalogue().get_lab(slug)
    services().practice.accounts.open(current_user().id)
    services().store.note(current_user().id, "practice account opened", services().now())
    return _back(slug)


@bp.post("/reset")
def reset(slug: str) -> ResponseReturnValue:
    """An empty account in the place of this one."""
    services().practice.accounts.reset(current_user().id)
    services().store.note(current_user().id, "practice account reset", services().now())
    return _back(slug)


@bp.post("/close")
def close(slug: str) -> ResponseReturnValue:
    """End the account and everything in it."""
    services().practice.accounts.close(current_user().id)
    services().store.note(current_user().id, "practice account ended", services().now())
    return _back(slug)


@bp.post("/deploy")
def deploy(slug: str) -> ResponseReturnValue:
    """Build and deploy the workspace."""
    lab, user = services().catalogue().get_lab(slug), current_user()
    if not lab.manifest.deploys:
        raise Refused(N_("This lab has nothing to deploy."))
    files = files_of(lab, user.id)
    try:
        read_checked(lab, pack(files))
    except BadSubmission as error:
        problem = {
            "message": str(error.args[0]),
            "where": error.where,
            "what_to_do": error.what_to_do,
        }
        return _page(slug, problem=problem, title=N_("This was not deployed.")), 422
    services().practice.deploy(user.id, lab, files)
    return _back(slug, "deployment")


@bp.post("/clock")
def clock(slug: str) -> ResponseReturnValue:
    """Let account time pass, and tell what happened meanwhile."""
    place = here(slug)
    try:
        seconds = _duration(request.form.get("by", ""), request.form.get("custom", ""))
        last = max((event["sequence"] for event in place.account.timeline()), default=0)
        quiet: Quiet = errands.run(
            current_user().id, lambda: place.account.advance(seconds, timeout_s=errands.wait_s)
        )
    except Refused as error:
        return _page(slug, problem=problem_of(error), title=N_("The clock was not moved.")), 422
    happened = observing.told(place.account, last)[-_HAPPENED:]
    return _page(slug, moved={"seconds": seconds, "quiet": quiet, "events": happened})


@bp.post("/keys")
def keys(slug: str) -> ResponseReturnValue:
    """New keys for the learner's own tools: shown in this answer, and kept nowhere."""
    place = here(slug)
    issued = place.account.issue_keys()
    services().store.note(current_user().id, "practice keys shown", services().now())
    at = urlsplit(place.account.endpoint_url)
    return render_template(
        "sandbox_keys.html",
        place=place,
        tab="overview",
        shells=exports.shells(place.account, issued),
        port=at.port,
        ssh=services().practice.ssh,
        is_local=is_this_machine(),
    )


@streams.get("/practice-events/<token>")
def events(token: str) -> ResponseReturnValue:
    """What is new, for servers without ASGI."""
    user_id = services().practice.user_of(token)
    if user_id is None:
        return "", 204
    return Response(follow(services().practice, user_id), mimetype="text/event-stream")


def _page(
    slug: str, problem: dict[str, str] | None = None, title: str = "", moved: dict[str, object] | None = None
) -> str:
    lab, user = services().catalogue().get_lab(slug), current_user()
    practice = services().practice
    place: Here | None
    try:
        place = here(slug)
    except NoAccount:
        place = None
        practice.prepare()
    return render_template(
        "sandbox.html",
        lab=lab,
        place=place,
        tab="overview",
        stream=practice.token(user.id),
        deployment=practice.practice.latest(user.id, lab.slug),
        stack=place.stack if place is not None else None,
        reachable=observing.addresses(place) if place is not None else {},
        account_now=place.account.now() if place is not None else None,
        ends_at=practice.accounts.ends_at(user.id),
        idle_minutes=practice.accounts.idle.total_seconds() / 60,
        jumps=JUMPS,
        problem=problem,
        problem_title=title,
        moved=moved,
    )


def _back(slug: str, anchor: str = "") -> ResponseReturnValue:
    return redirect(url_for("sandbox.show", slug=slug, _anchor=anchor or None), 303)


def _duration(named: str, custom: str) -> float:
    if named in JUMPS:
        return float(JUMPS[named])
    found = _DURATION.fullmatch(custom)
    seconds = float(found[1]) * _UNITS_S[found[2]] if found else 0.0
    if not 0 < seconds <= _LONGEST_S:
        raise Refused(N_("Write a time such as 90s, 5m, 6h or 2d, of at most 400 days."))
    return seconds


def is_this_machine() -> bool:
    """Whether the browser reaches the portal as on its own machine, where the account's port answers it."""
    host = urlsplit(f"//{request.host}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
