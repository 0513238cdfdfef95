"""How an invocation fails: payloads, log lines and what happens to the environment."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest


def test_an_exception_is_told_with_its_trace(functions: Any) -> None:
    functions.create("def handler(event, context):\n    raise ValueError('no order')\n")

    answer = functions.invoke()

    assert answer["FunctionError"] == "Unhandled"
    assert answer["StatusCode"] == 200
    payload = answer["Payload"]
    assert (payload["errorType"], payload["errorMessage"]) == ("ValueError", "no order")
    assert payload["requestId"] == answer["ResponseMetadata"]["RequestId"]
    assert any("raise ValueError" in line for line in payload["stackTrace"])
    [error] = [line for line in functions.logs() if line.startswith("[ERROR]")]
    assert error.startswith("[ERROR] ValueError: no order\nTraceback (most recent call last):\n")
    assert [event.outcome for event in functions.events("invocation")] == ["ValueError"]


def test_the_environment_outlives_an_exception(functions: Any) -> None:
    functions.create(
        """
        count = 0

        def handler(event, context):
            global count
            count += 1
            if count == 1:
                raise ValueError
            return count
        """
    )
    functions.invoke()

    assert functions.invoke()["Payload"] == 2


def test_a_function_that_takes_too_long_times_out(functions: Any) -> None:
    functions.create(
        """
        import time

        def handler(event, context):
            print("before")
            time.sleep(30)
        """,
        Timeout=1,
    )

    answer = functions.invoke(LogType="Tail")
    request_id = answer["ResponseMetadata"]["RequestId"]

    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"] == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {request_id} Error: Task timed out after 1.00 seconds",
    }
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert re.search(rf"\d{{4}}-\d\d-\d\dT[\d:.]+Z {request_id} Task timed out after 1.00 seconds\n", tail)
    assert "Duration: 1000.00 ms" in tail
    assert "Status: timeout" in tail
    assert "before" in tail


def test_a_daemon_does_not_outlive_the_time_limit(functions: Any) -> None:
    functions.account.client("sqs").create_queue(QueueName="alive")
    functions.create(
        """
        import os, signal, time

        def handler(event, context):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    import boto3
                    client = boto3.client("sqs")
                    url = client.get_queue_url(QueueName="alive")["QueueUrl"]
                    while True:
                        client.send_message(QueueUrl=url, MessageBody="x")
                        time.sleep(0.05)
            time.sleep(30)
        """,
        Timeout=1,
        MemorySize=512,
    )

    functions.invoke()

    calls = len(functions.events("api"))
    assert functions.core.work.settle(5).settled
    assert functions.service._fleet.count() == 0
    assert len(functions.events("api")) - calls <= 1  # One may have been on its way.


def test_the_next_invocation_after_a_timeout_is_a_cold_start(functions: Any) -> None:
    functions.create(
        """
        import time
        count = 0

        def handler(event, context):
            global count
            count += 1
            if event.get("slow"):
                time.sleep(30)
            return count
        """,
        Timeout=1,
    )
    functions.invoke()
    functions.invoke({"slow": True})

    assert functions.invoke()["Payload"] == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os\nos._exit(3)", "Runtime exited with error: exit status 3"),
        ("import os\nos._exit(0)", "Runtime exited without providing a reason"),
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
            "Runtime exited with error: signal: segmentation fault",
        ),
    ],
)
def test_a_process_that_ends_is_an_exit_error(functions: Any, code: str, words: str) -> None:
    body = "\n".join(f"    {line}" for line in code.splitlines())
    functions.create(f"def handler(event, context):\n{body}\n")

    answer = functions.invoke()
    request_id = answer["ResponseMetadata"]["RequestId"]

    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"] == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {request_id} Error: {words}",
    }
    assert f"RequestId: {request_id} Error: {words}\nRuntime.ExitError\n" in functions.logs()
    assert "Status: error\tError Type: Runtime.ExitError" in functions.logs()[-1]


def test_memory_beyond_the_limit_ends_the_function(functions: Any) -> None:
    functions.create(
        """
        def handler(event, context):
            held = []
            while True:
                held.append(bytearray(8_000_000))
                held[-1][::4096] = b"x" * len(held[-1][::4096])
        """,
        MemorySize=128,
    )

    answer = functions.invoke()

    assert answer["Payload"]["errorType"] == "Runtime.OutOfMemory"
    assert answer["Payload"]["errorMessage"].endswith("Runtime exited with error: signal: killed")
    assert "Max Memory Used: 128 MB" in functions.logs()[-1]


@pytest.mark.parametrize(
    ("code", "handler", "kind", "message"),
    [
        (
            "import nowhere",
            "app.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'nowhere'",
        ),
        (
            "x = 1",
            "app.handler",
            "Runtime.HandlerNotFound",
            "Handler 'handler' missing on module 'app'",
        ),
        (
            "x = 1",
            "missing.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'missing': No module named 'missing'",
        ),
        (
            "def handler(:",
            "app.handler",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app'",
        ),
    ],
)
def test_code_that_does_not_load_is_an_init_error(
    functions: Any, code: str, handler: str, kind: str, message: str
) -> None:
    functions.create(code, Handler=handler)

    answer = functions.invoke()

    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorType"] == kind
    assert answer["Payload"]["errorMessage"].startswith(message)
    logs = functions.logs()
    reports = [line for line in logs if line.startswith("INIT_REPORT")]
    assert ["Phase: init" in reports[0], "Phase: invoke" in reports[1]] == [True, True]
    assert all(f"Status: error\tError Type: {kind}" in line for line in reports)
    assert f"Error Type: {kind}" in logs[-1]
    assert functions.invoke()["FunctionError"] == "Unhandled"


def test_an_exception_at_import_is_told(functions: Any) -> None:
    functions.create("raise KeyError('TABLE')")

    answer = functions.invoke()

    assert answer["Payload"]["errorType"] == "KeyError"
    assert answer["FunctionError"] == "Unhandled"


def test_an_exit_at_import_is_an_exit_error(functions: Any) -> None:
    functions.create("import os\nos._exit(5)\n")

    assert functions.invoke()["Payload"]["errorType"] == "Runtime.ExitError"


def test_an_init_over_its_limit_goes_on_in_the_invocation(functions: Any) -> None:
    """Lambda starts the init again, now within the function's own time limit."""
    functions.service._executor._init_limit_s = 0.3
    functions.create(
        "import time\ntime.sleep(0.8)\ndef handler(event, context):\n    return 'slow start'\n", Timeout=5
    )
    functions.create(
        "import time\ntime.sleep(60)\ndef handler(event, context): pass\n", name="never", Timeout=1
    )

    assert functions.invoke()["Payload"] == "slow start"
    never = functions.invoke(name="never")

    assert any("Phase: init\tStatus: timeout" in line for line in functions.logs())
    assert never["Payload"]["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in never["Payload"]["errorMessage"]


def test_output_without_end_is_taken_in_and_bounded(functions: Any) -> None:
    functions.create(
        """
        import sys

        def handler(event, context):
            line = "x" * 99 + "\\n"
            for _ in range(1000):
                sys.stdout.write(line * 1000)
            return "done"
        """,
        Timeout=30,
        MemorySize=512,
    )

    answer = functions.invoke()

    assert answer["Payload"] == "done"
    assert sum(len(line) for line in functions.logs()) < 1_200_000
    [event] = functions.events("invocation")
    assert event.detail["output_bytes_dropped"] > 90_000_000


def test_a_function_that_closes_its_output_still_answers(functions: Any) -> None:
    functions.create(
        "import os\ndef handler(event, context):\n    os.close(1)\n    os.close(2)\n    return 'quiet'\n"
    )

    assert functions.invoke()["Payload"] == "quiet"


def test_forged_requests_to_the_runtime_api_change_nothing(functions: Any) -> None:
    functions.create(
        """
        import http.client, os

        def post(path, body=b"{}", headers={}):
            connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
            connection.request("POST", "/2018-06-01/runtime" + path, body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status

        def chunks():
            for _ in range(3):
                yield b"x" * 100

        def handler(event, context):
            connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
            connection.request("POST", "/2018-06-01/runtime/invocation/nope/response", chunks(),
                               {"Transfer-Encoding": "chunked", "Expect": "100-continue"})
            connection.sock.recv(25)
            return [
                post("/invocation/00000000-0000-0000-0000-000000000000/response"),
                post("/invocation/00000000-0000-0000-0000-000000000000/error"),
                post("/nothing"),
            ]
        """
    )

    assert functions.invoke()["Payload"] == [403, 403, 404]
    assert functions.invoke()["Payload"] == [403, 403, 404]


def test_an_answer_ends_the_invocation_even_if_the_handler_goes_on(functions: Any) -> None:
    """A function can answer early through the Runtime API; it is frozen or ended, never left running."""
    functions.create(
        """
        import http.client, os, time

        def handler(event, context):
            connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
            path = f"/2018-06-01/runtime/invocation/{context.aws_request_id}/response"
            connection.request("POST", path, b'"early"')
            connection.getresponse().read()
            time.sleep(60)
        """,
        Timeout=1,
    )

    assert functions.invoke()["Payload"] == "early"


def test_telemetry_ports_answer(functions: Any) -> None:
    functions.create(
        """
        import http.client, socket

        def handler(event, context):
            connection = http.client.HTTPConnection("127.0.0.1", 4318)
            connection.request("POST", "/v1/traces", b"x" * 10, {"Content-Type": "application/x-protobuf"})
            status = connection.getresponse().status
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"{}", ("127.0.0.1", 2000))
            return status
        """
    )

    assert functions.invoke()["Payload"] == 200


def test_a_spawner_that_is_gone_is_our_fault(functions: Any) -> None:
    functions.create("def handler(event, context): pass\n")
    functions.service._fleet._spawner.close()

    outcome = functions.service.invoke(
        "fn", b"{}", account_id=functions.core.account_id, region=functions.core.region, source="test"
    )

    assert (outcome.status, outcome.error_code) == (500, "ServiceException")
    assert functions.core.work.faults
    assert "our fault" in json.loads(outcome.payload)["Message"]
    functions.core.work.faults.clear()
