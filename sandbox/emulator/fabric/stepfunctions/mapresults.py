"""What became of a distributed Map's children, as its ResultWriter wants it.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from sandbox.emulator.fabric.stepfunctions.errors import StatesError

WRITING_FAILED = "States.ResultWriterFailed"
_NEVER_STARTED = "PENDING"
# Where a child's end is told of; those that took too long or were stopped failed.
_FILES = {"SUCCEEDED": "SUCCEEDED", _NEVER_STARTED: _NEVER_STARTED}


def collected(children: Sequence[Mapping[str, Any]], writer: Mapping[str, Any] | None) -> list[Any]:
    """The results in order: what a child returned, or all that is known of one that failed."""
    config = (writer or {}).get("WriterConfig") or {}
    how = config.get("Transformation") or ("NONE" if writer and "Resource" in writer else "COMPACT")
    found: list[Any] = []
    for child in children:
        if how == "NONE" or child["Status"] != "SUCCEEDED":
            found.append(child)
            continue
        output = json.loads(child["Output"])
        found += output if how == "FLATTEN" and isinstance(output, list) else [output]
    return found


def write(
    writer: Mapping[str, Any], map_run_arn: str, children: Sequence[Mapping[str, Any]], s3: Any
) -> dict[str, Any]:
    """Put results into files in a bucket; where their manifest is.

    Raises:
        StatesError: they can't be written.
    """
    given = writer.get("Parameters") or writer.get("Arguments") or {}
    config = writer.get("WriterConfig") or {}
    folder = f"{given.get('Prefix', '').rstrip('/')}/{map_run_arn.rsplit(':', 1)[-1]}".lstrip("/")
    lines = config.get("OutputType") == "JSONL"
    files: dict[str, list[dict[str, Any]]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
    try:
        for name, written in files.items():
            some = [child for child in children if _FILES.get(child["Status"], "FAILED") == name]
            if not some:
                continue
            body = _as_text(collected(some, writer), lines=lines).encode()
            key = f"{folder}/{name}_0.{'jsonl' if lines else 'json'}"
            s3.put_object(Bucket=given["Bucket"], Key=key, Body=body)
            written.append({"Key": key, "Size": len(body)})
        manifest = {
            "DestinationBucket": given["Bucket"],
            "MapRunArn": map_run_arn,
            "ResultFiles": files,
        }
        key = f"{folder}/manifest.json"
        s3.put_object(Bucket=given["Bucket"], Key=key, Body=json.dumps(manifest).encode())
    except (ClientError, KeyError) as error:
        raise StatesError(WRITING_FAILED, str(error)) from None
    return {"MapRunArn": map_run_arn, "ResultWriterDetails": {"Bucket": given["Bucket"], "Key": key}}


def _as_text(results: list[Any], *, lines: bool) -> str:
    if lines:
        return "".join(json.dumps(each) + "\n" for each in results)
    return json.dumps(results)


def described(shown: Mapping[str, Any]) -> dict[str, Any]:
    """A child execution as the files tell of it, from its own description."""
    names = (
        *("executionArn", "input", "inputDetails", "name", "output", "outputDetails", "error", "cause"),
        *("redriveCount", "redriveStatus", "redriveStatusReason", "startDate", "stateMachineArn", "status"),
        "stopDate",
    )
    return {_capital(name): _plain(shown[name]) for name in names if name in shown}


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {_capital(name): each for name, each in value.items()} if isinstance(value, dict) else value
