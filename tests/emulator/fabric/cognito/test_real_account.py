"""A SAM application with a user pool, from its template to the tokens that its APIs accept."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.providers.emulated import EmulatedProvider
from settings import Settings

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.12, Handler: index.handler, Timeout: 5}
Resources:
  Users:
    Type: AWS::Cognito::UserPool
    Properties:
      AutoVerifiedAttributes: [email]
  Web:
    Type: AWS::Cognito::UserPoolClient
    Properties:
      UserPoolId: !Ref Users
      ExplicitAuthFlows: [ALLOW_USER_PASSWORD_AUTH, ALLOW_REFRESH_TOKEN_AUTH]
  Watch:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: |
        def handler(event, context):
            print("asked", event["triggerSource"])
            if event["triggerSource"] == "PreSignUp_SignUp":
                if not event["request"]["userAttributes"]["email"].endswith("@example.com"):
                    raise Exception("Only example.com may join")
                event["response"]["autoVerifyEmail"] = True
            if event["triggerSource"].startswith("TokenGeneration"):
                event["response"]["claimsOverrideDetails"] = {"claimsToAddOrOverride": {"tier": "gold"}}
            return event
      Events:
        Joining: {Type: Cognito, Properties: {UserPool: !Ref Users, Trigger: [PreSignUp, PreTokenGeneration]}}
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: |
        import json, os, urllib.request
        def handler(event, context):
            context = event["requestContext"]["authorizer"]
            claims = context.get("claims") or context["jwt"]["claims"]
            with urllib.request.urlopen(claims["iss"] + "/.well-known/jwks.json") as page:
                keys = json.load(page)["keys"]
            return {"statusCode": 200, "body": json.dumps({"tier": claims["tier"], "keys": len(keys)})}
      Events:
        Http: {Type: HttpApi, Properties: {ApiId: !Ref Http, Path: /orders, Method: GET}}
        Rest: {Type: Api, Properties: {RestApiId: !Ref Rest, Path: /orders, Method: GET}}
  Http:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Pool
        Authorizers:
          Pool:
            IdentitySource: $request.header.Authorization
            JwtConfiguration:
              issuer: !Sub https://cognito-idp.${AWS::Region}.amazonaws.com/${Users}
              audience: [!Ref Web]
  Rest:
    Type: AWS::Serverless::Api
    Properties:
      StageName: prod
      Auth:
        DefaultAuthorizer: Pool
        Authorizers: {Pool: {UserPoolArn: !GetAtt Users.Arn}}
Outputs:
  Client: {Value: !Ref Web}
  Pool: {Value: !Ref Users}
  Http: {Value: !Sub "https://${Http}.execute-api.${AWS::Region}.amazonaws.com/orders"}
  Rest: {Value: !Sub "https://${Rest}.execute-api.${AWS::Region}.amazonaws.com/prod/orders"}
"""


@pytest.fixture(scope="module")
def account() -> Iterator[Any]:
    with EmulatedProvider(Settings().home, say=lambda _text: None) as provider:
        made = provider.open()
        yield made
        made.close()


def fetch(url: str, token: str = "") -> tuple[int, Any]:
    """Status and JSON of an address, asked for with a token."""
    request = urllib.request.Request(url, headers={"Authorization": token} if token else {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_from_signing_up_to_an_api_that_accepts_the_token(account: Any) -> None:
    stacks = account.client("cloudformation")
    stacks.create_stack(
        StackName="shop",
        TemplateBody=TEMPLATE,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    assert account.settle(60).settled
    [stack] = stacks.describe_stacks(StackName="shop")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stacks.describe_stack_events(StackName="shop")
    told = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    # boto3 leaves these calls unsigned, as every application does.
    cognito = account.client("cognito-idp")
    client_id = told["Client"]

    def sign_up(name: str, mail: str) -> Any:
        given = [{"Name": "email", "Value": mail}]
        return cognito.sign_up(ClientId=client_id, Username=name, Password="Pass-word1", UserAttributes=given)

    with pytest.raises(ClientError, match=r"PreSignUp failed with error Only example\.com may join\."):
        sign_up("eve", "eve@elsewhere.test")
    sign_up("ann", "ann@example.com")
    sent = next(event for event in account.timeline() if "medium" in event["detail"])
    [code] = re.findall(r"\d{6}", sent["detail"]["message"])
    cognito.confirm_sign_up(ClientId=client_id, Username="ann", ConfirmationCode=code)
    given = {"USERNAME": "ann", "PASSWORD": "Pass-word1"}
    flow = {"ClientId": client_id, "AuthFlow": "USER_PASSWORD_AUTH"}
    made = cognito.initiate_auth(**flow, AuthParameters=given)["AuthenticationResult"]
    assert cognito.get_user(AccessToken=made["AccessToken"])["Username"] == "ann"

    for name in ("Http", "Rest"):
        url = account.url(told[name])
        assert fetch(url)[0] == 401
        assert fetch(url, made["IdToken"]) == (200, {"tier": "gold", "keys": 1})
    with pytest.raises(ClientError) as caught:
        cognito.sign_up(ClientId="nobody", Username="x", Password="Pass-word1")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
