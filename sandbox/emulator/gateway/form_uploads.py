"""Uploads to S3 by an HTML form: the form's policy says what may be uploaded, and is what is signed.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from sandbox.emulator.calls import AwsError
from sandbox.emulator.gateway import form_policies
from sandbox.emulator.gateway.keys import Issued
from sandbox.emulator.gateway.requests import HttpAnswer, HttpRequest
from sandbox.emulator.gateway.signatures import ALGORITHM, signing_key

_FIELDS_LIMIT_BYTES = 20_000
_BUCKET = re.compile(r"/([a-z0-9][a-z0-9.\-]{1,61}[a-z0-9])/?")
_FORM = "multipart/form-data"
# Fields that are headers of the object, as they are called.
_HEADERS = frozenset(
    {
        "cache-control",
        "content-type",
        "content-disposition",
        "content-encoding",
        "content-language",
        "expires",
    }
)
_ABOUT_THE_SIGNATURE = frozenset(
    {"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token", "x-amz-signature"}
)


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was sent; names of fields in lower case."""

    bucket: str
    fields: dict[str, str]
    file: bytes

    @property
    def key(self) -> str:
        """What the object shall be called."""
        return self.fields["key"]

    @property
    def access_key_id(self) -> str:
        """Whose key signed the policy."""
        old = self.fields.get("awsaccesskeyid", "")
        return old or self.fields.get("x-amz-credential", "").split("/")[0]

    @property
    def region(self) -> str:
        """For which region it was signed; signatures of version 2 name none."""
        scope = self.fields.get("x-amz-credential", "").split("/")
        return scope[2] if len(scope) == 5 else "us-east-1"


def is_upload(request: HttpRequest) -> bool:
    """Whether a request is a form that was sent to a bucket."""
    if request.method != "POST" or not request.headers.get("content-type", "").startswith(_FORM):
        return False
    return bool(_BUCKET.fullmatch(request.path_style().path)) and not request.query


def read_form(request: HttpRequest) -> Form:
    """The form in a request.

    Raises:
        AwsError: it is none, or lacks something that each upload needs.
    """
    match = _BUCKET.fullmatch(request.path_style().path)
    assert match is not None
    fields, file, filename = _parts(request)
    if not fields.get("key"):
        raise _missing("key")
    fields["key"] = fields["key"].replace("${filename}", filename)
    if file is None:
        raise AwsError(
            "IncorrectNumberOfFilesInPostRequest", "POST requires exactly one file upload per request."
        )
    return Form(match[1], fields, file)


def verify(form: Form, issued: Issued | None, account_time: float) -> None:
    """Refuse a form whose policy was not signed with the key it names, or does not allow the upload.

    Raises:
        AwsError: in AWS's words, why it is refused.
    """
    fields = form.fields
    if not form.access_key_id:
        raise AwsError("AccessDenied", "Access Denied", 403)
    signature = fields.get("signature" if fields.get("awsaccesskeyid") else "x-amz-signature", "")
    for name, value in (("policy", fields.get("policy")), ("X-Amz-Signature", signature)):
        if not value:
            raise _missing(name)
    if issued is None:
        raise AwsError(
            "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403
        )
    token = fields.get("x-amz-security-token", "")
    if not hmac.compare_digest(token.encode(), issued.keys.session_token.encode()):
        raise AwsError("InvalidToken", "The provided token is malformed or otherwise invalid.")
    if issued.expires is not None and account_time >= issued.expires:
        raise AwsError("ExpiredToken", "The provided token has expired.")
    expected = _expected(fields, issued.keys.secret_access_key)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise AwsError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            403,
        )
    form_policies.check(
        form_policies.read(fields["policy"]), form.bucket, fields, len(form.file), account_time
    )


def put_request(form: Form, request: HttpRequest) -> HttpRequest:
    """The same upload as a request that puts an object."""
    headers = {
        name: value
        for name, value in form.fields.items()
        if name in _HEADERS or (name.startswith("x-amz-") and name not in _ABOUT_THE_SIGNATURE)
    }
    if acl := form.fields.get("acl"):
        headers["x-amz-acl"] = acl
    if tagging := form.fields.get("tagging"):
        headers["x-amz-tagging"] = _tags(tagging)
    kept = {
        name: request.headers[name] for name in ("user-agent", "x-amzn-trace-id") if name in request.headers
    }
    length = {"content-length": str(len(form.file)), "host": "s3.amazonaws.com"}
    path = f"/{form.bucket}/{quote(form.key, safe='/-_.~')}"
    return replace(
        request, method="PUT", path=path, query="", headers={**kept, **headers, **length}, body=form.file
    )


def answer(form: Form, request: HttpRequest, put: HttpAnswer) -> HttpAnswer:
    """What the form's sender gets for an object that was put.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
    """
    if put.status >= 300:
        return put
    told = {name.lower(): value for name, value in put.headers}
    kept = tuple(each for each in put.headers if each[0].lower() not in ("content-length", "content-type"))
    etag = told.get("etag", "")
    target = form.fields.get("success_action_redirect") or form.fields.get("redirect") or ""
    if urlsplit(target).scheme in ("http", "https"):
        return HttpAnswer(303, (*kept, ("Location", _redirected(target, form, etag))), b"")
    name = quote(form.key, safe="")
    own = request.path_style().path != request.path
    scheme = "http" if request.host in ("127.0.0.1", "localhost") else "https"
    where = f"{scheme}://{request.headers.get('host', 's3.amazonaws.com')}"
    location = f"{where}/{name}" if own else f"{where}/{form.bucket}/{name}"
    headers = (*kept, ("Location", location))
    wanted = form.fields.get("success_action_status")
    if wanted == "201":
        values = {"Location": location, "Bucket": form.bucket, "Key": form.key, "ETag": etag}
        inner = "".join(f"<{tag}>{escape(value)}</{tag}>" for tag, value in values.items())
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{inner}</PostResponse>'
        return HttpAnswer(201, (*headers, ("Content-Type", "application/xml")), text.encode())
    return HttpAnswer(200 if wanted == "200" else 204, headers, b"")


def _parts(request: HttpRequest) -> tuple[dict[str, str], bytes | None, str]:
    """The fields before the file, the file and its name; what comes after the file does not count."""
    malformed = AwsError(
        "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data."
    )
    boundary = parse_options_header(request.headers.get("content-type", ""))[1].get("boundary", "")
    if not boundary:
        raise malformed
    decoder = MultipartDecoder(boundary.encode("latin-1", "replace"))
    fields: dict[str, str] = {}
    part: Field | File | None = None
    data = bytearray()
    before = 0
    try:
        decoder.receive_data(request.body)
        decoder.receive_data(None)
        while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
            if isinstance(event, Field | File):
                part, data = event, bytearray()
            elif isinstance(event, Data):
                data += event.data
                if event.more_data or part is None:
                    continue
                name = str(part.name).lower()
                if name == "file":
                    return fields, bytes(data), str(getattr(part, "filename", None) or "")
                before += len(name) + len(data)
                fields[name] = data.decode("utf-8", "replace")
                if before > _FIELDS_LIMIT_BYTES:
                    raise AwsError(
                        "MaxPostPreDataLengthExceeded",
                        "Your POST request fields preceding the upload file were too large.",
                    )
    except ValueError:
        raise malformed from None
    return fields, None, ""


def _expected(fields: dict[str, str], secret: str) -> str:
    policy = fields["policy"].encode()
    if fields.get("awsaccesskeyid"):
        return base64.b64encode(hmac.new(secret.encode(), policy, hashlib.sha1).digest()).decode()
    if fields.get("x-amz-algorithm") != ALGORITHM:
        raise AwsError("InvalidArgument", f"X-Amz-Algorithm only supports {ALGORITHM}")
    scope = fields["x-amz-credential"].split("/")
    if len(scope) != 5 or scope[3:] != ["s3", "aws4_request"]:
        raise AwsError(
            "AuthorizationQueryParametersError",
            "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
        )
    return hmac.new(signing_key(secret, *scope[1:4]), policy, hashlib.sha256).hexdigest()


def _tags(document: str) -> str:
    """Tags as the header has them, of the XML that the form has."""
    try:
        root = ElementTree.fromstring(document)
    except ElementTree.ParseError:
        raise AwsError("MalformedXML", "The XML you provided was not well-formed.") from None
    found: list[tuple[str, str]] = []
    for tag in (each for each in root.iter() if each.tag.endswith("Tag")):
        named: dict[str, Any] = {each.tag.rsplit("}", 1)[-1]: each.text or "" for each in tag}
        found.append((named.get("Key", ""), named.get("Value", "")))
    return urlencode(found)


def _redirected(target: str, form: Form, etag: str) -> str:
    parts = urlsplit(target)
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("bucket", form.bucket),
        ("key", form.key),
        ("etag", etag),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _missing(field: str) -> AwsError:
    return AwsError(
        "InvalidArgument",
        f"Bucket POST must contain a field named '{field}'.  If it is specified, please check the order of "
        "the fields.",
        ArgumentName=field,
        ArgumentValue="",
    )
