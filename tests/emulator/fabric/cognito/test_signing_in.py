"""Users sign in, in every way that a pool has; functions are asked on the way."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import secrets
from typing import Any

import pytest
from joserfc.errors import JoseError

from sandbox.emulator.fabric.cognito import srp
from tests.emulator.fabric.cognito.conftest import Shop, refused


def boom(_event: Any) -> Any:
    raise ValueError("not today")


def test_the_functions_around_signing_in(shop: Shop) -> None:
    shop.join()
    shop.attach("PreAuthentication", "PostAuthentication", "PreTokenGeneration")
    shop.sign_in(ClientMetadata={"device": "phone"})
    assert shop.sources() == [
        "PreAuthentication_Authentication",
        "PostAuthentication_Authentication",
        "TokenGeneration_Authentication",
    ]
    before, after, tokens = (event["request"] for event in shop.functions.events)
    assert before["validationData"] == {"device": "phone"}
    assert after["newDeviceUsed"] is False
    assert tokens["groupConfiguration"] == {
        "groupsToOverride": [],
        "iamRolesToOverride": [],
        "preferredRole": None,
    }

    shop.answers["PreAuthentication_Authentication"] = boom
    assert refused(shop.sign_in) == (
        "UserLambdaValidationException",
        "PreAuthentication failed with error not today.",
    )


def test_a_wrong_password_reaches_no_function_behind_it(shop: Shop) -> None:
    shop.join()
    shop.attach("PreAuthentication", "PostAuthentication")
    error = ("NotAuthorizedException", "Incorrect username or password.")
    assert refused(lambda: shop.sign_in(password="Wrong-word1")) == error
    assert shop.sources() == ["PreAuthentication_Authentication"]
    assert refused(lambda: shop.sign_in("nobody"))[0] == "UserNotFoundException"
    discreet = shop.client(PreventUserExistenceErrors="ENABLED")
    assert refused(lambda: shop.sign_in("nobody", ClientId=discreet)) == error


def test_claims_of_the_first_version_change_the_id_token(shop: Shop) -> None:
    shop.join()
    shop.attach("PreTokenGeneration")
    shop.answers["TokenGeneration_Authentication"] = {
        "claimsOverrideDetails": {
            "claimsToAddOrOverride": {"tier": "gold", "sub": "somebody else"},
            "claimsToSuppress": ["email"],
            "groupOverrideDetails": {
                "groupsToOverride": ["buyers"],
                "preferredRole": "arn:aws:iam::1:role/r",
            },
        }
    }
    made = shop.sign_in()["AuthenticationResult"]
    told = shop.claims(made["IdToken"])
    assert (told["tier"], told["cognito:groups"]) == ("gold", ["buyers"])
    assert told["cognito:preferred_role"] == "arn:aws:iam::1:role/r"
    assert "email" not in told
    assert told["sub"] != "somebody else"
    assert "tier" not in shop.claims(made["AccessToken"])


def test_claims_and_scopes_of_the_second_version_change_both_tokens(shop: Shop) -> None:
    shop.join()
    shop.attach(PreTokenGenerationConfig={"LambdaVersion": "V2_0"})
    shop.answers["TokenGeneration_Authentication"] = {
        "claimsAndScopeOverrideDetails": {
            "idTokenGeneration": {"claimsToAddOrOverride": {"family": {"size": 3}}},
            "accessTokenGeneration": {
                "claimsToAddOrOverride": {"tier": "gold"},
                "scopesToAdd": ["orders/read"],
                "scopesToSuppress": ["aws.cognito.signin.user.admin"],
            },
        }
    }
    made = shop.sign_in()["AuthenticationResult"]
    [event] = shop.functions.events
    assert event["version"] == "2"
    assert event["request"]["scopes"] == ["aws.cognito.signin.user.admin"]
    assert event["response"] == {"claimsAndScopeOverrideDetails": None}
    assert shop.claims(made["IdToken"])["family"] == {"size": 3}
    access = shop.claims(made["AccessToken"])
    assert (access["tier"], access["scope"]) == ("gold", "orders/read")
    assert (access["token_use"], access["client_id"]) == ("access", shop.client_id)


def test_a_refresh_token_renews_until_it_ends(shop: Shop) -> None:
    shop.join()
    shop.attach("PreAuthentication", "PreTokenGeneration")
    client_id = shop.client(RefreshTokenValidity=2, TokenValidityUnits={"RefreshToken": "hours"})
    made = shop.sign_in(ClientId=client_id)["AuthenticationResult"]

    def renew() -> Any:
        given = {"REFRESH_TOKEN": made["RefreshToken"]}
        return shop.cognito.initiate_auth(
            ClientId=client_id, AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters=given
        )["AuthenticationResult"]

    shop.account.advance(3600)
    renewed = renew()
    assert "RefreshToken" not in renewed
    old, new = shop.claims(made["IdToken"]), shop.claims(renewed["IdToken"])
    assert (new["auth_time"], new["origin_jti"]) == (old["auth_time"], old["origin_jti"])
    assert new["iat"] >= old["iat"] + 3600
    assert shop.sources()[2:] == ["TokenGeneration_RefreshTokens"]

    shop.account.advance(3700)
    assert refused(renew) == ("NotAuthorizedException", "Invalid Refresh Token")


def test_signing_out_everywhere_ends_refreshing(shop: Shop) -> None:
    shop.join()
    made = shop.sign_in()["AuthenticationResult"]
    shop.cognito.global_sign_out(AccessToken=made["AccessToken"])
    given = {"REFRESH_TOKEN": made["RefreshToken"]}
    again = {"ClientId": shop.client_id, "AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": given}
    assert refused(lambda: shop.cognito.initiate_auth(**again))[0] == "NotAuthorizedException"


def test_only_flows_that_the_client_has(shop: Shop) -> None:
    shop.join()
    plain = shop.client(ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])
    assert refused(lambda: shop.sign_in(ClientId=plain)) == (
        "InvalidParameterException",
        "USER_PASSWORD_AUTH flow not enabled for this client",
    )


def test_a_client_with_a_secret(shop: Shop) -> None:
    shop.join()
    made = shop.cognito.create_user_pool_client(
        UserPoolId=shop.pool_id,
        ClientName="server",
        GenerateSecret=True,
        ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"],
    )["UserPoolClient"]
    client_id = made["ClientId"]
    given = {"USERNAME": "ann", "PASSWORD": "Pass-word1"}

    def sign_in() -> Any:
        return shop.cognito.admin_initiate_auth(
            UserPoolId=shop.pool_id,
            ClientId=client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters=given,
        )

    assert refused(sign_in) == (
        "NotAuthorizedException",
        f"Client {client_id} is configured with secret but SECRET_HASH was not received",
    )
    digest = hmac.digest(made["ClientSecret"].encode(), f"ann{client_id}".encode(), hashlib.sha256)
    given["SECRET_HASH"] = base64.b64encode(digest).decode()
    assert "AccessToken" in sign_in()["AuthenticationResult"]


def prove(shop: Shop, password: str, private: int, asked: Any, **session: Any) -> Any:
    """The client's side of SRP, worked out from what the pool told."""
    told = asked["ChallengeParameters"]
    theirs, salt = int(told["SRP_B"], 16), int(told["SALT"], 16)
    ours = pow(srp.GENERATOR, private, srp.PRIME)
    exponent = srp.secret_exponent(salt, shop.pool_id, told["USER_ID_FOR_SRP"], password)
    scrambler = srp.digest(srp.padded(ours), srp.padded(theirs))
    base = theirs - srp.MULTIPLIER * pow(srp.GENERATOR, exponent, srp.PRIME)
    secret = pow(base, private + scrambler * exponent, srp.PRIME)
    now = dt.datetime.now(dt.UTC).strftime("%a %b %-d %H:%M:%S UTC %Y")
    key = srp.key(secret, scrambler)
    claim = srp.claim(key, shop.pool_id, told["USER_ID_FOR_SRP"], told["SECRET_BLOCK"], now)
    return shop.cognito.respond_to_auth_challenge(
        ClientId=shop.client_id,
        ChallengeName="PASSWORD_VERIFIER",
        ChallengeResponses={
            "USERNAME": told["USER_ID_FOR_SRP"],
            "PASSWORD_CLAIM_SECRET_BLOCK": told["SECRET_BLOCK"],
            "TIMESTAMP": now,
            "PASSWORD_CLAIM_SIGNATURE": claim,
        },
        **session,
    )


def test_the_password_need_not_travel(shop: Shop) -> None:
    shop.join()

    def begin(private: int) -> Any:
        public = f"{pow(srp.GENERATOR, private, srp.PRIME):x}"
        given = {"USERNAME": "ann", "SRP_A": public}
        return shop.cognito.initiate_auth(
            ClientId=shop.client_id, AuthFlow="USER_SRP_AUTH", AuthParameters=given
        )

    private = secrets.randbits(256)
    assert refused(lambda: prove(shop, "Wrong-word1", private, begin(private))) == (
        "NotAuthorizedException",
        "Incorrect username or password.",
    )
    asked = begin(private)
    assert "AccessToken" in prove(shop, "Pass-word1", private, asked)["AuthenticationResult"]
    # Each challenge is good for one answer.
    assert refused(lambda: prove(shop, "Pass-word1", private, asked))[1] == "Invalid session for the user."


def riddle(shop: Shop) -> None:
    """Functions that ask for a number, twice at most."""

    def define(event: Any) -> Any:
        session = event["request"]["session"]
        if session and session[-1]["challengeResult"]:
            return {"issueTokens": True, "failAuthentication": False}
        if len(session) >= 2:
            return {"issueTokens": False, "failAuthentication": True}
        return {"challengeName": "CUSTOM_CHALLENGE", "issueTokens": False, "failAuthentication": False}

    def create(event: Any) -> Any:
        return {
            "publicChallengeParameters": {"ask": "6 times 7"},
            "privateChallengeParameters": {"answer": "42"},
            "challengeMetadata": f"try {len(event['request']['session'])}",
        }

    def verify(event: Any) -> Any:
        request = event["request"]
        return {
            "answerCorrect": request["challengeAnswer"] == request["privateChallengeParameters"]["answer"]
        }

    shop.attach("DefineAuthChallenge", "CreateAuthChallenge", "VerifyAuthChallengeResponse")
    shop.answers |= {
        "DefineAuthChallenge_Authentication": define,
        "CreateAuthChallenge_Authentication": create,
        "VerifyAuthChallengeResponse_Authentication": verify,
    }


def test_functions_make_up_the_way_in(shop: Shop) -> None:
    shop.join()
    riddle(shop)

    def begin() -> Any:
        return shop.cognito.initiate_auth(
            ClientId=shop.client_id, AuthFlow="CUSTOM_AUTH", AuthParameters={"USERNAME": "ann"}
        )

    def answer(session: str, text: str) -> Any:
        return shop.cognito.respond_to_auth_challenge(
            ClientId=shop.client_id,
            ChallengeName="CUSTOM_CHALLENGE",
            Session=session,
            ChallengeResponses={"USERNAME": "ann", "ANSWER": text},
        )

    asked = begin()
    assert asked["ChallengeName"] == "CUSTOM_CHALLENGE"
    assert asked["ChallengeParameters"] == {"USERNAME": "ann", "ask": "6 times 7"}
    again = answer(asked["Session"], "41")
    assert again["ChallengeName"] == "CUSTOM_CHALLENGE"
    assert "AccessToken" in answer(again["Session"], "42")["AuthenticationResult"]
    assert shop.functions.events[-1]["request"]["session"] == [
        {"challengeName": "CUSTOM_CHALLENGE", "challengeResult": False, "challengeMetadata": "try 0"},
        {"challengeName": "CUSTOM_CHALLENGE", "challengeResult": True, "challengeMetadata": "try 1"},
    ]
    assert refused(lambda: answer(again["Session"], "42"))[1] == "Invalid session for the user."

    second = answer(begin()["Session"], "1")
    assert refused(lambda: answer(second["Session"], "2")) == (
        "NotAuthorizedException",
        "Incorrect username or password.",
    )


def test_an_answer_that_comes_too_late(shop: Shop) -> None:
    shop.join()
    riddle(shop)
    asked = shop.cognito.initiate_auth(
        ClientId=shop.client_id, AuthFlow="CUSTOM_AUTH", AuthParameters={"USERNAME": "ann"}
    )
    shop.account.advance(200)
    late = {"ClientId": shop.client_id, "ChallengeName": "CUSTOM_CHALLENGE", "Session": asked["Session"]}
    given = {"USERNAME": "ann", "ANSWER": "42"}
    assert refused(lambda: shop.cognito.respond_to_auth_challenge(**late, ChallengeResponses=given)) == (
        "NotAuthorizedException",
        "Invalid session for the user, session is expired.",
    )


def test_somebody_from_another_directory_is_brought_in(shop: Shop) -> None:
    shop.attach("UserMigration")
    shop.answers["UserMigration_Authentication"] = lambda event: (
        {"userAttributes": {"email": "old@example.com"}, "finalUserStatus": "CONFIRMED"}
        if event["request"]["password"] == "From-before1"
        else {}
    )
    assert refused(lambda: shop.sign_in("old"))[0] == "NotAuthorizedException"
    made = shop.sign_in("old", "From-before1")["AuthenticationResult"]
    assert shop.claims(made["IdToken"])["email"] == "old@example.com"
    shop.sign_in("old", "From-before1")
    assert len(shop.functions.events) == 2


def test_pools_do_not_trust_each_others_keys(shop: Shop) -> None:
    shop.join()
    token = shop.sign_in()["AuthenticationResult"]["IdToken"]
    shop.pool_id = shop.cognito.create_user_pool(PoolName="other")["UserPool"]["Id"]
    with pytest.raises(JoseError):
        shop.claims(token)
