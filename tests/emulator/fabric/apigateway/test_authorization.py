"""Who gets to an API's functions: signatures, tokens, functions that decide, keys, limits, validators."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.emulator.fabric.cognito import UserPools
from tests.emulator.fabric.apigateway.conftest import HttpAnswer, Web, proxy_uri
from tests.emulator.fabric.fakes import RecordingFunctions, create_function


class Site:
    """An API of one kind in front of the function ``hello``."""

    def __init__(self, account: Any, web: Web, functions: RecordingFunctions, function_arn: str) -> None:
        self.account = account
        self.web = web
        self.functions = functions
        self.function_arn = function_arn
        self.http = account.client("apigatewayv2")
        self.rest = account.client("apigateway")
        self.answers: dict[str, Any] = {}
        functions.answer = self._answer

    def _answer(self, event: Any) -> Any:
        """Authorizers answer as told; everything else is fine."""
        if event.get("type") in ("TOKEN", "REQUEST"):
            answer = self.answers["authorizer"]
            return answer(event) if callable(answer) else answer
        return {"statusCode": 200, "body": "ok"}

    def http_api(self, **route: Any) -> str:
        """An HTTP API with ``ANY /items/{id}``; its address."""
        made = self.http.create_api(Name="shop", ProtocolType="HTTP")
        integration = self.http.create_integration(
            ApiId=made["ApiId"],
            IntegrationType="AWS_PROXY",
            IntegrationUri=self.function_arn,
            PayloadFormatVersion="2.0",
        )
        target = f"integrations/{integration['IntegrationId']}"
        if "authorizer" in route:
            authorizer = self.http.create_authorizer(ApiId=made["ApiId"], Name="a", **route.pop("authorizer"))
            route["AuthorizerId"] = authorizer["AuthorizerId"]
        self.http.create_route(ApiId=made["ApiId"], RouteKey="ANY /items/{id}", Target=target, **route)
        self.http.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True)
        return f"{made['ApiEndpoint']}/items/7"

    def rest_api(self, prepare: Any = None, **method: Any) -> tuple[str, str]:
        """A REST API with ``POST /items``; its address and id. ``prepare(api_id)`` adds to the method."""
        made = self.rest.create_rest_api(name="shop")
        api_id = made["id"]
        [root] = self.rest.get_resources(restApiId=api_id)["items"]
        resource = self.rest.create_resource(restApiId=api_id, parentId=root["id"], pathPart="items")
        where = {"restApiId": api_id, "resourceId": resource["id"], "httpMethod": "POST"}
        method = {"authorizationType": "NONE", **method, **(prepare(api_id) if prepare else {})}
        self.rest.put_method(**where, **method)
        self.rest.put_integration(
            **where,
            type="AWS_PROXY",
            integrationHttpMethod="POST",
            uri=proxy_uri(self.account.core.region, self.function_arn),
        )
        self.rest.create_deployment(restApiId=api_id, stageName="dev")
        return f"https://{api_id}.execute-api.{self.account.core.region}.amazonaws.com/dev/items", api_id

    def authorizer_function(self) -> str:
        """A function that API Gateway may ask; its integration URI."""
        arn = create_function(self.account, "guard")
        self.account.client("lambda").add_permission(
            FunctionName="guard",
            StatementId="apis",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
        )
        return proxy_uri(self.account.core.region, arn)

    def signed(self, url: str, keys: Any, method: str = "GET", body: bytes = b"") -> HttpAnswer:
        """A request with a signature."""
        request = AWSRequest(method=method, url=url, data=body or None)
        credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)
        SigV4Auth(credentials, "execute-api", self.account.core.region).add_auth(request)
        return self.web(url, method=method, headers=dict(request.headers.items()), body=body)

    def handled(self) -> list[Any]:
        """What reached the function itself."""
        return [event for event in self.functions.events if event.get("type") not in ("TOKEN", "REQUEST")]


@pytest.fixture
def site(account: Any, web: Web, functions: RecordingFunctions, function_arn: str) -> Site:
    account.gateway.guard.enforcing = True
    return Site(account, web, functions, function_arn)


def user_keys(account: Any, *, allowed: bool) -> Any:
    """Keys of a user who may, or may not, call APIs."""
    iam = account.client("iam")
    name = f"caller-{allowed}"
    iam.create_user(UserName=name)
    if allowed:
        allow = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
        iam.put_user_policy(
            UserName=name,
            PolicyName="call",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
        )
    made = iam.create_access_key(UserName=name)["AccessKey"]

    class Keys:
        access_key_id = made["AccessKeyId"]
        secret_access_key = made["SecretAccessKey"]
        session_token = ""

    return Keys


def test_an_http_api_that_wants_signatures(site: Site) -> None:
    url = site.http_api(AuthorizationType="AWS_IAM")
    unsigned = site.web(url)
    assert (unsigned.status, unsigned.json()) == (403, {"message": "Forbidden"})
    assert site.signed(url, user_keys(site.account, allowed=False)).status == 403
    assert site.handled() == []

    keys = user_keys(site.account, allowed=True)
    assert site.signed(url, keys).status == 200
    [event] = site.handled()
    iam = event["requestContext"]["authorizer"]["iam"]
    assert iam["accessKey"] == keys.access_key_id
    assert iam["userArn"].endswith(":user/caller-True")


def test_a_rest_api_that_wants_signatures(site: Site) -> None:
    url, _ = site.rest_api(authorizationType="AWS_IAM")
    denied = site.signed(url, user_keys(site.account, allowed=False), "POST", b"{}")
    assert denied.status == 403
    assert "is not authorized to perform: execute-api:Invoke on resource" in denied.json()["Message"]
    keys = user_keys(site.account, allowed=True)
    assert site.signed(url, keys, "POST", b"{}").status == 200
    keys.secret_access_key = "wrong" * 8
    wrong = site.signed(url, keys, "POST", b"{}")
    assert wrong.status == 403
    assert "signature" in wrong.json()["message"]
    [event] = site.handled()
    assert event["requestContext"]["identity"]["userArn"].endswith(":user/caller-True")


def test_a_resource_policy_closes_an_api(site: Site) -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "execute-api:Invoke",
                "Resource": "execute-api:/*",
            },
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "execute-api:Invoke",
                "Resource": "execute-api:/*",
                "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
            },
        ],
    }
    url, api_id = site.rest_api()
    site.rest.update_rest_api(
        restApiId=api_id,
        patchOperations=[{"op": "replace", "path": "/policy", "value": json.dumps(policy)}],
    )
    assert site.web(url, method="POST").status == 200  # not deployed yet
    site.rest.create_deployment(restApiId=api_id, stageName="dev")
    answer = site.web(url, method="POST")
    assert answer.status == 403
    assert "with an explicit deny" in answer.json()["Message"]


@pytest.fixture
def pool(account: Any, functions: RecordingFunctions) -> Any:
    """A user pool with one signed-up user; its id, client id and tokens."""
    account.add(UserPools(account.core, functions).handlers())
    cognito = account.client("cognito-idp")
    pool_id = cognito.create_user_pool(PoolName="shop")["UserPool"]["Id"]
    client_id = cognito.create_user_pool_client(
        UserPoolId=pool_id, ClientName="web", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    cognito.admin_create_user(UserPoolId=pool_id, Username="ann", TemporaryPassword="Start-1234")
    cognito.admin_set_user_password(UserPoolId=pool_id, Username="ann", Password="Final-1234", Permanent=True)
    answer = cognito.admin_initiate_auth(
        UserPoolId=pool_id,
        ClientId=client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "ann", "PASSWORD": "Final-1234"},
    )["AuthenticationResult"]
    return pool_id, client_id, answer["IdToken"], answer["AccessToken"]


def jwt_authorizer(site: Site, pool_id: str, audience: str) -> dict[str, Any]:
    issuer = f"https://cognito-idp.{site.account.core.region}.amazonaws.com/{pool_id}"
    return {
        "AuthorizerType": "JWT",
        "IdentitySource": ["$request.header.Authorization"],
        "JwtConfiguration": {"Issuer": issuer, "Audience": [audience]},
    }


def test_tokens_of_a_user_pool(site: Site, pool: Any) -> None:
    pool_id, client_id, id_token, _ = pool
    url = site.http_api(AuthorizationType="JWT", authorizer=jwt_authorizer(site, pool_id, client_id))
    assert site.web(url).status == 401
    head, body, signature = id_token.split(".")
    forged = f"{head}.{body}.{signature[:-4]}AAAA"
    refused = site.web(url, headers={"Authorization": f"Bearer {forged}"})
    assert (refused.status, refused.json()) == (401, {"message": "Unauthorized"})
    assert site.handled() == []
    assert site.web(url, headers={"Authorization": f"Bearer {id_token}"}).status == 200
    [event] = site.handled()
    claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
    assert (claims["cognito:username"], claims["aud"]) == ("ann", client_id)

    site.account.advance(3700)
    assert site.web(url, headers={"Authorization": f"Bearer {id_token}"}).status == 401


def test_a_token_for_somebody_else_or_without_the_scope(site: Site, pool: Any) -> None:
    pool_id, client_id, id_token, _ = pool
    other = site.http_api(AuthorizationType="JWT", authorizer=jwt_authorizer(site, pool_id, "another"))
    assert site.web(other, headers={"Authorization": id_token}).status == 401
    scoped = site.http_api(
        AuthorizationType="JWT",
        AuthorizationScopes=["orders/write"],
        authorizer=jwt_authorizer(site, pool_id, client_id),
    )
    assert site.web(scoped, headers={"Authorization": id_token}).status == 403
    assert site.handled() == []


def test_a_user_pool_in_front_of_a_rest_api(site: Site, pool: Any) -> None:
    pool_id, _, id_token, _ = pool
    region, account_id = site.account.core.region, site.account.core.account_id

    def prepare(api_id: str) -> dict[str, Any]:
        made = site.rest.create_authorizer(
            restApiId=api_id,
            name="pool",
            type="COGNITO_USER_POOLS",
            providerARNs=[f"arn:aws:cognito-idp:{region}:{account_id}:userpool/{pool_id}"],
            identitySource="method.request.header.Authorization",
        )
        return {"authorizationType": "COGNITO_USER_POOLS", "authorizerId": made["id"]}

    url, _ = site.rest_api(prepare)
    assert site.web(url, method="POST").json() == {"message": "Unauthorized"}
    assert site.web(url, method="POST", headers={"Authorization": id_token}).status == 200
    [event] = site.handled()
    assert event["requestContext"]["authorizer"]["claims"]["cognito:username"] == "ann"


def policy_answer(effect: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": "ann", "policyDocument": document, **more}


def test_a_functions_policy_decides_and_is_kept(site: Site) -> None:
    uri = site.authorizer_function()

    def prepare(api_id: str) -> dict[str, Any]:
        made = site.rest.create_authorizer(
            restApiId=api_id,
            name="guard",
            type="TOKEN",
            authorizerUri=uri,
            identitySource="method.request.header.Authorization",
            identityValidationExpression="Bearer .+",
            authorizerResultTtlInSeconds=60,
        )
        return {"authorizationType": "CUSTOM", "authorizerId": made["id"]}

    url, api_id = site.rest_api(prepare)

    def ask(token: str) -> HttpAnswer:
        return site.web(url, method="POST", headers={"Authorization": token} if token else {})

    site.answers["authorizer"] = policy_answer("Allow", context={"tenant": "t-1", "level": 3, "admin": True})
    assert ask("").status == 401
    assert ask("Basic x").status == 401
    assert ask("Bearer one").status == 200
    assert ask("Bearer one").status == 200
    asked = [event for event in site.functions.events if event.get("type") == "TOKEN"]
    assert len(asked) == 1
    arn = f"arn:aws:execute-api:{site.account.core.region}:{site.account.core.account_id}:{api_id}"
    assert asked[0] == {
        "type": "TOKEN",
        "authorizationToken": "Bearer one",
        "methodArn": f"{arn}/dev/POST/items",
    }
    context = site.handled()[0]["requestContext"]["authorizer"]
    assert (context["principalId"], context["tenant"], context["level"], context["admin"]) == (
        "ann",
        "t-1",
        "3",
        "true",
    )

    site.answers["authorizer"] = policy_answer("Deny")
    assert ask("Bearer one").status == 200  # kept for a minute
    site.account.advance(61)
    denied = ask("Bearer one")
    assert denied.status == 403
    assert denied.json() == {
        "Message": "User is not authorized to access this resource with an explicit deny"
    }
    site.answers["authorizer"] = policy_answer("Allow", f"{arn}/dev/GET/*")
    assert ask("Bearer two").json() == {"Message": "User is not authorized to access this resource"}

    site.rest.put_gateway_response(
        restApiId=api_id,
        responseType="ACCESS_DENIED",
        responseTemplates={"application/json": '{"why": "$context.authorizer.reason"}'},
    )
    site.rest.create_deployment(restApiId=api_id, stageName="dev")
    site.answers["authorizer"] = policy_answer("Deny", context={"reason": "closed"})
    assert ask("Bearer three").json() == {"why": "closed"}, "what the function told is there to be shown"


def test_a_function_that_says_unauthorized_or_breaks(site: Site) -> None:
    uri = site.authorizer_function()

    def prepare(api_id: str) -> dict[str, Any]:
        made = site.rest.create_authorizer(
            restApiId=api_id,
            name="guard",
            type="REQUEST",
            authorizerUri=uri,
            identitySource="method.request.header.X-Key, method.request.querystring.user",
        )
        return {"authorizationType": "CUSTOM", "authorizerId": made["id"]}

    def says(text: str) -> Any:
        def answer(event: Any) -> None:
            raise RuntimeError(text)

        return answer

    url, _ = site.rest_api(prepare)
    assert site.web(url, method="POST", headers={"X-Key": "k"}).status == 401
    site.answers["authorizer"] = says("Unauthorized")
    assert site.web(f"{url}?user=u", method="POST", headers={"X-Key": "k"}).status == 401
    site.answers["authorizer"] = says("boom")
    broken = site.web(f"{url}?user=u", method="POST", headers={"X-Key": "k"})
    assert (broken.status, broken.json()) == (500, {"message": None})
    site.answers["authorizer"] = policy_answer("Allow")
    assert site.web(f"{url}?user=u", method="POST", headers={"X-Key": "k"}).status == 200
    asked = [event for event in site.functions.events if event.get("type") == "REQUEST"]
    assert asked[-1]["queryStringParameters"] == {"user": "u"}
    assert "body" not in asked[-1]


def test_simple_answers_of_http_apis(site: Site) -> None:
    uri = site.authorizer_function()
    authorizer = {
        "AuthorizerType": "REQUEST",
        "AuthorizerUri": uri,
        "AuthorizerPayloadFormatVersion": "2.0",
        "EnableSimpleResponses": True,
        "IdentitySource": ["$request.header.X-Key"],
        "AuthorizerResultTtlInSeconds": 0,
    }
    url = site.http_api(AuthorizationType="CUSTOM", authorizer=authorizer)
    assert site.web(url).json() == {"message": "Unauthorized"}
    site.answers["authorizer"] = {"isAuthorized": False}
    assert site.web(url, headers={"X-Key": "k"}).json() == {"message": "Forbidden"}
    site.answers["authorizer"] = {"isAuthorized": True, "context": {"tenant": "t-1", "roles": ["a"]}}
    assert site.web(url, headers={"X-Key": "k"}).status == 200
    [event] = site.handled()
    assert event["requestContext"]["authorizer"] == {"lambda": {"tenant": "t-1", "roles": ["a"]}}
    asked = [each for each in site.functions.events if each.get("type") == "REQUEST"][-1]
    assert asked["identitySource"] == ["k"]
    assert asked["routeArn"].endswith("/$default/GET/items/7")
    site.answers["authorizer"] = {"allowed": True}
    assert site.web(url, headers={"X-Key": "k"}).status == 500


def test_api_keys_with_a_plans_limits(site: Site) -> None:
    url, api_id = site.rest_api(apiKeyRequired=True)
    key = site.rest.create_api_key(name="partner", enabled=True)
    plan = site.rest.create_usage_plan(
        name="small",
        apiStages=[{"apiId": api_id, "stage": "dev"}],
        throttle={"rateLimit": 1.0, "burstLimit": 2},
        quota={"limit": 5, "period": "DAY"},
    )

    def ask(value: str) -> tuple[int, str]:
        answer = site.web(url, method="POST", headers={"x-api-key": value})
        return answer.status, answer.body.decode()

    assert ask(key["value"])[0] == 403  # in no plan
    site.rest.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
    assert ask("wrong")[0] == 403
    assert [ask(key["value"])[0] for _ in range(3)] == [200, 200, 429]
    site.account.advance(10)
    assert [ask(key["value"])[0] for _ in range(2)] == [200, 200]
    site.account.advance(10)
    assert ask(key["value"])[0] == 200
    assert ask(key["value"]) == (429, '{"message":"Limit Exceeded"}')
    site.account.advance(86_400)
    assert ask(key["value"])[0] == 200
    assert site.handled()[0]["requestContext"]["identity"]["apiKeyId"] == key["id"]


def test_a_stages_own_limits(site: Site) -> None:
    url = site.http_api()
    api_id = url.split("//")[1].split(".")[0]
    site.http.update_stage(
        ApiId=api_id,
        StageName="$default",
        DefaultRouteSettings={"ThrottlingBurstLimit": 3, "ThrottlingRateLimit": 1.0},
    )
    answers = [site.web(url) for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].json() == {"message": "Too Many Requests"}
    site.account.advance(2)
    assert [site.web(url).status for _ in range(3)] == [200, 200, 429]


def test_validators_and_gateway_responses(site: Site) -> None:
    def prepare(api_id: str) -> dict[str, Any]:
        schema = {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "type": "object",
            "required": ["sku", "count"],
            "properties": {"sku": {"type": "string"}, "count": {"type": "integer", "minimum": 1}},
            "additionalProperties": False,
        }
        site.rest.create_model(
            restApiId=api_id, name="Item", contentType="application/json", schema=json.dumps(schema)
        )
        order = {
            "type": "object",
            "required": ["items"],
            "properties": {
                "items": {
                    "type": "array",
                    "items": {"$ref": f"https://apigateway.amazonaws.com/restapis/{api_id}/models/Item"},
                }
            },
        }
        site.rest.create_model(
            restApiId=api_id, name="Order", contentType="application/json", schema=json.dumps(order)
        )
        validator = site.rest.create_request_validator(
            restApiId=api_id, name="all", validateRequestBody=True, validateRequestParameters=True
        )
        site.rest.put_gateway_response(
            restApiId=api_id,
            responseType="BAD_REQUEST_BODY",
            statusCode="422",
            responseParameters={"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"},
            responseTemplates={
                "application/json": '{"error": $context.error.messageString, '
                '"why": "$context.error.validationErrorString"}'
            },
        )
        return {
            "requestValidatorId": validator["id"],
            "requestModels": {"application/json": "Order"},
            "requestParameters": {"method.request.querystring.shop": True},
        }

    url, _ = site.rest_api(prepare)
    body = json.dumps({"items": [{"sku": "a", "count": 1}]}).encode()
    headers = {"Content-Type": "application/json"}
    missing = site.web(url, method="POST", headers=headers, body=body)
    assert (missing.status, missing.json()) == (
        400,
        {"message": "Missing required request parameters: [shop]"},
    )
    bad = site.web(f"{url}?shop=1", method="POST", headers=headers, body=b'{"items": [{"sku": 1}]}')
    assert bad.status == 422
    assert bad.json()["error"] == "Invalid request body"
    assert bad.header("access-control-allow-origin") == "*"
    assert site.web(f"{url}?shop=1", method="POST", headers=headers, body=b"{").status == 422
    assert site.handled() == []
    assert site.web(f"{url}?shop=1", method="POST", headers=headers, body=body).status == 200
