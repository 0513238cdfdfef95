"""How users sign in: with a password, by SRP, by challenges of the pool's functions, with a refresh token.

Source: https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-authentication-flow-methods.html
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from moto.cognitoidp.models import UserStatus, cognitoidp_backends

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.cognito import pools
from sandbox.emulator.fabric.cognito.challenges import (
    CUSTOM,
    NEW_PASSWORD,
    PASSWORD,
    CustomChallenges,
    Step,
    Steps,
    result,
)
from sandbox.emulator.fabric.cognito.migration import Migration
from sandbox.emulator.fabric.cognito.pools import BAD_CREDENTIALS, Place, attributes
from sandbox.emulator.fabric.cognito.srp import Exchange
from sandbox.emulator.fabric.cognito.tokens import Tokens
from sandbox.emulator.fabric.cognito.triggers import Question, Trigger, Triggers

_REASON = "Authentication"
_FACTORS = frozenset({"SOFTWARE_TOKEN_MFA", "SMS_MFA", "MFA_SETUP"})
# What a client's ExplicitAuthFlows say for each flow.
_ALLOWED_BY: Mapping[str, frozenset[str]] = {
    "USER_PASSWORD_AUTH": frozenset({"ALLOW_USER_PASSWORD_AUTH", "USER_PASSWORD_AUTH"}),
    "ADMIN_USER_PASSWORD_AUTH": frozenset({"ALLOW_ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"}),
    "ADMIN_NO_SRP_AUTH": frozenset({"ALLOW_ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"}),
    "USER_SRP_AUTH": frozenset({"ALLOW_USER_SRP_AUTH"}),
    "CUSTOM_AUTH": frozenset({"ALLOW_CUSTOM_AUTH", "CUSTOM_AUTH_FLOW_ONLY"}),
    "REFRESH_TOKEN_AUTH": frozenset({"ALLOW_REFRESH_TOKEN_AUTH"}),
    "REFRESH_TOKEN": frozenset({"ALLOW_REFRESH_TOKEN_AUTH"}),
}
_UNSAID = frozenset({"ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH"})


class SigningIn:
    """Beginning to sign in, and answering challenges."""

    def __init__(self, core: AccountCore, triggers: Triggers, tokens: Tokens) -> None:
        self._core = core
        self._triggers = triggers
        self._tokens = tokens
        self._steps = Steps(core)
        self._custom = CustomChallenges(triggers, self._steps)
        self._migration = Migration(core, triggers)

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "InitiateAuth": self._initiate,
            "AdminInitiateAuth": self._initiate,
            "RespondToAuthChallenge": self._respond,
            "AdminRespondToAuthChallenge": self._respond,
        }
        return {("cognito-idp", name): handler for name, handler in found.items()}

    def _place(self, call: Call) -> Place:
        if call.operation.startswith("Admin"):
            return pools.of_pool(call)
        return pools.of_client(call.params["ClientId"])

    def _initiate(self, call: Call) -> dict[str, Any]:
        flow, given = call.params["AuthFlow"], call.params.get("AuthParameters") or {}
        with self._core.dispatch_lock:
            place = self._place(call)
        _check_flow(place, flow, admin=call.operation.startswith("Admin"))
        if flow.startswith("REFRESH_TOKEN"):
            return self._renew(call, place, given)
        username = given.get("USERNAME")
        if not username:
            raise AwsError("InvalidParameterException", "Missing required parameter USERNAME")
        place.check_secret(username, given.get("SECRET_HASH"))
        begin: Callable[[Call, Place, Mapping[str, str]], dict[str, Any]] = {
            "USER_SRP_AUTH": self._by_srp,
            "CUSTOM_AUTH": self._by_challenges,
        }.get(flow, self._by_password)
        return begin(call, place, given)

    def _user(self, place: Place, username: str) -> Any:
        """The user who wants in.

        Raises:
            AwsError: there is none, or it is switched off.
        """
        with self._core.dispatch_lock:
            user = place.find_user(username)
            if user is None and place.hides_users:
                raise AwsError("NotAuthorizedException", BAD_CREDENTIALS)
            user = place.get_user(username)
        if not user.enabled:
            raise AwsError("NotAuthorizedException", "User is disabled.")
        return user

    def _before(self, call: Call, place: Place, user: Any) -> None:
        validation = call.params.get("ClientMetadata") or {}
        request = {"userAttributes": attributes(user), "validationData": dict(validation)}
        question = Question(_REASON, user.username, request, {})
        self._triggers.ask(place, Trigger.PRE_AUTHENTICATION, question)

    def _by_password(self, call: Call, place: Place, given: Mapping[str, str]) -> dict[str, Any]:
        username, password = given["USERNAME"], given.get("PASSWORD")
        if not password:
            raise AwsError("InvalidParameterException", "Missing required parameter PASSWORD")
        metadata = call.params.get("ClientMetadata")
        self._migration.bring_in(place, username, password, _REASON, metadata)
        user = self._user(place, username)
        self._before(call, place, user)
        if not hmac.compare_digest(str(user.password or "").encode(), password.encode()):
            raise AwsError("NotAuthorizedException", BAD_CREDENTIALS)
        return self._known(place, user, None)

    def _by_srp(self, call: Call, place: Place, given: Mapping[str, str]) -> dict[str, Any]:
        user = self._user(place, given["USERNAME"])
        self._before(call, place, user)
        return self._srp(place, user, given)

    def _srp(
        self, place: Place, user: Any, given: Mapping[str, str], *, history: tuple[Any, ...] | None = None
    ) -> dict[str, Any]:
        """Begin SRP; as a step of a custom way to sign in when there is a ``history``."""
        try:
            exchange = Exchange.begin(
                place.pool.id, user.username, str(user.password or ""), given.get("SRP_A") or "0"
            )
        except ValueError:
            raise AwsError("InvalidParameterException", "Missing required parameter SRP_A") from None
        step = Step(
            PASSWORD,
            place,
            user.username,
            exchange=exchange,
            custom=history is not None,
            history=history or (),
        )
        # Clients of this flow send the secret block back, and no session.
        self._steps.put(step, session=exchange.secret_block)
        return {
            "ChallengeName": PASSWORD,
            "ChallengeParameters": exchange.parameters(user.username),
            **({"Session": exchange.secret_block} if history is not None else {}),
        }

    def _by_challenges(self, call: Call, place: Place, given: Mapping[str, str]) -> dict[str, Any]:
        user = self._user(place, given["USERNAME"])
        self._before(call, place, user)
        history: tuple[Any, ...] = ()
        if given.get("CHALLENGE_NAME") == "SRP_A":
            history = ({"challengeName": "SRP_A", "challengeResult": True, "challengeMetadata": None},)
        return self._further(place, user, history, None, given)

    def _further(
        self,
        place: Place,
        user: Any,
        history: tuple[Any, ...],
        metadata: Mapping[str, str] | None,
        given: Mapping[str, str],
    ) -> dict[str, Any]:
        """The next step of a custom way to sign in."""
        decision = self._custom.next(place, user, history, metadata)
        if decision.tokens:
            _check_status(user)
            return self._let_in(place, user, _REASON, metadata)
        if decision.own == PASSWORD:
            return self._srp(place, user, given, history=history)
        if decision.own:
            raise AwsError(
                "NotEmulated",
                f"The challenge {decision.own} within CUSTOM_AUTH is not emulated. This is our gap.",
                501,
            )
        return dict(decision.answer or {})

    def _known(self, place: Place, user: Any, metadata: Mapping[str, str] | None) -> dict[str, Any]:
        """Somebody has shown the password: in, or on to what else is wanted."""
        _check_status(user)
        if user.status is UserStatus.FORCE_CHANGE_PASSWORD:
            told = {name: value for name, value in user.attribute_lookup.items() if name != "sub"}
            return {
                "ChallengeName": NEW_PASSWORD,
                "Session": self._steps.put(Step(NEW_PASSWORD, place, user.username)),
                "ChallengeParameters": {
                    "USER_ID_FOR_SRP": user.username,
                    "requiredAttributes": "[]",
                    "userAttributes": json.dumps(told),
                },
            }
        factor = _factor(place.pool, user)
        if factor:
            return self._ask_factor(place, user, factor)
        return self._let_in(place, user, _REASON, metadata)

    def _ask_factor(self, place: Place, user: Any, factor: str) -> dict[str, Any]:
        session = self._steps.put(Step(factor, place, user.username))
        pool = place.pool
        with self._core.dispatch_lock:
            # moto keeps who answers in which session, for the operations that set a factor up.
            cognitoidp_backends[pool.account_id][pool.region].sessions[session] = (user.username, pool)
        told = {"USER_ID_FOR_SRP": user.username}
        if factor == "MFA_SETUP":
            told["MFAS_CAN_SETUP"] = json.dumps(_can_set_up(pool))
        return {"ChallengeName": factor, "Session": session, "ChallengeParameters": told}

    def _respond(self, call: Call) -> dict[str, Any]:
        params = call.params
        name, given = params["ChallengeName"], params.get("ChallengeResponses") or {}
        metadata = params.get("ClientMetadata")
        with self._core.dispatch_lock:
            place = self._place(call)
        username = given.get("USERNAME", "")
        place.check_secret(username, given.get("SECRET_HASH"))
        if name in _FACTORS:
            return self._with_factor(call, place, username, metadata)
        session = params.get("Session") or given.get("PASSWORD_CLAIM_SECRET_BLOCK") or ""
        if name == PASSWORD and not self._steps.holds(session):
            session = given.get("PASSWORD_CLAIM_SECRET_BLOCK") or ""
        step = self._steps.take(session, name, place.client_id)
        user = self._user(place, step.username)
        if name == NEW_PASSWORD:
            return self._with_new_password(place, user, given, metadata)
        if name == PASSWORD:
            return self._with_proof(step, user, given, metadata)
        if name != CUSTOM:
            raise AwsError("NotEmulated", f"The challenge {name} is not emulated. This is our gap.", 501)
        right = self._custom.verify(step, user, given.get("ANSWER", ""), metadata)
        history = (*step.history, result(step, right))
        return self._further(place, user, history, metadata, given)

    def _with_proof(
        self, step: Step, user: Any, given: Mapping[str, str], metadata: Mapping[str, str] | None
    ) -> dict[str, Any]:
        assert step.exchange is not None
        proven = step.exchange.proven(
            given.get("PASSWORD_CLAIM_SECRET_BLOCK", ""),
            given.get("TIMESTAMP", ""),
            given.get("PASSWORD_CLAIM_SIGNATURE", ""),
        )
        if not proven:
            raise AwsError("NotAuthorizedException", BAD_CREDENTIALS)
        if step.custom:
            history = (*step.history, result(step, True))
            return self._further(step.place, user, history, metadata, given)
        return self._known(step.place, user, metadata)

    def _with_new_password(
        self, place: Place, user: Any, given: Mapping[str, str], metadata: Mapping[str, str] | None
    ) -> dict[str, Any]:
        password = given.get("NEW_PASSWORD", "")
        place.check_password(password)
        prefix = "userAttributes."
        more = [
            {"Name": name.removeprefix(prefix), "Value": value}
            for name, value in given.items()
            if name.startswith(prefix)
        ]
        with self._core.dispatch_lock:
            user.password, user.status = password, UserStatus.CONFIRMED
            user.update_attributes(more)
        factor = _factor(place.pool, user)
        if factor:
            return self._ask_factor(place, user, factor)
        return self._let_in(place, user, "NewPasswordChallenge", metadata)

    def _with_factor(
        self, call: Call, place: Place, username: str, metadata: Mapping[str, str] | None
    ) -> dict[str, Any]:
        """moto looks at the factor; the tokens that it makes are not ours, and are thrown away."""
        with self._core.dispatch_lock:
            answer = self._core.moto(call)
            made = answer.get("AuthenticationResult")
            if made is None:
                return answer
            place.pool.access_tokens.pop(made["AccessToken"], None)
            place.pool.id_tokens.pop(made["IdToken"], None)
            place.pool.refresh_tokens.pop(made["RefreshToken"], None)
        return self._let_in(place, self._user(place, username), _REASON, metadata)

    def _let_in(
        self, place: Place, user: Any, reason: str, metadata: Mapping[str, str] | None
    ) -> dict[str, Any]:
        request: dict[str, Any] = {"userAttributes": attributes(user), "newDeviceUsed": False}
        if metadata:
            request["clientMetadata"] = dict(metadata)
        self._triggers.ask(place, Trigger.POST_AUTHENTICATION, Question(_REASON, user.username, request, {}))
        user = pools.fresh(self._core, place, user.username)
        made = self._tokens.issue(place, user, reason, metadata)
        return {"ChallengeParameters": {}, "AuthenticationResult": made}

    def _renew(self, call: Call, place: Place, given: Mapping[str, str]) -> dict[str, Any]:
        with self._core.dispatch_lock:
            session = self._tokens.session(place, given.get("REFRESH_TOKEN") or "")
        if session is None or session.client_id != place.client_id:
            raise AwsError("NotAuthorizedException", "Invalid Refresh Token")
        place.check_secret(session.username, given.get("SECRET_HASH"))
        user = self._user(place, session.username)
        if user.id != session.user_id:
            raise AwsError("NotAuthorizedException", "Invalid Refresh Token")
        made = self._tokens.renew(place, user, session, "RefreshTokens", call.params.get("ClientMetadata"))
        return {"ChallengeParameters": {}, "AuthenticationResult": made}


def _check_flow(place: Place, flow: str, *, admin: bool) -> None:
    """Refuse a way to sign in that the client has not.

    Raises:
        AwsError: it is not one, or not allowed.
    """
    if flow not in _ALLOWED_BY:
        raise AwsError("NotEmulated", f"The flow {flow} is not emulated. This is our gap.", 501)
    if flow.startswith("ADMIN") and not admin:
        raise AwsError("InvalidParameterException", "Initiate Auth method not supported.")
    allowed = set(place.setting("ExplicitAuthFlows", _UNSAID))
    if not any(each.startswith("ALLOW_") for each in allowed):
        # The older names say nothing of SRP and of refreshing, which are then always there.
        allowed |= {"ALLOW_REFRESH_TOKEN_AUTH"}
        allowed |= set() if "CUSTOM_AUTH_FLOW_ONLY" in allowed else {"ALLOW_USER_SRP_AUTH"}
    if not allowed & _ALLOWED_BY[flow]:
        text = (
            "Auth flow not enabled for this client" if admin else f"{flow} flow not enabled for this client"
        )
        raise AwsError("InvalidParameterException", text)


def _check_status(user: Any) -> None:
    if user.status is UserStatus.UNCONFIRMED:
        raise AwsError("UserNotConfirmedException", "User is not confirmed.")
    if user.status is UserStatus.RESET_REQUIRED:
        raise AwsError("PasswordResetRequiredException", "Password reset required for the user")


def _factor(pool: Any, user: Any) -> str:
    """The second factor that this user has to show; empty for none."""
    if user.software_token_mfa_enabled and user.preferred_mfa_setting != "SMS_MFA":
        return "SOFTWARE_TOKEN_MFA"
    if user.sms_mfa_enabled:
        return "SMS_MFA"
    if pool.mfa_config != "ON":
        return ""
    if user.token_verified:
        return "SOFTWARE_TOKEN_MFA"
    return "MFA_SETUP" if _can_set_up(pool) else ""


def _can_set_up(pool: Any) -> list[str]:
    found = ["SOFTWARE_TOKEN_MFA"] if (pool.token_mfa_config or {}).get("Enabled") else []
    return [*found, "SMS_MFA"] if pool.sms_mfa_config else found
