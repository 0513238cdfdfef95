"""What operations see: one JSON object a line, and numbers in CloudWatch's embedded metric format.

Lines name the request and the return they are about, and never who sent it.
"""

import json
import os
import sys
import time
import traceback

LEVELS = {"DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40}
LEAST = LEVELS.get(os.environ.get("LOG_LEVEL", "INFO"), LEVELS["INFO"])

_fields = {}
_cold = True


def begin(context):
    """Start the log of an invocation: nothing of the one before stays."""
    global _cold
    _fields.clear()
    _fields.update(requestId=context.aws_request_id, coldStart=_cold)
    _cold = False


def about(**fields):
    """Say what the following lines are about."""
    _fields.update(fields)


def forget(*names):
    """The following lines are no longer about these."""
    for name in names:
        _fields.pop(name, None)


def debug(message, **more):
    """Write a line that helps to find a mistake."""
    _line("DEBUG", message, more)


def info(message, **more):
    """Write a line about what happens every day."""
    _line("INFO", message, more)


def failure(message, error):
    """Write the line of an exception that is being handled, its stack in one field."""
    _line("ERROR", message, {"errorType": type(error).__name__, "stack": traceback.format_exc()})


def metric(name, value, unit, **dimensions):
    """Count something in the namespace of the stack."""
    document = {
        "_aws": {
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": os.environ["METRICS_NAMESPACE"],
                    "Dimensions": [list(dimensions)],
                    "Metrics": [{"Name": name, "Unit": unit}],
                }
            ],
        },
        name: value,
        **dimensions,
    }
    _write(document)


def _line(level, message, more):
    if LEVELS[level] >= LEAST:
        _write({"level": level, "message": message, **_fields, **more})


def _write(document):
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()
