"""An account in its own process, and a function of it that goes by AWS's names alone."""

from __future__ import annotations

import json

from sandbox.providers.emulated import EmulatedProvider
from tests.supervisor.conftest import make_function

CODE = """
import os, urllib.request

for name in [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]:
    del os.environ[name]
import boto3


def handler(event, context):
    if "url" not in event:
        return {"statusCode": 200, "body": f"from {event['rawPath']}"}
    topic = boto3.client("sns").create_topic(Name="made-by-name")["TopicArn"]
    return [topic, urllib.request.urlopen(event["url"] + "/orders").read().decode()]
"""


def test_a_function_calls_aws_and_its_own_api_by_their_addresses(provider: EmulatedProvider) -> None:
    account = provider.open(region="eu-central-1")
    name = make_function(account, CODE)
    arn = account.client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    api = account.client("apigatewayv2").create_api(Name="shop", ProtocolType="HTTP", Target=arn)
    account.client("lambda").add_permission(
        FunctionName=name,
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:eu-central-1:{account.account_id}:{api['ApiId']}/*",
    )
    url = f"https://{api['ApiId']}.execute-api.eu-central-1.amazonaws.com"

    answer = account.client("lambda").invoke(FunctionName=name, Payload=json.dumps({"url": url}))

    topic = f"arn:aws:sns:eu-central-1:{account.account_id}:made-by-name"
    assert json.load(answer["Payload"]) == [topic, "from /orders"]
    account.close()
