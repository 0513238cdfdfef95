"""Invoking through the API: cold and warm, what the function sees, what the API refuses."""

from __future__ import annotations

import base64
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.runtimes.prepared import python_runtime_place
from settings import Settings

COUNTING = """
import os
count = 0

def handler(event, context):
    global count
    count += 1
    return {"event": event, "count": count, "pid": os.getpid()}
"""


def refusal(call: Any, *arguments: Any, **parameters: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    return caught.value


def code_of(error: ClientError) -> tuple[str, str, int]:
    told = error.response["Error"]
    return told["Code"], told["Message"], error.response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_function_runs_and_its_second_invocation_is_warm(functions: Any) -> None:
    functions.create(COUNTING)

    first = functions.invoke({"order": 1})
    second = functions.invoke({"order": 2})

    assert first["Payload"]["event"] == {"order": 1}
    assert [first["Payload"]["count"], second["Payload"]["count"]] == [1, 2]
    assert first["StatusCode"] == 200
    assert first["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in first


def test_the_context_is_what_aws_gives(functions: Any) -> None:
    functions.create(
        """
        import os

        def handler(event, context):
            return {
                "remaining": context.get_remaining_time_in_millis(),
                "arn": context.invoked_function_arn,
                "id": context.aws_request_id,
                "stream": context.log_stream_name,
                "group": context.log_group_name,
                "memory": context.memory_limit_in_mb,
                "custom": context.client_context.custom if context.client_context else None,
                "trace": os.environ["_X_AMZN_TRACE_ID"],
            }
        """,
        MemorySize=256,
        Timeout=7,
    )
    custom = base64.b64encode(json.dumps({"custom": {"k": "ü"}}).encode()).decode()

    answer = functions.invoke(ClientContext=custom)
    seen = answer["Payload"]

    assert 6000 < seen["remaining"] <= 7000
    assert seen["arn"].endswith(":function:fn")
    assert seen["id"] == answer["ResponseMetadata"]["RequestId"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", seen["stream"])
    assert seen["group"] == "/aws/lambda/fn"
    assert seen["memory"] == "256"
    assert seen["custom"] == {"k": "ü"}
    assert re.match(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0", seen["trace"])


def test_the_environment_is_what_aws_gives(functions: Any) -> None:
    functions.create(
        "import os\ndef handler(event, context):\n    return dict(os.environ)\n",
        Environment={"Variables": {"TABLE": "orders", "TZ": "Europe/Rome"}},
        Handler="app.handler",
    )

    seen = functions.invoke()["Payload"]

    expected = {
        "_HANDLER": "app.handler",
        "AWS_REGION": functions.core.region,
        "AWS_DEFAULT_REGION": functions.core.region,
        "AWS_LAMBDA_FUNCTION_NAME": "fn",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fn",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
        "LAMBDA_TASK_ROOT": "/var/task",
        "TABLE": "orders",
        "TZ": "Europe/Rome",
    }
    assert expected.items() <= seen.items()
    assert seen["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert seen["AWS_SESSION_TOKEN"]


def test_a_function_calls_aws_as_its_execution_role(functions: Any) -> None:
    functions.account.client("s3").create_bucket(
        Bucket="made-before", CreateBucketConfiguration={"LocationConstraint": functions.core.region}
    )
    functions.create(
        """
        import boto3

        def handler(event, context):
            boto3.client("s3").put_object(Bucket="made-before", Key="from/function", Body=b"hello")
            return boto3.client("sts").get_caller_identity()["Arn"]
        """,
        MemorySize=512,
    )

    answer = functions.invoke()

    assert answer["Payload"] == f"arn:aws:sts::{functions.core.account_id}:assumed-role/fn-role/fn", answer
    body = functions.account.client("s3").get_object(Bucket="made-before", Key="from/function")["Body"]
    assert body.read() == b"hello"
    calls = [event for event in functions.events("api") if event.subject == "s3:PutObject"]
    [invocation] = functions.events("invocation")
    assert calls[0].detail["environment_id"] == invocation.detail["environment_id"]


def test_a_function_without_a_payload_gets_an_empty_object(functions: Any) -> None:
    functions.create("def handler(event, context):\n    return event\n")

    answer = functions.api.invoke(FunctionName="fn")

    assert json.loads(answer["Payload"].read()) == {}


@pytest.mark.parametrize("size", [10, 200_000, 5_900_000])
def test_payloads_of_all_sizes_go_through(functions: Any, size: int) -> None:
    functions.create("def handler(event, context):\n    return event\n", MemorySize=512)

    answer = functions.invoke({"text": "x" * size})

    assert len(answer["Payload"]["text"]) == size


def test_a_response_over_the_limit_is_an_error_of_the_function(functions: Any) -> None:
    functions.create("def handler(event, context):\n    return 'x' * 7_000_000\n", MemorySize=512)

    answer = functions.invoke()

    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"] == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }
    assert functions.invoke()["FunctionError"] == "Unhandled"


def test_a_request_over_the_limit_is_refused(functions: Any) -> None:
    functions.create(COUNTING)
    too_large = json.dumps("x" * 6_291_456).encode()
    too_large_async = json.dumps("x" * 1_048_576).encode()

    synchronous = refusal(functions.api.invoke, FunctionName="fn", Payload=too_large)
    asynchronous = refusal(
        functions.api.invoke, FunctionName="fn", Payload=too_large_async, InvocationType="Event"
    )

    words = "Request must be smaller than {} bytes for the InvokeFunction operation"
    assert code_of(synchronous) == ("RequestTooLargeException", words.format(6_291_456), 413)
    assert code_of(asynchronous) == ("RequestTooLargeException", words.format(1_048_576), 413)


def test_a_payload_that_is_not_json_is_refused(functions: Any) -> None:
    functions.create(COUNTING)

    code, message, status = code_of(refusal(functions.api.invoke, FunctionName="fn", Payload=b"{no"))

    assert (code, status) == ("InvalidRequestContentException", 400)
    assert message.startswith("Could not parse request body into json: Could not parse payload into json:")


def test_a_missing_function_and_a_missing_qualifier_are_not_found(functions: Any) -> None:
    functions.create(COUNTING)
    arn = f"arn:aws:lambda:{functions.core.region}:{functions.core.account_id}:function"

    missing = refusal(functions.api.invoke, FunctionName="nobody")
    unqualified = refusal(functions.api.invoke, FunctionName="fn", Qualifier="nope")

    assert code_of(missing) == ("ResourceNotFoundException", f"Function not found: {arn}:nobody", 404)
    assert code_of(unqualified) == ("ResourceNotFoundException", f"Function not found: {arn}:fn:nope", 404)


@pytest.mark.parametrize(
    "reference",
    [
        "fn",
        "fn:$LATEST",
        "{account}:function:fn",
        "arn:aws:lambda:{region}:{account}:function:fn",
        "arn:aws:lambda:{region}:{account}:function:fn:$LATEST",
    ],
)
def test_a_function_is_found_by_each_form_of_its_name(functions: Any, reference: str) -> None:
    functions.create("def handler(event, context):\n    return 'ran'\n")
    name = reference.format(region=functions.core.region, account=functions.core.account_id)

    assert functions.invoke(name=name)["Payload"] == "ran"


def test_a_dry_run_runs_nothing(functions: Any) -> None:
    functions.create(COUNTING)

    answer = functions.invoke(InvocationType="DryRun")

    assert answer["StatusCode"] == 204
    assert functions.events("invocation") == []


def test_versions_and_aliases_run_the_code_they_name(functions: Any) -> None:
    functions.create("def handler(event, context):\n    return context.function_version\n")
    functions.api.publish_version(FunctionName="fn")
    functions.api.create_alias(FunctionName="fn", Name="live", FunctionVersion="1")

    assert functions.invoke()["Payload"] == "$LATEST"
    assert functions.invoke(Qualifier="1")["Payload"] == "1"
    by_alias = functions.invoke(Qualifier="live")
    assert (by_alias["Payload"], by_alias["ExecutedVersion"]) == ("1", "1")


def test_a_weighted_alias_sends_a_share_of_the_traffic(functions: Any) -> None:
    functions.create("def handler(event, context):\n    return 1\n")
    functions.api.publish_version(FunctionName="fn")
    functions.api.update_function_configuration(FunctionName="fn", Description="two")
    functions.api.publish_version(FunctionName="fn")
    functions.api.create_alias(
        FunctionName="fn",
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )

    versions = [functions.invoke(Qualifier="live")["ExecutedVersion"] for _ in range(40)]

    assert 5 < versions.count("2") < 35
    assert versions.count("1") + versions.count("2") == 40


def test_new_code_is_what_the_next_invocation_runs(functions: Any) -> None:
    functions.create("def handler(event, context):\n    return 'old'\n")
    assert functions.invoke()["Payload"] == "old"

    functions.update_code("def handler(event, context):\n    return 'new'\n")

    assert functions.invoke()["Payload"] == "new"


def test_new_variables_are_what_the_next_invocation_sees(functions: Any) -> None:
    functions.create("import os\ndef handler(event, context):\n    return os.environ.get('MODE')\n")
    assert functions.invoke()["Payload"] is None

    functions.api.update_function_configuration(
        FunctionName="fn", Environment={"Variables": {"MODE": "fast"}}
    )

    assert functions.invoke()["Payload"] == "fast"


def test_concurrent_invocations_have_an_environment_each(functions: Any) -> None:
    functions.create(
        """
        import time

        def handler(event, context):
            time.sleep(0.4)
            return context.log_stream_name
        """
    )
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(functions.invoke()["Payload"])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(seen)) == 3


def test_reserved_concurrency_throttles(functions: Any) -> None:
    functions.create(COUNTING)
    functions.api.put_function_concurrency(FunctionName="fn", ReservedConcurrentExecutions=0)

    error = refusal(functions.api.invoke, FunctionName="fn")

    assert code_of(error) == ("TooManyRequestsException", "Rate Exceeded.", 429)
    assert error.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    functions.api.delete_function_concurrency(FunctionName="fn")
    assert functions.invoke()["Payload"]["count"] == 1


def test_reserved_concurrency_counts_running_invocations(functions: Any) -> None:
    functions.create("import time\ndef handler(event, context):\n    time.sleep(1)\n")
    functions.api.put_function_concurrency(FunctionName="fn", ReservedConcurrentExecutions=1)
    running = threading.Thread(target=functions.invoke)
    running.start()
    functions.wait_for(lambda: functions.core.work.settle(0).running)

    error = refusal(functions.api.invoke, FunctionName="fn")
    running.join()

    assert error.response["Error"]["Code"] == "TooManyRequestsException"
    assert functions.invoke()["StatusCode"] == 200


def test_the_account_is_not_settled_while_a_function_runs(functions: Any) -> None:
    functions.create("import time\ndef handler(event, context):\n    time.sleep(0.5)\n")
    running = threading.Thread(target=functions.invoke)
    running.start()

    functions.wait_for(lambda: functions.core.work.settle(0).running == ("lambda fn",))
    running.join()

    assert functions.core.work.settle(5).settled


def test_nothing_runs_between_invocations(functions: Any) -> None:
    functions.create(
        """
        import threading, time
        ticks = 0

        def tick():
            global ticks
            while True:
                time.sleep(0.005)
                ticks += 1

        threading.Thread(target=tick, daemon=True).start()

        def handler(event, context):
            return ticks
        """
    )
    before = functions.invoke()["Payload"]
    threading.Event().wait(0.5)

    assert functions.invoke()["Payload"] - before < 20


def test_the_clock_moves_past_the_role_keys_and_they_are_renewed(functions: Any) -> None:
    functions.create(
        """
        import boto3, os

        def handler(event, context):
            boto3.client("sts").get_caller_identity()
            return os.environ["AWS_ACCESS_KEY_ID"]
        """,
        MemorySize=512,
    )
    first = functions.invoke()["Payload"]
    functions.account.advance(7200)

    second = functions.invoke()

    assert "FunctionError" not in second, second
    assert second["Payload"] != first


def test_each_invocation_is_on_the_timeline(functions: Any) -> None:
    functions.create(COUNTING)
    functions.invoke()
    answer = functions.invoke()

    cold, warm = functions.events("invocation")

    assert cold.subject == "fn"
    assert cold.outcome == "ok"
    assert cold.detail["source"] == "api"
    assert cold.detail["version"] == "$LATEST"
    assert cold.detail["init_ms"] > 0
    assert warm.detail["init_ms"] is None
    assert warm.detail["environment_id"] == cold.detail["environment_id"]
    assert warm.detail["request_id"] == answer["ResponseMetadata"]["RequestId"]
    assert warm.detail["duration_ms"] > 0
    assert warm.detail["billed_ms"] >= 1


def test_a_layer_is_under_opt_and_on_the_path(functions: Any) -> None:
    layer = functions.publish_layer("tools", {"python/tools.py": "NAME = 'layer'\n", "data/a.txt": "one"})
    functions.create(
        """
        import tools

        def handler(event, context):
            return tools.NAME + open("/opt/data/a.txt").read()
        """,
        Layers=[layer],
    )

    assert functions.invoke()["Payload"] == "layerone"


def test_later_layers_win(functions: Any) -> None:
    first = functions.publish_layer(
        "first", {"python/tools.py": "NAME = 1\n", "python/only.py": "NAME = 5\n"}
    )
    second = functions.publish_layer("second", {"python/tools.py": "NAME = 2\n"})
    functions.create(
        "import tools, only\ndef handler(event, context):\n    return [tools.NAME, only.NAME]\n",
        Layers=[first, second],
    )

    assert functions.invoke()["Payload"] == [2, 5]


def test_a_layer_of_an_account_that_is_not_here_is_our_gap(functions: Any) -> None:
    region = functions.core.region
    foreign = f"arn:aws:lambda:{region}:123456789012:layer:tools:3"
    own = f"arn:aws:lambda:{region}:{functions.core.account_id}:layer:tools:3"
    code = "def handler(event, context): ...\n"

    with pytest.raises(ClientError, match="NotEmulated.*does not have the content of layer " + foreign):
        functions.create(code, Layers=[foreign])
    insights = f"arn:aws:lambda:{region}:580247275435:layer:LambdaInsightsExtension:55"
    with pytest.raises(
        ClientError, match=r"is a Lambda extension.*Leave it out.*the metrics of `AWS/Lambda`"
    ):
        functions.create(code, Layers=[insights])
    with pytest.raises(ClientError, match=f"Layer version {own} does not exist"):
        functions.create(code, Layers=[own])


def test_moto_hands_its_own_invocations_to_us(functions: Any) -> None:
    functions.create(COUNTING)
    with functions.core.dispatch_lock:
        from moto.awslambda.models import lambda_backends

        backend = lambda_backends[functions.core.account_id][functions.core.region]
        backend.get_function("fn").invoke('{"from": "moto"}', {}, {})

    functions.account.settle()

    [invocation] = functions.events("invocation")
    assert (invocation.detail["source"], invocation.outcome) == ("moto", "ok")


def test_a_function_that_brings_the_runtimes_own_libraries_is_forked_all_the_same(functions: Any) -> None:
    place = python_runtime_place(Settings().home) / "jmespath"
    files = {f"jmespath/{path.name}": path.read_bytes() for path in place.glob("*.py")}
    code = "import jmespath\ndef handler(event, context): return jmespath.__file__"

    functions.create(code, "same", files=files)
    functions.create(code, "changed", files=files | {"jmespath/__init__.py": b"# mine\n"})
    functions.create(code, "more", files=files | {"awscrt/__init__.py": b""})

    assert functions.invoke(name="same")["Payload"] == "/var/runtime/jmespath/__init__.py"
    assert functions.invoke(name="changed")["Payload"] == "/var/task/jmespath/__init__.py"
    # The SDK looks for this one when it is imported, so it has to be imported again.
    assert functions.invoke(name="more")["Payload"] == "/var/task/jmespath/__init__.py"


def test_the_x_ray_sdk_is_there_only_for_functions_that_bring_it(functions: Any) -> None:
    functions.create("import aws_xray_sdk\ndef handler(event, context): ...")
    told = functions.invoke()["Payload"]["errorMessage"]
    assert told == "Unable to import module 'app': No module named 'aws_xray_sdk'"


def test_an_invocation_tells_how_many_ran_with_it(functions: Any) -> None:
    functions.create("import time\ndef handler(event, context):\n    time.sleep(event)\n")
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(functions.invoke, 1)
        while not functions.service.running():
            pass
        pool.submit(functions.invoke, 0).result()
        slow.result()

    ran = [event for event in functions.core.timeline.since() if event.kind == "invocation"]
    assert [event.detail["concurrency"] for event in ran] == [2, 1]
    assert [event.detail["account_concurrency"] for event in ran] == [2, 1]
