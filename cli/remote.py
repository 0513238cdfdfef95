"""Grading on a portal: hand in over its HTTP API, follow the events, fetch the report."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from graders.progress import Progress, ProgressEvent
from sandbox.errors import BadSubmission, SandboxError

# A stream says at least “still here” every fifteen seconds.
_SILENCE_S = 60.0
_AGAIN_S = (0.5, 1, 2, 4, 8)
_KNOWN = frozenset(item.name for item in fields(ProgressEvent))
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class PortalUnreachable(SandboxError):
    """The portal does not answer, or not as a portal does."""


class _Stay(HTTPRedirectHandler):
    """A token is for one portal: where it sends us instead is not asked."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class RemotePortal:
    """A portal by its address, and a learner's token for it."""

    address: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse addresses that would show the token to the network.

        Raises:
            BadSubmission: no address, or one without TLS on another machine; no token.
        """
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadSubmission(
                "This is no address of a portal.",
                where=self.address or "--portal",
                what_to_do="Give one like https://portal.example.org.",
            )
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise BadSubmission(
                "A token is not sent without TLS.", where=self.address, what_to_do="Use its https address."
            )
        if not self.token:
            raise BadSubmission(
                "There is no token.",
                where="COLDSTART_TOKEN",
                what_to_do="Make one on your profile page, and put it into this variable.",
            )

    def page(self, attempt: dict[str, Any]) -> str:
        """Where an attempt is shown."""
        return self._url(attempt["page"])

    def submit(self, slug: str, archive: bytes) -> dict[str, Any]:
        """Hand in a zip; the attempt it became.

        Raises:
            BadSubmission: the portal refuses it, and says why.
            PortalUnreachable: no answer, or none of a portal.
        """
        attempt: dict[str, Any] = self._json(f"/api/v1/labs/{quote(slug, safe='')}/submissions", archive)
        return attempt

    def report(self, attempt: dict[str, Any]) -> dict[str, Any]:
        """The attempt's report.

        Raises:
            PortalUnreachable: there is none: the grading itself could not run.
        """
        closed = self._json(f"/api/v1/attempts/{attempt['id']}")
        if closed["points"] is None:
            raise PortalUnreachable(closed["note"] or "The portal could not grade this.")
        report: dict[str, Any] = self._json(f"/api/v1/attempts/{attempt['id']}/report")
        return report

    def follow(self, attempt: dict[str, Any], progress: Progress) -> None:
        """Pass on what happens until the attempt is closed; goes on where it was after a lost connection.

        Raises:
            PortalUnreachable: it stays away.
        """
        after, tries = 0, 0
        while True:
            try:
                for number, body in self._events(attempt, after):
                    after, tries = number, 0
                    if body.get("phase") == "closed":
                        return
                    if body.get("phase") != "claimed":
                        progress(ProgressEvent(**{key: body[key] for key in body.keys() & _KNOWN}))
            except (OSError, ValueError):
                pass
            if self._json(f"/api/v1/attempts/{attempt['id']}")["state"] == "closed":
                return
            if tries == len(_AGAIN_S):
                raise PortalUnreachable(f"{self.address} keeps breaking off. See {self.page(attempt)}")
            time.sleep(_AGAIN_S[tries])
            tries += 1

    def _events(self, attempt: dict[str, Any], after: int) -> Iterator[tuple[int, dict[str, Any]]]:
        request = Request(self._url(attempt["events"]), headers={"Last-Event-ID": str(after)})
        number = after
        with build_opener(_Stay).open(request, timeout=_SILENCE_S) as answer:
            for line in answer:
                name, _, value = line.decode("utf-8").rstrip("\n").partition(": ")
                if name == "id":
                    number = int(value)
                elif name == "data":
                    yield number, json.loads(value)

    def _json(self, path: str, body: bytes | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/zip"}
        request = Request(self._url(path), data=body, headers=headers)
        try:
            with build_opener(_Stay).open(request, timeout=_SILENCE_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise self._refused(error) from None
        except URLError as error:
            raise PortalUnreachable(f"{self.address} does not answer: {error.reason}.") from None
        except (OSError, ValueError) as error:
            raise PortalUnreachable(f"{self.address} does not answer as a portal does: {error}") from None

    def _refused(self, error: HTTPError) -> Exception:
        try:
            told = json.load(error)
            message, where = str(told["error"]), str(told.get("where") or self.address)
        except (ValueError, KeyError, TypeError):
            return PortalUnreachable(f"{self.address} answers {error.code}, and not as a portal does.")
        if error.code >= 500:
            return PortalUnreachable(f"{self.address}: {message}")
        return BadSubmission(message, where=where, what_to_do=str(told.get("what_to_do") or ""))

    def _url(self, path: str) -> str:
        return self.address.rstrip("/") + path
