"""A user pool whose functions answer as a test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from joserfc import jwk, jwt
from werkzeug.test import Client

from sandbox.emulator.fabric.cognito import UserPools
from tests.emulator.fabric.fakes import RecordingFunctions, create_function

FLOWS = [
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "ALLOW_USER_SRP_AUTH",
    "ALLOW_CUSTOM_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
]


class Shop:
    """A pool ``shop`` with the client ``web``, and what its triggers answer by their source."""

    def __init__(self, account: Any, service: UserPools, functions: RecordingFunctions) -> None:
        self.account = account
        self.service = service
        self.functions = functions
        self.cognito = account.client("cognito-idp")
        self.answers: dict[str, Any] = {}
        functions.answer = self._answer
        self.pool_id = self.cognito.create_user_pool(PoolName="shop", AutoVerifiedAttributes=["email"])[
            "UserPool"
        ]["Id"]
        self.client_id = self.client()

    def _answer(self, event: Any) -> Any:
        answer = self.answers.get(event["triggerSource"], {})
        if callable(answer):
            answer = answer(event)
        return answer if not isinstance(answer, dict) else event | {"response": event["response"] | answer}

    def client(self, **settings: Any) -> str:
        """Another client of the pool; its id."""
        settings = {"ClientName": "web", "ExplicitAuthFlows": FLOWS, **settings}
        made = self.cognito.create_user_pool_client(UserPoolId=self.pool_id, **settings)
        return str(made["UserPoolClient"]["ClientId"])

    def attach(self, *triggers: str, allowed: bool = True, **config: Any) -> str:
        """Let the function ``asked`` be asked; its ARN."""
        arn = create_function(self.account, "asked")
        if allowed:
            self.account.client("lambda").add_permission(
                FunctionName="asked",
                StatementId="pool",
                Action="lambda:InvokeFunction",
                Principal="cognito-idp.amazonaws.com",
                SourceArn=self.cognito.describe_user_pool(UserPoolId=self.pool_id)["UserPool"]["Arn"],
            )
        config = {name: {**value, "LambdaArn": arn} for name, value in config.items()}
        self.cognito.update_user_pool(
            UserPoolId=self.pool_id,
            AutoVerifiedAttributes=["email"],
            LambdaConfig={**dict.fromkeys(triggers, arn), **config},
        )
        return arn

    def sign_up(self, name: str = "ann", **more: Any) -> Any:
        more.setdefault("UserAttributes", [{"Name": "email", "Value": f"{name}@example.com"}])
        return self.cognito.sign_up(ClientId=self.client_id, Username=name, Password="Pass-word1", **more)

    def join(self, name: str = "ann") -> None:
        """Sign somebody up who is then confirmed."""
        self.sign_up(name)
        self.cognito.admin_confirm_sign_up(UserPoolId=self.pool_id, Username=name)

    def sign_in(self, name: str = "ann", password: str = "Pass-word1", **more: Any) -> Any:
        more.setdefault("ClientId", self.client_id)
        given = {"USERNAME": name, "PASSWORD": password}
        return self.cognito.initiate_auth(AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given, **more)

    def sources(self) -> list[str]:
        return [event["triggerSource"] for event in self.functions.events]

    def message(self) -> Any:
        """What somebody was sent last."""
        sent = [event for event in self.account.events("delivery") if "medium" in event.detail]
        return sent[-1].detail

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token, checked with the keys that the pool's page has."""
        page = Client(self.account.gateway.application()).get(f"/{self.pool_id}/.well-known/jwks.json")
        return dict(jwt.decode(token, jwk.KeySet.import_key_set(json.loads(page.data))).claims)


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    """The code and message of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def shop(account: Any) -> Shop:
    functions = RecordingFunctions()
    service = UserPools(account.core, functions)
    account.add(service.handlers())
    account.gateway.data_planes.append(service.pages)
    return Shop(account, service, functions)
