"""Integrations that are not proxies: templates, parameters, services, integration responses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator import patches
from sandbox.emulator.fabric.apigateway.templates import Input, render
from sandbox.emulator.fabric.sqs import SqsService
from tests.emulator.fabric.apigateway.conftest import HttpAnswer, Web, proxy_uri
from tests.emulator.fabric.fakes import RecordingFunctions, create_role


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("$input.json('$.items')", '[{"n":1},{"n":2}]'),
        ("$input.path('$.name')", "Ann"),
        ("$input.params('id') $input.params('q') $input.params('X-Key')", "7 find k"),
        ("$input.params().header.get('x-key')", "k"),
        (
            "#set($in = $input.path('$'))[#foreach($i in $in.items)$i.n#if($foreach.hasNext),#end#end]",
            "[1,2]",
        ),
        ("#if($input.path('$.items').size() > 1)many#{else}few#end", "many"),
        ("$util.escapeJavaScript('say \"hi\"')", 'say \\"hi\\"'),
        # As AWS's documentation has it: an escaped quote is none in JSON.
        ("""$util.escapeJavaScript("it's").replaceAll("\\\\'","'")""", "it's"),
        ("$util.urlEncode('a b&c')", "a+b%26c"),
        ("$util.base64Decode($util.base64Encode('text'))", "text"),
        ('$util.parseJson(\'{"a": {"b": 3}}\').a.b', "3"),
        ("$context.identity.sourceIp $stageVariables.table", "192.0.2.7 orders"),
        ("#set($m = {})$!m.put('k', 'v')$m.k", "v"),
        ("#set($n = $input.path('$.name'))$n.toUpperCase() $n.substring(1) $n.indexOf('n')", "ANN nn 1"),
        ("#if($input.path('$.name').equals('Ann') && !$input.path('$.name').isEmpty())she#end", "she"),
        ("#set($a = $input.path('$.path').split('/'))$a.size() $a[1]", "3 b"),
        ("$input.path('$.path').replaceAll('([a-c])/', '$1-')", "a-b-c"),
        ('$util.escapeJavaScript("it\'s").replaceAll("\\\\\'", "\'")', "it's"),
        ("$input.path('$.fine') #if($input.path('$.fine') == 'true')fine#end", "true fine"),
        ("$input.path('$.map') $input.path('$.items')", '{a=1, b=null} [{"n":1},{"n":2}]'),
        ("#set($t = 'n' + $input.path('$.items[0].n'))$t", "n1"),
        ("#if($input.path('$.map.b') > 1)more#{else}none#end", "none"),
        ("#foreach($i in [1..9])#if($i == 3)#break#end$i#end after", "12 after"),
        (
            "#foreach($i in [1, 2])#foreach($j in ['a', 'b'])#if($j == 'b')#break#end$i$j #end#end!",
            "1a 2a !",
        ),
        ("before#if($input.path('$.fine'))#break#end after", "before"),
        ("a#stop b", "a"),
        ("#macro(pair $k $v)\"$k\": \"$v\"#end{#pair('who' $input.path('$.name'))}", '{"who": "Ann"}'),
        ("#define($who)$input.path('$.name')!#end$who $who", "Ann! Ann!"),
        ("#foreach($v in {'a': 1, 'b': 2})$v,#end#foreach($c in $input.path('$.name'))$c#end", "1,2,"),
        ("#foreach($k in $input.params().keySet())$k #end", "path querystring header "),
    ],
)
def test_templates(template: str, text: str) -> None:
    patches.apply_all()
    given = Input(
        '{"name": "Ann", "items": [{"n": 1}, {"n": 2}], "fine": true, '
        '"path": "a/b/c", "map": {"a": 1, "b": null}}',
        {"path": {"id": "7"}, "querystring": {"q": "find"}, "header": {"x-key": "k"}},
    )
    context = {"identity": {"sourceIp": "192.0.2.7"}}
    assert render(template, given, context, {"table": "orders"}) == text


class Mapped:
    """A REST API with ``POST /items/{id}`` behind an integration of a test's own."""

    def __init__(self, account: Any, web: Web) -> None:
        self.account, self.web = account, web
        self.rest = account.client("apigateway")

    def api(self, responses: Any, parameters: Any = None, **integration: Any) -> str:
        api_id = self.rest.create_rest_api(name="shop")["id"]
        [root] = self.rest.get_resources(restApiId=api_id)["items"]
        items = self.rest.create_resource(restApiId=api_id, parentId=root["id"], pathPart="items")
        item = self.rest.create_resource(restApiId=api_id, parentId=items["id"], pathPart="{id}")
        where = {"restApiId": api_id, "resourceId": item["id"], "httpMethod": "POST"}
        self.rest.put_method(**where, authorizationType="NONE", requestParameters=parameters or {})
        self.rest.put_integration(**where, **integration)
        for status, response in responses.items():
            self.rest.put_method_response(
                **where,
                statusCode=status,
                responseParameters=dict.fromkeys(response.get("responseParameters", {}), False),
            )
            self.rest.put_integration_response(**where, statusCode=status, **response)
        self.rest.create_deployment(restApiId=api_id, stageName="dev")
        return f"https://{api_id}.execute-api.{self.account.core.region}.amazonaws.com/dev/items/7"

    def post(self, url: str, body: Any = None, kind: str = "application/json") -> HttpAnswer:
        data = json.dumps(body).encode() if body is not None else b""
        return self.web(url, method="POST", headers={"Content-Type": kind}, body=data)

    def role(self, *actions: str) -> str:
        return create_role(self.account, "api", "apigateway.amazonaws.com", *actions)


@pytest.fixture
def mapped(account: Any, web: Web) -> Mapped:
    account.gateway.guard.enforcing = True
    return Mapped(account, web)


def test_a_function_behind_templates(
    mapped: Mapped, function_arn: str, functions: RecordingFunctions
) -> None:
    def answer(event: Any) -> Any:
        if event["count"] == 0:
            raise ValueError("BadRequest: nothing ordered")
        return {"total": event["count"] * 5}

    functions.answer = answer
    url = mapped.api(
        {
            "200": {
                "responseTemplates": {"application/json": '{"sum": $input.path("$.total")}'},
                "responseParameters": {
                    "method.response.header.X-Shop": "'north'",
                    "method.response.header.X-Total": "integration.response.body.total",
                },
            },
            "400": {
                "selectionPattern": "BadRequest.*",
                "responseTemplates": {"application/json": '{"error": "$input.path(\'$.errorMessage\')"}'},
            },
        },
        type="AWS",
        integrationHttpMethod="POST",
        uri=proxy_uri(mapped.account.core.region, function_arn),
        requestTemplates={
            "application/json": '{"id": "$input.params(\'id\')", "count": $input.path("$.items").size()}'
        },
        passthroughBehavior="NEVER",
    )
    fine = mapped.post(url, {"items": [1, 2]})
    assert (fine.status, fine.json()) == (200, {"sum": 10})
    assert (fine.header("x-shop"), fine.header("x-total")) == ("north", "10")
    assert functions.events[0] == {"id": "7", "count": 2}
    bad = mapped.post(url, {"items": []})
    assert (bad.status, bad.json()) == (400, {"error": "BadRequest: nothing ordered"})
    assert mapped.post(url, {"items": []}, "text/plain").status == 415


def test_a_queue_behind_a_form(mapped: Mapped) -> None:
    mapped.account.add(SqsService(mapped.account.core).handlers())
    sqs = mapped.account.client("sqs")
    queue = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    region, account_id = mapped.account.core.region, mapped.account.core.account_id
    url = mapped.api(
        {"200": {"responseTemplates": {"application/json": '{"ok": true}'}}},
        type="AWS",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{region}:sqs:path/{account_id}/jobs",
        credentials=mapped.role("sqs:SendMessage"),
        requestParameters={"integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"},
        requestTemplates={"application/json": "Action=SendMessage&MessageBody=$util.urlEncode($input.body)"},
    )
    answer = mapped.post(url, {"order": "a&b"})
    assert (answer.status, answer.json()) == (200, {"ok": True})
    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"]) == {"order": "a&b"}


def test_a_table_behind_an_action_and_a_refusal(mapped: Mapped) -> None:
    dynamodb = mapped.account.client("dynamodb")
    dynamodb.create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    region = mapped.account.core.region
    url = mapped.api(
        {
            "200": {"responseTemplates": {"application/json": "{}"}},
            "500": {
                "selectionPattern": "4\\d\\d",
                "responseTemplates": {"application/json": '{"failed": "$input.path(\'$.message\')"}'},
            },
        },
        type="AWS",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{region}:dynamodb:action/PutItem",
        credentials=mapped.role("dynamodb:PutItem"),
        requestTemplates={
            "application/json": '{"TableName": "orders", "Item": {"id": {"S": "$input.params(\'id\')"}}}'
        },
    )
    assert mapped.post(url, {}).status == 200
    assert dynamodb.get_item(TableName="orders", Key={"id": {"S": "7"}})["Item"] == {"id": {"S": "7"}}
    mapped.account.client("iam").delete_role_policy(RoleName="api", PolicyName="allow")
    refused = mapped.post(url, {})
    assert refused.status == 500
    assert "is not authorized to perform: dynamodb:PutItem" in refused.json()["failed"]


def test_a_mock_answers_by_its_template(mapped: Mapped) -> None:
    url = mapped.api(
        {
            "200": {"responseTemplates": {"application/json": '{"id": "$input.params(\'id\')"}'}},
            "404": {
                "selectionPattern": "404",
                "responseTemplates": {"application/json": '{"missing": true}'},
            },
        },
        type="MOCK",
        requestTemplates={
            "application/json": '#if($input.path("$.found")){"statusCode": 200}#{else}{"statusCode": 404}#end'
        },
    )
    assert mapped.post(url, {"found": True}).status == 200
    missing = mapped.post(url, {"found": False})
    assert (missing.status, missing.json()) == (404, {"missing": True})


def test_a_template_that_breaks_is_the_apis_fault(mapped: Mapped) -> None:
    url = mapped.api({"200": {}}, type="MOCK", requestTemplates={"application/json": "#foreach($x in $y"})
    broken = mapped.post(url, {})
    assert (broken.status, broken.json()) == (500, {"message": "Internal server error"})
