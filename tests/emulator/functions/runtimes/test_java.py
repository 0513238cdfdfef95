"""Java functions: every form of handler, what it is given, how it fails, where its classes come from."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from sandbox.runtimes.java import find_java
from tests.emulator.functions.conftest import make_zip
from tests.emulator.functions.runtimes.conftest import LanguageAccount
from tests.emulator.functions.runtimes.java_builds import built, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

ORDER = {"id": "a", "count": 2, "price": 1.5, "parts": [{"id": "b"}], "stock": {"x": 5_000_000_000}}
FORMS: dict[str, tuple[Any, Any]] = {
    "Forms::text": ("ü", "Hello ü"),
    "Forms::number": (41, 42),
    "Forms::boxed": (41, 42),
    "Forms::truth": (True, False),
    "Forms::fraction": (3, 1.5),
    "Forms::list": ([7, 8], [2, 8]),
    "Forms::map": ({"a": {"b": [None]}, "c": None}, {"keys": 2, "was": {"a": {"b": [None]}}}),
    "Forms::bean": (ORDER | {"unknown": 1}, ORDER | {"parts": [{"id": "b", "count": 0, "price": 0.0}]}),
    "Forms::beans": ([{"id": "a"}], [{"id": "a", "count": 0, "price": 0.0}]),
    "Forms::withContext": ("it", "it fn"),
    "Forms::contextAlone": ({}, "fn"),
    "Forms::nothingGiven": ({}, "nothing given"),
    "Forms::nothingBack": ({}, None),
    "Forms::unbound": ("x", "static x"),
    "Forms::streams": ({"a": 1}, [{"a": 1}]),
    "Typed::handleRequest": (
        {"id": "a", "count": 2, "price": 1.5},
        {"id": "a", "total": 3.0, "invocations": 1},
    ),
    "Streaming": ({"a": 1}, {"was": {"a": 1}}),
}


@pytest.mark.parametrize("handler", FORMS)
def test_a_handler_may_be_a(functions: LanguageAccount, handler: str) -> None:
    event, answer = FORMS[handler]
    functions.java(f"shop.{handler}")
    assert functions.invoke(event)["Payload"] == answer


def test_a_second_invocation_is_warm_and_a_bean_is_bound_anew(functions: LanguageAccount) -> None:
    functions.java("shop.Typed")

    answers = [functions.invoke({"id": name, "count": 1, "price": 2})["Payload"] for name in "ab"]

    assert answers == [
        {"id": "a", "total": 2.0, "invocations": 1},
        {"id": "b", "total": 2.0, "invocations": 2},
    ]


def test_the_context_is_what_aws_gives(functions: LanguageAccount) -> None:
    functions.java("shop.Seeing::context", Timeout=7)
    custom = base64.b64encode(json.dumps({"custom": {"k": "ü"}}).encode()).decode()

    answer = functions.invoke(ClientContext=custom)
    seen = answer["Payload"]

    assert 0 < seen.pop("remaining") <= 7000
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", seen.pop("stream"))
    assert re.match(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0", seen.pop("trace"))
    assert seen.pop("arn").endswith(":function:fn")
    assert seen == {
        "name": "fn",
        "version": "$LATEST",
        "id": answer["ResponseMetadata"]["RequestId"],
        "group": "/aws/lambda/fn",
        "memory": 512,
        "custom": {"k": "ü"},
    }


def test_java_lies_where_lambda_has_it_and_its_size_follows_the_function(functions: LanguageAccount) -> None:
    functions.java("shop.Seeing::properties")
    names = ["java.home", "user.dir", "java.io.tmpdir", "java.class.path", "file.encoding"]
    seen = functions.invoke(names)["Payload"]
    assert seen.pop("java.class.path").startswith("/var/runtime/lib/")
    assert seen == {
        "java.home": "/var/lang",
        "user.dir": "/var/task",
        "java.io.tmpdir": "/tmp",
        "file.encoding": "UTF-8",
    }

    functions.java("shop.Seeing::machine", name="small", MemorySize=256)
    heap_mb, threads = functions.invoke(name="small")["Payload"]
    assert 0.75 * 256 < heap_mb <= 0.85 * 256
    assert threads < 20  # Of the 64 that an environment may have.


def test_java_tool_options_count(functions: LanguageAccount) -> None:
    functions.java(
        "shop.Seeing::properties", Environment={"Variables": {"JAVA_TOOL_OPTIONS": "-Dshop.mode=night"}}
    )
    assert functions.invoke(["shop.mode"])["Payload"] == {"shop.mode": "night"}
    assert "Picked up JAVA_TOOL_OPTIONS: -Dshop.mode=night" in functions.logs()


def test_what_a_function_says_is_logged(functions: LanguageAccount) -> None:
    functions.java("shop.Seeing::log")
    functions.invoke("one\ntwo")
    said = functions.logs()[2:-2]
    assert said == ["one\ntwo", "one\ntwo in bytes", "out one", "two", "err one", "two"]


def test_text_is_utf8_in_variables_file_names_and_logs(functions: LanguageAccount) -> None:
    functions.java("shop.Seeing::written", Environment={"Variables": {"MOTTO": "grün"}})
    assert functions.invoke("ß")["Payload"] == ["grün", "ß"]
    assert "wrote ß" in functions.logs()


def test_json_logs_keep_to_the_level(functions: LanguageAccount) -> None:
    functions.java("shop.Seeing::levels", LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "WARN"})
    functions.invoke("hello")
    said = [record for line in functions.logs() if "message" in (record := json.loads(line))]
    assert [(record["level"], record["message"]) for record in said] == [("ERROR", "hello two")]


MISTAKES: dict[str, tuple[str, str | None]] = {
    "shop.Absent": ("Class not found: shop.Absent", "java.lang.ClassNotFoundException"),
    "shop.Absent::run": ("Class not found: shop.Absent", "java.lang.ClassNotFoundException"),
    "shop.Forms::absent": (
        "No public method named absent with appropriate method signature found on class shop.Forms",
        None,
    ),
    "shop.Forms": ("Class does not implement an appropriate handler interface: shop.Forms", None),
    "shop.Failing$Closed::handle": (
        "Class shop.Failing$Closed has no public zero-argument constructor",
        "java.lang.Exception",
    ),
}


@pytest.mark.parametrize("handler", MISTAKES)
def test_a_handler_that_is_not_there_is_told_in_the_clients_words(
    functions: LanguageAccount, handler: str
) -> None:
    message, kind = MISTAKES[handler]
    functions.java(handler)

    answer = functions.invoke()

    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"] == {"errorMessage": message} | ({"errorType": kind} if kind else {})
    assert any(line.startswith(message) for line in functions.logs())


INIT_ERRORS = {
    "Constructed": ("no database", "java.lang.IllegalStateException"),
    "Initialised": (
        "Error loading class shop.Failing$Initialised",
        "java.lang.ExceptionInInitializerError",
    ),
}


@pytest.mark.parametrize("name", INIT_ERRORS)
def test_an_init_error_is_reported_as_such(functions: LanguageAccount, name: str) -> None:
    message, kind = INIT_ERRORS[name]
    functions.java(f"shop.Failing${name}::handle")

    answer = functions.invoke()

    assert answer["Payload"] == {"errorMessage": message, "errorType": kind}
    assert any("Phase: init\tStatus: error" in line for line in functions.logs())


def test_an_exception_carries_its_stack_and_the_log_its_cause(functions: LanguageAccount) -> None:
    functions.java("shop.Failing::checked")

    answer = functions.invoke("tea")

    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorMessage"] == "no tea left"
    assert answer["Payload"]["errorType"] == "shop.Failing$OutOfStock"
    assert answer["Payload"]["stackTrace"][0] == "shop.Failing.checked(Failing.java:17)"
    log = "\n".join(functions.logs())
    assert "shop.Failing$OutOfStock: no tea left\n" in log
    assert "Caused by: java.lang.IndexOutOfBoundsException: Index: 1 Size: 1" in log


EVENTS_THAT_DO_NOT_FIT = {"Forms::number": "text", "Forms::bean": [1]}


@pytest.mark.parametrize("handler", EVENTS_THAT_DO_NOT_FIT)
def test_an_event_that_does_not_fit_the_type_is_refused(functions: LanguageAccount, handler: str) -> None:
    functions.java(f"shop.{handler}")
    assert functions.invoke(EVENTS_THAT_DO_NOT_FIT[handler])["Payload"] == {
        "errorMessage": "An error occurred during JSON parsing",
        "errorType": "java.lang.RuntimeException",
        "stackTrace": [],
    }


def test_an_answer_that_holds_itself_cannot_be_written(functions: LanguageAccount) -> None:
    functions.java("shop.Failing::self")
    payload = functions.invoke({})["Payload"]
    assert payload["errorMessage"] == "An error occurred during JSON serialization of response"
    assert payload["errorType"] == "java.lang.RuntimeException"


def test_a_deep_recursion_and_a_full_heap_end_the_environment(functions: LanguageAccount) -> None:
    functions.java("shop.Failing::deep", name="deep")
    functions.java("shop.Failing::heap", name="heap", Timeout=60)

    deep, heap = functions.invoke(0, name="deep"), functions.invoke(2000, name="heap")

    assert deep["Payload"]["errorType"] == "java.lang.StackOverflowError"
    assert (heap["Payload"]["errorType"], heap["Payload"]["errorMessage"]) == (
        "java.lang.OutOfMemoryError",
        "Java heap space",
    )
    again = functions.invoke(1, name="heap")
    assert again["Payload"] == 1
    assert sum("INIT_START" in line for line in functions.logs("heap")) == 2


def test_memory_outside_the_heap_counts_as_well(functions: LanguageAccount) -> None:
    functions.java("shop.Failing::offHeap", MemorySize=256)
    assert functions.invoke(2000)["Payload"]["errorType"] == "Runtime.OutOfMemory"
    assert any("Memory Size: 256 MB\tMax Memory Used: 256 MB" in line for line in functions.logs())


def test_leaving_is_an_exit_error(functions: LanguageAccount) -> None:
    functions.java("shop.Failing::exit")
    request = functions.invoke(3)
    assert request["Payload"]["errorType"] == "Runtime.ExitError"
    assert request["Payload"]["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")
    assert "leaving" in functions.logs()


def test_a_function_that_runs_too_long_is_ended_and_starts_anew(functions: LanguageAccount) -> None:
    functions.java("shop.Failing::sleep", Timeout=1)
    late = functions.invoke(60_000)
    assert late["Payload"]["errorMessage"].endswith("Task timed out after 1.00 seconds")
    functions.api.update_function_configuration(FunctionName="fn", Timeout=10)
    assert functions.invoke(1)["Payload"] == "slept"


def test_an_answer_beyond_six_megabytes_is_refused(functions: LanguageAccount) -> None:
    functions.java("shop.Failing::bigText")
    assert functions.invoke(7_000_000)["Payload"]["errorType"] == "Function.ResponseSizeTooLarge"
    assert len(functions.invoke(1_000_000)["Payload"]) == 1_000_000


EVENTS: dict[str, tuple[Any, Any]] = {
    "sqs": (
        {"Records": [{"messageId": "1", "body": "good"}, {"messageId": "2", "body": "bad"}]},
        {"batchItemFailures": [{"itemIdentifier": "2"}]},
    ),
    "sqsAttributes": (
        {
            "Records": [
                {
                    "eventSourceARN": "arn:aws:sqs:x",
                    "attributes": {"ApproximateReceiveCount": "3"},
                    "messageAttributes": {"kind": {"stringValue": "order", "dataType": "String"}},
                }
            ]
        },
        "arn:aws:sqs:x 3 order",
    ),
    "s3": (
        {
            "Records": [
                {
                    "eventVersion": "2.1",
                    "eventTime": "2024-05-06T07:08:09.123Z",
                    "eventName": "ObjectCreated:Put",
                    "s3": {"bucket": {"name": "b"}, "object": {"key": "a+b%C3%BC.txt", "size": 7}},
                }
            ]
        },
        "b/a bü.txt 1714979289123 7",
    ),
    "kinesis": (
        {"Records": [{"kinesis": {"data": "aGkgdGhlcmU=", "approximateArrivalTimestamp": 1714979289.123}}]},
        "hi there 1714979289123",
    ),
    "dynamodb": (
        {
            "Records": [
                {
                    "eventName": "INSERT",
                    "dynamodb": {
                        "ApproximateCreationDateTime": 1714979289,
                        "NewImage": {"id": {"S": "x"}, "n": {"N": "5"}},
                    },
                }
            ]
        },
        "INSERT x 5 1714979289000",
    ),
    "sns": (
        {"Records": [{"Sns": {"Message": "hi", "Timestamp": "2024-05-06T07:08:09.123Z"}}]},
        "hi 1714979289123",
    ),
    "schedule": (
        {"detail-type": "Scheduled Event", "time": "2024-05-06T07:08:09Z", "detail": {"k": "v"}},
        "Scheduled Event 1714979289000 v",
    ),
    "rest": (
        {"path": "/a", "httpMethod": "GET", "queryStringParameters": {"q": "1"}},
        {"statusCode": 201, "headers": {"X-Path": "/a"}, "body": "GET 1", "isBase64Encoded": False},
    ),
    "http": (
        {"rawPath": "/a", "requestContext": {"http": {"method": "PUT"}, "timeEpoch": 1714979289123}},
        {"statusCode": 202, "cookies": ["a=1"], "body": "PUT /a 1714979289123", "isBase64Encoded": False},
    ),
}


@pytest.mark.parametrize("kind", EVENTS)
def test_amazons_own_event_class_is_filled_for(functions: LanguageAccount, kind: str) -> None:
    event, expected = EVENTS[kind]
    functions.java(f"shop.Events::{kind}")

    answer = functions.invoke(event)["Payload"]

    if isinstance(answer, dict):
        answer = {name: value for name, value in answer.items() if value is not None}
    assert answer == expected


def jar(files: dict[str, bytes]) -> bytes:
    """A jar is a zip whose manifest says so."""
    return make_zip({"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\r\n\r\n", **files})


def test_a_jar_may_be_the_package(functions: LanguageAccount) -> None:
    classes = {name: content for name, content in built("handlers").items() if not name.startswith("lib/")}
    functions.java("shop.Forms::text", package=jar(classes))
    assert functions.invoke("jar")["Payload"] == "Hello jar"


def test_classes_come_from_the_package_then_its_libraries_then_layers(functions: LanguageAccount) -> None:
    handlers = {name: content for name, content in built("handlers").items() if not name.startswith("lib/")}
    functions.java("shop.Seeing::resource", package=make_zip({
        **handlers, "a.txt": "package", "lib/l.jar": jar({"a.txt": b"library", "b.txt": b"library"}),
    }), Layers=[functions.publish_layer("l", {"java/lib/l.jar": jar(
        {"a.txt": b"layer", "b.txt": b"layer", "c.txt": b"layer"}
    )})])  # fmt: skip

    seen = {name: functions.invoke(name)["Payload"] for name in ("a.txt", "b.txt", "c.txt", "d.txt")}

    assert seen == {"a.txt": "package", "b.txt": "library", "c.txt": "layer", "d.txt": None}


NEWER = 25


@pytest.mark.skipif(
    NEWER not in {java.major for java in find_java()}, reason=f"Java {NEWER} is not installed"
)
def test_the_exact_version_is_used_where_it_is_installed(functions: LanguageAccount) -> None:
    functions.java("shop.Seeing::properties", name="newer", Runtime=f"java{NEWER}")
    functions.java("shop.Seeing::properties", name="older", Runtime="java17")
    newer, older = (
        functions.invoke(["java.specification.version"], name=name)["Payload"] for name in ("newer", "older")
    )
    assert newer == {"java.specification.version": str(NEWER)}
    assert int(older["java.specification.version"]) >= 17
    assert not [line for line in functions.logs("newer") if "WARNING" in line or "[cds]" in line]


def test_class_files_of_a_newer_java_are_refused(functions: LanguageAccount) -> None:
    files = dict(built("handlers"))
    name = "shop/Forms.class"
    # Bytes 6 and 7 of a class file are the version of Java it was made for: 44 + the version.
    files[name] = files[name][:6] + (44 + 99).to_bytes(2, "big") + files[name][8:]
    functions.java("shop.Forms::text", package=make_zip(files))

    payload = functions.invoke("x")["Payload"]

    assert payload["errorType"] == "java.lang.UnsupportedClassVersionError"
    assert "class file version 143.0" in "\n".join(functions.logs())


@pytest.mark.slow
def test_the_sdk_reaches_the_account_as_the_functions_role(functions: LanguageAccount) -> None:
    region = functions.core.region
    s3 = functions.account.client("s3")
    s3.create_bucket(Bucket="made-before", CreateBucketConfiguration={"LocationConstraint": region})
    functions.account.client("dynamodb").create_table(
        TableName="made-before",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    functions.account.client("iam").put_role_policy(
        RoleName="fn-role",
        PolicyName="all",
        PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
        ),
    )
    functions.java("shop.Calling::handle", fixture="sdk", Timeout=60)

    answer = functions.invoke({"bucket": "made-before", "table": "made-before"})

    assert answer["Payload"] == "hello"
    assert s3.get_object(Bucket="made-before", Key="a/ü.txt")["Body"].read() == b"hello"
