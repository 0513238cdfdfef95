"""How an invocation fails, in the payload, in the log, and for the next one."""

from __future__ import annotations

import re

from tests.conformance.table import Answer, Case, row


def _failed(answer: Answer, kind: str, words: str) -> None:
    assert answer.raw["StatusCode"] == 200
    assert answer.raw["FunctionError"] == "Unhandled"
    assert answer.error == kind, answer.payload
    assert re.match(words, answer.message), answer.message


@row("a thrown error", quick=True)
def _thrown(case: Case) -> None:
    answer = case.shared().invoke("throw", message="no order 7")
    _failed(answer, case.runtime.error_type, "no order 7$")
    assert case.shared().ask("echo", value=1) == 1


@row("a thrown error is in the log")
def _thrown_log(case: Case) -> None:
    case.fresh().invoke("throw", message="seen in the log")
    assert any("seen in the log" in line for line in case.logs())


@row("the environment outlives a thrown error", quick=True)
def _outlives(case: Case) -> None:
    before = case.fresh().ask("identity")
    case.invoke("throw", message="x")
    assert case.ask("identity") == before


@row("a process that ends", quick=True)
def _exit(case: Case) -> None:
    answer = case.fresh().invoke("exit", status=3)
    words = rf"RequestId: {answer.request_id} Error: Runtime exited with error: exit status 3$"
    _failed(answer, "Runtime.ExitError", words)
    assert "Status: error\tError Type: Runtime.ExitError" in answer.report
    assert f"RequestId: {answer.request_id} Error: Runtime exited with error: exit status 3" in answer.tail


@row("a process that ends well, without an answer")
def _exit_zero(case: Case) -> None:
    answer = case.fresh().invoke("exit", status=0)
    words = rf"RequestId: {answer.request_id} Error: Runtime exited without providing a reason$"
    _failed(answer, "Runtime.ExitError", words)


@row("a signal", java="a JVM handles signals itself")
def _signal(case: Case) -> None:
    answer = case.fresh().invoke("signal", number=9)
    words = rf"RequestId: {answer.request_id} Error: Runtime exited with error: signal: killed$"
    _failed(answer, "Runtime.ExitError", words)


@row("after an exit the next start is cold")
def _cold_after_exit(case: Case) -> None:
    case.fresh()
    before = case.ask("identity")
    case.invoke("exit", status=1)
    assert case.ask("identity") != before


@row("the time limit", quick=True)
def _timeout(case: Case) -> None:
    case.fresh(Timeout=1).invoke("nothing")
    answer = case.invoke("sleep", seconds=30, say="before")
    _failed(
        answer,
        "Sandbox.Timedout",
        rf"RequestId: {answer.request_id} Error: Task timed out after 1.00 seconds$",
    )
    assert "before" in answer.tail
    assert re.search(rf"Z {answer.request_id} Task timed out after 1.00 seconds\n", answer.tail)
    assert "Duration: 1000.00 ms\tBilled Duration: 1000 ms" in answer.report
    assert "Status: timeout" in answer.report


@row("after a timeout the next start is cold")
def _cold_after_timeout(case: Case) -> None:
    case.fresh(Timeout=1)
    before = case.ask("identity")
    case.invoke("sleep", seconds=30)
    assert case.ask("identity") != before


@row("too much memory", java="the JVM throws OutOfMemoryError at its heap's limit, before the environment's")
def _memory(case: Case) -> None:
    case.fresh()
    answer = case.invoke("allocate", mb=3 * case.runtime.memory_mb)
    _failed(
        answer,
        "Runtime.OutOfMemory",
        rf"RequestId: {answer.request_id} Error: Runtime exited with error: signal: killed$",
    )
    assert f"Max Memory Used: {case.runtime.memory_mb} MB" in answer.report


@row("an answer that is not JSON", quick=True)
def _unserialisable(case: Case) -> None:
    kind, words = case.runtime.unserialisable
    answer = case.shared().invoke("unserialisable")
    assert answer.raw["FunctionError"] == "Unhandled"
    assert not kind or answer.error == kind
    assert re.match(words, answer.message), answer.message
    assert case.ask("echo", value=1) == 1


def _broken(case: Case, what: str) -> None:
    """It fails in the init, is tried again for the invocation, and says why in payload and log.

    A client that tells it to the event instead, tells it to each.
    """
    how, made = case.broken(what)
    answer = made.invoke("nothing")
    assert answer.raw["FunctionError"] == "Unhandled"
    assert not how.error_type or answer.error == how.error_type, answer.payload
    assert re.match(how.message, answer.message), answer.message
    if not how.during_init:
        assert any(re.match(how.message, line.partition(": java")[0]) for line in made.logs())
        assert made.invoke("nothing").payload == answer.payload
        return
    reports = made.logs("INIT_REPORT ")
    assert ["Phase: init" in reports[0], "Phase: invoke" in reports[1]] == [True, True]
    assert all("Status: error" in line for line in reports)
    assert "Status: error" in answer.report
    assert made.invoke("nothing").raw["FunctionError"] == "Unhandled"


@row("handler not found", quick=True)
def _handler(case: Case) -> None:
    _broken(case, "handler")


@row("module not found", quick=True)
def _module(case: Case) -> None:
    _broken(case, "module")


@row("a syntax error", quick=True)
def _syntax(case: Case) -> None:
    _broken(case, "syntax")


@row("missing bootstrap", quick=True)
def _bootstrap(case: Case) -> None:
    _broken(case, "bootstrap")


@row("wrong architecture", quick=True)
def _architecture(case: Case) -> None:
    _broken(case, "architecture")


@row("an error during init", quick=True)
def _init_error(case: Case) -> None:
    case.fresh(Environment={"Variables": {"INIT": "throw:no table"}})
    answer = case.invoke("nothing")
    assert answer.raw["FunctionError"] == "Unhandled"
    assert "Init Duration" not in answer.report
    assert [("Phase: init" in line, "Status: error" in line) for line in case.logs("INIT_REPORT ")] == [
        (True, True),
        (False, True),
    ]
    assert any("no table" in line for line in case.logs())
    if case.runtime.init_error_type:
        assert answer.error == case.runtime.init_error_type, answer.payload
        assert "no table" in answer.message


@row("a process that ends during init")
def _init_exit(case: Case) -> None:
    answer = case.fresh(Environment={"Variables": {"INIT": "exit:7"}}).invoke("nothing")
    words = rf"RequestId: {answer.request_id} Error: Runtime exited with error: exit status 7$"
    _failed(answer, "Runtime.ExitError", words)
    assert case.logs("INIT_REPORT ")


@row("an init over ten seconds starts again in the invocation")
def _init_limit(case: Case) -> None:
    case.fresh(Environment={"Variables": {"INIT": "sleep:12"}}, Timeout=20)
    answer = case.invoke("echo", value="started slowly")
    assert answer.payload == "started slowly"
    [report] = case.logs("INIT_REPORT ")
    assert re.match(
        r"INIT_REPORT Init Duration: (9999|100\d\d)\.\d\d ms\tPhase: init\tStatus: timeout", report
    )
    assert float(re.search(r"\tDuration: ([\d.]+) ms", answer.report)[1]) > 12_000  # type: ignore[index]


@row("an init in the invocation counts against its time limit")
def _init_in_invocation(case: Case) -> None:
    case.fresh(Environment={"Variables": {"INIT": "sleep:60"}}, Timeout=1)
    answer = case.invoke("nothing")
    _failed(
        answer,
        "Sandbox.Timedout",
        rf"RequestId: {answer.request_id} Error: Task timed out after 1.00 seconds$",
    )
