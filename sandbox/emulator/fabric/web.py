"""HTTP requests that services make: they reach the account's own addresses and nothing else.

The network is not there for submitted code, and a service must be no way around that: on this machine's
other ports are things that nobody handed in.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from sandbox.emulator import addresses

Application = Callable[..., Iterable[bytes]]
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


class OutOfReach(ValueError):
    """The address is not one of the account's."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"{url} is beyond the emulated account: requests of services reach its own addresses only"
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Web:
    """Sends requests to ``application``, the account's gateway, which answers on ``port``."""

    def __init__(self, application: Application, port: int) -> None:
        self._application = application
        self._port = port
        self.known: Callable[[str], bool] = lambda name: False
        """Whether a name lies in one of the account's hosted zones."""

    def send(
        self, method: str, url: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> Reply:
        """Make one request, in this thread.

        Raises:
            OutOfReach: the account has no such address.
        """
        parts = urlsplit(self._turned(url))
        try:
            here = parts.scheme in ("http", "https") and parts.hostname in _HERE and parts.port == self._port
        except ValueError:
            here = False
        if not here:
            raise OutOfReach(url)
        path = parts.path or "/"
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": parts.query,
            "REQUEST_URI": f"{path}?{parts.query}" if parts.query else path,
            "RAW_URI": f"{path}?{parts.query}" if parts.query else path,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": parts.netloc,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(body),
        }
        for name, value in headers:
            key = name.upper().replace("-", "_")
            if key == "CONTENT_TYPE":
                environ[key] = value
            elif key not in ("CONTENT_LENGTH", "HOST"):
                held = environ.get(f"HTTP_{key}")
                environ[f"HTTP_{key}"] = f"{held},{value}" if held else value
        seen: list[Any] = []
        chunks = self._application(environ, lambda status, found: seen.extend((status, found)))
        content = b"".join(chunks)
        found = tuple((name.lower(), value) for name, value in seen[1])
        return Reply(int(seen[0].split()[0]), found, content)

    def _turned(self, url: str) -> str:
        turned = addresses.local(url, self._port)
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            return turned
        if turned == url and "." in host and host not in _HERE and self.known(host):
            return addresses.named(url, self._port)
        return turned
