"""What checks of APIs are made of, on the real emulator: callers, stages, something to compare with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from graders.apis import ApiStage, stages
from graders.backend import open_backend
from graders.baselines import single_read
from graders.callers import caller
from graders.web import ask
from sandbox.account import AccessKeys

GROUP = "arn:aws:logs:{region}:{account}:log-group:/api/access:*"
LIMITS = {"ThrottlingRateLimit": 20.5, "ThrottlingBurstLimit": 40}


@pytest.fixture(scope="module")
def account() -> Iterator[Any]:
    with open_backend("emulated") as backend:
        opened = backend.open()
        yield opened
        opened.close()


def allow(action: str) -> dict[str, str]:
    return {"Effect": "Allow", "Action": action, "Resource": "*"}


def client_with(account: Any, keys: AccessKeys, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=account.endpoint_url,
        region_name=account.region,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token,
    )


def test_a_caller_may_do_what_was_said_and_is_gone_afterwards(account: Any) -> None:
    with caller(account, [allow("sqs:ListQueues")]) as keys:
        client_with(account, keys, "sqs").list_queues()
        with pytest.raises(ClientError, match="not authorized"):
            client_with(account, keys, "sns").list_topics()
        role = client_with(account, keys, "sts").get_caller_identity()["Arn"].split("/")[1]

    with pytest.raises(ClientError, match="NoSuchEntity"):
        account.client("iam").get_role(RoleName=role)


def test_a_request_is_signed_by_whom_it_is_told_to_be(account: Any) -> None:
    apis = account.client("apigatewayv2")
    api_id = apis.create_api(Name="signed", ProtocolType="HTTP")["ApiId"]
    apis.create_route(ApiId=api_id, RouteKey="POST /x", AuthorizationType="AWS_IAM")
    apis.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
    url = f"https://{api_id}.execute-api.{account.region}.amazonaws.com/x?a=b%20c"

    def status(keys: AccessKeys | None) -> int:
        return ask(account, "POST", url, {"content-type": "application/json"}, b"{}", keys).status

    with caller(account, [allow("execute-api:Invoke")]) as may, caller(account, []) as may_not:
        # Who is let in gets to a route without an integration.
        assert [status(keys) for keys in (account.keys, may, may_not, None)] == [500, 500, 403, 403]


def test_stages_tell_their_limits_and_logs(account: Any) -> None:
    http, rest = account.client("apigatewayv2"), account.client("apigateway")
    group = GROUP.format(region=account.region, account=account.account_id)
    http_id = http.create_api(Name="http", ProtocolType="HTTP")["ApiId"]
    http.create_stage(ApiId=http_id, StageName="plain")
    logs = {"DestinationArn": group, "Format": '{"id":"$context.requestId"}'}
    http.create_stage(ApiId=http_id, StageName="limited", DefaultRouteSettings=LIMITS, AccessLogSettings=logs)
    rest_id = rest.create_rest_api(name="rest")["id"]
    root = rest.get_resources(restApiId=rest_id)["items"][0]["id"]
    where = {"restApiId": rest_id, "resourceId": root, "httpMethod": "GET"}
    rest.put_method(**where, authorizationType="NONE")
    rest.put_integration(**where, type="MOCK")
    rest.create_deployment(restApiId=rest_id, stageName="live")
    before = stages(
        account, {"AWS::ApiGateway::RestApi": [rest_id], "AWS::ApiGatewayV2::Api": []}.__getitem__
    )
    changes = {"/*/*/throttling/rateLimit": "7", "/*/*/throttling/burstLimit": "9"}
    rest.update_stage(
        restApiId=rest_id,
        stageName="live",
        patchOperations=[{"op": "replace", "path": path, "value": value} for path, value in changes.items()],
    )

    found = stages(
        account, {"AWS::ApiGateway::RestApi": [rest_id], "AWS::ApiGatewayV2::Api": [http_id]}.__getitem__
    )

    assert before == [ApiStage(rest_id, "live", None, None, "")]
    assert sorted(found, key=lambda stage: stage.name) == [
        ApiStage(http_id, "limited", 20.5, 40, "/api/access"),
        ApiStage(rest_id, "live", 7, 9, ""),
        ApiStage(http_id, "plain", None, None, ""),
    ]


def test_a_baseline_reads_its_item(account: Any) -> None:
    baseline = single_read(account, {"name": "Õ", "points": 12.5, "agreed": True}, 512)

    assert 0 < baseline.duration_ms() < 1_000
    assert baseline.arn.split(":")[4] == account.fixture_account_id
