"""Subsegments of the function's trace, written by hand."""

import contextlib
import json
import os
import secrets
import time

import boto3

xray = boto3.client("xray")


@contextlib.contextmanager
def call(service, *, operation, **annotations):
    """Tell X-Ray of a call of a service, if this invocation is one that it wants to hear of."""
    header = dict(part.split("=", 1) for part in os.environ.get("_X_AMZN_TRACE_ID", "").split(";") if "=" in part)
    began, failed = time.time(), True
    try:
        yield
        failed = False
    finally:
        if header.get("Sampled") == "1":
            document = {
                "id": secrets.token_hex(8),
                "trace_id": header["Root"],
                "parent_id": header["Parent"],
                "type": "subsegment",
                "name": service,
                "namespace": "aws",
                "start_time": began,
                "end_time": time.time(),
                "fault": failed,
                "aws": {"operation": operation},
                "annotations": annotations,
            }
            xray.put_trace_segments(TraceSegmentDocuments=[json.dumps(document)])
