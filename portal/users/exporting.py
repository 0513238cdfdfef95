"""All that we have of a user, in a zip of JSON and files."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from portal.services import Services
from records.people import User

_CHUNK = 65_536
_ALL = 1_000_000
_SECRET = frozenset({"password_hash", "session_epoch", "public_key", "user_id"})


def export(services: Services, user: User) -> Iterator[bytes]:
    """The zip, piece by piece; made whole before the first one."""
    made = tempfile.TemporaryFile()  # noqa: SIM115
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, body in _files(services, user):
            archive.writestr(path, body)
    made.seek(0)
    return _pieces(made)


def _pieces(stream: Any) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(_CHUNK):
            yield piece


def _files(services: Services, user: User) -> Iterator[tuple[str, bytes]]:
    credentials, store = services.credentials, services.store
    yield (
        "profile.json",
        _json(
            {
                "user": _plain(user),
                "sessions": [_plain(item) for item in services.accounts.sessions.of(user.id)],
                "passkeys": [_plain(item) for item in credentials.passkeys_of(user.id)],
                "identities": [_plain(item) for item in credentials.identities_of(user.id)],
                "tokens": [_plain(item) for item in credentials.tokens_of(user.id)],
                "log": store.notes_of(user.id),
            }
        ),
    )
    attempts = store.attempts_of(user.id, limit=_ALL)
    yield "attempts.json", _json([_plain(item) for item in attempts])
    for attempt in attempts:
        folder = f"attempts/{attempt.lab}-{attempt.number}"
        yield f"{folder}/submission.zip", store.body_of(attempt.submission_id)
        if (report := store.report(attempt.id)) is not None:
            yield f"{folder}/report.json", _json(report)
    for lab in services.workspaces.labs_of(user.id):
        for path, body in store.workspace(user.id, lab).items():
            yield f"workspaces/{lab}/{path}", body


def _plain(record: Any) -> dict[str, Any]:
    return {key: value for key, value in asdict(record).items() if key not in _SECRET}


def _json(value: Any) -> bytes:
    def shown(item: Any) -> str:
        return item.isoformat() if isinstance(item, datetime) else str(item)

    return json.dumps(value, ensure_ascii=False, indent=2, default=shown).encode()
