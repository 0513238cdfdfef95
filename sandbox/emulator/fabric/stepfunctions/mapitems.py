"""Where the items of a distributed Map come from, and how they are put into batches.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from sandbox.emulator.fabric.stepfunctions.errors import StatesError

READING_FAILED = "States.ItemReaderFailed"
_DELIMITERS = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}
_BATCH_LIMIT_BYTES = 262_144


def read(reader: Mapping[str, Any], s3: Any) -> list[Any]:
    """The items that an ItemReader names.

    Raises:
        StatesError: they can't be read.
    """
    given = reader.get("Parameters") or reader.get("Arguments") or {}
    settings = reader.get("ReaderConfig") or {}
    try:
        if reader["Resource"].endswith(":s3:listObjectsV2"):
            found = _listed(s3, given, settings)
        else:
            body = _fetch(s3, given)
            if settings.get("InputType") == "MANIFEST":
                found = _of_manifest(s3, given, body, settings)
            else:
                found = _parse(body, settings)
    except (ClientError, KeyError, TypeError, ValueError, OSError) as error:
        raise StatesError(READING_FAILED, str(error)) from None
    most = settings.get("MaxItems")
    return found[: int(most)] if most else found


def _fetch(s3: Any, given: Mapping[str, Any]) -> bytes:
    version = {"VersionId": given["VersionId"]} if given.get("VersionId") else {}
    body: bytes = s3.get_object(Bucket=given["Bucket"], Key=given["Key"], **version)["Body"].read()
    return gzip.decompress(body) if str(given["Key"]).endswith(".gz") else body


def _listed(s3: Any, given: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Any]:
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=given["Bucket"], Prefix=given.get("Prefix", "")
    )
    found = [
        each | {"LastModified": int(each["LastModified"].timestamp())}
        for page in pages
        for each in page.get("Contents", [])
    ]
    if settings.get("Transformation", "NONE") == "NONE":
        return found
    # LOAD_AND_FLATTEN: not the objects, but what is in them.
    return [
        item
        for each in found
        for item in _parse(_fetch(s3, {"Bucket": given["Bucket"], "Key": each["Key"]}), settings)
    ]


def _of_manifest(s3: Any, given: Mapping[str, Any], body: bytes, settings: Mapping[str, Any]) -> list[Any]:
    """What the files of an S3 inventory, or those that Athena unloaded, list."""
    if settings.get("ManifestType") == "ATHENA_DATA":
        found: list[Any] = []
        for line in body.decode().split():
            bucket, _, key = line.removeprefix("s3://").partition("/")
            found += _parse(_fetch(s3, {"Bucket": bucket, "Key": key}), {**settings, "InputType": "JSONL"})
        return found
    manifest = json.loads(body)
    columns = [name.strip() for name in manifest["fileSchema"].split(",")]
    if manifest.get("fileFormat", "CSV") != "CSV":
        raise ValueError(f"Inventories as {manifest['fileFormat']} are not emulated; this is our gap.")
    bucket = str(manifest.get("destinationBucket", given["Bucket"])).rpartition(":")[2]
    return [
        dict(zip(columns, row, strict=False))
        for file in manifest["files"]
        for row in csv.reader(io.StringIO(_fetch(s3, {"Bucket": bucket, "Key": file["key"]}).decode()))
        if row
    ]


def _parse(body: bytes, settings: Mapping[str, Any]) -> list[Any]:
    text, kind = body.decode("utf-8-sig"), settings.get("InputType", "JSON")
    if kind == "CSV":
        delimiter = _DELIMITERS[settings.get("CSVDelimiter", "COMMA")]
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
        headers = settings.get("CSVHeaders")
        if settings.get("CSVHeaderLocation", "GIVEN" if headers else "FIRST_ROW") == "FIRST_ROW":
            headers = rows.pop(0) if rows else []
        return [dict(zip(headers or (), row, strict=False)) for row in rows]
    if kind == "JSONL":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    if kind != "JSON":
        raise ValueError(f"InputType {kind} is not emulated; this is our gap.")
    found = json.loads(text)
    for name in filter(None, settings.get("ItemsPointer", "").split("/")):
        found = found[int(name) if isinstance(found, list) else name]
    if not isinstance(found, list):
        raise ValueError("Attempting to map over non-iterable node.")
    return found


def batches(items: list[Any], batcher: Mapping[str, Any] | None) -> list[tuple[Any, int]]:
    """What each child execution is given, and how many items that is."""
    if not batcher:
        return [(item, 1) for item in items]
    most = int(batcher.get("MaxItemsPerBatch") or len(items) or 1)
    most_bytes = int(batcher.get("MaxInputBytesPerBatch") or _BATCH_LIMIT_BYTES)
    made: list[list[Any]] = []
    size = 0
    for item in items:
        length = len(json.dumps(item, default=str)) + 1
        if not made or len(made[-1]) >= most or size + length > most_bytes:
            made.append([])
            size = 0
        made[-1].append(item)
        size += length
    shared = {"BatchInput": batcher["BatchInput"]} if "BatchInput" in batcher else {}
    return [({"Items": batch, **shared}, len(batch)) for batch in made]
