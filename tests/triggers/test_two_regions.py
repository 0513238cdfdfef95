"""One application in two regions of an account: each works by itself, and one name leads to both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from graders.web import ask
from sandbox.providers.emulated import EmulatedProvider
from settings import Settings

REGIONS = ("eu-west-1", "us-west-2")
NAME = "tickets.example.com"
POLICIES = ["AmazonDynamoDBFullAccess", "AmazonSQSFullAccess"]
CODE = """
import json, os
import boto3

def sell(event, context):
    region = os.environ["AWS_REGION"]
    boto3.client("dynamodb").put_item(TableName=os.environ["TABLE"], Item={"id": {"S": "sale"}})
    return {"statusCode": 200, "body": json.dumps({"region": region})}

def health(event, context):
    boto3.client("dynamodb").get_item(TableName=os.environ["TABLE"], Key={"id": {"S": "probe"}})
    return {"statusCode": 200, "body": "fine"}

def note(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["SEEN"], MessageBody=json.dumps(event))
"""


def _function(handler: str, events: dict[str, Any]) -> dict[str, Any]:
    return {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "InlineCode": CODE,
            "Handler": f"index.{handler}",
            "Events": events,
            "Policies": POLICIES,
        },
    }


def template() -> dict[str, Any]:
    """Only the parameter tells the regions apart."""

    def queue(name: str) -> dict[str, Any]:
        return {"Type": "SQS", "Properties": {"Queue": {"Fn::GetAtt": [name, "Arn"]}}}

    stream = {"Stream": {"Fn::GetAtt": ["Table", "StreamArn"]}, "StartingPosition": "TRIM_HORIZON"}
    note = _function(
        "note",
        {
            "Queue": queue("Orders"),
            "Stream": {"Type": "DynamoDB", "Properties": stream},
            "Bus": {"Type": "EventBridgeRule", "Properties": {"Pattern": {"source": ["shop"]}}},
            "Files": {
                "Type": "S3",
                "Properties": {"Bucket": {"Ref": "Files"}, "Events": "s3:ObjectCreated:*"},
            },
        },
    )

    def http(path: str) -> dict[str, Any]:
        return {"Type": "HttpApi", "Properties": {"ApiId": {"Ref": "Api"}, "Path": path, "Method": "GET"}}

    config = {"CertificateArn": "arn:aws:acm:x:1:certificate/1", "EndpointType": "REGIONAL"}
    domain = {"DomainName": NAME, "DomainNameConfigurations": [config]}
    mapping = {"ApiId": {"Ref": "Api"}, "DomainName": {"Ref": "Domain"}, "Stage": {"Ref": "Api.Stage"}}
    alias = {
        "DNSName": {"Fn::GetAtt": ["Domain", "RegionalDomainName"]},
        "HostedZoneId": "Z1",
    }
    check = {
        "Type": "HTTPS",
        "FullyQualifiedDomainName": {"Fn::Sub": "${Api}.execute-api.${AWS::Region}.amazonaws.com"},
        "ResourcePath": "/health",
        "RequestInterval": 10,
        "FailureThreshold": 3,
    }
    record = {
        "HostedZoneId": {"Ref": "ZoneId"},
        "Name": NAME,
        "Type": "A",
        "SetIdentifier": {"Ref": "AWS::Region"},
        "Failover": {"Ref": "Role"},
        "HealthCheckId": {"Ref": "Check"},
        "AliasTarget": alias,
    }
    errors = {
        "Namespace": "AWS/SQS",
        "MetricName": "NumberOfMessagesSent",
        "Dimensions": [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["Orders", "QueueName"]}}],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    table = {
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
    }
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {"ZoneId": {"Type": "String"}, "Role": {"Type": "String"}},
        "Globals": {
            "Function": {
                "Runtime": "python3.12",
                "Timeout": 20,
                "Environment": {"Variables": {"TABLE": {"Ref": "Table"}, "SEEN": {"Ref": "Seen"}}},
            }
        },
        "Resources": {
            "Table": {"Type": "AWS::DynamoDB::Table", "Properties": table},
            "Orders": {"Type": "AWS::SQS::Queue"},
            "Seen": {"Type": "AWS::SQS::Queue"},
            "Files": {"Type": "AWS::S3::Bucket"},
            "Api": {"Type": "AWS::Serverless::HttpApi"},
            "Domain": {"Type": "AWS::ApiGatewayV2::DomainName", "Properties": domain},
            "Mapping": {"Type": "AWS::ApiGatewayV2::ApiMapping", "Properties": mapping},
            "Sell": _function("sell", {"Http": http("/sale")}),
            "Health": _function("health", {"Http": http("/health")}),
            "Note": note,
            "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": errors},
            "Check": {"Type": "AWS::Route53::HealthCheck", "Properties": {"HealthCheckConfig": check}},
            "Record": {"Type": "AWS::Route53::RecordSet", "Properties": record},
        },
        "Outputs": {
            name: {"Value": {"Ref": name}} for name in ("Orders", "Seen", "Files", "Table", "Alarm", "Check")
        },
    }


class Shops:
    """The application in both regions; outputs by region."""

    def __init__(self, account: Any) -> None:
        self.account = account
        made = account.client("route53").create_hosted_zone(Name="example.com", CallerReference="1")
        zone_id = made["HostedZone"]["Id"].rpartition("/")[2]
        self.outputs: dict[str, dict[str, str]] = {}
        for region, role in zip(REGIONS, ("PRIMARY", "SECONDARY"), strict=True):
            formation = account.client("cloudformation", region=region)
            parameters = {"ZoneId": zone_id, "Role": role}
            formation.create_stack(
                StackName="shop",
                TemplateBody=json.dumps(template()),
                Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            )
            account.settle(60)
            stack = formation.describe_stacks(StackName="shop")["Stacks"][0]
            assert stack["StackStatus"] == "CREATE_COMPLETE", _reasons(formation)
            self.outputs[region] = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def client(self, service: str, region: str) -> Any:
        return self.account.client(service, region=region)

    def sale(self, client: str = "") -> tuple[int, Any]:
        said = ask(self.account, "GET", f"https://{NAME}/sale", {}, b"", client=client)
        return said.status, said.json

    def seen(self, region: str) -> list[str]:
        sqs, url = self.client("sqs", region), self.outputs[region]["Seen"]
        found = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            found += [message["Body"] for message in messages]
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found


def _reasons(formation: Any) -> list[str]:
    events = formation.describe_stack_events(StackName="shop")["StackEvents"]
    return [
        f"{e['LogicalResourceId']}: {e['ResourceStatusReason']}"
        for e in events
        if "ResourceStatusReason" in e
    ]


@pytest.fixture(scope="module")
def shops() -> Iterator[Shops]:
    with EmulatedProvider(Settings().home, say=lambda _text: None) as provider:
        account = provider.open()
        yield Shops(account)
        account.close()


@pytest.mark.parametrize("region", REGIONS)
def test_triggers_and_telemetry_stay_in_their_region(shops: Shops, region: str) -> None:
    other = next(each for each in REGIONS if each != region)
    outputs = shops.outputs[region]
    shops.client("sqs", region).send_message(QueueUrl=outputs["Orders"], MessageBody="order")
    event = {"Source": "shop", "DetailType": "sold", "Detail": "{}"}
    assert shops.client("events", region).put_events(Entries=[event])["FailedEntryCount"] == 0
    shops.client("s3", region).put_object(Bucket=outputs["Files"], Key="plan.pdf", Body=b"1")
    shops.client("dynamodb", region).put_item(TableName=outputs["Table"], Item={"id": {"S": "1"}})
    shops.account.settle(60)

    seen = shops.seen(region)
    assert sorted(_source(each) for each in seen) == ["aws:dynamodb", "aws:s3", "aws:sqs", "shop"]
    assert all(region in each for each in seen)
    assert shops.seen(other) == []
    groups = [g["logGroupName"] for g in shops.client("logs", region).describe_log_groups()["logGroups"]]
    assert any("Note" in group for group in groups)

    shops.account.advance(120)
    states = {
        each: shops.client("cloudwatch", each).describe_alarm_history(AlarmName=shops.outputs[each]["Alarm"])
        for each in REGIONS
    }
    texts = {each: [item["HistorySummary"] for item in states[each]["AlarmHistoryItems"]] for each in REGIONS}
    assert any("to ALARM" in text for text in texts[region])


def _source(body: str) -> str:
    event = json.loads(body)
    return str(event["source"] if "source" in event else event["Records"][0]["eventSource"])


def test_a_name_fails_over_when_its_primary_region_goes_dark_and_comes_back(shops: Shops) -> None:
    account, (first, second) = shops.account, REGIONS
    assert shops.sale() == (200, {"region": first})
    fault = account.begin_fault("region_outage", {"region": first})
    account.advance(25)
    assert shops.sale()[0] == 503
    account.advance(10)
    assert shops.sale() == (200, {"region": second})
    account.end_fault(fault)
    account.advance(35)
    assert shops.sale() == (200, {"region": first})
    keys = shops.client("cloudwatch", "us-east-1").get_metric_statistics(
        Namespace="AWS/Route53",
        MetricName="HealthCheckStatus",
        Dimensions=[{"Name": "HealthCheckId", "Value": shops.outputs[first]["Check"]}],
        StartTime=account.now().timestamp() - 300,
        EndTime=account.now().timestamp(),
        Period=60,
        Statistics=["Minimum"],
    )["Datapoints"]
    assert {0.0, 1.0} <= {each["Minimum"] for each in keys}


def test_a_client_that_looked_the_name_up_stays_for_its_time_to_live(shops: Shops) -> None:
    account, (first, second) = shops.account, REGIONS
    assert shops.sale("mia") == (200, {"region": first})
    account.begin_fault("region_outage", {"region": first})
    account.advance(35)
    assert shops.sale("mia")[0] == 503
    assert shops.sale("noa") == (200, {"region": second})
    account.advance(30)
    assert shops.sale("mia") == (200, {"region": second})
    account.clear_faults()


@pytest.mark.parametrize(
    ("kind", "event", "stage"),
    [("AWS::Serverless::Api", "Api", {"StageName": "live"}), ("AWS::Serverless::HttpApi", "HttpApi", {})],
)
def test_sam_s_domain_property_serves_below_its_base_path(
    shops: Shops, kind: str, event: str, stage: dict[str, str]
) -> None:
    name, formation = f"{event.lower()}.example.com", shops.client("cloudformation", REGIONS[0])
    zone_id = shops.client("route53", REGIONS[0]).list_hosted_zones()["HostedZones"][0]["Id"]
    domain = {
        "DomainName": name,
        "CertificateArn": "arn:aws:acm:x:1:certificate/1",
        "EndpointConfiguration": "REGIONAL",
        "BasePath": ["shop"],
        "Route53": {"HostedZoneId": zone_id.rpartition("/")[2]},
    }
    api = {"RestApiId" if event == "Api" else "ApiId": {"Ref": "Api"}}
    function = {
        "Runtime": "python3.12",
        "Handler": "index.answer",
        "InlineCode": "def answer(event, context):\n    return {'statusCode': 200, 'body': 'open'}\n",
        "Events": {"Http": {"Type": event, "Properties": {"Path": "/x", "Method": "GET", **api}}},
    }
    resources = {
        "Api": {"Type": kind, "Properties": {"Domain": domain, **stage}},
        "Shop": {"Type": "AWS::Serverless::Function", "Properties": function},
    }
    formation.create_stack(
        StackName=event,
        TemplateBody=json.dumps({"Transform": "AWS::Serverless-2016-10-31", "Resources": resources}),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    shops.account.settle(60)
    assert ask(shops.account, "GET", f"https://{name}/shop/x", {}, b"").body == b"open"
    assert ask(shops.account, "GET", f"https://{name}/x", {}, b"").status == 403

    stack_id = formation.describe_stacks(StackName=event)["Stacks"][0]["StackId"]
    formation.delete_stack(StackName=event)
    shops.account.settle(60)
    assert formation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
    assert ask(shops.account, "GET", f"https://{name}/shop/x", {}, b"").status == 502


def test_a_topic_reaches_a_queue_in_another_region(shops: Shops) -> None:
    sns, sqs = shops.client("sns", REGIONS[0]), shops.client("sqs", REGIONS[1])
    url = sqs.create_queue(QueueName="far")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGIONS[1]}:{shops.account.account_id}:far"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    topic = sns.create_topic(Name="near")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    sns.publish(TopicArn=topic, Message="hi")
    shops.account.settle()
    assert [each["Body"] for each in sqs.receive_message(QueueUrl=url)["Messages"]] == ["hi"]
