"""Distributed Map: items from S3 or the input, in batches, with failures that are tolerated.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from sandbox.emulator.fabric.stepfunctions.errors import StatesError
from sandbox.emulator.fabric.stepfunctions.fibers import Call, Effect, Gather
from sandbox.emulator.fabric.stepfunctions.history import History
from sandbox.emulator.fabric.stepfunctions.states import Frame, Iterate, Select


@dataclass(slots=True)
class MapRun:
    """One run of a distributed Map, as DescribeMapRun tells of it."""

    arn: str
    execution_arn: str
    machine_arn: str
    started_at: dt.datetime
    limit: int
    tolerated_count: int
    tolerated_percentage: float
    status: str = "RUNNING"
    stopped_at: dt.datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)


class DistributedMaps:
    """Runs distributed Maps for one execution. ``client`` gives clients in the machine's role."""

    def __init__(
        self,
        history: History,
        client: Callable[[str], Any],
        execution_arn: str,
        machine_arn: str,
        now: Callable[[], dt.datetime],
        runs: dict[str, MapRun],
    ) -> None:
        self._history = history
        self._client = client
        self._execution_arn = execution_arn
        self._machine_arn = machine_arn
        self._now = now
        self._runs = runs

    def run(
        self, state: Mapping[str, Any], frame: Frame, iterate: Iterate, select: Select
    ) -> Generator[Effect, Any, Any]:
        """Read the items, process them, write or return the results.

        What shall be batched is selected first, item by item.
        Source: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-fields-dist-map.html
        """
        run = self._begin(state)
        self._add(frame, "MapStateStarted", length=0)
        self._add(frame, "MapRunStarted", mapRunArn=run.arn)
        try:
            items = (
                state["Items"] if "Items" in state else (yield Call(lambda: self._read(state), "map: items"))
            )
            if "ItemBatcher" in state:
                items = [select(item, index) for index, item in enumerate(items)]
            batches = _batches(items, state.get("ItemBatcher"))
            run.counts = {"total": len(batches)}
            results = yield Gather(
                [iterate(frame, item, index) for index, item in enumerate(batches)],
                run.limit,
                lambda failed, total: _tolerated(run, failed, total),
            )
            failed = [each for each in results if isinstance(each, StatesError)]
            run.counts |= {"succeeded": len(results) - len(failed), "failed": len(failed)}
            if "ResultWriter" in state:
                batched = "ItemBatcher" in state
                inputs = batches if batched else [select(item, index) for index, item in enumerate(batches)]
                told = [_result(result, given) for result, given in zip(results, inputs, strict=True)]
                results = yield Call(lambda: self._write(state["ResultWriter"], run, told), "map: results")
        except StatesError as error:
            run.status, run.stopped_at = "FAILED", self._now()
            self._add(frame, "MapRunFailed", error=error.name, cause=error.cause or None)
            raise StatesError(
                "States.ExceedToleratedFailureThreshold" if error.name not in _READING else error.name,
                error.cause or "The specified tolerated failure threshold was exceeded",
            ) from None
        run.status, run.stopped_at = "SUCCEEDED", self._now()
        self._add(frame, "MapRunSucceeded")
        self._add(frame, "MapStateSucceeded")
        if isinstance(results, list):
            return [
                {"Error": each.name, "Cause": each.cause} if isinstance(each, StatesError) else each
                for each in results
            ]
        return results

    def _begin(self, state: Mapping[str, Any]) -> MapRun:
        name = self._machine_arn.rsplit(":", 1)[-1]
        prefix = self._machine_arn.rsplit(":stateMachine:", 1)[0]
        label = state.get("Label") or uuid.uuid4().hex[:8]
        run = MapRun(
            f"{prefix}:mapRun:{name}/{label}:{uuid.uuid4()}",
            self._execution_arn,
            self._machine_arn,
            self._now(),
            int(state.get("MaxConcurrency") or 0),
            int(state.get("ToleratedFailureCount") or 0),
            float(state.get("ToleratedFailurePercentage") or 0),
        )
        self._runs[run.arn] = run
        return run

    def _add(self, frame: Frame, kind: str, **details: Any) -> None:
        frame.fiber.last_event = self._history.add(frame.fiber.last_event, kind, **details)

    def _read(self, state: Mapping[str, Any]) -> list[Any]:
        """The items that an ItemReader names."""
        reader = state["ItemReader"]
        given = reader.get("Parameters") or reader.get("Arguments") or {}
        settings = reader.get("ReaderConfig") or {}
        s3 = self._client("s3")
        try:
            if reader["Resource"].endswith(":s3:listObjectsV2"):
                pages = s3.get_paginator("list_objects_v2").paginate(
                    Bucket=given["Bucket"], Prefix=given.get("Prefix", "")
                )
                found = [
                    each | {"LastModified": int(each["LastModified"].timestamp())}
                    for page in pages
                    for each in page.get("Contents", [])
                ]
            else:
                body = s3.get_object(Bucket=given["Bucket"], Key=given["Key"])["Body"].read()
                found = _parse(body.decode("utf-8-sig"), settings)
        except (ClientError, KeyError, ValueError) as error:
            raise StatesError("States.ItemReaderFailed", str(error)) from None
        most = settings.get("MaxItems")
        return found[: int(most)] if most else found

    def _write(self, writer: Mapping[str, Any], run: MapRun, results: list[dict[str, Any]]) -> dict[str, Any]:
        """Results as files in a bucket, and where they are."""
        given = writer.get("Parameters") or writer.get("Arguments") or {}
        folder = f"{given.get('Prefix', '').rstrip('/')}/{run.arn.rsplit(':', 1)[-1]}".lstrip("/")
        s3 = self._client("s3")
        parts = {
            status: [each for each in results if each["Status"] == status]
            for status in ("SUCCEEDED", "FAILED")
        }
        files: dict[str, list[dict[str, Any]]] = {"SUCCEEDED": [], "FAILED": [], "PENDING": []}
        try:
            for status, each in parts.items():
                if not each:
                    continue
                body = json.dumps(each, default=str).encode()
                key = f"{folder}/{status}_0.json"
                s3.put_object(Bucket=given["Bucket"], Key=key, Body=body)
                files[status].append({"Key": key, "Size": len(body)})
            manifest = {"DestinationBucket": given["Bucket"], "MapRunArn": run.arn, "ResultFiles": files}
            key = f"{folder}/manifest.json"
            s3.put_object(Bucket=given["Bucket"], Key=key, Body=json.dumps(manifest).encode())
        except (ClientError, KeyError) as error:
            raise StatesError("States.ResultWriterFailed", str(error)) from None
        return {"MapRunArn": run.arn, "ResultWriterDetails": {"Bucket": given["Bucket"], "Key": key}}


_READING = frozenset({"States.ItemReaderFailed", "States.ResultWriterFailed"})


def _tolerated(run: MapRun, failed: int, total: int) -> bool:
    by_count = run.tolerated_count and failed <= run.tolerated_count
    by_share = run.tolerated_percentage and failed * 100 <= run.tolerated_percentage * total
    if run.tolerated_count and run.tolerated_percentage:
        return bool(by_count and by_share)
    return bool(by_count or by_share)


def _batches(items: list[Any], batcher: Mapping[str, Any] | None) -> list[Any]:
    if not batcher:
        return items
    most = int(batcher.get("MaxItemsPerBatch") or len(items) or 1)
    most_bytes = int(batcher.get("MaxInputBytesPerBatch") or 262_144)
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
    return [{"Items": batch, **shared} for batch in made]


def _parse(text: str, settings: Mapping[str, Any]) -> list[Any]:
    kind = settings.get("InputType", "JSON")
    if kind == "CSV":
        delimiter = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter[settings.get("CSVDelimiter", "COMMA")]))
        headers = settings.get("CSVHeaders") or (rows.pop(0) if rows else [])
        return [dict(zip(headers, row, strict=False)) for row in rows if row]
    if kind == "JSONL":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    if kind != "JSON":
        raise ValueError(f"InputType {kind} is not emulated; this is our gap.")
    found = json.loads(text)
    pointer = settings.get("ItemsPointer", "")
    for name in filter(None, pointer.split("/")):
        found = found[name]
    if not isinstance(found, list):
        raise ValueError("Attempting to map over non-iterable node.")
    return found


def _result(result: Any, given: Any) -> dict[str, Any]:
    """An iteration as files of results tell of it.

    Source: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
    """
    told = {"Input": json.dumps(given, default=str), "InputDetails": {"Included": True}}
    if isinstance(result, StatesError):
        return {**told, "Status": "FAILED", "Error": result.name, "Cause": result.cause}
    output = {"Output": json.dumps(result, default=str), "OutputDetails": {"Included": True}}
    return {**told, **output, "Status": "SUCCEEDED"}
