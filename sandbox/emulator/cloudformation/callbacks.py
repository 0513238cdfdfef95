"""The addresses at which CloudFormation is told how things went: presigned, and answered like S3.

Custom resources answer there, and wait conditions are signalled there.

Sources: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html and
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-waitcondition.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from sandbox.emulator.core import AccountCore
from sandbox.emulator.gateway.requests import HttpRequest, read_environ

_BUCKET = r"cloudformation-(?:custom-resource-response|waitcondition)-[a-z0-9\-]+"
_HOST = re.compile(rf"(?P<bucket>{_BUCKET})\.s3[.\-](?:[a-z0-9\-]+\.)?amazonaws\.com")
_PATH = re.compile(rf"/(?P<bucket>{_BUCKET})/.")
_HEX = 16


@dataclass(slots=True)
class Mailbox:
    """What was sent to one address. ``wanted`` is how many letters somebody waits for."""

    wanted: int = 1
    letters: list[bytes] = field(default_factory=list)
    listener: Callable[[], None] | None = None
    enough: Callable[[list[bytes]], bool] | None = None

    @property
    def full(self) -> bool:
        """Whether there is nothing more to wait for."""
        if self.enough is not None:
            return self.enough(list(self.letters))
        return len(self.letters) >= self.wanted

    def put(self, letter: bytes) -> None:
        """Take a letter, and tell whoever waits for it."""
        self.letters.append(letter)
        listener = self.listener
        if listener is not None:
            listener()


class Callbacks:
    """Makes the addresses, and answers at them: a data plane of the gateway.

    ``by_name``: inside execution environments AWS's own names lead to the gateway, by HTTPS.
    """

    def __init__(self, core: AccountCore, *, by_name: bool) -> None:
        self._core = core
        self._by_name = by_name
        self._secret = secrets.token_bytes(32)
        self._key_id = f"AKIA{secrets.token_hex(8).upper()}"
        self._boxes: dict[str, Mailbox] = {}
        self._lock = threading.Lock()

    def open(self, bucket: str, key: str, region: str, valid_s: int) -> tuple[str, Mailbox]:
        """A new address, good for ``valid_s`` seconds of account time, and where its letters go."""
        mailbox = Mailbox()
        with self._lock:
            self._boxes[f"{bucket}/{key}"] = mailbox
        query = self._query(bucket, key, region, valid_s)
        return f"{self._origin(bucket, region)}/{quote(key, safe='/')}?{query}", mailbox

    def close(self, address: str) -> None:
        """Letters to this address are no longer kept."""
        with self._lock:
            self._boxes.pop(_name(address), None)

    def find_box(self, address: str) -> Mailbox | None:
        """Where an address's letters go, unless it was closed."""
        with self._lock:
            return self._boxes.get(_name(address))

    def find(self, host: str, path: str) -> bool:
        """Whether this request is for one of these addresses."""
        return _HOST.fullmatch(host) is not None or _PATH.match(path) is not None

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer it as S3 answers a PUT to a presigned URL."""
        request = read_environ(environ)
        name = unquote(request.path)[1:]
        found = _HOST.fullmatch(request.host)
        if found is not None:
            name = f"{found['bucket']}/{name}"
        refusal = self._refusal(name, request)
        headers = [("x-amz-request-id", uuid.uuid4().hex[:_HEX].upper()), ("Server", "AmazonS3")]
        if refusal:
            body = (
                '<?xml version="1.0" encoding="UTF-8"?>\n'
                f"<Error><Code>AccessDenied</Code><Message>{refusal}</Message></Error>"
            ).encode()
            headers += [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
            start_response("403 Forbidden", headers)
            return [body]
        with self._lock:
            mailbox = self._boxes.get(name)
        if mailbox is not None:
            mailbox.put(request.body)
        etag = hashlib.md5(request.body, usedforsecurity=False).hexdigest()
        start_response("200 OK", [*headers, ("ETag", f'"{etag}"'), ("Content-Length", "0")])
        return [b""]

    def _origin(self, bucket: str, region: str) -> str:
        """Where code inside execution environments finds the bucket: as on AWS, or at the gateway's port.

        The gateway answers at either; elsewhere ``coldstart sandbox url`` translates the former.
        """
        if self._by_name:
            return f"https://{bucket}.s3.{region}.amazonaws.com"
        return f"http://127.0.0.1:{self._core.gateway_port}/{bucket}"

    def _query(self, bucket: str, key: str, region: str, valid_s: int) -> str:
        at = self._core.clock.now().strftime("%Y%m%dT%H%M%SZ")
        expires = int(self._core.clock.time()) + valid_s
        return urlencode(
            {
                "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                "X-Amz-Date": at,
                "X-Amz-SignedHeaders": "host",
                "X-Amz-Expires": valid_s,
                "X-Amz-Credential": f"{self._key_id}/{at[:8]}/{region}/s3/aws4_request",
                "X-Amz-Signature": f"{expires:x}{self._signature(f'{bucket}/{key}', expires)}",
            }
        )

    def _signature(self, name: str, expires: int) -> str:
        return hmac.new(self._secret, f"{name}\n{expires}".encode(), hashlib.sha256).hexdigest()

    def _refusal(self, name: str, request: HttpRequest) -> str:
        given = parse_qs(request.query).get("X-Amz-Signature", [""])[0]
        told, signature = given[:-64], given[-64:]
        if not re.fullmatch(r"[0-9a-f]{1,12}", told):
            return "Access Denied"
        expires = int(told, 16)
        good = hmac.compare_digest(signature.encode(), self._signature(name, expires).encode())
        if request.method != "PUT" or not good:
            return "Access Denied"
        return "Request has expired" if self._core.clock.time() > expires else ""


def _name(address: str) -> str:
    """Bucket and key of an address that :meth:`Callbacks.open` made."""
    parts = urlsplit(address)
    found = _HOST.fullmatch(parts.hostname or "")
    path = unquote(parts.path)[1:]
    return path if found is None else f"{found['bucket']}/{path}"
