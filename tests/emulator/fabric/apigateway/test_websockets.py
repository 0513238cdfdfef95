"""WebSocket APIs, by real clients on a real socket."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import boto3
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from sandbox.emulator import addresses
from sandbox.emulator.fabric.apigateway import ApiGateway
from sandbox.emulator.fabric.route53 import Route53
from sandbox.emulator.fabric.sqs import SqsService
from sandbox.emulator.fabric.web import Web
from sandbox.emulator.gateway import server, tls
from sandbox.emulator.gateway.authority import Certificates, open_authority
from tests.emulator.fabric.apigateway.conftest import proxy_uri
from tests.emulator.fabric.fakes import RecordingFunctions, create_role

_WAIT_S = 20


class Chat:
    """A WebSocket API whose routes call the function ``hello``, at an address of this machine."""

    def __init__(self, account: Any, functions: RecordingFunctions, function: str, port: int) -> None:
        self.account = account
        self.functions = functions
        self.port = port
        self.client = account.client("apigatewayv2")
        made = self.client.create_api(
            Name="chat", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action"
        )
        self.api, self.endpoint = made["ApiId"], made["ApiEndpoint"]
        self.uri = proxy_uri(account.core.region, function)
        self.clients = ExitStack()

    def route(self, key: str, integration: Mapping[str, Any] | None = None, **more: Any) -> str:
        """A route with an integration of its own, by default the function."""
        given = integration or {"IntegrationType": "AWS_PROXY", "IntegrationUri": self.uri}
        made = self.client.create_integration(ApiId=self.api, **given)["IntegrationId"]
        target = f"integrations/{made}"
        return str(self.client.create_route(ApiId=self.api, RouteKey=key, Target=target, **more)["RouteId"])

    def deploy(self, **settings: Any) -> None:
        """A stage ``prod`` with everything as it is now."""
        made = self.client.create_deployment(ApiId=self.api)["DeploymentId"]
        self.client.create_stage(ApiId=self.api, StageName="prod", DeploymentId=made, **settings)

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}/_aws/execute-api/{self.api}/prod"

    def connect(self, query: str = "", **options: Any) -> ClientConnection:
        address = f"ws://{self.url}{query}"
        return self.clients.enter_context(connect(address, open_timeout=_WAIT_S, **options))

    def manage(self, principal: Any = None, endpoint: str = "") -> Any:
        """A client of the management API, as the account's root or as whoever holds these keys."""
        keys = principal or self.account.keys
        return boto3.client(
            "apigatewaymanagementapi",
            endpoint_url=endpoint or f"http://{self.url}",
            region_name=self.account.core.region,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            aws_session_token=getattr(keys, "session_token", None) or None,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def events(self, kind: str, count: int = 1) -> list[Any]:
        """What the function was told of ``kind``, once it has been told ``count`` times."""
        until = time.monotonic() + _WAIT_S
        while True:
            self.account.settle()
            told = [each for each in self.functions.events if "type" not in each]
            found = [each for each in told if each["requestContext"]["eventType"] == kind]
            if len(found) >= count:
                return found
            assert time.monotonic() < until, found


@pytest.fixture
def chat(
    account: Any, gateway: ApiGateway, functions: RecordingFunctions, function_arn: str
) -> Iterator[Chat]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    running = server.serve(account.gateway.application(), listener, threads=8)
    made = Chat(account, functions, function_arn, listener.getsockname()[1])
    yield made
    made.clients.close()
    running.close()


def _ids(chat: Chat, count: int = 1) -> list[str]:
    return [each["requestContext"]["connectionId"] for each in chat.events("CONNECT", count)]


def test_an_address_begins_with_wss(chat: Chat) -> None:
    assert chat.endpoint == f"wss://{chat.api}.execute-api.{chat.account.core.region}.amazonaws.com"
    assert chat.client.get_api(ApiId=chat.api)["ApiEndpoint"] == chat.endpoint


def test_messages_go_to_the_route_that_their_body_names(chat: Chat) -> None:
    for key in ("$connect", "$disconnect", "$default", "sendmessage"):
        chat.route(key)
    chat.deploy(StageVariables={"room": "blue"})
    client = chat.connect("?name=ada", additional_headers={"X-Team": "red"})
    client.send('{"action": "sendmessage", "data": "hello"}')
    client.send("no JSON at all")
    client.close(1000, "bye")
    [connected], [gone] = chat.events("CONNECT"), chat.events("DISCONNECT")
    messages = chat.events("MESSAGE", 2)
    assert connected["queryStringParameters"] == {"name": "ada"}
    assert connected["headers"]["X-Team"] == "red"
    assert connected["headers"]["Sec-WebSocket-Version"] == "13"
    assert connected["stageVariables"] == {"room": "blue"}
    told = {each["requestContext"]["routeKey"]: each for each in messages}
    assert told["sendmessage"]["body"] == '{"action": "sendmessage", "data": "hello"}'
    assert told["$default"]["body"] == "no JSON at all"
    context = told["sendmessage"]["requestContext"]
    assert (context["stage"], context["apiId"], context["messageDirection"]) == ("prod", chat.api, "IN")
    assert context["connectionId"] == connected["requestContext"]["connectionId"]
    assert context["messageId"]
    how = gone["requestContext"]
    assert (how["disconnectStatusCode"], how["disconnectReason"]) == (1000, "bye")


def test_back_ends_send_to_clients_look_at_them_and_end_them(chat: Chat) -> None:
    chat.route("$connect")
    chat.route("$disconnect")
    chat.deploy()
    client = chat.connect()
    [connection] = _ids(chat)
    manage = chat.manage()
    manage.post_to_connection(ConnectionId=connection, Data=b"x" * 100_000)
    assert client.recv(timeout=_WAIT_S) == "x" * 100_000
    assert manage.get_connection(ConnectionId=connection)["Identity"]["SourceIp"] == "127.0.0.1"
    with pytest.raises(ClientError) as large:
        manage.post_to_connection(ConnectionId=connection, Data=b"x" * (128 * 1024 + 1))
    assert large.value.response["Error"]["Code"] == "PayloadTooLargeException"
    manage.delete_connection(ConnectionId=connection)
    with pytest.raises(ConnectionClosed):
        client.recv(timeout=_WAIT_S)
    assert chat.events("DISCONNECT")
    with pytest.raises(manage.exceptions.GoneException):
        manage.post_to_connection(ConnectionId=connection, Data=b"hello")


def test_who_may_not_manage_connections_is_refused(chat: Chat) -> None:
    chat.route("$connect")
    chat.deploy()
    chat.connect()
    [connection] = _ids(chat)
    narrow = chat.account.client("iam")
    narrow.create_user(UserName="narrow")
    key = narrow.create_access_key(UserName="narrow")["AccessKey"]
    region, account_id = chat.account.core.region, chat.account.core.account_id
    allow = {
        "Effect": "Allow",
        "Action": "execute-api:ManageConnections",
        "Resource": f"arn:aws:execute-api:{region}:{account_id}:{chat.api}/prod/GET/@connections/*",
    }
    narrow.put_user_policy(
        UserName="narrow",
        PolicyName="look",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
    )

    class Keys:
        access_key_id, secret_access_key = key["AccessKeyId"], key["SecretAccessKey"]

    manage = chat.manage(Keys)
    assert manage.get_connection(ConnectionId=connection)
    with pytest.raises(ClientError, match="execute-api:ManageConnections") as refused:
        manage.post_to_connection(ConnectionId=connection, Data=b"x")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_client_that_connect_refuses_stays_outside(chat: Chat) -> None:
    chat.functions.answer = lambda event: {"statusCode": 403}
    chat.route("$connect")
    chat.route("$disconnect")
    chat.deploy()
    with pytest.raises(InvalidStatus) as refused:
        chat.connect()
    assert refused.value.response.status_code == 403
    assert not chat.events("DISCONNECT", 0)
    chat.functions.answer = lambda event: "no answer"
    with pytest.raises(InvalidStatus) as broken:
        chat.connect()
    assert broken.value.response.status_code == 502


def test_an_authorizer_lets_in_and_tells_the_routes_of_it(chat: Chat) -> None:
    def answer(event: Any) -> Any:
        if event.get("type") != "REQUEST":
            return {"statusCode": 200}
        effect = "Allow" if event["queryStringParameters"]["token"] == "good" else "Deny"
        statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": event["methodArn"]}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        return {"principalId": "ada", "policyDocument": policy, "context": {"team": "red"}}

    chat.functions.answer = answer
    authorizer = chat.client.create_authorizer(
        ApiId=chat.api,
        Name="gate",
        AuthorizerType="REQUEST",
        AuthorizerUri=chat.uri,
        IdentitySource=["route.request.querystring.token"],
    )["AuthorizerId"]
    chat.route("$connect", AuthorizationType="CUSTOM", AuthorizerId=authorizer)
    chat.route("$default")
    chat.deploy()
    for query, status in (("?token=bad", 403), ("", 401)):
        with pytest.raises(InvalidStatus) as refused:
            chat.connect(query)
        assert refused.value.response.status_code == status
    chat.connect("?token=good").send("hello")
    _first_body(chat)
    [message] = chat.events("MESSAGE")
    assert message["requestContext"]["authorizer"]["team"] == "red"
    arns = {each["methodArn"] for each in chat.functions.events if each.get("type") == "REQUEST"}
    region, account_id = chat.account.core.region, chat.account.core.account_id
    assert arns == {f"arn:aws:execute-api:{region}:{account_id}:{chat.api}/prod/$connect"}


def test_what_a_route_returns_goes_back_only_with_a_route_response(chat: Chat) -> None:
    chat.functions.answer = lambda event: {"statusCode": 200, "body": f"got {event.get('body')}"}
    chat.route("quiet")
    ask = chat.route("ask", RouteResponseSelectionExpression="$default")
    chat.client.create_route_response(ApiId=chat.api, RouteId=ask, RouteResponseKey="$default")
    chat.deploy()
    client = chat.connect()
    client.send('{"action": "quiet"}')
    chat.account.settle()
    client.send('{"action": "ask"}')
    assert client.recv(timeout=_WAIT_S) == 'got {"action": "ask"}'


def test_a_message_that_fits_no_route_and_a_function_that_fails_are_answered(chat: Chat) -> None:
    chat.functions.answer = lambda event: ["no object"]
    chat.route("broken")
    chat.deploy()
    client = chat.connect()
    client.send('{"action": "unknown"}')
    told = json.loads(client.recv(timeout=_WAIT_S))
    assert told["message"] == "Forbidden"
    assert set(told) == {"message", "connectionId", "requestId"}
    client.send('{"action": "broken"}')
    assert json.loads(client.recv(timeout=_WAIT_S))["message"] == "Internal server error"
    reasons = [each.detail.get("reason", "") for each in chat.account.events("delivery")]
    assert any("no route fits" in reason for reason in reasons)
    assert any("no JSON object" in reason for reason in reasons)


def test_a_mock_answers_by_its_templates(chat: Chat) -> None:
    mock = {
        "IntegrationType": "MOCK",
        "RequestTemplates": {"200": '{"statusCode": 200}'},
        "TemplateSelectionExpression": "200",
    }
    ping = chat.route("ping", mock, RouteResponseSelectionExpression="$default")
    integration = chat.client.get_routes(ApiId=chat.api)["Items"][0]["Target"].removeprefix("integrations/")
    chat.client.create_integration_response(
        ApiId=chat.api,
        IntegrationId=integration,
        IntegrationResponseKey="$default",
        ResponseTemplates={"$default": '{"pong": "$context.connectionId"}'},
        TemplateSelectionExpression="$default",
    )
    chat.client.create_route_response(ApiId=chat.api, RouteId=ping, RouteResponseKey="$default")
    chat.route("$connect")
    chat.deploy()
    client = chat.connect()
    client.send('{"action": "ping"}')
    assert json.loads(client.recv(timeout=_WAIT_S)) == {"pong": _ids(chat)[0]}


def test_a_service_is_called_with_what_the_template_makes_of_a_message(chat: Chat) -> None:
    chat.account.add(SqsService(chat.account.core).handlers())
    sqs = chat.account.client("sqs")
    queue = sqs.create_queue(QueueName="orders")["QueueUrl"]
    template = json.dumps({"QueueUrl": queue, "MessageBody": "$input.path('$.order')"})
    region = chat.account.core.region
    chat.route(
        "order",
        {
            "IntegrationType": "AWS",
            "IntegrationMethod": "POST",
            "IntegrationUri": f"arn:aws:apigateway:{region}:sqs:action/SendMessage",
            "CredentialsArn": create_role(chat.account, "api", "apigateway.amazonaws.com", "sqs:SendMessage"),
            "RequestTemplates": {"$default": template},
            "TemplateSelectionExpression": "\\$default",
        },
    )
    chat.deploy()
    chat.connect().send('{"action": "order", "order": "7 apples"}')
    chat.account.settle()
    [message] = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    assert message["Body"] == "7 apples"


def test_frames_and_messages_have_limits_and_are_text(chat: Chat) -> None:
    chat.route("$default")
    chat.deploy()
    client = chat.connect()
    client.send("y" * 20_000 for _ in range(6))
    assert len(_first_body(chat)) == 120_000
    for wrong, code in (("x" * 33_000, 1009), (b"binary", 1003)):
        client = chat.connect()
        client.send(wrong)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=_WAIT_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code


def _first_body(chat: Chat) -> str:
    return str(chat.events("MESSAGE")[0]["body"])


def test_idle_clients_have_ten_minutes_and_busy_ones_two_hours(chat: Chat) -> None:
    chat.route("$connect")
    chat.route("$disconnect")
    chat.deploy()
    idle, busy = chat.connect(), chat.connect()
    _, connection = _ids(chat, 2)
    for _ in range(13):
        chat.account.advance(9 * 60)
        chat.manage().post_to_connection(ConnectionId=connection, Data=b"still there")
    [gone] = chat.events("DISCONNECT")
    assert gone["requestContext"]["disconnectStatusCode"] == 1001
    with pytest.raises(ConnectionClosed):
        idle.recv(timeout=_WAIT_S)
    chat.account.advance(9 * 60)
    assert len(chat.events("DISCONNECT", 2)) == 2
    assert busy.recv(timeout=_WAIT_S) == "still there"


def test_access_logs_tell_of_connections_and_messages(chat: Chat) -> None:
    logs = chat.account.client("logs")
    logs.create_log_group(logGroupName="chat")
    region, account_id = chat.account.core.region, chat.account.core.account_id
    where = f"arn:aws:logs:{region}:{account_id}:log-group:chat"
    chat.route("$default")
    form = "$context.eventType $context.routeKey $context.status"
    chat.deploy(AccessLogSettings={"DestinationArn": where, "Format": form})
    chat.connect().send("hello")
    _first_body(chat)
    chat.account.settle()
    lines = [each["message"] for each in logs.filter_log_events(logGroupName="chat")["events"]]
    assert sorted(lines) == ["CONNECT $connect 200", "MESSAGE $default 200"]


def test_plain_requests_and_unknown_stages_are_refused(chat: Chat) -> None:
    chat.route("$default")
    chat.deploy()
    with pytest.raises(InvalidStatus) as unknown, connect(f"ws://{chat.url}x", open_timeout=_WAIT_S):
        pass
    assert unknown.value.response.status_code == 403
    with pytest.raises(HTTPError, match="403"):
        urlopen(f"http://{chat.url}")


def test_a_route_that_wants_iam_takes_signed_addresses(chat: Chat) -> None:
    chat.route("$connect", AuthorizationType="AWS_IAM")
    chat.deploy()
    with pytest.raises(InvalidStatus) as refused:
        chat.connect()
    assert refused.value.response.status_code == 403
    keys = chat.account.keys
    request = AWSRequest("GET", f"http://{chat.url}")
    credentials = Credentials(keys.access_key_id, keys.secret_access_key)
    SigV4QueryAuth(credentials, "execute-api", chat.account.core.region, expires=60).add_auth(request)
    chat.connect(f"?{urlsplit(request.url).query}")
    [connected] = chat.events("CONNECT")
    identity = connected["requestContext"]["identity"]
    assert identity["userArn"].endswith(":root")


def test_it_speaks_tls_under_aws_s_own_name(
    chat: Chat, account: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    chat.route("echo", RouteResponseSelectionExpression="$default")
    [route] = chat.client.get_routes(ApiId=chat.api)["Items"]
    chat.client.create_route_response(ApiId=chat.api, RouteId=route["RouteId"], RouteResponseKey="$default")
    chat.functions.answer = lambda event: {"statusCode": 200, "body": event.get("body")}
    chat.deploy()
    authority = open_authority(tmp_path)
    listener = socket.create_server(("127.0.0.1", 0))
    running = tls.serve(account.gateway.application(), listener, Certificates(authority).server())
    request.addfinalizer(running.close)
    trusting = ssl.create_default_context(cafile=str(authority.trust / "ssl/certs/ca-certificates.crt"))
    stream = socket.create_connection(listener.getsockname())
    with connect(f"{chat.endpoint}/prod", sock=stream, ssl=trusting, open_timeout=_WAIT_S) as client:
        said = json.dumps({"action": "echo", "text": "x" * 30_000})
        client.send(said)
        assert client.recv(timeout=_WAIT_S) == said


def test_it_answers_at_a_custom_domain_name(chat: Chat, account: Any, gateway: ApiGateway) -> None:
    name = "chat.example.com"
    account.gateway.data_planes.append(
        route53 := Route53(
            account.core,
            Web(account.gateway.application(), chat.port),
            gateway.domains,
            lambda *_: "",
            lambda *_: None,
        )
    )
    account.add(route53.handlers())
    chat.route("$connect")
    chat.deploy()
    config = {"CertificateArn": "arn:aws:acm:x:1:certificate/1", "EndpointType": "REGIONAL"}
    made = chat.client.create_domain_name(DomainName=name, DomainNameConfigurations=[config])
    chat.client.create_api_mapping(ApiId=chat.api, DomainName=name, Stage="prod", ApiMappingKey="talk")
    zones = account.client("route53")
    zone = zones.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
    where = made["DomainNameConfigurations"][0]["ApiGatewayDomainName"]
    target = {"HostedZoneId": "Z1", "DNSName": where, "EvaluateTargetHealth": False}
    record = {"Name": name, "Type": "A", "AliasTarget": target}
    zones.change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    )
    address = addresses.named(f"wss://{name}/talk", chat.port)
    assert address.startswith("ws://127.0.0.1:")
    with connect(address, open_timeout=_WAIT_S) as client:
        [connected] = chat.events("CONNECT")
        assert connected["requestContext"]["domainName"] == name
        there = address.replace("ws://", "http://", 1)
        manage = chat.manage(endpoint=there)
        manage.post_to_connection(ConnectionId=connected["requestContext"]["connectionId"], Data=b"by name")
        assert client.recv(timeout=_WAIT_S) == "by name"


def test_a_function_that_may_not_be_called_refuses_clients_and_the_timeline_says_why(chat: Chat) -> None:
    chat.account.client("lambda").remove_permission(FunctionName="hello", StatementId="apis")
    chat.route("$connect")
    chat.deploy()
    with pytest.raises(InvalidStatus) as refused:
        chat.connect()
    assert refused.value.response.status_code == 500
    [told] = [each for each in chat.account.events("delivery") if each.outcome != "ok"]
    assert "lambda:InvokeFunction" in told.detail["reason"]
