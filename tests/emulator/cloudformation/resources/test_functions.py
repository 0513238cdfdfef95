"""Functions and what belongs to them, as stacks make them."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from sandbox.emulator.cloudformation.resources import inline_code
from sandbox.emulator.cloudformation.resources.base import Physical, ResourceFailed

CODE = "def handler(event, context):\n    return event\n"


def zipped(source: str = CODE) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        packed.writestr("app.py", source)
    return made.getvalue()


def function(stack: Any, name: str = "worker", **more: Any) -> tuple[Physical, dict[str, Any]]:
    properties = {
        "FunctionName": name,
        "Role": stack.role(f"{name}-role"),
        "Runtime": "python3.12",
        "Handler": "index.handler",
        "Code": {"ZipFile": CODE},
        **more,
    }
    return stack.create("Lambda::Function", properties), properties


def test_inline_code_becomes_an_index_file_that_stays_the_same() -> None:
    archive = inline_code.archive(CODE, "python3.12")

    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        assert packed.read("index.py").decode() == CODE
        assert "cfnresponse.py" in packed.namelist()
    with zipfile.ZipFile(io.BytesIO(inline_code.archive("exports.h=1", "nodejs22.x"))) as packed:
        assert packed.read("index.js") == b"exports.h=1"
    assert inline_code.archive(CODE, "python3.12") == archive


def test_a_function_of_a_bucket_has_its_template_settings(stack: Any) -> None:
    s3 = stack.client("s3")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": stack.region})
    s3.put_object(Bucket="code", Key="app.zip", Body=zipped())
    s3.put_object(Bucket="code", Key="layer.zip", Body=zipped())
    layer = stack.create(
        "Lambda::LayerVersion",
        {"Content": {"S3Bucket": "code", "S3Key": "layer.zip"}, "CompatibleRuntimes": ["python3.12"]},
        "Shared",
    )

    role = stack.role()
    stack.client("iam").attach_role_policy(
        RoleName=role.rsplit("/", 1)[-1], PolicyArn="arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess"
    )
    made = stack.create(
        "Lambda::Function",
        {
            "Role": role,
            "Runtime": "python3.12",
            "Handler": "app.handler",
            "Code": {"S3Bucket": "code", "S3Key": "app.zip"},
            "Timeout": "30",
            "MemorySize": "512",
            "Architectures": ["arm64"],
            "Environment": {"Variables": {"LEVEL": "debug", "LIMIT": 7, "ON": True}},
            "EphemeralStorage": {"Size": 1024},
            "TracingConfig": {"Mode": "Active"},
            "Layers": [layer.physical_id],
            "ReservedConcurrentExecutions": "5",
            "Tags": [{"Key": "team", "Value": "shop"}],
        },
        "OrderFunction",
    )

    client = stack.client("lambda")
    answer = client.get_function(FunctionName=made.physical_id)
    config = answer["Configuration"]
    assert made.physical_id.startswith("shop-OrderFunction-")
    assert made.attributes["Arn"] == config["FunctionArn"]
    assert (config["Timeout"], config["MemorySize"], config["Architectures"]) == (30, 512, ["arm64"])
    assert config["Environment"]["Variables"] == {"LEVEL": "debug", "LIMIT": "7", "ON": "true"}
    assert config["EphemeralStorage"] == {"Size": 1024}
    assert config["TracingConfig"]["Mode"] == "Active"
    assert [entry["Arn"] for entry in config["Layers"]] == [layer.physical_id]
    assert answer["Concurrency"]["ReservedConcurrentExecutions"] == 5
    assert answer["Tags"]["team"] == "shop"
    assert answer["Tags"]["aws:cloudformation:logical-id"] == "OrderFunction"


def test_settings_that_left_the_template_go_back_to_their_defaults(stack: Any) -> None:
    made, old = function(
        stack,
        Timeout=30,
        MemorySize=512,
        Environment={"Variables": {"LEVEL": "1"}},
        Description="old",
        DeadLetterConfig={"TargetArn": stack.create("SQS::Queue", {}).attributes["Arn"]},
        LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG"},
        ReservedConcurrentExecutions=3,
        Tags=[{"Key": "team", "Value": "shop"}],
    )
    kept = ("FunctionName", "Role", "Runtime", "Handler", "Code")
    new = {key: value for key, value in old.items() if key in kept}
    found = stack.client("lambda").get_function(FunctionName="worker")["Configuration"]
    assert found["DeadLetterConfig"] == old["DeadLetterConfig"]
    assert (found["LoggingConfig"]["LogFormat"], found["LoggingConfig"]["ApplicationLogLevel"]) == (
        "JSON",
        "DEBUG",
    )

    after = stack.update("Lambda::Function", made, old, new)

    answer = stack.client("lambda").get_function(FunctionName="worker")
    config = answer["Configuration"]
    assert after == made
    assert (config["Timeout"], config["MemorySize"], config["Description"]) == (3, 128, "")
    assert "Environment" not in config or config["Environment"]["Variables"] == {}
    assert "ReservedConcurrentExecutions" not in answer.get("Concurrency", {})
    assert "team" not in answer["Tags"]
    assert not config.get("DeadLetterConfig", {}).get("TargetArn")
    assert config["LoggingConfig"]["LogFormat"] == "Text"
    assert config["CodeSha256"] == found["CodeSha256"]


def test_new_code_replaces_the_old_in_place(stack: Any) -> None:
    made, old = function(stack)
    client = stack.client("lambda")
    before = client.get_function_configuration(FunctionName="worker")["CodeSha256"]

    stack.update("Lambda::Function", made, old, {**old, "Code": {"ZipFile": f"{CODE}\n# more"}})

    assert client.get_function_configuration(FunctionName="worker")["CodeSha256"] != before
    stack.delete("Lambda::Function", made, old)
    assert client.list_functions()["Functions"] == []


def test_code_in_the_template_is_for_scripting_languages_only(stack: Any) -> None:
    with pytest.raises(ResourceFailed, match="ZipFile can only be used when Runtime"):
        function(stack, Runtime="java21")


def test_a_version_and_an_alias_of_it(stack: Any) -> None:
    made, properties = function(stack)
    version = stack.create("Lambda::Version", {"FunctionName": "worker", "Description": "first"})
    changed = {**properties, "Code": {"ZipFile": f"{CODE}# 2"}}
    stack.update("Lambda::Function", made, properties, changed)
    second = stack.create("Lambda::Version", {"FunctionName": "worker"})
    old = {
        "FunctionName": "worker",
        "FunctionVersion": version.attributes["Version"],
        "Name": "live",
        "RoutingConfig": {"AdditionalVersionWeights": [{"FunctionVersion": "2", "FunctionWeight": 0.1}]},
    }

    alias = stack.create("Lambda::Alias", old)

    client = stack.client("lambda")
    assert version.physical_id == f"{made.attributes['Arn']}:1"
    assert version.attributes == {"FunctionArn": version.physical_id, "Version": "1"}
    assert alias.physical_id == f"{made.attributes['Arn']}:live"
    routed = client.get_alias(FunctionName="worker", Name="live")
    assert routed["RoutingConfig"]["AdditionalVersionWeights"] == {"2": 0.1}

    new = {"FunctionName": "worker", "FunctionVersion": "2", "Name": "live"}
    stack.update("Lambda::Alias", alias, old, new)

    routed = client.get_alias(FunctionName="worker", Name="live")
    assert routed["FunctionVersion"] == "2"
    assert not (routed.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
    stack.delete("Lambda::Alias", alias, new)
    stack.delete("Lambda::Version", second, {"FunctionName": "worker"})
    listed = client.list_versions_by_function(FunctionName="worker")["Versions"]
    assert [entry["Version"] for entry in listed] == ["$LATEST", "1"]


def test_a_version_of_nothing_new_is_refused(stack: Any) -> None:
    function(stack)
    stack.create("Lambda::Version", {"FunctionName": "worker"})

    with pytest.raises(ResourceFailed, match=r"A version for this Lambda function exists \( 1 \)"):
        stack.create("Lambda::Version", {"FunctionName": "worker", "Description": "again"})


def test_a_permission_is_one_statement_of_the_policy(stack: Any) -> None:
    made, _ = function(stack)
    properties = {
        "FunctionName": made.attributes["Arn"],
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
        "SourceArn": "arn:aws:s3:::uploads",
        "SourceAccount": "111122223333",
    }

    permission = stack.create("Lambda::Permission", properties, "BucketPermission")

    client = stack.client("lambda")
    statement = json.loads(client.get_policy(FunctionName="worker")["Policy"])["Statement"][0]
    assert permission.physical_id == statement["Sid"]
    assert permission.physical_id.startswith("shop-BucketPermission-")
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    stack.delete("Lambda::Permission", permission, properties)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_policy(FunctionName="worker")


def test_permissions_may_name_an_alias_and_ask_for_a_url(stack: Any) -> None:
    function(stack)
    stack.create("Lambda::Version", {"FunctionName": "worker"})
    alias = stack.create("Lambda::Alias", {"FunctionName": "worker", "FunctionVersion": "1", "Name": "live"})
    properties = {
        "FunctionName": alias.physical_id,
        "Action": "lambda:InvokeFunctionUrl",
        "Principal": "*",
        "FunctionUrlAuthType": "NONE",
    }

    permission = stack.create("Lambda::Permission", properties)

    client = stack.client("lambda")
    policy = json.loads(client.get_policy(FunctionName="worker", Qualifier="live")["Policy"])
    statement = policy["Statement"][0]
    assert statement["Resource"] == alias.physical_id
    assert statement["Principal"] == "*"
    assert statement["Condition"] == {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}
    stack.delete("Lambda::Permission", permission, properties)


def test_a_queue_feeds_a_function_as_the_template_says(stack: Any) -> None:
    function(stack)
    queue = stack.create("SQS::Queue", {"QueueName": "orders"})
    old = {
        "EventSourceArn": queue.attributes["Arn"],
        "FunctionName": "worker",
        "BatchSize": "5",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": [{"Pattern": '{"body":{"kind":["order"]}}'}]},
        "ScalingConfig": {"MaximumConcurrency": 2},
    }
    mapping = stack.create("Lambda::EventSourceMapping", old)

    client = stack.client("lambda")
    found = client.get_event_source_mapping(UUID=mapping.physical_id)
    assert mapping.attributes["Id"] == mapping.physical_id
    assert mapping.attributes["EventSourceMappingArn"] == found["EventSourceMappingArn"]
    assert (found["BatchSize"], found["FunctionResponseTypes"]) == (5, ["ReportBatchItemFailures"])
    assert found["ScalingConfig"] == {"MaximumConcurrency": 2}

    new = {"EventSourceArn": queue.attributes["Arn"], "FunctionName": "worker", "Enabled": "false"}
    stack.update("Lambda::EventSourceMapping", mapping, old, new)

    found = client.get_event_source_mapping(UUID=mapping.physical_id)
    assert found["BatchSize"] == 10
    assert found["State"] == "Disabled"
    assert not found.get("FunctionResponseTypes")
    stack.delete("Lambda::EventSourceMapping", mapping, new)


def test_asynchronous_settings_of_a_function(stack: Any) -> None:
    function(stack)
    queue = stack.create("SQS::Queue", {"QueueName": "failed"})
    properties = {
        "FunctionName": "worker",
        "Qualifier": "$LATEST",
        "MaximumRetryAttempts": 0,
        "DestinationConfig": {"OnFailure": {"Destination": queue.attributes["Arn"]}},
    }

    config = stack.create("Lambda::EventInvokeConfig", properties)

    found = stack.client("lambda").get_function_event_invoke_config(FunctionName="worker")
    assert found["MaximumRetryAttempts"] == 0
    assert found["DestinationConfig"]["OnFailure"]["Destination"] == queue.attributes["Arn"]
    stack.delete("Lambda::EventInvokeConfig", config, properties)


def test_a_function_url(stack: Any) -> None:
    made, _ = function(stack)
    old = {"TargetFunctionArn": made.attributes["Arn"], "AuthType": "AWS_IAM"}

    url = stack.create("Lambda::Url", old)
    new = {**old, "AuthType": "NONE", "Cors": {"AllowOrigins": ["*"]}}
    again = stack.update("Lambda::Url", url, old, new)

    found = stack.client("lambda").get_function_url_config(FunctionName="worker")
    assert url.physical_id == made.attributes["Arn"]
    assert again.attributes == {"FunctionArn": made.attributes["Arn"], "FunctionUrl": found["FunctionUrl"]}
    assert (found["AuthType"], found["Cors"]) == ("NONE", {"AllowOrigins": ["*"]})
    stack.update("Lambda::Url", url, new, {**old, "InvokeMode": "RESPONSE_STREAM"})
    found = stack.client("lambda").get_function_url_config(FunctionName="worker")
    assert (found["AuthType"], found["InvokeMode"], found.get("Cors")) == ("AWS_IAM", "RESPONSE_STREAM", None)
    stack.delete("Lambda::Url", url, new)


def test_an_alias_has_a_function_url_of_its_own(stack: Any) -> None:
    made, _ = function(stack)
    version = stack.create("Lambda::Version", {"FunctionName": "worker"}, "Version")
    alias = {"FunctionName": "worker", "Name": "live", "FunctionVersion": version.attributes["Version"]}
    stack.create("Lambda::Alias", alias, "Alias")
    properties = {"TargetFunctionArn": made.attributes["Arn"], "Qualifier": "live", "AuthType": "NONE"}

    url = stack.create("Lambda::Url", properties)

    assert url.physical_id == f"{made.attributes['Arn']}:live"
    found = stack.client("lambda").get_function_url_config(FunctionName="worker", Qualifier="live")
    assert found["FunctionUrl"] == url.attributes["FunctionUrl"]


def test_a_layer_goes_with_its_stack(stack: Any) -> None:
    s3 = stack.client("s3")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": stack.region})
    s3.put_object(Bucket="code", Key="layer.zip", Body=zipped())
    properties = {"LayerName": "shared", "Content": {"S3Bucket": "code", "S3Key": "layer.zip"}}

    layer = stack.create("Lambda::LayerVersion", properties)

    assert layer.physical_id.endswith(":layer:shared:1")
    stack.delete("Lambda::LayerVersion", layer, properties)
    assert stack.client("lambda").list_layers()["Layers"] == []
