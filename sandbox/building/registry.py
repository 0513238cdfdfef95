"""The only door of a build's network: a registry, read-only, through us.

A build asks us for packages over plain HTTP inside its private network; we ask the registry, with the
operator's own settings (mirror, proxy, certificates, credentials), and keep what never changes. So a
build reaches nothing else, holds no credential, and can't put anything into what others get: only we
write to the cache, and only what the registry answered.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from sandbox.building.operator import Upstream, extra_certificates

ANSWER_LIMIT_BYTES = 400_000_000
TIMEOUT_S = 30.0
ATTEMPTS = 3
# How long an answer that may change (versions of a package) is good for everybody.
FRESH_S = 300.0
_PATH = re.compile(r"/[A-Za-z0-9@%._~!+,:()*/$-]*")


class Unreachable(Exception):
    """The registry gave no answer; why, in our words."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a registry said."""

    status: int
    kind: str
    body: bytes = field(repr=False)


class Registry(Protocol):
    """Something that packages come from."""

    def get(self, path: str, accept: str) -> Answer:
        """The answer to a GET.

        Raises:
            Unreachable: there was none.
        """


@dataclass(frozen=True, slots=True)
class CachedRegistry:
    """A registry behind one or more upstreams, tried in order; ``constant`` matches what never changes."""

    name: str
    upstreams: tuple[Upstream, ...]
    constant: re.Pattern[str]
    kept: Path
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    def get(self, path: str, accept: str) -> Answer:
        """From the cache, else from the first upstream that has it."""
        answer = Answer(404, "text/plain", b"not found")
        for upstream in self.upstreams:
            if not path.startswith((f"/{upstream.prefix}/", f"/{upstream.prefix}%2")) and upstream.prefix:
                continue
            url = upstream.url_of(path)
            answer = self._remembered(url, accept, path) or self._fetch(upstream, url, accept, path)
            if answer.status not in (404, 410):
                break
        return answer

    def _remembered(self, url: str, accept: str, path: str) -> Answer | None:
        place = self._place(url, accept)
        try:
            age_s = time.time() - place.stat().st_mtime
            if not self.constant.search(path) and age_s > FRESH_S:
                return None
            head, _, body = place.read_bytes().partition(b"\n")
            kind, digest = json.loads(head)
        except (OSError, ValueError):
            return None
        return Answer(200, kind, body) if hashlib.sha256(body).hexdigest() == digest else None

    def _fetch(self, upstream: Upstream, url: str, accept: str, path: str) -> Answer:
        answer = self._ask(upstream, url, accept)
        if answer.status == 200:
            place = self._place(url, accept)
            place.parent.mkdir(parents=True, exist_ok=True)
            unfinished = place.with_name(f"{place.name}.{os.getpid()}-{os.urandom(4).hex()}")
            head = json.dumps([answer.kind, hashlib.sha256(answer.body).hexdigest()]).encode()
            with contextlib.suppress(OSError):  # A full disk costs time, not the build.
                unfinished.write_bytes(head + b"\n" + answer.body)
                unfinished.replace(place)
        return answer

    def _place(self, url: str, accept: str) -> Path:
        name = hashlib.sha256(f"{url}\n{accept}".encode()).hexdigest()
        return self.kept / self.name / name[:2] / name

    def _ask(self, upstream: Upstream, url: str, accept: str) -> Answer:
        said = ""
        opener = _opener(tuple(extra_certificates(self.environ)))
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(0.3 * attempt)
            request = urllib.request.Request(url, headers={"Accept": accept, "User-Agent": "coldstart-build"})
            if upstream.authorization:
                # Never to where a redirect leads.
                request.add_unredirected_header("Authorization", upstream.authorization)
            try:
                with opener.open(request, timeout=TIMEOUT_S) as response:
                    body = response.read(ANSWER_LIMIT_BYTES + 1)
                    if len(body) > ANSWER_LIMIT_BYTES:
                        return Answer(413, "text/plain", b"larger than a build may fetch")
                    return Answer(response.status, response.headers.get_content_type(), body)
            except urllib.error.HTTPError as error:
                if error.code < 500 and error.code not in (401, 403, 407, 408, 429):
                    return Answer(error.code, "text/plain", error.read(65536))
                said = f"it answers {error.code}"
            except (OSError, http.client.HTTPException) as error:
                said = str(getattr(error, "reason", "") or error)
        raise Unreachable(f"The {self.name} registry can't be reached: {said}.")


@cache
def _opener(certificates: tuple[str, ...]) -> urllib.request.OpenerDirector:
    """Trusts the machine's authorities and the operator's; goes by the operator's proxy."""
    context = ssl.create_default_context()
    for file in certificates:
        with contextlib.suppress(OSError):
            context.load_verify_locations(file)
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))


class Door:
    """Serves one registry on a listening socket that lies inside a build's network."""

    def __init__(self, listener: socket.socket, registry: Registry) -> None:
        self._trouble: list[str] = []
        self._waiting = _Waiting()
        self._server = _Server(listener, registry, self._trouble, self._waiting)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str:
        """Why the registry could not be reached, if so."""
        return self._trouble[0] if self._trouble else ""

    @property
    def waited_s(self) -> float:
        """For how long at least one answer of the registry was waited for."""
        return self._waiting.seconds

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Waiting:
    """Adds up the time in which somebody waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._some = 0
        self._since = 0.0
        self._total = 0.0

    def __enter__(self) -> None:
        with self._lock:
            if not self._some:
                self._since = time.monotonic()
            self._some += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._some -= 1
            if not self._some:
                self._total += time.monotonic() - self._since

    @property
    def seconds(self) -> float:
        with self._lock:
            return self._total + (time.monotonic() - self._since if self._some else 0.0)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(
        self, listener: socket.socket, registry: Registry, trouble: list[str], waiting: _Waiting
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.registry = registry
        self.trouble = trouble
        self.waiting = waiting

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A build that hangs up is nobody's concern."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    # Head and body in as few packets as they fit: waiting for an acknowledgement costs 40 ms an answer.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._answer(send_body=True)

    def do_HEAD(self) -> None:
        self._answer(send_body=False)

    def _answer(self, *, send_body: bool) -> None:
        path = self.path.partition("?")[0]
        if not _PATH.fullmatch(path) or ".." in urllib.parse.unquote(path).split("/"):
            answer = Answer(HTTPStatus.BAD_REQUEST, "text/plain", b"not a path of a registry")
        else:
            try:
                with self.server.waiting:
                    answer = self.server.registry.get(path, self.headers.get("Accept", "*/*")[:200])
            except Unreachable as error:
                self.server.trouble.append(str(error))
                answer = Answer(HTTPStatus.BAD_GATEWAY, "text/plain", str(error).encode())
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if send_body:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Builds say themselves what they fetch."""
