"""The JupyterHub that signs its people in at this portal."""

from __future__ import annotations

from dataclasses import dataclass

from records.notebooks import Tickets


@dataclass(frozen=True, slots=True)
class Hub:
    """The one client. ``url`` is where it is reached, without a slash at its end; empty: there is none."""

    url: str
    secret: str
    tickets: Tickets

    @property
    def back(self) -> str:
        """Where people are sent back to."""
        return f"{self.url}/hub/oauth_callback"
