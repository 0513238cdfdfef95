"""People sign up, are confirmed and forget their passwords; functions are asked on the way."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sandbox.emulator.functions.contract import InvokeOutcome
from tests.emulator.fabric.cognito.conftest import Shop, refused


def test_the_code_that_was_sent_confirms_and_no_other(shop: Shop) -> None:
    made = shop.sign_up()
    assert made["UserConfirmed"] is False
    assert made["CodeDeliveryDetails"] == {
        "Destination": "a***@e***",
        "DeliveryMedium": "EMAIL",
        "AttributeName": "email",
    }
    assert refused(shop.sign_in) == ("UserNotConfirmedException", "User is not confirmed.")

    [code] = re.findall(r"\d{6}", shop.message()["message"])
    wrong = f"{(int(code) + 1) % 10**6:06}"
    confirm = {"ClientId": shop.client_id, "Username": "ann"}
    code_error = refused(lambda: shop.cognito.confirm_sign_up(**confirm, ConfirmationCode=wrong))
    assert code_error == ("CodeMismatchException", "Invalid verification code provided, please try again.")
    shop.cognito.confirm_sign_up(**confirm, ConfirmationCode=code)
    user = shop.cognito.admin_get_user(UserPoolId=shop.pool_id, Username="ann")
    assert user["UserStatus"] == "CONFIRMED"
    assert {"Name": "email_verified", "Value": "true"} in user["UserAttributes"]


def test_a_code_is_good_for_a_day(shop: Shop) -> None:
    shop.sign_up()
    [code] = re.findall(r"\d{6}", shop.message()["message"])
    shop.account.advance(25 * 3600)
    confirm = {"ClientId": shop.client_id, "Username": "ann"}
    assert refused(lambda: shop.cognito.confirm_sign_up(**confirm, ConfirmationCode=code))[0] == (
        "ExpiredCodeException"
    )
    shop.cognito.resend_confirmation_code(**confirm)
    [again] = re.findall(r"\d{6}", shop.message()["message"])
    shop.cognito.confirm_sign_up(**confirm, ConfirmationCode=again)


def test_the_event_before_signing_up(shop: Shop) -> None:
    arn = shop.attach("PreSignUp")
    shop.sign_up(ValidationData=[{"Name": "coupon", "Value": "X1"}], ClientMetadata={"from": "web"})
    [event] = shop.functions.events
    assert event == {
        "version": "1",
        "triggerSource": "PreSignUp_SignUp",
        "region": shop.account.core.region,
        "userPoolId": shop.pool_id,
        "userName": "ann",
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": shop.client_id},
        "request": {
            "userAttributes": {"email": "ann@example.com"},
            "validationData": {"coupon": "X1"},
            "clientMetadata": {"from": "web"},
        },
        "response": {"autoConfirmUser": False, "autoVerifyEmail": False, "autoVerifyPhone": False},
    }
    assert shop.functions.invocations[0].function == arn


def test_a_function_confirms_and_another_is_told(shop: Shop) -> None:
    shop.attach("PreSignUp", "PostConfirmation")
    shop.answers["PreSignUp_SignUp"] = {"autoConfirmUser": True, "autoVerifyEmail": True}
    assert shop.sign_up()["UserConfirmed"] is True
    assert shop.sources() == ["PreSignUp_SignUp", "PostConfirmation_ConfirmSignUp"]
    told = shop.functions.events[1]["request"]["userAttributes"]
    assert (told["cognito:user_status"], told["email_verified"]) == ("CONFIRMED", "true")
    assert shop.functions.events[1]["response"] == {}
    assert shop.sign_in()["AuthenticationResult"]["TokenType"] == "Bearer"


def boom(_event: Any) -> Any:
    raise ValueError("not from here")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (boom, ("UserLambdaValidationException", "PreSignUp failed with error not from here.")),
        (lambda _: "ok", ("InvalidLambdaResponseException", "Unrecognizable lambda output")),
        (lambda _: None, ("InvalidLambdaResponseException", "Unrecognizable lambda output")),
        (
            lambda _: InvokeOutcome(429, b"{}", error_code="TooManyRequestsException"),
            (
                "UnexpectedLambdaException",
                "PreSignUp invocation failed due to error TooManyRequestsException.",
            ),
        ),
        (
            lambda _: InvokeOutcome(200, b"{}", duration_ms=6000),
            (
                "UnexpectedLambdaException",
                "PreSignUp invocation failed due to error Socket timeout while invoking Lambda function.",
            ),
        ),
    ],
)
def test_a_function_that_says_no_keeps_people_out(shop: Shop, answer: Any, error: tuple[str, str]) -> None:
    shop.attach("PreSignUp")
    shop.answers["PreSignUp_SignUp"] = answer
    assert refused(shop.sign_up) == error
    assert shop.cognito.list_users(UserPoolId=shop.pool_id)["Users"] == []
    assert len(shop.functions.events) == (3 if "Socket" in error[1] else 1)


def test_a_function_that_does_not_let_the_pool_in_is_not_asked(shop: Shop) -> None:
    shop.attach("PreSignUp", allowed=False)
    assert refused(shop.sign_up) == (
        "UnexpectedLambdaException",
        "PreSignUp invocation failed due to error AccessDeniedException.",
    )
    assert shop.functions.events == []
    [event] = shop.account.events("delivery")
    assert (event.subject, event.outcome) == (f"cognito:{shop.pool_id}", "UnexpectedLambdaException")
    assert event.detail["reason"].endswith("function policy does not allow cognito-idp.amazonaws.com")


def test_what_happens_after_confirming_does_not_undo_it(shop: Shop) -> None:
    shop.attach("PostConfirmation")
    shop.answers["PostConfirmation_ConfirmSignUp"] = boom
    shop.sign_up()
    where = {"UserPoolId": shop.pool_id, "Username": "ann"}
    assert refused(lambda: shop.cognito.admin_confirm_sign_up(**where)) == (
        "UserLambdaValidationException",
        "PostConfirmation failed with error not from here.",
    )
    assert shop.cognito.admin_get_user(**where)["UserStatus"] == "CONFIRMED"


def test_a_function_words_the_message(shop: Shop) -> None:
    shop.attach("CustomMessage")
    shop.answers["CustomMessage_SignUp"] = lambda event: {
        "emailSubject": "Hej",
        "emailMessage": f"Your number: {event['request']['codeParameter']}",
    }
    shop.sign_up()
    message = shop.message()
    assert message["mail_subject"] == "Hej"
    assert re.fullmatch(r"Your number: \d{6}", message["message"])
    assert message["destination"] == "ann@example.com"


def test_an_administrator_makes_a_user(shop: Shop) -> None:
    shop.attach("PreSignUp", "CustomMessage")
    shop.answers["PreSignUp_AdminCreateUser"] = {"autoConfirmUser": True}
    made = shop.cognito.admin_create_user(
        UserPoolId=shop.pool_id,
        Username="ben",
        TemporaryPassword="Start-123",
        UserAttributes=[{"Name": "email", "Value": "ben@example.com"}],
        DesiredDeliveryMediums=["EMAIL"],
    )["User"]
    # Confirming by itself works for those alone who sign themselves up.
    assert made["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    assert shop.sources() == ["PreSignUp_AdminCreateUser", "CustomMessage_AdminCreateUser"]
    assert shop.functions.events[0]["callerContext"]["clientId"] == "CLIENT_ID_NOT_APPLICABLE"
    said = shop.message()["message"].strip()
    assert said == "Your username is ben and temporary password is Start-123."

    asked = shop.sign_in("ben", "Start-123")
    assert asked["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    answered = shop.cognito.respond_to_auth_challenge(
        ClientId=shop.client_id,
        ChallengeName="NEW_PASSWORD_REQUIRED",
        Session=asked["Session"],
        ChallengeResponses={"USERNAME": "ben", "NEW_PASSWORD": "My-own-1234"},
    )
    assert shop.claims(answered["AuthenticationResult"]["IdToken"])["cognito:username"] == "ben"


def test_a_forgotten_password(shop: Shop) -> None:
    shop.attach("PreSignUp", "PostConfirmation")
    shop.answers["PreSignUp_SignUp"] = {"autoConfirmUser": True, "autoVerifyEmail": True}
    shop.sign_up()
    who = {"ClientId": shop.client_id, "Username": "ann"}
    shop.cognito.forgot_password(**who)
    [code] = re.findall(r"\d{6}", shop.message()["message"])
    shop.cognito.confirm_forgot_password(**who, ConfirmationCode=code, Password="Another-1")
    assert shop.sources()[-1] == "PostConfirmation_ConfirmForgotPassword"
    assert refused(shop.sign_in)[0] == "NotAuthorizedException"
    shop.sign_in(password="Another-1")


def test_names_passwords_and_attributes_are_checked(shop: Shop) -> None:
    shop.sign_up()
    assert refused(shop.sign_up) == ("UsernameExistsException", "User already exists")
    sign_up = shop.cognito.sign_up
    weak = refused(lambda: sign_up(ClientId=shop.client_id, Username="bo", Password="password1"))
    assert weak == (
        "InvalidPasswordException",
        "Password did not conform with policy: Password must have uppercase characters",
    )
    assert refused(lambda: sign_up(ClientId="nobody", Username="bo", Password="Pass-word1"))[0] == (
        "ResourceNotFoundException"
    )
