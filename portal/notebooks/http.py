"""Heads of HTTP/1.1 messages, read strictly: enough to lead a browser to JupyterLab and back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

HEAD_BYTES = 64 * 1024


class BadMessage(Exception):
    """This is no message that we lead on; the text says why."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line and the headers, in the order they came."""

    first: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """The header's only value; empty without it.

        Raises:
            BadMessage: it is there more than once, so readers could differ about it.
        """
        found = [value for key, value in self.headers if key.lower() == name]
        if len(found) > 1:
            raise BadMessage(f"two headers {name}")
        return found[0] if found else ""

    def without(self, names: Iterable[str], *added: tuple[str, str]) -> bytes:
        """As bytes, some headers left out and others added."""
        dropped = frozenset(names)
        kept = [*((key, value) for key, value in self.headers if key.lower() not in dropped), *added]
        return "\r\n".join([self.first, *(f"{key}: {value}" for key, value in kept), "", ""]).encode(
            "latin-1"
        )


async def read_head(reader: asyncio.StreamReader, timeout_s: float) -> Head | None:
    """The next head; None when the other side has nothing more to say.

    Raises:
        BadMessage: it is malformed or too long.
        TimeoutError: it did not come.
    """
    async with asyncio.timeout(timeout_s):
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise BadMessage("the connection ended within a head") from None
            return None
        except asyncio.LimitOverrunError:
            raise BadMessage("the head is too long") from None
    lines = raw[:-4].decode("latin-1").split("\r\n")
    headers = []
    for line in lines[1:]:
        key, colon, value = line.partition(":")
        if not colon or not key or key != key.strip() or "\n" in line or "\r" in line or "\0" in line:
            raise BadMessage("a malformed header")
        headers.append((key, value.strip()))
    return Head(lines[0], tuple(headers))
