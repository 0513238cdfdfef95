"""What an invocation leaves in CloudWatch Logs."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

PRINTING = """
import logging
print("loading")

def handler(event, context):
    print("one line")
    print("two\\nlines")
    logging.getLogger().warning("a warning")
    return 1
"""


def test_a_cold_and_a_warm_invocation_are_logged_as_on_aws(functions: Any) -> None:
    functions.create(PRINTING)
    cold = functions.invoke()["ResponseMetadata"]["RequestId"]
    warm = functions.invoke()["ResponseMetadata"]["RequestId"]

    logs = functions.logs()

    expected = [
        r"INIT_START Runtime Version: python:3\.12\.v\d+\t"
        r"Runtime Version ARN: arn:aws:lambda:[a-z0-9-]+::runtime:[0-9a-f]{64}",
        "loading",
        rf"START RequestId: {cold} Version: \$LATEST",
        "one line",
        "two",
        "lines",
        rf"\[WARNING\]\t[0-9T:.\-]+Z\t{cold}\ta warning",
        f"END RequestId: {cold}",
        rf"REPORT RequestId: {cold}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
        r"Max Memory Used: \d+ MB\tInit Duration: [\d.]+ ms\t",
        rf"START RequestId: {warm} Version: \$LATEST",
        "one line",
        "two",
        "lines",
        rf"\[WARNING\]\t[0-9T:.\-]+Z\t{warm}\ta warning",
        f"END RequestId: {warm}",
        rf"REPORT RequestId: {warm}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
        r"Max Memory Used: \d+ MB\t",
    ]
    assert len(logs) == len(expected), logs
    for line, pattern in zip(logs, expected, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)


def test_an_environment_has_one_stream(functions: Any) -> None:
    functions.create(PRINTING)
    functions.invoke()
    functions.invoke()

    streams = functions.account.client("logs").describe_log_streams(logGroupName="/aws/lambda/fn")[
        "logStreams"
    ]

    now = functions.core.clock.now()
    assert len(streams) == 1
    assert re.fullmatch(rf"{now:%Y/%m/%d}/\[\$LATEST\][0-9a-f]{{32}}", streams[0]["logStreamName"])


def test_the_tail_is_the_end_of_the_log(functions: Any) -> None:
    functions.create("def handler(event, context):\n    for i in range(1000):\n        print('line', i)\n")

    tail = base64.b64decode(functions.invoke(LogType="Tail")["LogResult"])

    assert len(tail) == 4096
    assert b"line 999\nEND RequestId" in tail
    assert "LogResult" not in functions.invoke()


def test_logs_go_to_the_configured_group(functions: Any) -> None:
    functions.create(PRINTING, LoggingConfig={"LogGroup": "/shop/all"})
    functions.invoke()

    streams = functions.account.client("logs").describe_log_streams(logGroupName="/shop/all")["logStreams"]

    assert re.search(r"/fn\[\$LATEST\][0-9a-f]{32}$", streams[0]["logStreamName"])


def test_json_logs_are_json_throughout(functions: Any) -> None:
    functions.create(
        "import logging\ndef handler(event, context):\n    logging.getLogger().warning('careful')\n",
        LoggingConfig={"LogFormat": "JSON"},
    )
    request_id = functions.invoke()["ResponseMetadata"]["RequestId"]

    lines = [json.loads(line) for line in functions.logs()]

    assert [line.get("type") for line in lines] == [
        "platform.initStart",
        "platform.start",
        None,
        "platform.report",
    ]
    assert (lines[2]["level"], lines[2]["message"]) == ("WARN", "careful") or lines[2]["level"] == "WARNING"
    assert lines[3]["record"]["requestId"] == request_id
    assert lines[3]["record"]["status"] == "success"
    assert lines[3]["record"]["metrics"]["memorySizeMB"] == 128


def test_an_exception_in_json_logs_is_one_json_line(functions: Any) -> None:
    functions.create(
        "def handler(event, context):\n    raise ValueError('no such order')\n",
        LoggingConfig={"LogFormat": "JSON"},
    )
    request_id = functions.invoke()["ResponseMetadata"]["RequestId"]

    told = [line for line in map(json.loads, functions.logs()) if "type" not in line]

    assert [(line["level"], line["errorType"], line["errorMessage"]) for line in told] == [
        ("ERROR", "ValueError", "no such order")
    ]
    assert told[0]["requestId"] == request_id
    assert "in handler" in "".join(told[0]["stackTrace"])


def test_what_is_printed_without_a_newline_is_logged(functions: Any) -> None:
    functions.create("import sys\ndef handler(event, context):\n    sys.stdout.write('no end')\n")
    functions.invoke()

    assert "no end" in functions.logs()


def test_bytes_that_are_no_text_are_logged_all_the_same(functions: Any) -> None:
    functions.create("import os\ndef handler(event, context):\n    os.write(1, b'a\\xff\\xfeb\\n')\n")
    functions.invoke()

    assert any(line.startswith("a") and line.endswith("b") for line in functions.logs())


LEVELS = """
import json, logging
def handler(event, context):
    for level in ("debug", "info", "error"):
        line = {"level": level, "from": "print", "timestamp": "2026-11-25T10:00:00.123Z"}
        print(json.dumps(line))
    print(json.dumps({"level": "debug", "from": "untimed"}))
    print("plain")
    logging.getLogger().debug("logged")
    logging.getLogger().error("logged")
    if event.get("fail"):
        raise SystemExit(1)
"""


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("DEBUG", ["debug", "info", "error", "untimed", "plain", "DEBUG", "ERROR"]),
        ("INFO", ["info", "error", "untimed", "plain", "ERROR"]),
        ("WARN", ["error", "ERROR"]),
        ("FATAL", []),
    ],
)
def test_application_lines_below_the_level_are_dropped(functions: Any, level: str, kept: list[str]) -> None:
    """Source: see ``log_levels``: what has no level and time of its own is of the level INFO."""
    functions.create(LEVELS, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": level})
    functions.invoke()

    told = []
    for line in functions.logs():
        found = json.loads(line) if line.startswith("{") else {"from": line}
        if "type" not in found:
            told.append(found["from"] if found.get("from") in ("untimed", "plain") else found["level"])
    assert told == kept


@pytest.mark.parametrize(
    ("level", "fine", "failing"),
    [
        (
            "DEBUG",
            ["initStart", "initRuntimeDone", "initReport", "start", "runtimeDone", "report"],
            ["start", "runtimeDone", "report"],
        ),
        ("INFO", ["initStart", "start", "report"], ["start", "runtimeDone", "report"]),
        ("WARN", [], ["runtimeDone", "report"]),
    ],
)
def test_events_of_the_platform_below_the_level_are_dropped(
    functions: Any, level: str, fine: list[str], failing: list[str]
) -> None:
    """Source: see ``log_levels``: which level each event has."""
    functions.create(LEVELS, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": level})

    def events() -> list[str]:
        found = [json.loads(line) for line in functions.logs() if '"type": "platform.' in line]
        return [each["type"].removeprefix("platform.") for each in found]

    functions.invoke()
    assert events() == fine
    functions.invoke({"fail": True})
    assert events()[len(fine) :] == failing
