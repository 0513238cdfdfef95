"""Functions as objects of the API: what is kept, what is refused, versions, policies."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.functions.runtimes.python import PythonRuntime
from sandbox.errors import EnvironmentFault

HANDLER = "def handler(event, context):\n    return event\n"


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_everything_that_was_given_is_told_again(functions: Any) -> None:
    queue_arn = f"arn:aws:sqs:{functions.core.region}:{functions.core.account_id}:dead"
    layer = functions.publish_layer("tools", {"python/tools.py": ""})
    given = {
        "Description": "what it does",
        "MemorySize": 512,
        "Timeout": 7,
        "Environment": {"Variables": {"MODE": "1"}},
        "EphemeralStorage": {"Size": 1024},
        "TracingConfig": {"Mode": "Active"},
        "DeadLetterConfig": {"TargetArn": queue_arn},
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/my/group", "ApplicationLogLevel": "DEBUG"},
        "Architectures": ["arm64"],
    }
    functions.create(HANDLER, Layers=[layer], Tags={"team": "a"}, **given)

    told = functions.api.get_function(FunctionName="fn")
    config = told["Configuration"]

    for name, value in given.items():
        if name != "LoggingConfig":
            assert config[name] == value, name
    assert given["LoggingConfig"].items() <= config["LoggingConfig"].items()
    assert [each["Arn"] for each in config["Layers"]] == [layer]
    assert (config["State"], config["LastUpdateStatus"]) == ("Active", "Successful")
    assert (config["Runtime"], config["Handler"], config["Version"]) == (
        "python3.12",
        "app.handler",
        "$LATEST",
    )
    assert config["RevisionId"]
    assert told["Tags"] == {"team": "a"}
    assert told["Code"]["RepositoryType"] == "S3"


def test_a_runtime_is_made_ready_when_a_function_is_created(
    functions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def prepare(_runtime: Any, identifier: str, say: Any) -> None:
        asked.append(identifier)
        say(f"Installing {identifier} ...")
        if identifier == "python3.9":
            raise EnvironmentFault("there is no network")

    monkeypatch.setattr(PythonRuntime, "prepare", prepare)
    functions.create(HANDLER)
    functions.create(HANDLER, name="other", Runtime="python3.9")
    functions.api.update_function_configuration(FunctionName="other", Runtime="python3.13")
    functions.api.update_function_configuration(FunctionName="other", Timeout=3)

    assert asked == ["python3.12", "python3.9", "python3.13"]
    told = [event for event in functions.events("deployment") if event.outcome == "preparing"]
    assert told[0].detail["message"] == "Installing python3.12 ..."


def test_updates_keep_what_they_do_not_name(functions: Any) -> None:
    functions.create(HANDLER, Environment={"Variables": {"MODE": "1"}}, Timeout=7)
    before = functions.api.get_function_configuration(FunctionName="fn")

    functions.api.update_function_configuration(
        FunctionName="fn",
        MemorySize=256,
        EphemeralStorage={"Size": 2048},
        TracingConfig={"Mode": "Active"},
        LoggingConfig={"LogFormat": "JSON"},
    )
    after = functions.api.get_function_configuration(FunctionName="fn")

    assert (after["MemorySize"], after["Timeout"]) == (256, 7)
    assert after["EphemeralStorage"] == {"Size": 2048}
    assert after["TracingConfig"] == {"Mode": "Active"}
    assert after["LoggingConfig"]["LogFormat"] == "JSON"
    assert after["Environment"] == {"Variables": {"MODE": "1"}}
    assert after["RevisionId"] != before["RevisionId"]


def test_code_from_s3_is_read_as_of_its_version(functions: Any) -> None:
    s3 = functions.account.client("s3")
    s3.create_bucket(
        Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": functions.core.region}
    )
    s3.put_bucket_versioning(Bucket="artifacts", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="artifacts", Key="fn.zip", Body=functions.zip({"app.py": HANDLER}))
    s3.put_object(Bucket="artifacts", Key="fn.zip", Body=b"something else")

    functions.create(Code={"S3Bucket": "artifacts", "S3Key": "fn.zip", "S3ObjectVersion": first["VersionId"]})

    assert functions.invoke({"a": 1})["Payload"] == {"a": 1}
    missing = refused(
        functions.api.update_function_code, FunctionName="fn", S3Bucket="artifacts", S3Key="nope.zip"
    )
    assert missing == (
        "InvalidParameterValueException",
        "Error occurred while GetObject. S3 Error Code: NoSuchKey. "
        "S3 Error Message: The specified key does not exist.",
    )


def test_the_code_digest_is_that_of_the_zip(functions: Any) -> None:
    package = functions.zip({"app.py": HANDLER})

    created = functions.create(Code={"ZipFile": package})

    assert created["CodeSha256"] == base64.b64encode(hashlib.sha256(package).digest()).decode()
    assert created["CodeSize"] == len(package)


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"Runtime": "python3.8"}, "InvalidParameterValueException", "no longer supported for creating"),
        ({"Runtime": "python2000"}, "InvalidParameterValueException", "Value python2000 at 'runtime' failed"),
        ({"Runtime": "ruby3.4"}, "NotEmulated", "AWS has this runtime, we do not"),
        ({"MemorySize": 64}, "ValidationException", "Value '64' at 'memorySize' failed to satisfy"),
        ({"MemorySize": 10241}, "ValidationException", "less than or equal to 10240"),
        ({"Timeout": 901}, "ValidationException", "Value '901' at 'timeout' failed to satisfy"),
        (
            {"Role": "arn:aws:iam::111122223333:role/nobody"},
            "InvalidParameterValueException",
            "cannot be assumed",
        ),
        ({"Role": "nobody"}, "ValidationException", "'role' failed to satisfy constraint"),
        (
            {"Environment": {"Variables": {"AWS_REGION": "x", "OK": "y"}}},
            "InvalidParameterValueException",
            "Reserved keys used in this request: AWS_REGION",
        ),
        ({"Environment": {"Variables": {"BIG": "x" * 4200}}}, "InvalidParameterValueException", "4KB limit"),
        (
            {"Code": {"ZipFile": b"no zip"}},
            "InvalidParameterValueException",
            "Could not unzip uploaded file.",
        ),
        ({"Code": {"ImageUri": "a"}, "PackageType": "Image"}, "NotEmulated", "container images"),
        (
            {"Layers": ["arn:aws:lambda:eu-north-1:111122223333:layer:no:1"]},
            "InvalidParameterValueException",
            "does not exist",
        ),
        (
            {"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:eu-north-1:111122223333:a.fifo"}},
            "InvalidParameterValueException",
            "standard queue",
        ),
    ],
)
def test_what_aws_refuses_is_refused(functions: Any, settings: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(ClientError) as caught:
        functions.create(HANDLER, **settings)

    assert caught.value.response["Error"]["Code"] == code
    assert words in caught.value.response["Error"]["Message"]
    assert functions.api.list_functions()["Functions"] == []


def test_a_role_that_lambda_may_not_assume_is_refused(functions: Any) -> None:
    trust = json.dumps(
        {
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ]
        }
    )
    role = functions.account.client("iam").create_role(RoleName="other", AssumeRolePolicyDocument=trust)

    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        functions.create(HANDLER, Role=role["Role"]["Arn"])


def test_a_name_is_taken_once(functions: Any) -> None:
    functions.create(HANDLER)

    with pytest.raises(ClientError, match="Function already exist: fn"):
        functions.create(HANDLER)


@pytest.mark.parametrize(
    ("files", "links"),
    [
        ({"app.py": HANDLER, "../../outside.py": "x"}, {}),
        ({"app.py": HANDLER, "/absolute.py": "x"}, {}),
        ({"app.py": HANDLER, "a\\..\\b.py": "x"}, {}),
        ({"app.py": HANDLER}, {"link": "/etc/passwd"}),
        ({"app.py": HANDLER}, {"link": "../../../etc/passwd"}),
        ({"app.py": HANDLER, "a": "x", "a/b": "y"}, {}),
    ],
)
def test_a_hostile_zip_is_refused_and_leaves_nothing(functions: Any, files: Any, links: Any) -> None:
    with pytest.raises(ClientError, match="Could not unzip uploaded file"):
        functions.create(Code={"ZipFile": functions.zip(files, links)})

    home = functions.core.home / "functions"
    assert list(home.iterdir()) == []
    assert not (functions.core.home.parent / "outside.py").exists()


def test_a_bomb_is_refused(functions: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for number in range(3):
            opened.writestr(f"{number}.bin", bytes(90_000_000))

    with pytest.raises(ClientError, match="Unzipped size must be smaller than 262144000 bytes"):
        functions.create(Code={"ZipFile": buffer.getvalue()})


def test_a_link_inside_the_package_works(functions: Any) -> None:
    package = functions.zip(
        {"app.py": "import alias\ndef handler(event, context):\n    return alias.X\n", "real.py": "X = 3\n"},
        {"alias.py": "real.py"},
    )
    functions.create(Code={"ZipFile": package})

    assert functions.invoke()["Payload"] == 3


def test_a_version_is_published_when_something_changed(functions: Any) -> None:
    functions.create(HANDLER)
    publish = functions.api.publish_version

    first = publish(FunctionName="fn", Description="one")
    same = publish(FunctionName="fn")
    functions.api.update_function_configuration(FunctionName="fn", Timeout=5)
    second = publish(FunctionName="fn")
    functions.api.delete_function(FunctionName="fn", Qualifier="2")
    third = publish(FunctionName="fn")

    assert (first["Version"], same["Version"], second["Version"]) == ("1", "1", "2")
    assert first["FunctionArn"].endswith(":fn:1")
    assert third["Version"] == "3"
    versions = functions.api.list_versions_by_function(FunctionName="fn")["Versions"]
    assert [each["Version"] for each in versions] == ["$LATEST", "1", "3"]
    assert functions.api.get_function_configuration(FunctionName="fn", Qualifier="1")["Timeout"] == 10


def test_publishing_at_creation_gives_version_one(functions: Any) -> None:
    assert functions.create(HANDLER, Publish=True)["Version"] == "1"
    assert functions.update_code("def handler(event, context): pass\n", Publish=True)["Version"] == "2"


def test_a_version_that_an_alias_names_stays(functions: Any) -> None:
    functions.create(HANDLER, Publish=True)
    functions.api.create_alias(FunctionName="fn", Name="live", FunctionVersion="1")

    code, message = refused(functions.api.delete_function, FunctionName="fn", Qualifier="1")

    assert (code, "aliases [live]" in message) == ("ResourceConflictException", True)


def test_a_stale_revision_is_refused(functions: Any) -> None:
    revision = functions.create(HANDLER)["RevisionId"]
    functions.api.update_function_configuration(FunctionName="fn", Timeout=5, RevisionId=revision)

    code, _message = refused(
        functions.api.update_function_configuration, FunctionName="fn", Timeout=6, RevisionId=revision
    )

    assert code == "PreconditionFailedException"


def test_a_deleted_function_is_gone_and_its_environments_end(functions: Any) -> None:
    functions.create(HANDLER)
    functions.invoke()

    functions.api.delete_function(FunctionName="fn")

    assert refused(functions.api.get_function, FunctionName="fn")[0] == "ResourceNotFoundException"
    assert functions.core.work.settle(5).settled
    assert functions.service._fleet.count() == 0


def test_functions_are_listed_in_pages(functions: Any) -> None:
    for number in range(3):
        functions.create(HANDLER, name=f"fn-{number}")

    pages = functions.api.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2})

    assert [[each["FunctionName"] for each in found["Functions"]] for found in pages] == [
        ["fn-0", "fn-1"],
        ["fn-2"],
    ]


def test_concurrency_is_reserved_out_of_the_accounts(functions: Any) -> None:
    functions.create(HANDLER)
    put = functions.api.put_function_concurrency

    assert put(FunctionName="fn", ReservedConcurrentExecutions=5)["ReservedConcurrentExecutions"] == 5
    told = functions.api.get_function_concurrency(FunctionName="fn")
    assert told["ReservedConcurrentExecutions"] == 5
    assert "minimum value of [100]" in refused(put, FunctionName="fn", ReservedConcurrentExecutions=901)[1]
    functions.api.delete_function_concurrency(FunctionName="fn")
    assert "ReservedConcurrentExecutions" not in functions.api.get_function_concurrency(FunctionName="fn")


def test_event_invoke_configurations_are_replaced_and_updated(functions: Any) -> None:
    functions.create(HANDLER)
    api = functions.api
    arn = f"arn:aws:sqs:{functions.core.region}:{functions.core.account_id}:q"

    api.put_function_event_invoke_config(FunctionName="fn", MaximumRetryAttempts=1)
    api.put_function_event_invoke_config(FunctionName="fn", MaximumEventAgeInSeconds=90)
    api.update_function_event_invoke_config(
        FunctionName="fn", DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    told = api.get_function_event_invoke_config(FunctionName="fn")

    assert told["FunctionArn"].endswith(":fn:$LATEST")
    assert "MaximumRetryAttempts" not in told
    assert told["MaximumEventAgeInSeconds"] == 90
    assert told["DestinationConfig"]["OnFailure"] == {"Destination": arn}
    assert len(api.list_function_event_invoke_configs(FunctionName="fn")["FunctionEventInvokeConfigs"]) == 1
    api.delete_function_event_invoke_config(FunctionName="fn")
    code, message = refused(api.get_function_event_invoke_config, FunctionName="fn")
    assert (code, "doesn't have an EventInvokeConfig" in message) == ("ResourceNotFoundException", True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "You must specify at least one of error handling or destination setting."),
        ({"MaximumRetryAttempts": 3}, "less than or equal to 2"),
        ({"MaximumEventAgeInSeconds": 59}, "greater than or equal to 60"),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:dynamodb:x:1:table/t"}}},
            "not supported",
        ),
        ({"DestinationConfig": {"OnFailure": {"Destination": "nothing"}}}, "regular expression pattern"),
    ],
)
def test_impossible_event_invoke_configurations_are_refused(
    functions: Any, settings: dict[str, Any], words: str
) -> None:
    functions.create(HANDLER)

    _code, message = refused(functions.api.put_function_event_invoke_config, FunctionName="fn", **settings)

    assert words in message


def test_each_qualifier_has_a_policy_of_its_own(functions: Any) -> None:
    functions.create(HANDLER, Publish=True)
    api = functions.api
    api.create_alias(FunctionName="fn", Name="live", FunctionVersion="1")
    common = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    api.add_permission(
        FunctionName="fn",
        StatementId="a",
        SourceArn="arn:aws:s3:::bucket",
        SourceAccount="111122223333",
        **common,
    )
    api.add_permission(FunctionName="fn", StatementId="b", Qualifier="live", **common)

    unqualified = json.loads(api.get_policy(FunctionName="fn")["Policy"])
    live = json.loads(api.get_policy(FunctionName="fn", Qualifier="live")["Policy"])

    [statement] = unqualified["Statement"]
    arn = f"arn:aws:lambda:{functions.core.region}:{functions.core.account_id}:function:fn"
    assert statement == {
        "Sid": "a",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": arn,
        "Condition": {
            "StringEquals": {"AWS:SourceAccount": "111122223333"},
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"},
        },
    }
    assert [each["Resource"] for each in live["Statement"]] == [f"{arn}:live"]
    assert (
        refused(api.add_permission, FunctionName="fn", StatementId="a", **common)[0]
        == "ResourceConflictException"
    )
    api.remove_permission(FunctionName="fn", StatementId="a")
    assert refused(api.get_policy, FunctionName="fn")[0] == "ResourceNotFoundException"
    assert (
        refused(api.remove_permission, FunctionName="fn", StatementId="a")[0] == "ResourceNotFoundException"
    )


def test_runtimes_say_what_they_run_on(functions: Any) -> None:
    mapping = functions.service.runtimes.mapping()

    assert list(mapping) == [f"python3.{minor}" for minor in (10, 11, 12, 13, 14, 9)]
    assert set(mapping.values()).pop().startswith("Python 3.")
