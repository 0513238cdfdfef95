"""The functions that a user pool asks on its way, and what becomes of their answers.

Source: https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sandbox.emulator.calls import AwsError
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import policies
from sandbox.emulator.fabric.cognito.pools import Place
from sandbox.emulator.functions.contract import Functions, InvokeOutcome

_SERVICE = "cognito-idp.amazonaws.com"
# A function that takes longer is asked again, at most three times in all.
_LIMIT_S = 5.0
_TRIES = 3


class Trigger(StrEnum):
    """When a function is asked, by the name that ``LambdaConfig`` has for it."""

    PRE_SIGN_UP = "PreSignUp"
    POST_CONFIRMATION = "PostConfirmation"
    PRE_AUTHENTICATION = "PreAuthentication"
    POST_AUTHENTICATION = "PostAuthentication"
    PRE_TOKEN_GENERATION = "PreTokenGeneration"
    CUSTOM_MESSAGE = "CustomMessage"
    USER_MIGRATION = "UserMigration"
    DEFINE_AUTH_CHALLENGE = "DefineAuthChallenge"
    CREATE_AUTH_CHALLENGE = "CreateAuthChallenge"
    VERIFY_AUTH_CHALLENGE = "VerifyAuthChallengeResponse"


@dataclass(frozen=True, slots=True)
class Question:
    """What a function is asked: why (``SignUp``), about whom, with what, and what it may answer."""

    reason: str
    user_name: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    source: str = ""
    """What comes before the reason, where it is not the trigger's own name."""


class NotAsked(AwsError):
    """Lambda did not run the function; ``why`` is more than callers are told."""

    def __init__(self, trigger: Trigger, code: str, why: str) -> None:
        super().__init__("UnexpectedLambdaException", f"{trigger} invocation failed due to error {code}.")
        self.why = why


class Triggers:
    """Asks the functions of user pools. Never call it with the dispatch lock held."""

    def __init__(self, core: AccountCore, functions: Functions) -> None:
        self._core = core
        self._functions = functions

    def configured(self, place: Place, trigger: Trigger) -> str:
        """The ARN of the function for a trigger; empty if there is none."""
        config = place.config("LambdaConfig", {})
        if trigger is Trigger.PRE_TOKEN_GENERATION and config.get("PreTokenGenerationConfig"):
            return str(config["PreTokenGenerationConfig"].get("LambdaArn") or "")
        return str(config.get(trigger) or "")

    def version(self, place: Place) -> str:
        """The version of the events before tokens are made: ``1``, ``2`` or ``3``."""
        config = place.config("LambdaConfig", {}).get("PreTokenGenerationConfig") or {}
        return str(config.get("LambdaVersion") or "V1_0")[1:2]

    def ask(self, place: Place, trigger: Trigger, question: Question) -> dict[str, Any] | None:
        """What the trigger's function answers; None if the pool has none.

        Raises:
            AwsError: it may not be asked, failed, or made no sense.
        """
        function = self.configured(place, trigger)
        if not function:
            return None
        pool = place.pool
        event = {
            "version": self.version(place) if trigger is Trigger.PRE_TOKEN_GENERATION else "1",
            "triggerSource": f"{question.source or trigger}_{question.reason}",
            "region": pool.region,
            "userPoolId": pool.id,
            "userName": question.user_name,
            "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": place.client_id},
            "request": dict(question.request),
            "response": dict(question.response),
        }
        try:
            answer = self._answer(place, trigger, function, json.dumps(event, ensure_ascii=False).encode())
        except AwsError as error:
            why = error.why if isinstance(error, NotAsked) else error.message
            self._note(place, event, function, error.code, why)
            raise
        self._note(place, event, function, "ok", "")
        return answer

    def _answer(self, place: Place, trigger: Trigger, function: str, payload: bytes) -> dict[str, Any]:
        pool = place.pool
        delivery = policies.Delivery(_SERVICE, pool.arn, pool.account_id)
        try:
            refused = policies.refusal(self._core, function, delivery)
        except ValueError as error:
            raise NotAsked(trigger, "ResourceNotFoundException", str(error)) from None
        if refused:
            code = "ResourceNotFoundException" if "does not exist" in refused else "AccessDeniedException"
            raise NotAsked(trigger, code, refused)
        for _ in range(_TRIES):
            outcome = self._functions.invoke(
                function, payload, account_id=pool.account_id, region=pool.region, source=f"cognito:{pool.id}"
            )
            if (outcome.duration_ms + (outcome.init_ms or 0.0)) / 1000 <= _LIMIT_S:
                return _read(trigger, outcome)
        raise AwsError(
            "UnexpectedLambdaException",
            f"{trigger} invocation failed due to error Socket timeout while invoking Lambda function.",
        )

    def _note(self, place: Place, event: Mapping[str, Any], function: str, outcome: str, reason: str) -> None:
        pool = place.pool
        self._core.timeline.add(
            "delivery",
            f"cognito:{pool.id}",
            account_id=pool.account_id,
            region=pool.region,
            outcome=outcome,
            trigger=event["triggerSource"],
            function=function,
            user=event["userName"],
            **({"reason": reason} if reason else {}),
        )


def _read(trigger: Trigger, outcome: InvokeOutcome) -> dict[str, Any]:
    if outcome.status >= 300:
        raise NotAsked(trigger, outcome.error_code, outcome.payload.decode("utf-8", "replace"))
    try:
        told = json.loads(outcome.payload or b"null")
    except ValueError:
        told = None
    if outcome.function_error:
        text = told.get("errorMessage") if isinstance(told, Mapping) else ""
        raise AwsError("UserLambdaValidationException", f"{trigger} failed with error {text}.")
    response = told.get("response", {}) if isinstance(told, Mapping) else None
    if response is None and isinstance(told, Mapping):
        response = {}
    if not isinstance(response, Mapping):
        raise unrecognizable()
    return dict(response)


def unrecognizable() -> AwsError:
    """A function's answer has not the form that it should have."""
    return AwsError("InvalidLambdaResponseException", "Unrecognizable lambda output")
