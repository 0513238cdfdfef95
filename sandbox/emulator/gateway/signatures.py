"""AWS Signature Version 4, verified: in the Authorization header and in presigned URLs.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import hmac
import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from sandbox.emulator.calls import AwsError
from sandbox.emulator.gateway import old_links
from sandbox.emulator.gateway.keys import Issued
from sandbox.emulator.gateway.requests import HttpRequest

ALGORITHM = "AWS4-HMAC-SHA256"
CLOCK_SKEW_S = 15 * 60
PRESIGNED_LIMIT_S = 7 * 24 * 3600
_UNSIGNED = "UNSIGNED-PAYLOAD"
_STREAMING = "STREAMING-"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a request says of its own signature; nothing in it is to be trusted before it is verified.

    ``expires_at`` is set for links of Signature Version 2, and little else is.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    at: str
    signed_headers: tuple[str, ...]
    signature: str
    token: str
    presigned_s: int | None = None
    expires_at: int | None = None

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def read_signature(request: HttpRequest) -> Signature:
    """The signature that a request carries.

    Raises:
        AwsError: there is none, there are two, or it can't be read.
    """
    header = request.headers.get("authorization", "")
    query = dict(request.parameters) if "X-Amz-Algorithm=" in request.query else {}
    old = dict(request.parameters) if "AWSAccessKeyId=" in request.query else {}
    if header and (query or old):
        raise AwsError(
            "InvalidArgument", "Only one auth mechanism allowed; both a header and a query were given.", 400
        )
    if query:
        return _from_query(query)
    if old_links.is_old_link(old):
        return _from_old_link(old)
    if not header:
        raise AwsError("MissingAuthenticationToken", "Missing Authentication Token", 403)
    kind, _, rest = header.partition(" ")
    if kind != ALGORITHM:
        raise AwsError(
            "IncompleteSignature", f"Unsupported AWS 'algorithm': '{kind}'; {ALGORITHM} is expected.", 400
        )
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    return _read(
        parts.get("Credential", ""),
        parts.get("SignedHeaders", ""),
        parts.get("Signature", ""),
        request.headers.get("x-amz-date") or "",
        request.headers.get("x-amz-security-token", ""),
        None,
    )


def _from_query(query: dict[str, str]) -> Signature:
    if query["X-Amz-Algorithm"] != ALGORITHM:
        raise AwsError(
            "AuthorizationQueryParametersError", f'X-Amz-Algorithm only supports "{ALGORITHM}"', 400
        )
    expires = query.get("X-Amz-Expires", "")
    if not expires.isdigit() or not 0 < int(expires) <= PRESIGNED_LIMIT_S:
        raise AwsError(
            "AuthorizationQueryParametersError",
            "X-Amz-Expires must be a number of seconds from 1 to 604800.",
            400,
        )
    return _read(
        query.get("X-Amz-Credential", ""),
        query.get("X-Amz-SignedHeaders", ""),
        query.get("X-Amz-Signature", ""),
        query.get("X-Amz-Date", ""),
        query.get("X-Amz-Security-Token", ""),
        int(expires),
    )


def _from_old_link(query: dict[str, str]) -> Signature:
    if not query["Expires"].isdigit():
        raise AwsError(
            "AccessDenied", f"Invalid date (should be seconds since epoch): {query['Expires']}", 403
        )
    token = query.get("x-amz-security-token", "")
    key, signature, expires_at = query["AWSAccessKeyId"], query["Signature"], int(query["Expires"])
    return Signature(key, "", "us-east-1", "s3", "", (), signature, token, expires_at=expires_at)


def _read(
    credential: str, headers: str, signature: str, at: str, token: str, presigned_s: int | None
) -> Signature:
    scope = credential.split("/")
    names = tuple(headers.split(";"))
    if len(scope) != 5 or scope[4] != "aws4_request" or not signature or "host" not in names:
        raise AwsError(
            "IncompleteSignature",
            "The signature needs a Credential of five parts, SignedHeaders with host, and a Signature.",
            400,
        )
    return Signature(scope[0], scope[1], scope[2], scope[3], at, names, signature, token, presigned_s)


def verify(
    request: HttpRequest, signed: Signature, issued: Issued | None, *, wall_time: float, account_time: float
) -> None:
    """Refuse a request whose signature was not made with the key it names, now.

    ``wall_time`` and ``account_time`` are seconds since the epoch: a signature may be dated by either,
    for a function whose clock follows the account signs by that one. Keys expire by account time.

    Raises:
        AwsError: in AWS's words, why it is refused.
    """
    if issued is None:
        code = "InvalidAccessKeyId" if signed.service == "s3" else "UnrecognizedClientException"
        text = (
            "The AWS Access Key Id you provided does not exist in our records."
            if signed.service == "s3"
            else "The security token included in the request is invalid."
        )
        raise AwsError(code, text, 403)
    if not hmac.compare_digest(signed.token, issued.keys.session_token):
        raise AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    if issued.expires is not None and account_time >= issued.expires:
        raise AwsError("ExpiredToken", "The security token included in the request is expired", 403)
    if signed.expires_at is not None:
        if account_time > signed.expires_at:
            raise AwsError("AccessDenied", "Request has expired", 403)
        if old_links.names_more(request):
            raise AwsError("AccessDenied", "The link's signature does not cover all that it asks for.", 403)
        expected = old_links.signature(request, issued.keys.secret_access_key)
    else:
        _verify_time(signed, wall_time, account_time)
        expected = _signature(request, signed, issued.keys.secret_access_key)
    if not hmac.compare_digest(expected, signed.signature):
        code = (
            "SignatureDoesNotMatch" if signed.service in ("s3", "iam", "sts") else "InvalidSignatureException"
        )
        raise AwsError(
            code,
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
            403,
        )
    if signed.expires_at is None:
        _verify_body(request, signed)


def _verify_time(signed: Signature, wall_time: float, account_time: float) -> None:
    try:
        at = dt.datetime.strptime(signed.at, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC).timestamp()
    except ValueError:
        raise AwsError(
            "IncompleteSignature", "X-Amz-Date is missing or not of the form 20060102T150405Z.", 400
        ) from None
    if signed.at[:8] != signed.date:
        raise AwsError("SignatureDoesNotMatch", "Date in Credential scope does not match X-Amz-Date.", 403)
    if signed.presigned_s is not None:
        if at > max(wall_time, account_time) + CLOCK_SKEW_S:
            raise AwsError("AccessDenied", "Request is not valid yet", 403)
        # A link runs out in the account's time, like everything that was promised for a while.
        if account_time > at + signed.presigned_s:
            raise AwsError("AccessDenied", "Request has expired", 403)
        return
    if min(abs(at - wall_time), abs(at - account_time)) > CLOCK_SKEW_S:
        code = "RequestTimeTooSkewed" if signed.service == "s3" else "InvalidSignatureException"
        raise AwsError(code, f"Signature expired: {signed.at} is not within 15 minutes of now.", 403)


def _verify_body(request: HttpRequest, signed: Signature) -> None:
    told = request.headers.get("x-amz-content-sha256", "")
    if not told or told == _UNSIGNED or told.startswith(_STREAMING) or signed.presigned_s is not None:
        return
    if told != hashlib.sha256(request.body).hexdigest():
        raise AwsError(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            400,
        )


def _signature(request: HttpRequest, signed: Signature, secret: str) -> str:
    canonical = "\n".join(
        (
            request.method,
            _canonical_path(request.path, signed.service),
            _canonical_query(request.query),
            *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in signed.signed_headers),
            "",
            ";".join(signed.signed_headers),
            _payload(request, signed),
        )
    )
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    text = f"{ALGORITHM}\n{signed.at}\n{signed.scope}\n{digest}"
    key = signing_key(secret, signed.date, signed.region, signed.service)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _payload(request: HttpRequest, signed: Signature) -> str:
    told = request.headers.get("x-amz-content-sha256", "")
    if told:
        return told
    if signed.presigned_s is not None and signed.service == "s3":
        return _UNSIGNED
    return hashlib.sha256(request.body).hexdigest()


@functools.lru_cache(maxsize=1024)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """What a secret key becomes for one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _encode(text: str, safe: str = "-_.~") -> str:
    return quote(text, safe=safe)


def _canonical_path(path: str, service: str) -> str:
    if service == "s3":
        return _encode(unquote(path), "-_.~/") or "/"
    normal = posixpath.normpath(path) if path else "/"
    if normal.startswith("//"):
        normal = normal[1:]
    if path.endswith("/") and normal != "/":
        normal += "/"
    return _encode(normal, "-_.~/")


def _canonical_query(query: str) -> str:
    pairs: list[tuple[str, str]] = []
    decode: Callable[[str], str] = unquote
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if part and decode(name) != "X-Amz-Signature":
            pairs.append((_encode(decode(name)), _encode(decode(value))))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))
