"""Objects of a bucket."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sandbox.account import Account
from sandbox.console.refusals import Refused, asks

SHOWN = 200
# What a page takes and shows of one object; larger ones go through the CLI.
LARGEST_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing has it."""

    key: str
    size_bytes: int
    modified_at: dt.datetime


@asks
def objects(account: Account, bucket: str, prefix: str = "") -> tuple[list[StoredObject], bool]:
    """The first objects below a prefix, and whether there are more."""
    page = account.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=SHOWN)
    listed = [
        StoredObject(item["Key"], item["Size"], item["LastModified"]) for item in page.get("Contents", ())
    ]
    return listed, bool(page.get("IsTruncated"))


@asks
def get(account: Account, bucket: str, key: str) -> bytes:
    """An object's bytes.

    Raises:
        Refused: there is none, or it is too large for a page.
    """
    client = account.client("s3")
    size = client.head_object(Bucket=bucket, Key=key)["ContentLength"]
    if size > LARGEST_BYTES:
        raise Refused(f"{key} has {size:,} bytes. Get it by your own CLI.")
    return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())


@asks
def put(account: Account, bucket: str, key: str, body: bytes, content_type: str = "") -> None:
    """Put an object.

    Raises:
        Refused: the key is empty, or it is too large for a page.
    """
    if not key:
        raise Refused("An object needs a key.")
    if len(body) > LARGEST_BYTES:
        raise Refused(f"An object of more than {LARGEST_BYTES // 1_000_000} MB goes in by your own CLI.")
    kind = {"ContentType": content_type} if content_type else {}
    account.client("s3").put_object(Bucket=bucket, Key=key, Body=body, **kind)


@asks
def delete(account: Account, bucket: str, key: str) -> None:
    """Delete an object."""
    account.client("s3").delete_object(Bucket=bucket, Key=key)


@asks
def empty(account: Account, bucket: str) -> None:
    """Delete every object, with its versions."""
    client = account.client("s3")
    while True:
        page = client.list_object_versions(Bucket=bucket, MaxKeys=1000)
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        if not found:
            return
        keys = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
        client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
