"""What reaches CloudWatch Logs."""

from __future__ import annotations

import base64
import json
import re

from tests.conformance.table import Case, row


@row("the platform's lines", quick=True)
def _lines(case: Case) -> None:
    request_id = case.fresh().invoke("print", lines=["a line"]).request_id
    lines = case.logs()
    wanted = (
        r"INIT_START Runtime Version: \S+\tRuntime Version ARN: arn:aws:lambda:\S+::runtime:[0-9a-f]{64}",
        rf"START RequestId: {request_id} Version: \$LATEST",
        "a line",
        rf"END RequestId: {request_id}",
        rf"REPORT RequestId: {request_id}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\t"
        rf"Memory Size: {case.runtime.memory_mb} MB\tMax Memory Used: \d+ MB\tInit Duration: [\d.]+ ms\t\n?",
    )
    found = iter(lines)
    for pattern in wanted:
        assert any(re.fullmatch(pattern, line.rstrip("\n")) for line in found), (pattern, lines)


@row("what a warm invocation reports")
def _warm(case: Case) -> None:
    case.fresh().invoke("nothing")
    answer = case.invoke("nothing")
    assert "Init Duration" not in answer.report
    duration = float(re.search(r"\tDuration: ([\d.]+) ms", answer.report)[1])  # type: ignore[index]
    billed = int(re.search(r"Billed Duration: (\d+) ms", answer.report)[1])  # type: ignore[index]
    assert 0 <= billed - duration < 1.01


@row("the time of init is billed")
def _billed_init(case: Case) -> None:
    report = case.fresh(Environment={"Variables": {"INIT": "sleep:0.3"}}).invoke("nothing").report
    duration, init = (
        float(re.search(rf"\t{name}: ([\d.]+) ms", report)[1])  # type: ignore[index]
        for name in ("Duration", "Init Duration")
    )
    billed = int(re.search(r"Billed Duration: (\d+) ms", report)[1])  # type: ignore[index]
    assert init > 300
    assert 0 <= billed - (duration + init) < 1.02


@row("what is printed during init")
def _init_output(case: Case) -> None:
    case.fresh(Environment={"Variables": {"INIT": "print:loading"}}).invoke("nothing")
    kinds = [line.split(" ")[0].rstrip("\n") for line in case.logs()]
    assert kinds.index("INIT_START") < kinds.index("loading") < kinds.index("START")


@row("standard error is logged too")
def _stderr(case: Case) -> None:
    case.fresh().invoke("print", lines=["to the other side"], to="stderr")
    assert any("to the other side" in line for line in case.logs())


@row("the tail of the log")
def _tail(case: Case) -> None:
    answer = case.fresh().invoke("print", lines=[f"line {n}" for n in range(1000)])
    assert len(answer.tail.encode()) <= 4096
    assert "line 999" in answer.tail
    assert "line 1\n" not in answer.tail
    assert answer.tail.index("END RequestId") < answer.tail.index("REPORT RequestId")


@row("bytes that are no text are logged all the same", quick=True)
def _bytes(case: Case) -> None:
    case.fresh().invoke("print_bytes", base64=base64.b64encode(b"a\xff\xfeb").decode())
    assert any(line.startswith("a") and line.rstrip("\n").endswith("b") for line in case.logs())


@row("a line is in the log while the function still runs")
def _live(case: Case) -> None:
    case.fresh()
    case.api.invoke(
        FunctionName=case.name,
        InvocationType="Event",
        Payload=json.dumps({"do": "sleep", "seconds": 3, "say": "on its way"}).encode(),
    )
    case.eventually(lambda: _group(case) and any("on its way" in line for line in case.logs()))
    assert not case.logs("REPORT ")
    assert case.account.settle().settled
    assert len(case.logs("REPORT ")) == 1
    assert len([line for line in case.logs() if "on its way" in line]) == 1


def _group(case: Case) -> bool:
    found = case.account.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{case.name}")
    return bool(found["logGroups"])


@row("logs as JSON")
def _json(case: Case) -> None:
    case.fresh(LoggingConfig={"LogFormat": "JSON"})
    told = case.api.invoke(FunctionName=case.name, Payload=b'{"do": "nothing"}')
    assert "FunctionError" not in told
    platform = [line for line in map(json.loads, case.logs("{")) if "type" in line]
    assert [line["type"] for line in platform] == ["platform.initStart", "platform.start", "platform.report"]
    record = platform[-1]["record"]
    assert record["status"] == "success"
    assert record["metrics"]["memorySizeMB"] == case.runtime.memory_mb
    assert record["metrics"]["initDurationMs"] > 0
