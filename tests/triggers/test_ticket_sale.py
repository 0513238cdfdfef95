"""A ticket sale in two regions, and wrong ones: a draft of questions tells them apart.

Two regions, a global table, a failover record and a health check that asks for what a sale needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from graders.web import ask
from sandbox.providers.emulated import EmulatedProvider
from settings import Settings

PRIMARY, SECONDARY = "eu-west-1", "us-west-2"
NAME = "tickets.example.com"
RECOVERY_S, LOSS_LIMIT = 120, 2
CODE = """
import json, os
import boto3
from botocore.config import Config

once = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=2)
database = boto3.resource("dynamodb", region_name=os.environ["AWS_REGION"], config=once)
table = database.Table(os.environ["TABLE"])

def sell(event, context):
    ticket = event["queryStringParameters"]["ticket"]
    try:
        table.put_item(Item={"id": ticket}, ConditionExpression="attribute_not_exists(id)")
    except table.meta.client.exceptions.ConditionalCheckFailedException:
        return {"statusCode": 409, "body": "sold"}
    return {"statusCode": 200, "body": json.dumps({"region": os.environ["AWS_REGION"]})}

def health(event, context):
    try:
        table.get_item(Key={"id": "probe"}, ConsistentRead=True)
    except Exception:
        return {"statusCode": 503, "body": "no table"}
    return {"statusCode": 200, "body": "ok"}
"""


def reference() -> dict[str, Any]:
    """One template for both regions; parameters and conditions alone tell them apart."""

    def function(handler: str) -> dict[str, Any]:
        event = {"ApiId": {"Ref": "Api"}, "Path": f"/{handler}", "Method": "GET"}
        properties = {
            "InlineCode": CODE,
            "Handler": f"index.{handler}",
            "Runtime": "python3.12",
            "Timeout": 10,
            "Policies": [{"DynamoDBCrudPolicy": {"TableName": {"Ref": "TableName"}}}],
            "Environment": {"Variables": {"TABLE": {"Ref": "TableName"}, "PRIMARY": {"Ref": "Primary"}}},
            "Events": {"Http": {"Type": "HttpApi", "Properties": event}},
        }
        return {"Type": "AWS::Serverless::Function", "Properties": properties}

    table = {
        "TableName": {"Ref": "TableName"},
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
        "Replicas": [{"Region": {"Ref": "Primary"}}, {"Region": {"Ref": "Secondary"}}],
    }
    config = {"CertificateArn": {"Ref": "Certificate"}, "EndpointType": "REGIONAL"}
    mapping = {"ApiId": {"Ref": "Api"}, "DomainName": {"Ref": "Domain"}, "Stage": {"Ref": "Api.Stage"}}
    check = {
        "Type": "HTTPS",
        "FullyQualifiedDomainName": {"Fn::Sub": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"},
        "ResourcePath": "/health",
        "RequestInterval": 10,
        "FailureThreshold": 3,
    }
    record = {
        "HostedZoneId": {"Ref": "ZoneId"},
        "Name": {"Ref": "ServiceName"},
        "Type": "A",
        "SetIdentifier": {"Ref": "AWS::Region"},
        "Failover": {"Fn::If": ["IsPrimary", "PRIMARY", "SECONDARY"]},
        "HealthCheckId": {"Ref": "Check"},
        "AliasTarget": {
            "DNSName": {"Fn::GetAtt": ["Domain", "RegionalDomainName"]},
            "HostedZoneId": {"Fn::GetAtt": ["Domain", "RegionalHostedZoneId"]},
        },
    }
    names = ("Primary", "Secondary", "ZoneId", "ServiceName", "Certificate", "TableName")
    domain = {"DomainName": {"Ref": "ServiceName"}, "DomainNameConfigurations": [config]}
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {name: {"Type": "String"} for name in names},
        "Conditions": {"IsPrimary": {"Fn::Equals": [{"Ref": "AWS::Region"}, {"Ref": "Primary"}]}},
        "Resources": {
            "Tickets": {"Type": "AWS::DynamoDB::GlobalTable", "Condition": "IsPrimary", "Properties": table},
            "Api": {"Type": "AWS::Serverless::HttpApi"},
            "Sell": function("sell"),
            "Health": function("health"),
            "Domain": {"Type": "AWS::ApiGatewayV2::DomainName", "Properties": domain},
            "Mapping": {"Type": "AWS::ApiGatewayV2::ApiMapping", "Properties": mapping},
            "Check": {"Type": "AWS::Route53::HealthCheck", "Properties": {"HealthCheckConfig": check}},
            "Record": {"Type": "AWS::Route53::RecordSet", "Properties": record},
        },
    }


def recoded(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    """A wrong solution: another text in the code."""

    def change(template: dict[str, Any]) -> None:
        for name in ("Sell", "Health"):
            code = template["Resources"][name]["Properties"]["InlineCode"]
            assert old in code
            template["Resources"][name]["Properties"]["InlineCode"] = code.replace(old, new)

    return change


def long_dns(template: dict[str, Any]) -> None:
    record = template["Resources"]["Record"]["Properties"]
    value = record.pop("AliasTarget")["DNSName"]
    record |= {"Type": "CNAME", "TTL": "3600", "ResourceRecords": [value]}


def nervous_health(template: dict[str, Any]) -> None:
    template["Resources"]["Check"]["Properties"]["HealthCheckConfig"]["FailureThreshold"] = 1


def right(_template: dict[str, Any]) -> None:
    """The reference as it is."""


REGION_OF_CLIENT = 'os.environ["AWS_REGION"], config'


class Sale:
    """A deployed sale, and the questions that are asked of it."""

    def __init__(self, account: Any, template: dict[str, Any]) -> None:
        self.account, self.template = account, template
        self.tickets = 0
        self.acknowledged: list[str] = []
        zone = account.client("route53").create_hosted_zone(Name="example.com", CallerReference="1")
        parameters = {
            "Primary": PRIMARY,
            "Secondary": SECONDARY,
            "ZoneId": zone["HostedZone"]["Id"].rpartition("/")[2],
            "ServiceName": NAME,
            "Certificate": "arn:aws:acm:x:1:certificate/1",
            "TableName": "tickets",
        }
        for region in (PRIMARY, SECONDARY):
            formation = account.client("cloudformation", region=region)
            formation.create_stack(
                StackName="sale",
                TemplateBody=json.dumps(template),
                Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            )
            account.settle(60)
            stack = formation.describe_stacks(StackName="sale")["Stacks"][0]
            assert stack["StackStatus"] == "CREATE_COMPLETE", formation.describe_stack_events(
                StackName="sale"
            )["StackEvents"]

    def sell(self, client: str = "buyer") -> str:
        """The region that sold the next ticket; empty when none did."""
        self.tickets += 1
        ticket = f"t{self.tickets}"
        answer = ask(self.account, "GET", f"https://{NAME}/sell?ticket={ticket}", {}, b"", client=client)
        if answer.status != 200:
            return ""
        self.acknowledged.append(ticket)
        return str(answer.json["region"])

    @contextmanager
    def broken(self, name: str, **settings: Any) -> Iterator[None]:
        fault = self.account.begin_fault(name, settings)
        try:
            yield
        finally:
            self.account.end_fault(fault)

    def i1(self) -> bool:
        """Nothing names a region."""
        return not re.search(r"\b[a-z]{2}-[a-z]+-\d\b", json.dumps(self.template))

    def f1(self) -> bool:
        """The primary sells."""
        return self.sell("first") == PRIMARY

    def r1(self) -> bool:
        """The name leads to the secondary in time, for those too who looked it up before; then it sells."""
        self.sell()
        with self.broken("errors", service="dynamodb", region=PRIMARY):
            self.account.advance(RECOVERY_S)
            sold = [self.sell() for _ in range(20)]
        self.account.advance(3700)
        return sold == [SECONDARY] * 20

    def r2(self) -> bool:
        """What was acknowledged before the outage is there after it, but for the limit."""
        for _ in range(10):
            self.sell()
        self.account.advance(10)
        with self.broken("region_outage", region=PRIMARY):
            table = self.account.client("dynamodb", region=SECONDARY)
            pages = table.get_paginator("scan").paginate(TableName="tickets")
            held = {item["id"]["S"] for page in pages for item in page["Items"]}
        self.account.advance(60)
        return len(set(self.acknowledged) - held) <= LOSS_LIMIT

    def r5(self) -> bool:
        """A table that fails turns the name, and one failed probe does not."""
        with self.broken("errors", service="dynamodb", region=PRIMARY):
            self.account.advance(10)
        after_one = self.sell("")
        self.account.advance(60)
        with self.broken("errors", service="dynamodb", region=PRIMARY):
            self.account.advance(45)
            after_all = self.sell("")
        self.account.advance(60)
        return (after_one, after_all) == (PRIMARY, SECONDARY)

    def failed(self) -> set[str]:
        """The questions that this sale answers wrongly."""
        asked = {"i1": self.i1, "f1": self.f1, "r1": self.r1, "r2": self.r2, "r5": self.r5}
        return {name for name, question in asked.items() if not question()}


@pytest.fixture(scope="module")
def provider() -> Iterator[EmulatedProvider]:
    with EmulatedProvider(Settings().home, say=lambda _text: None) as opened:
        yield opened


@pytest.mark.parametrize(
    ("change", "caught_by"),
    [
        pytest.param(right, set(), id="reference"),
        pytest.param(
            recoded(REGION_OF_CLIENT, f'"{PRIMARY}", config'), {"i1", "r1", "r5"}, id="literal-region"
        ),
        pytest.param(
            recoded(REGION_OF_CLIENT, 'os.environ["PRIMARY"], config'),
            {"r1", "r5"},
            id="secondary-reads-primary",
            marks=pytest.mark.slow,
        ),
        pytest.param(recoded('"statusCode": 503', '"statusCode": 200'), {"r1", "r5"}, id="shallow-health"),
        pytest.param(nervous_health, {"r5"}, id="nervous-health", marks=pytest.mark.slow),
        pytest.param(long_dns, {"r1"}, id="long-dns", marks=pytest.mark.slow),
    ],
)
def test_the_reference_keeps_its_promise_and_wrong_sales_are_told_apart(
    provider: EmulatedProvider, change: Callable[[dict[str, Any]], None], caught_by: set[str]
) -> None:
    template = reference()
    change(template)
    account = provider.open(region=PRIMARY)
    try:
        assert Sale(account, template).failed() == caught_by
    finally:
        account.close()
