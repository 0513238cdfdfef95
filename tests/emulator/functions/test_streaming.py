"""Response streaming: what the runtime writes in pieces reaches the caller in pieces."""

from __future__ import annotations

import base64
import json
import textwrap
from typing import Any

import pytest

# A handler that answers by itself through the Runtime API, as a runtime that streams does.
STREAMING = """
import base64, http.client, json, os, sys, time

def stream(context, chunks, pause_s=0.0, kind="application/octet-stream", error=None, cut=False):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.putrequest(
        "POST", f"/2018-06-01/runtime/invocation/{context.aws_request_id}/response", skip_accept_encoding=True
    )
    for name, value in {
        "Lambda-Runtime-Function-Response-Mode": "streaming",
        "Transfer-Encoding": "chunked",
        "Trailer": "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
        "Content-Type": kind,
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    for chunk in chunks:
        connection.send(b"%x\\r\\n%s\\r\\n" % (len(chunk), chunk))
        time.sleep(pause_s)
    if cut:
        os._exit(9)
    connection.send(b"0\\r\\n")
    if error:
        body = base64.b64encode(json.dumps(error).encode())
        connection.send(b"Lambda-Runtime-Function-Error-Type: %s\\r\\n" % error["errorType"].encode())
        connection.send(b"Lambda-Runtime-Function-Error-Body: %s\\r\\n" % body)
    connection.send(b"\\r\\n")
    answer = connection.getresponse()
    answer.read()
    return answer.status
"""


def make(functions: Any, body: str, **settings: Any) -> None:
    functions.create(STREAMING + "\n" + textwrap.dedent(body), **settings)


def read(functions: Any, payload: Any = None, **parameters: Any) -> tuple[bytes, dict[str, Any], int]:
    """The whole response, the end's members, and in how many pieces it came."""
    body = json.dumps({} if payload is None else payload).encode()
    answer = functions.api.invoke_with_response_stream(FunctionName="fn", Payload=body, **parameters)
    pieces, end = [], None
    for event in answer["EventStream"]:
        if "PayloadChunk" in event:
            pieces.append(event["PayloadChunk"]["Payload"])
        else:
            end = event["InvokeComplete"]
    assert end is not None
    return b"".join(pieces), end, len(pieces)


def test_pieces_are_passed_on_and_the_end_is_told(functions: Any) -> None:
    make(
        functions,
        """
        def handler(event, context):
            stream(context, [b"one ", b"two ", bytes(range(256))], 0.05)
        """,
    )

    content, end, pieces = read(functions, LogType="Tail")

    assert content == b"one two " + bytes(range(256))
    assert pieces == 3
    assert "ErrorCode" not in end
    assert b"REPORT RequestId" in base64.b64decode(end["LogResult"])


def test_a_piece_arrives_before_the_function_has_ended(functions: Any) -> None:
    """The function writes its second piece only once the first has been seen outside."""
    functions.account.client("sqs").create_queue(QueueName="seen")
    make(
        functions,
        """
        import boto3

        def pieces():
            yield b"first"
            queue = boto3.client("sqs")
            url = queue.get_queue_url(QueueName="seen")["QueueUrl"]
            while not queue.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"):
                pass
            yield b"second"

        def handler(event, context):
            stream(context, pieces())
        """,
        MemorySize=512,
    )
    service = functions.service
    from sandbox.emulator.functions import names
    from sandbox.emulator.functions.execution import Invocation

    name = names.parse("fn", account_id=functions.core.account_id, region=functions.core.region)
    stream = service.stream(name, Invocation(b"{}", "test"))
    assert stream.begin() is None
    pieces = stream.chunks()

    assert next(pieces).data == b"first"
    queues = functions.account.client("sqs")
    queues.send_message(QueueUrl=queues.get_queue_url(QueueName="seen")["QueueUrl"], MessageBody="go")

    assert [piece.data for piece in pieces] == [b"second"]
    assert stream.outcome is not None
    assert not stream.outcome.function_error


def test_an_error_in_mid_stream_ends_it(functions: Any) -> None:
    make(
        functions,
        """
        def handler(event, context):
            stream(context, [b"half"], error={"errorType": "Oops", "errorMessage": "no more"})
        """,
    )

    content, end, _ = read(functions)

    assert content == b"half"
    assert end["ErrorCode"] == "Unhandled"
    assert json.loads(end["ErrorDetails"]) == {"errorType": "Oops", "errorMessage": "no more"}
    assert [event.outcome for event in functions.events("invocation")] == ["Oops"]


@pytest.mark.parametrize(
    ("how", "kind"),
    [("cut=True", "Runtime.ExitError"), ("pause_s=30", "Sandbox.Timedout")],
)
def test_a_function_that_ends_in_mid_stream(functions: Any, how: str, kind: str) -> None:
    make(functions, f"def handler(event, context):\n    stream(context, [b'half'], {how})\n", Timeout=1)

    content, end, _ = read(functions)

    assert content == b"half"
    assert json.loads(end["ErrorDetails"])["errorType"] == kind


def test_invoke_collects_a_streamed_response(functions: Any) -> None:
    make(
        functions,
        """
        def handler(event, context):
            chunks = [b'{"a"', b": 1}"]
            error = {"errorType": "Oops", "errorMessage": "x"} if event else None
            stream(context, chunks, error=error)
        """,
    )

    assert functions.invoke()["Payload"] == {"a": 1}
    failed = functions.invoke({"fail": True})
    assert failed["FunctionError"] == "Unhandled"
    assert failed["Payload"]["errorType"] == "Oops"


def test_a_response_of_many_megabytes_is_streamed(functions: Any) -> None:
    make(
        functions,
        """
        def handler(event, context):
            stream(context, (b"x" * 1_000_000 for _ in range(30)))
        """,
        MemorySize=512,
        Timeout=30,
    )

    content, end, _ = read(functions)

    assert len(content) == 30_000_000
    assert "ErrorCode" not in end
    assert functions.invoke()["Payload"]["errorType"] == "Function.ResponseSizeTooLarge"


def test_nobody_has_to_read_to_the_end(functions: Any) -> None:
    make(
        functions,
        """
        def handler(event, context):
            stream(context, (b"x" * 100_000 for _ in range(300)))
            print("all written")
        """,
        MemorySize=512,
    )
    from sandbox.emulator.functions import names
    from sandbox.emulator.functions.execution import Invocation

    name = names.parse("fn", account_id=functions.core.account_id, region=functions.core.region)
    stream = functions.service.stream(name, Invocation(b"{}", "test"))
    stream.begin()
    next(stream.chunks())
    stream.abandon()

    functions.account.settle()

    assert "all written" in functions.logs()


def test_refusals_are_answers_not_streams(functions: Any) -> None:
    from botocore.exceptions import ClientError

    make(functions, "def handler(event, context):\n    return 1\n")
    functions.api.put_function_concurrency(FunctionName="fn", ReservedConcurrentExecutions=0)

    with pytest.raises(ClientError) as throttled:
        read(functions)
    with pytest.raises(ClientError) as missing:
        functions.api.invoke_with_response_stream(FunctionName="nobody")

    assert throttled.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert throttled.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    assert missing.value.response["Error"]["Code"] == "ResourceNotFoundException"
