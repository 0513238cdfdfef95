"""What the Serverless transform makes beside functions and events: aliases, policies, connectors."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from sandbox.emulator.fabric.apigateway import ApiGateway
from sandbox.emulator.gateway.operations import SERVICES
from sandbox.emulator.iam.mapping import catalogue
from tests.emulator.cloudformation.engine import Engine
from tests.emulator.fabric.apigateway.conftest import Web
from tests.emulator.functions.conftest import functions, spawner_socket

__all__ = ["functions", "spawner_socket"]

SAM = "AWS::Serverless-2016-10-31"
MAY = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
# Written into a template of AWS's, while its own list of actions knows only what they stand for.
NO_ACTIONS = {"sqs:ChangeMessageVisibilityBatch", "sqs:DeleteMessageBatch"}


@functools.cache
def shipped(name: str) -> dict[str, Any]:
    """Data that the translator ships."""
    found: dict[str, Any] = json.loads(files("samtranslator").joinpath(name).read_text())
    return found


def policy_templates() -> dict[str, Any]:
    found: dict[str, Any] = shipped("policy_templates_data/policy_templates.json")["Templates"]
    return found


def serverless(globals_: dict[str, Any] | None = None, **resources: Any) -> dict[str, Any]:
    defaults = {"Runtime": "python3.12", "Handler": "index.handler", "Timeout": 10}
    return {
        "Transform": SAM,
        "Globals": globals_ or {"Function": defaults},
        "Resources": resources,
    }


def function(answer: str = "1", **properties: Any) -> dict[str, Any]:
    code = f"def handler(event, context): return {answer}"
    return {"Type": "AWS::Serverless::Function", "Properties": {"InlineCode": code, **properties}}


def deploy(engine: Engine, template: dict[str, Any], *, update: bool = False) -> None:
    (engine.update if update else engine.create)(template, Capabilities=MAY)
    wanted = "UPDATE_COMPLETE" if update else "CREATE_COMPLETE"
    assert engine.status() == wanted, engine.reasons()


def value_of(parameter: str) -> str:
    """Something that a policy template's parameter may be."""
    if parameter.endswith("Arn"):
        return f"arn:aws:service:eu-north-1:111122223333:thing/{parameter}"
    return "/path" if parameter == "SlashName" else parameter.lower()


@pytest.mark.parametrize("name", sorted(policy_templates()))
def test_every_policy_template_is_a_policy_that_roles_can_have(
    account: Any, engine: Engine, name: str
) -> None:
    parameters = {each: value_of(each) for each in policy_templates()[name].get("Parameters") or {}}
    deploy(engine, serverless(Fn=function(FunctionName="fn", Policies=[{name: parameters}])))

    iam = account.client("iam")
    [role] = [each["RoleName"] for each in iam.list_roles()["Roles"] if "FnRole" in each["RoleName"]]
    [policy] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    assert parameters.keys() <= {"TableName", "StreamName"} or all(
        value in json.dumps(document) for value in parameters.values()
    )
    ours = {catalogue.prefix(service) for service in SERVICES}
    for action in _actions(document):
        prefix, _, pattern = action.partition(":")
        if prefix in ours and action not in NO_ACTIONS:
            known = re.compile(re.escape(pattern.lower()).replace(r"\*", ".*"))
            assert any(known.fullmatch(each.lower()) for each in catalogue.actions(prefix)), action


def _actions(document: dict[str, Any]) -> Iterator[str]:
    for statement in document["Statement"]:
        actions = statement["Action"]
        yield from [actions] if isinstance(actions, str) else actions


def alias(functions: Any) -> str:
    found = functions.api.get_alias(FunctionName="shop", Name="live")
    return str(found["FunctionVersion"])


def answered(functions: Any) -> Any:
    return functions.invoke(name="shop", Qualifier="live")["Payload"]


def test_an_alias_of_its_own_follows_the_code(functions: Any, engine: Engine) -> None:
    shop = {"FunctionName": "shop", "AutoPublishAlias": "live"}
    deploy(engine, serverless(Shop=function("'old'", **shop)))
    assert (alias(functions), answered(functions)) == ("1", "old")

    deploy(engine, serverless(Shop=function("'old'", Timeout=20, **shop)), update=True)
    assert alias(functions) == "1", "a time-out publishes nothing"

    deploy(engine, serverless(Shop=function("'new'", Timeout=20, **shop)), update=True)
    assert (alias(functions), answered(functions)) == ("2", "new")
    versions = functions.api.list_versions_by_function(FunctionName="shop")["Versions"]
    assert [each["Version"] for each in versions] == ["$LATEST", "1", "2"], "old versions are retained"


def test_a_digest_of_the_code_decides_what_is_published(functions: Any, engine: Engine) -> None:
    def shop(answer: str, digest: str) -> dict[str, Any]:
        made = {"FunctionName": "shop", "AutoPublishAlias": "live", "AutoPublishCodeSha256": digest * 64}
        return serverless(Shop=function(answer, **made))

    deploy(engine, shop("'old'", "a"))
    deploy(engine, shop("'new'", "a"), update=True)
    assert (alias(functions), answered(functions)) == ("1", "old")
    deploy(engine, shop("'newer'", "b"), update=True)
    assert (alias(functions), answered(functions)) == ("2", "newer")


def test_all_properties_can_be_made_to_publish(functions: Any, engine: Engine) -> None:
    shop = {"FunctionName": "shop", "AutoPublishAlias": "live", "AutoPublishAliasAllProperties": True}
    deploy(engine, serverless(Shop=function(**shop)))
    deploy(engine, serverless(Shop=function(Timeout=20, **shop)), update=True)
    assert alias(functions) == "2"


def test_apis_reach_the_alias(functions: Any, engine: Engine) -> None:
    apis = ApiGateway(engine.account.core, functions.service, engine.account.gateway.keys)
    engine.account.add(apis.handlers())
    events = {
        "Rest": {"Type": "Api", "Properties": {"Path": "/version", "Method": "get"}},
        "Http": {"Type": "HttpApi", "Properties": {"Path": "/version", "Method": "get"}},
    }
    answer = '{"statusCode": 200, "body": context.function_version + " " + context.invoked_function_arn}'
    shop = {"FunctionName": "shop", "AutoPublishAlias": "live", "Events": events}
    template = serverless(Shop=function(answer, **shop))
    host = "${AWS::Region}.amazonaws.com"
    template["Outputs"] = {
        "Rest": {"Value": {"Fn::Sub": f"https://${{ServerlessRestApi}}.execute-api.{host}/Prod/version"}},
        "Http": {"Value": {"Fn::Sub": f"https://${{ServerlessHttpApi}}.execute-api.{host}/version"}},
    }
    deploy(engine, template)
    web = Web(apis)
    for url in engine.outputs().values():
        found = web(url)
        assert found.status == 200, found.body
        assert found.body.decode().startswith("1 arn:aws:lambda:"), found.body
        assert found.body.decode().endswith(":function:shop:live"), found.body


GLOBALS = {
    "Function": {
        "Runtime": "python3.12",
        "Handler": "index.handler",
        "Timeout": 7,
        "MemorySize": 256,
        "Environment": {"Variables": {"STAGE": "test", "TABLE": "all"}},
        "Tags": {"team": "shop"},
    },
    "SimpleTable": {"SSESpecification": {"SSEEnabled": True}},
    "HttpApi": {"CorsConfiguration": {"AllowOrigins": ["https://shop.example"]}},
}


def test_globals_are_defaults_that_resources_complete(functions: Any, engine: Engine) -> None:
    engine.account.add(
        ApiGateway(engine.account.core, functions.service, engine.account.gateway.keys).handlers()
    )
    own = {"Timeout": 9, "Environment": {"Variables": {"TABLE": "mine"}}, "Tags": {"stage": "b"}}
    events = {"Http": {"Type": "HttpApi", "Properties": {"Path": "/", "Method": "get"}}}
    template = serverless(
        GLOBALS,
        Shop=function("__import__('os').environ['TABLE']", FunctionName="shop", Events=events, **own),
        Table={"Type": "AWS::Serverless::SimpleTable", "Properties": {"TableName": "orders"}},
    )
    deploy(engine, template)

    told = functions.api.get_function(FunctionName="shop")
    found = told["Configuration"]
    assert (found["Timeout"], found["MemorySize"]) == (9, 256)
    assert found["Environment"]["Variables"] == {"STAGE": "test", "TABLE": "mine"}
    assert {key: value for key, value in told["Tags"].items() if key in ("team", "stage")} == {
        "team": "shop",
        "stage": "b",
    }
    assert functions.invoke(name="shop")["Payload"] == "mine"
    table = engine.account.client("dynamodb").describe_table(TableName="orders")["Table"]
    assert table["SSEDescription"]["Status"] == "ENABLED"
    [api] = engine.account.client("apigatewayv2").get_apis()["Items"]
    assert api["CorsConfiguration"]["AllowOrigins"] == ["https://shop.example"]


ENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "AWS::ApiGateway::RestApi": ("AWS::Serverless::Api", {"StageName": "live", "DefinitionBody": {}}),
    "AWS::ApiGatewayV2::Api": ("AWS::ApiGatewayV2::Api", {"Name": "shop", "ProtocolType": "HTTP"}),
    "AWS::DynamoDB::Table": ("AWS::Serverless::SimpleTable", {}),
    "AWS::Events::EventBus": ("AWS::Events::EventBus", {"Name": "shop"}),
    "AWS::Events::Rule": ("AWS::Events::Rule", {"EventPattern": {"source": ["shop"]}}),
    "AWS::Lambda::Function": ("AWS::Serverless::Function", function()["Properties"]),
    "AWS::S3::Bucket": ("AWS::S3::Bucket", {}),
    "AWS::SNS::Topic": ("AWS::SNS::Topic", {}),
    "AWS::SQS::Queue": ("AWS::SQS::Queue", {}),
    "AWS::StepFunctions::StateMachine": (
        "AWS::Serverless::StateMachine",
        {"Definition": {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}},
    ),
}
REST = {
    "swagger": "2.0",
    "info": {"title": "shop", "version": "1"},
    "paths": {
        "/": {
            "get": {
                "responses": {"200": {"description": "fine"}},
                "x-amazon-apigateway-integration": {"type": "mock", "httpMethod": "POST"},
            }
        }
    },
}


def connectors() -> list[tuple[str, str]]:
    """The pairs that a connector can join, as far as templates can hold both here.

    A rule that needs a role has it with its targets, and so is no source by itself.
    """
    found = shipped("model/connector_profiles/profiles.json")["Permissions"]
    return [
        (source, target)
        for source, targets in found.items()
        for target, profile in targets.items()
        if {source, target} <= ENDS.keys()
        and (source, profile["Type"]) != ("AWS::Events::Rule", "AWS_IAM_ROLE_MANAGED_POLICY")
    ]


def test_a_function_may_do_what_its_connector_says(functions: Any, engine: Engine) -> None:
    code = """
import boto3

def handler(event, context):
    table = boto3.client("dynamodb")
    table.put_item(TableName="orders", Item={"id": {"S": "1"}})
    return sorted(table.get_item(TableName="orders", Key={"id": {"S": "1"}})["Item"])
"""
    shop = {"InlineCode": code, "FunctionName": "shop", "MemorySize": 1769}
    table = {"Type": "AWS::Serverless::SimpleTable", "Properties": {"TableName": "orders"}}

    def template(*permissions: str) -> dict[str, Any]:
        joined = {"Properties": {"Destination": {"Id": "Orders"}, "Permissions": list(permissions)}}
        resource = {"Type": "AWS::Serverless::Function", "Properties": shop, "Connectors": {"Orders": joined}}
        return serverless(Shop=resource, Orders=table)

    deploy(engine, template("Read"))
    assert (
        "not authorized to perform: dynamodb:PutItem"
        in functions.invoke(name="shop")["Payload"]["errorMessage"]
    )
    deploy(engine, template("Read", "Write"), update=True)
    assert functions.invoke(name="shop")["Payload"] == ["id"]


@pytest.mark.parametrize(("source", "target"), connectors())
def test_connectors_join_what_they_name(account: Any, engine: Engine, source: str, target: str) -> None:
    account.add(ApiGateway(account.core, None, account.gateway.keys).handlers())  # type: ignore[arg-type]
    ends = {"From": ENDS[source], "To": ENDS[target]}
    resources = {name: {"Type": kind, "Properties": dict(given)} for name, (kind, given) in ends.items()}
    for resource in resources.values():
        if "DefinitionBody" in resource["Properties"]:
            resource["Properties"]["DefinitionBody"] = REST
    profile = shipped("model/connector_profiles/profiles.json")["Permissions"][source][target]
    rights = profile["Properties"].get("AccessCategories") or {"Write": {}}
    joined = {"Source": {"Id": "From"}, "Destination": {"Id": "To"}, "Permissions": list(rights)}
    resources["Joined"] = {"Type": "AWS::Serverless::Connector", "Properties": joined}
    deploy(engine, serverless(None, **resources))
