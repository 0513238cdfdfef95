"""The portal's side of JupyterLab: tickets for browsers, and asking for files before a submission."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from records.notebooks import Ticket, Tickets

_SAVE_TIMEOUT_S = 30.0


class NotSaved(Exception):
    """What is open in JupyterLab could not be brought into the workspace; says why."""


@dataclass(frozen=True, slots=True)
class Door:
    """``url`` is where browsers find JupyterLab, ``address`` where this process does; empty: not offered."""

    tickets: Tickets
    url: str
    address: str
    now: Callable[[], datetime]

    @property
    def origin(self) -> str:
        """Scheme, host and port of JupyterLab; empty when it is not offered."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}" if self.url else ""

    def is_apart_from(self, host: str) -> bool:
        """Whether it has another host name than the portal, under which a browser asked for it.

        Cookies know host names and no ports: under one name each would be handed the other's.
        """
        return urlsplit(self.url).hostname != urlsplit(f"//{host}").hostname

    def entrance(self, user_id: int, lab: str) -> str:
        """An address that lets one browser in, once and within a minute."""
        return f"{self.origin}/enter?ticket={self.tickets.make(Ticket(user_id, lab, 'open'), self.now())}"

    def save(self, user_id: int, lab: str) -> None:
        """Bring the files of the learner's JupyterLab into the workspace, if one runs.

        Raises:
            NotSaved: they could not be; says why.
        """
        if not self.url:
            return
        secret = self.tickets.make(Ticket(user_id, lab, "save"), self.now())
        try:
            with urllib.request.urlopen(f"{self.address}/save?ticket={secret}", timeout=_SAVE_TIMEOUT_S):
                return
        except urllib.error.HTTPError as error:
            raise NotSaved(_text(error.read().decode("utf-8", "replace"))) from None
        except (urllib.error.URLError, OSError):
            return  # Nothing serves JupyterLab now, so nothing is open there.


def _text(page: str) -> str:
    """The sentence of one of the gateway's pages."""
    return page.partition("<p>")[2].partition("</p>")[0] or "JupyterLab's files can't be read."
