"""An HTTP request as the gateway takes it, read once from whatever server it came in on."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.emulator.calls import AwsError

# Where a server puts the headers with underscores, by name in lower case: WSGI has no names for them.
UNDERSCORED = "coldstart.underscored_headers"
# Where the gateway says which execution environment's socket a request came in on.
ENVIRONMENT = "coldstart.environment"
BODY_LIMIT_BYTES = 5 * 1024**3
_UNPACKED_LIMIT_BYTES = 16 * 1024**2

_BUCKET_HOST = re.compile(
    r"(?P<bucket>[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9])\."
    r"(?:s3(?:-fips|-accelerate)?(?:\.dualstack)?(?:[.-][a-z0-9\-]+)?\.amazonaws\.com|s3\.localhost|localhost)"
)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. ``path`` is as it was sent (percent-encoded), header names are in lower case.

    ``environment_id`` names the execution environment on whose socket it came in, if any.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    environment_id: str = ""
    source_ip: str = "127.0.0.1"

    @property
    def host(self) -> str:
        """The Host header without its port, in lower case."""
        return self.headers.get("host", "").rsplit(":", 1)[0].lower()

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query string's parameters, decoded, in order."""
        return parse_qsl(self.query, keep_blank_values=True)

    def path_style(self) -> HttpRequest:
        """The same S3 request with its bucket in the path instead of in the host."""
        found = _BUCKET_HOST.fullmatch(self.host)
        if found is None:
            return self
        return replace(self, path=f"/{found['bucket']}{self.path}")

    def unpacked(self) -> HttpRequest:
        """The same request without the compression that SDKs put on large bodies.

        Raises:
            AwsError: the body is not what its Content-Encoding says, or unpacks to more than any API takes.
        """
        if self.headers.get("content-encoding", "").lower() != "gzip":
            return self
        try:
            body = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(self.body, _UNPACKED_LIMIT_BYTES + 1)
        except zlib.error:
            raise AwsError("InvalidRequest", "The request's body can't be decompressed.") from None
        if len(body) > _UNPACKED_LIMIT_BYTES:
            raise AwsError("RequestEntityTooLarge", "The request is too large.", 413)
        headers = {name: value for name, value in self.headers.items() if name != "content-encoding"}
        return replace(self, headers=headers | {"content-length": str(len(body))}, body=body)

    def environ(self, *, host: str, extra: Mapping[str, str]) -> dict[str, Any]:
        """A WSGI environment for moto: the same request, addressed to ``host``."""
        uri = f"{self.path}?{self.query}" if self.query else self.path
        made: dict[str, Any] = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(self.path, "latin-1"),
            "QUERY_STRING": self.query,
            "REQUEST_URI": uri,
            "RAW_URI": uri,
            "SERVER_NAME": host,
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.source_ip,
            "CONTENT_LENGTH": str(len(self.body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(self.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        preserved: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.upper().replace("-", "_")
            if key == "CONTENT_TYPE":
                made["CONTENT_TYPE"] = value
            elif key != "CONTENT_LENGTH":
                made[f"HTTP_{key}"] = value
                if name.startswith("x-amz-meta-"):
                    preserved[f"HTTP_{key}"] = name
        made["moto.preserved_header_names"] = preserved
        made["HTTP_HOST"] = host
        for name, value in extra.items():
            made[f"HTTP_{name.upper().replace('-', '_')}"] = value
        return made


def raw_path(environ: Mapping[str, Any]) -> str:
    """The path of a WSGI environment as it was sent, percent-encoded and without query."""
    target = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").partition("?")[0]
    if target.startswith("/"):
        return target
    # Without the request line as sent, what WSGI decoded is the best there is.
    return str(environ.get("PATH_INFO", "/")).encode("latin-1").decode(errors="replace")


def read_environ(environ: Mapping[str, Any], environment_id: str = "") -> HttpRequest:
    """The request of a WSGI environment, its body read whole."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    }
    headers |= environ.get(UNDERSCORED, {})
    uri = str(environ.get("REQUEST_URI") or environ.get("RAW_URI") or environ.get("PATH_INFO", "/"))
    path = urlsplit(uri).path if "://" in uri.split("?", 1)[0] else uri.split("?", 1)[0]
    length = int(environ.get("CONTENT_LENGTH") or 0)
    stream = environ["wsgi.input"]
    chunked = not length and environ.get("wsgi.input_terminated")
    body = stream.read(length) if length else stream.read() if chunked else b""
    return HttpRequest(
        method=str(environ["REQUEST_METHOD"]).upper(),
        path=path or "/",
        query=str(environ.get("QUERY_STRING", "")),
        headers=headers,
        body=body,
        environment_id=environment_id,
        source_ip=str(environ.get("REMOTE_ADDR", "127.0.0.1")),
    )


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What goes back over the wire. A ``stream`` is sent piece by piece instead of the body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    stream: Iterable[bytes] | None = field(default=None, repr=False)
