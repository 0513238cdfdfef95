"""Where else people can have an account that they sign in with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ID = re.compile(r"[a-z][a-z0-9-]{0,39}")
_KNOWN = {
    "google": {"title": "Google", "issuer": "https://accounts.google.com"},
    "github": {
        "title": "GitHub",
        "issuer": "https://github.com",
        "api": "https://api.github.com/",
        "kind": "github",
    },
}
_SCOPES = {"openid": "openid email profile", "github": "read:user user:email"}


@dataclass(frozen=True, slots=True)
class Provider:
    """One of them. ``kind`` is ``openid`` or ``github``."""

    id: str
    title: str
    issuer: str
    client_id: str
    client_secret: str
    kind: str = "openid"
    api: str = ""

    @property
    def scope(self) -> str:
        """What we ask to be told."""
        return _SCOPES[self.kind]


def read_providers(given: Sequence[Mapping[str, Any]]) -> tuple[Provider, ...]:
    """Providers as an operator writes them: ``id``, ``client_id``, ``client_secret``; others than Google and
    GitHub also ``title`` and ``issuer``.

    Raises:
        ValueError: something is missing; says what.
    """
    found = []
    for item in given:
        values = {**_KNOWN.get(str(item.get("id")), {}), **item}
        missing = [
            key for key in ("id", "title", "issuer", "client_id", "client_secret") if not values.get(key)
        ]
        if missing or not _ID.fullmatch(str(values.get("id"))):
            raise ValueError(
                f"COLDSTART_SIGN_IN_WITH: {item.get('id', 'an entry')} needs "
                f"{', '.join(missing) or 'another id'}."
            )
        unknown = sorted(set(values) - set(Provider.__dataclass_fields__))
        if unknown:
            raise ValueError(f"COLDSTART_SIGN_IN_WITH: {values['id']} has the unknown key {unknown[0]}.")
        found.append(Provider(**{**values, "issuer": str(values["issuer"]).rstrip("/")}))
    return tuple(found)
