"""How AWS words an invocation that did not end with a response of the function's own.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and the messages in CloudWatch Logs.
"""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass

from sandbox.emulator.functions.environments import Ended, How
from sandbox.emulator.functions.logs import timestamp
from sandbox.emulator.functions.runtime_api import RESPONSE_LIMIT_IN_MESSAGES, STREAM_LIMIT_BYTES
from sandbox.isolation.spec import Exit

_SIGNALS: dict[int, str] = {
    signal.SIGKILL: "killed",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGABRT: "aborted",
    signal.SIGTERM: "terminated",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "floating point exception",
    signal.SIGILL: "illegal instruction",
    signal.SIGINT: "interrupt",
    signal.SIGHUP: "hangup",
    signal.SIGQUIT: "quit",
    signal.SIGPIPE: "broken pipe",
    signal.SIGALRM: "alarm clock",
    signal.SIGXFSZ: "file size limit exceeded",
    signal.SIGSYS: "bad system call",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An unhandled failure: the caller's payload, the log's line and REPORT's words."""

    payload: bytes
    error_type: str
    status: str
    log_line: str = ""


def describe(ended: Ended, *, request_id: str, timeout_s: float, now_ms: int) -> Failure | None:
    """What to tell about an ended init or invocation; None when the function returned normally."""
    if ended.how is How.TIMED_OUT:
        return timed_out(request_id, timeout_s, now_ms)
    if ended.how is How.EXITED:
        return exited(request_id, ended.exit)
    answer = ended.answer
    if answer is None:
        return None
    if answer.too_large:
        limit = STREAM_LIMIT_BYTES if answer.streamed else RESPONSE_LIMIT_IN_MESSAGES
        message = f"Response payload size exceeded maximum allowed payload size ({limit} bytes)."
        kind = "Function.ResponseSizeTooLarge"
        return Failure(_payload(kind, message), kind, "error")
    if answer.error_type == "Runtime.InvalidEntrypoint":
        return _never_ran(request_id, answer.body)
    if answer.error_type:
        return Failure(answer.body, answer.error_type, "error" if ended.how is How.FAILED else "")
    return None


def _never_ran(request_id: str, report: bytes) -> Failure:
    """The spawner could not execute the program; it knows why, but not for whom."""
    kind = "Runtime.InvalidEntrypoint"
    message = f"RequestId: {request_id} Error: {json.loads(report)['errorMessage']}"
    return Failure(_payload(kind, message), kind, "error", f"{message}\n{kind}\n")


def timed_out(request_id: str, timeout_s: float, now_ms: int) -> Failure:
    """The function ran out of its time."""
    words = f"Task timed out after {timeout_s:.2f} seconds"
    return Failure(
        _payload("Sandbox.Timedout", f"RequestId: {request_id} Error: {words}"),
        "",
        "timeout",
        f"{timestamp(now_ms)} {request_id} {words}\n",
    )


def exited(request_id: str, how: Exit | None) -> Failure:
    """The runtime's process ended."""
    kind = "Runtime.OutOfMemory" if how is not None and how.out_of_memory else "Runtime.ExitError"
    message = f"RequestId: {request_id} Error: {_exit_words(how)}"
    return Failure(_payload(kind, message), kind, "error", f"{message}\n{kind}\n")


def _exit_words(how: Exit | None) -> str:
    if how is not None and how.status == 0:
        return "Runtime exited without providing a reason"
    if how is not None and how.status is not None:
        return f"Runtime exited with error: exit status {how.status}"
    number = how.signal if how is not None and how.signal is not None else int(signal.SIGKILL)
    name = _SIGNALS.get(number, str(number))
    return f"Runtime exited with error: signal: {name}"


def _payload(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}, separators=(",", ":")).encode()
