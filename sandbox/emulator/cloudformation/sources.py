"""Where a template comes from: the request, S3, or the stack as it is."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from botocore.exceptions import ClientError

from sandbox.emulator.cloudformation import documents
from sandbox.emulator.cloudformation.errors import invalid

_MORE = "For more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"


def read_template(params: dict[str, Any], storage: Any, previous: str | None) -> str:
    """The text of the template that a request names. ``storage`` is an S3 client of the caller.

    Raises:
        AwsError: it names none, or more than one, or one that can't be read.
    """
    body, url = params.get("TemplateBody"), params.get("TemplateURL")
    if params.get("UsePreviousTemplate"):
        if previous is None or body or url:
            raise invalid("UsePreviousTemplate can not be used with TemplateBody or TemplateURL.")
        return previous
    if body and url:
        raise invalid("Only one of TemplateBody or TemplateURL may be specified.")
    if url:
        return documents.check_stored(fetch(url, storage))
    if not body:
        raise invalid("Either Template URL or Template Body must be specified.")
    return documents.check_body(body)


def fetch(url: str, storage: Any) -> bytes:
    """An object that a template URL names, in any of the forms such URLs have.

    Raises:
        AwsError: the URL is not one of S3, or the object can't be read.
    """
    bucket, key, version = _location(url)
    where = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
    try:
        body: bytes = storage.get_object(**where)["Body"].read()
    except ClientError as error:
        raise invalid(
            f"S3 error: {error.response['Error'].get('Message', 'Access Denied')}\n{_MORE}"
        ) from None
    return body


def read_part(location: str, storage: Any) -> str:
    """The text that ``AWS::Include`` names, as ``s3://bucket/key`` or by a URL.

    Raises:
        AwsError: it can't be read.
    """
    if location.startswith("s3://"):
        location = f"https://s3.amazonaws.com/{quote(location.removeprefix('s3://'))}"
    return documents.check_stored(fetch(location, storage))


def _location(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path).lstrip("/")
    version = parse_qs(parts.query).get("versionId", [""])[0]
    if parts.scheme not in ("http", "https") or not host:
        raise invalid("TemplateURL must be a supported URL.")
    for mark in (".s3.", ".s3-"):
        bucket, found, _ = host.partition(mark)
        if found and path:
            return bucket, path, version
    bucket, _, key = path.partition("/")
    if not bucket or not key:
        raise invalid("TemplateURL must reference a valid S3 object to which you have access.")
    return bucket, key, version
