"""The way from a browser to its learner's JupyterLab: an origin of its own, and nothing in between but us.

A notebook's output is script. Under the portal's origin it would act as the learner there, so JupyterLab
has a host name of its own. A browser comes with a ticket, gets a cookie, and the cookie alone decides to
whose JupyterLab it is led: there is no address that names another one. Cookies and keys of ours never
arrive there.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import re
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from urllib.parse import parse_qs, quote, urlsplit

import structlog

from curriculum.errors import CurriculumError
from portal.notebooks.http import HEAD_BYTES, BadMessage, Head, read_head
from portal.notebooks.keeping import Keeper, Opened, TooMany
from records.errors import RecordsError
from records.notebooks import Tickets
from sandbox.errors import EnvironmentFault

log = structlog.get_logger()

COOKIE = "coldstart_notebook"
_HEAD_TIMEOUT_S = 30.0
_ANSWER_TIMEOUT_S = 120.0
_REAP_S = 30.0
_BLOCK = 65536
_SAFE = ("GET", "HEAD")
_METHODS = (*_SAFE, "POST", "PUT", "PATCH", "DELETE")
# A web socket's own pings are smaller than what a person at work causes.
_PING_BYTES = 64
_LINE = re.compile(r"([A-Z]+) (/[^\s]*) HTTP/1\.1")
_NEVER_ON = ("cookie", "authorization", "connection", "proxy-connection", "keep-alive", "x-forwarded-for")
_NEVER_BACK = ("set-cookie", "connection", "keep-alive", "server", "x-frame-options", "referrer-policy")
_OURS = (
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">{refresh}<title>{title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem}}</style>
<h1>{title}</h1><p>{text}</p></html>
"""


@dataclass(frozen=True, slots=True)
class _Request:
    head: Head
    method: str
    target: str
    path: str

    @property
    def upgrades(self) -> bool:
        """It opens a web socket."""
        return self.head.get("upgrade").lower() == "websocket"


@dataclass
class Gateway:
    """Serves :attr:`Keeper.origin`. Blocking work (starting, saving, the database) runs on threads."""

    keeper: Keeper
    tickets: Tickets
    is_current: Callable[[int], bool]
    now: Callable[[], datetime]
    _entered: dict[str, tuple[int, str]] = field(default_factory=dict)
    _saves: dict[tuple[int, str], asyncio.Task[None]] = field(default_factory=dict)
    _answering: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, host: str, port: int, ready: Callable[[], None]) -> None:
        """Serve until cancelled; then save and end everything."""
        server = await asyncio.start_server(self._connected, host, port, limit=HEAD_BYTES)
        ready()
        try:
            async with server:
                while True:
                    await asyncio.sleep(_REAP_S)
                    await asyncio.to_thread(self.keeper.end_idle, self.is_current)
        finally:
            self.keeper.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The loop itself holds its tasks loosely.
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
        try:
            head = await read_head(reader, _HEAD_TIMEOUT_S)
            if head is not None:
                await self._answer(_request(head), reader, writer)
        except BadMessage as error:
            _say(writer, 400, "This request can't be led on", f"{error}.")
        except (TimeoutError, OSError):
            pass
        except Exception:  # the boundary of one connection: the others go on
            log.exception("notebook_request_broke")
        finally:
            writer.close()  # What was written still goes out.

    async def _answer(
        self, request: _Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if request.path == "/healthz":
            _say(writer, 200, "ok", "ok")
        elif request.path == "/save":
            await self._save_for_portal(request, writer)
        elif request.head.get("host").lower() != urlsplit(self.keeper.origin).netloc:
            # Somebody else's name that leads here.
            _say(writer, 421, "Not here", f"JupyterLab is served at {self.keeper.origin} alone.")
        elif request.path == "/enter":
            await self._enter(request, writer)
        else:
            await self._lead(request, reader, writer)

    async def _enter(self, request: _Request, writer: asyncio.StreamWriter) -> None:
        secret = parse_qs(urlsplit(request.target).query).get("ticket", [""])[0]
        ticket = await asyncio.to_thread(self.tickets.redeem, secret, "open", self.now())
        if ticket is None:
            _say(
                writer,
                403,
                "This link does not work any more",
                "It opens JupyterLab once, within a minute. Open it again from the lab's page in the portal.",
            )
            return
        try:
            one = await asyncio.to_thread(self.keeper.open, ticket.user_id, ticket.lab)
        except TooMany:
            _say(
                writer,
                503,
                "All places are taken",
                f"{self.keeper.limit} JupyterLabs are in use. Try again in some minutes.",
            )
            return
        except (EnvironmentFault, CurriculumError, RecordsError) as error:
            log.warning("jupyter_not_started", user=ticket.user_id, lab=ticket.lab, error=str(error))
            _say(writer, 500, "JupyterLab can't be started", str(error))
            return
        cookie = secrets.token_urlsafe(32)
        self._entered[cookie] = (ticket.user_id, ticket.lab)
        # Strict: no page of anybody else makes a browser act here. So the way on is a page and no redirect.
        secure = "; Secure" if self.keeper.origin.startswith("https:") else ""
        told = f"{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Strict{secure}"
        _starting(writer, _notebook_of(one), ("Set-Cookie", told))

    async def _save_for_portal(self, request: _Request, writer: asyncio.StreamWriter) -> None:
        """The portal asks before it takes a submission; its ticket says whose files."""
        secret = parse_qs(urlsplit(request.target).query).get("ticket", [""])[0]
        ticket = await asyncio.to_thread(self.tickets.redeem, secret, "save", self.now())
        if ticket is None:
            _say(writer, 403, "No", "This ticket is not valid.")
            return
        one = self.keeper.find(ticket.user_id, ticket.lab)
        if one is not None:
            await asyncio.to_thread(self.keeper.save, one)
            if one.trouble:
                _say(writer, 409, "Not saved", one.trouble)
                return
        _say(writer, 200, "Saved", "Saved.")

    async def _lead(
        self, request: _Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        whose = self._entered.get(_cookie(request.head))
        one = self.keeper.find(*whose) if whose is not None else None
        if one is None:
            _say(
                writer,
                403,
                "JupyterLab is closed",
                "Your files are in your workspace. Open JupyterLab again from the lab's page in the portal.",
            )
            return
        foreign = request.head.get("origin") != self.keeper.origin
        if foreign and (request.method not in _SAFE or request.upgrades or request.head.get("origin")):
            _say(writer, 403, "Not from there", "Another site sent this request.")
            return
        try:
            inside = await asyncio.to_thread(one.server.connect, 3.0)
        except ConnectionError:
            if "text/html" in request.head.get("accept"):
                _starting(writer, request.target)
            else:
                _say(writer, 503, "Not yet", "JupyterLab is starting.")
            return
        one.used_at = time.monotonic()
        inner_reader, inner_writer = await _streams(inside)
        try:
            status = await self._carry(request, one, (reader, writer), (inner_reader, inner_writer))
        finally:
            inner_writer.close()
        if request.method not in _SAFE and request.path.startswith("/api/contents") and 200 <= status < 300:
            self._save_soon(one)

    async def _carry(
        self,
        request: _Request,
        one: Opened,
        outside: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        inside: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> int:
        """One request there and its answer back; the answer's status, 0 without one."""
        reader, writer = outside
        inner_reader, inner_writer = inside
        key = ("Authorization", f"token {one.server.token}")
        if request.upgrades:
            inner_writer.write(request.head.without(_NEVER_ON, key, ("Connection", "Upgrade")))
            sending = asyncio.create_task(_copy(reader, inner_writer, one))
        else:
            inner_writer.write(request.head.without(_NEVER_ON, key, ("Connection", "close")))
            sending = asyncio.create_task(_send_body(request, reader, inner_writer))
        try:
            try:
                head = await read_head(inner_reader, _ANSWER_TIMEOUT_S)
            except (BadMessage, TimeoutError, OSError):
                head = None
            if head is None:
                html_wanted = "text/html" in request.head.get("accept")
                if html_wanted and request.method == "GET":
                    _starting(writer, request.target)  # Its port is not open yet.
                else:
                    _say(writer, 503, "Not yet", "JupyterLab gives no answer.")
                return 0
            ours = (*_OURS, ("Connection", "Upgrade" if request.upgrades else "close"))
            writer.write(head.without(_NEVER_BACK, *ours))
            answering = asyncio.create_task(_copy(inner_reader, writer))
            # A web socket ends with either side; an answer is whole when the other side has said its last.
            ends = {answering, sending} if request.upgrades else {answering}
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                answering.cancel()
            return int([*head.first.split(" "), "0"][1])
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
                await sending

    def _save_soon(self, one: Opened) -> None:
        """After what may be the first of several changes."""
        key = (one.user_id, one.lab.slug)
        if key in self._saves:
            return

        async def save() -> None:
            await asyncio.sleep(0.3)
            del self._saves[key]
            await asyncio.to_thread(self.keeper.save, one)

        self._saves[key] = asyncio.create_task(save())


def _request(head: Head) -> _Request:
    found = _LINE.fullmatch(head.first)
    if found is None or found[1] not in _METHODS:
        raise BadMessage("not a request that browsers send")
    if head.get("transfer-encoding"):
        raise BadMessage("a body without its length")
    return _Request(head, found[1], found[2], urlsplit(found[2]).path)


def _cookie(head: Head) -> str:
    for part in head.get("cookie").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


async def _streams(connection: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    connection.setblocking(False)
    return await asyncio.open_connection(sock=connection, limit=HEAD_BYTES)


async def _send_body(request: _Request, reader: asyncio.StreamReader, inner: asyncio.StreamWriter) -> None:
    length = request.head.get("content-length") or "0"
    left = int(length) if length.isdecimal() else 0
    while left > 0:
        block = await reader.read(min(_BLOCK, left))
        if not block:
            return
        left -= len(block)
        inner.write(block)
        await inner.drain()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, used: Opened | None = None
) -> None:
    with contextlib.suppress(OSError):
        while block := await reader.read(_BLOCK):
            if used is not None and len(block) > _PING_BYTES:
                used.used_at = time.monotonic()
            writer.write(block)
            await writer.drain()


def _notebook_of(one: Opened) -> str:
    """JupyterLab's address with the lab's notebook open; the first one at the top of the workspace."""
    names = sorted(path for path in one.saved if path.endswith(".ipynb") and "/" not in path)
    return f"/lab/tree/{quote(names[0])}" if names else "/lab"


def _starting(writer: asyncio.StreamWriter, target: str, *headers: tuple[str, str]) -> None:
    refresh = f'<meta http-equiv="refresh" content="1; url={html.escape(target, quote=True)}">'
    _say(writer, 200, "JupyterLab is starting", "This takes some seconds.", *headers, refresh=refresh)


def _say(
    writer: asyncio.StreamWriter,
    status: int,
    title: str,
    text: str,
    *headers: tuple[str, str],
    refresh: str = "",
) -> None:
    body = _PAGE.format(title=html.escape(title), text=html.escape(text), refresh=refresh).encode()
    head = Head(
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            (
                "Content-Security-Policy",
                "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            ),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
            *_OURS,
            *headers,
        ),
    )
    writer.write(head.without(()) + body)
