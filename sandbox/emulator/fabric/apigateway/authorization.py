"""Who may call a route: signatures, tokens, functions that decide.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-control-access-to-api.html
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sandbox.emulator.calls import AwsError, Principal, PrincipalKind
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import policies
from sandbox.emulator.fabric.apigateway import answers, tokens
from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.identities import Asked, event, function_of, identity
from sandbox.emulator.fabric.apigateway.model import Authorizer, AuthorizerKind, Kind, Stage
from sandbox.emulator.functions.contract import Functions
from sandbox.emulator.gateway import signatures
from sandbox.emulator.gateway.keys import Issued
from sandbox.emulator.gateway.requests import HttpRequest
from sandbox.emulator.iam.evaluation import MalformedPolicy, parse_policy
from sandbox.emulator.iam.evaluation.evaluator import evaluate
from sandbox.emulator.iam.evaluation.model import Caller, CallerKind, Policies
from sandbox.emulator.iam.evaluation.model import Request as Question

_SERVICE = "apigateway.amazonaws.com"
_INVOKE = "execute-api:Invoke"


class Keys(Protocol):
    """The access keys that this account process accepts. Call with the dispatch lock held."""

    def find(self, access_key_id: str) -> Issued | None:
        """Whose key this is."""


@dataclass(frozen=True, slots=True)
class LetIn:
    """What the integration is told of the caller.

    ``authorizer`` becomes ``requestContext.authorizer``; ``identity`` goes into a REST API's identity.
    """

    authorizer: Mapping[str, Any] | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    usage_key: str = ""


class Refused(Exception):
    """The caller is not let in. ``authorizer`` is what a function told of a caller that it denies."""

    def __init__(self, answer: Answer, authorizer: Mapping[str, Any] | None = None) -> None:
        super().__init__(answer.error)
        self.answer = answer
        self.authorizer = authorizer


class Authorization:
    """Asks whoever a route's authorization names. Answers of functions are kept as long as they say."""

    def __init__(self, core: AccountCore, functions: Functions, keys: Keys | None) -> None:
        self._core = core
        self._functions = functions
        self._keys = keys
        self._lock = threading.Lock()
        self._kept: dict[tuple[Any, ...], tuple[float, dict[str, Any]]] = {}

    def let_in(self, asked: Asked) -> LetIn:
        """Let a caller in.

        Raises:
            Refused: with the answer for the caller.
        """
        route = asked.route
        if route.authorization == "NONE" or (route.authorization == "CUSTOM" and route.authorizer is None):
            self._check_policy(asked, None)
            return LetIn()
        if route.authorization == "AWS_IAM":
            return self._signed(asked)
        authorizer = route.authorizer
        if authorizer is None:
            raise Refused(answers.refused(asked.stage.kind, "the route's authorizer does not exist"))
        if authorizer.kind in (AuthorizerKind.JWT, AuthorizerKind.COGNITO):
            return self._token(asked, authorizer)
        return self._function(asked, authorizer)

    def signer(self, raw: HttpRequest) -> Principal:
        """Who signed a request for an API.

        Raises:
            AwsError: nobody did, or not so that it holds.
        """
        signed = signatures.read_signature(raw)
        if signed.service != "execute-api":
            raise AwsError(
                "InvalidSignatureException", "Credential should be scoped to correct service.", 403
            )
        assert self._keys is not None
        with self._core.dispatch_lock:
            issued = self._keys.find(signed.access_key_id)
        signatures.verify(
            raw,
            signed,
            issued,
            wall_time=self._core.clock.wall_time(),
            account_time=self._core.clock.time(),
        )
        assert issued is not None
        return issued.principal

    def _signed(self, asked: Asked) -> LetIn:
        try:
            caller = self.signer(asked.raw)
        except AwsError as error:
            raise Refused(_unsigned(asked.stage.kind, error)) from None
        arn = asked.stage.arn(asked.request.method, asked.request.path)
        self._check_policy(asked, caller)
        refusal = self._core.guard.refusal(caller, _INVOKE, arn, region=asked.stage.region)
        if refusal:
            if asked.stage.kind is Kind.HTTP:
                raise Refused(answers.message(403, "Forbidden", error=refusal))
            raise Refused(
                answers.message(
                    403,
                    refusal,
                    error=refusal,
                    kind="AccessDeniedException",
                    reason="ACCESS_DENIED",
                    key="Message",
                )
            )
        with self._core.dispatch_lock:
            unique_id = self._core.guard.principals.of(caller).caller.unique_id
        if asked.stage.kind is Kind.HTTP:
            iam = {
                "accessKey": caller.access_key_id,
                "accountId": caller.account_id,
                "callerId": unique_id,
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": caller.arn,
                "userId": unique_id,
            }
            return LetIn({"iam": iam})
        identity = {
            "accountId": caller.account_id,
            "caller": unique_id,
            "accessKey": caller.access_key_id,
            "userArn": caller.arn,
            "user": unique_id,
        }
        return LetIn(identity=identity)

    def _check_policy(self, asked: Asked, caller: Principal | None) -> None:
        """A REST API's own resource policy, which has to let everybody in who is let in."""
        text = asked.stage.snapshot.policy
        if not text:
            return
        arn = asked.stage.arn(asked.request.method, asked.request.path)
        try:
            policy = parse_policy(_full_arns(text, asked.stage), "resource policy of the API")
        except MalformedPolicy as error:
            raise Refused(answers.refused(asked.stage.kind, str(error))) from None
        if caller is None:
            who = Caller(CallerKind.ANONYMOUS)
        elif caller.kind is PrincipalKind.ROLE_SESSION:
            who = Caller.role_session(caller.account_id, caller.arn, caller.role_arn)
        elif caller.kind is PrincipalKind.ROOT:
            who = Caller(CallerKind.ROOT, caller.account_id, caller.arn)
        else:
            who = Caller.user(caller.account_id, caller.arn)
        context = {"aws:SourceIp": asked.request.source_ip, "aws:SecureTransport": "true"}
        question = Question(_INVOKE, arn, asked.stage.account_id, context)
        decision = evaluate(who, question, Policies(resource=policy))
        # Beside a signature of the same account the policy may be silent: the caller's own policies decide.
        silent_is_enough = caller is not None and caller.account_id == asked.stage.account_id
        if decision.allowed or (silent_is_enough and not decision.reason.explicit):
            return
        how = " with an explicit deny" if decision.reason.explicit else ""
        name = caller.arn if caller is not None else "anonymous"
        text = f"User: {name} is not authorized to perform: {_INVOKE} on resource: {arn}{how}"
        raise Refused(
            answers.message(
                403, text, error=text, kind="AccessDeniedException", reason="ACCESS_DENIED", key="Message"
            )
        )

    def _token(self, asked: Asked, authorizer: Authorizer) -> LetIn:
        source = next(iter(authorizer.sources), "$request.header.Authorization")
        text = identity(asked, source)
        if text.lower().startswith("bearer "):
            text = text[7:].strip()
        issuers = (
            (authorizer.issuer,)
            if authorizer.kind is AuthorizerKind.JWT
            else tuple(
                f"https://cognito-idp.{asked.stage.region}.amazonaws.com/{pool}" for pool in authorizer.pools
            )
        )
        try:
            claims = tokens.verify(
                text, issuers, authorizer.audience, self._core.clock.time(), lock=self._core.dispatch_lock
            )
        except tokens.UnknownIssuer as error:
            self._core.timeline.add(
                "gap",
                f"apigateway:{asked.stage.api_id}",
                account_id=asked.stage.account_id,
                region=asked.stage.region,
                outcome="NotEmulated",
                message=str(error),
            )
            raise Refused(answers.message(401, "Unauthorized", error=str(error))) from None
        except tokens.BadToken as error:
            raise Refused(_unauthorized(asked.stage.kind, str(error), shown=bool(text))) from None
        held = str(claims.get("scope") or "").split() or [str(each) for each in claims.get("scp") or ()]
        scopes = asked.route.scopes
        if scopes and not set(scopes) & set(held):
            if asked.stage.kind is Kind.HTTP:
                raise Refused(answers.message(403, "Forbidden", error="the token lacks the scope"))
            raise Refused(_unauthorized(asked.stage.kind, "the token lacks the scope"))
        shown = {name: _claim(value) for name, value in claims.items()}
        if asked.stage.kind is Kind.HTTP:
            return LetIn({"jwt": {"claims": shown, "scopes": list(scopes) or None}})
        return LetIn({"claims": shown})

    def _function(self, asked: Asked, authorizer: Authorizer) -> LetIn:
        values = [identity(asked, source) for source in authorizer.sources]
        if authorizer.sources and not all(values):
            raise Refused(_unauthorized(asked.stage.kind, "the caller shows no identity"))
        if authorizer.pattern and not re.search(authorizer.pattern, values[0] if values else ""):
            raise Refused(_unauthorized(asked.stage.kind, "the identity does not match the expression"))
        stage = asked.stage
        key = (stage.api_id, stage.name, authorizer.id, *values)
        now = self._core.clock.time()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and kept[0] > now and authorizer.sources:
            returned = kept[1]
        else:
            returned = self._ask(asked, authorizer, values)
            if authorizer.ttl_s and authorizer.sources:
                with self._lock:
                    self._kept[key] = now + authorizer.ttl_s, returned
        if stage.kind is Kind.HTTP and authorizer.simple:
            return self._simple(returned)
        return self._by_policy(asked, returned)

    def _ask(self, asked: Asked, authorizer: Authorizer, values: list[str]) -> dict[str, Any]:
        stage = asked.stage
        function = function_of(authorizer.uri, stage.variables)
        where = f"arn:aws:execute-api:{stage.region}:{stage.account_id}:{stage.api_id}"
        source = f"{where}/authorizers/{authorizer.id}"
        refusal = "no function" if not function else ""
        if function and not authorizer.credentials:
            refusal = policies.refusal(
                self._core, function, policies.Delivery(_SERVICE, source, stage.account_id)
            )
        if refusal:
            raise Refused(_broken(stage.kind, f"the authorizer can't be called: {refusal}"))
        outcome = self._functions.invoke(
            function,
            json.dumps(event(asked, authorizer, values), ensure_ascii=False).encode(),
            account_id=stage.account_id,
            region=stage.region,
            source=f"apigateway:{stage.api_id}",
            trace_header=asked.request.header("x-amzn-trace-id"),
        )
        if outcome.function_error:
            told = _json(outcome.payload)
            if isinstance(told, dict) and told.get("errorMessage") == "Unauthorized":
                raise Refused(_unauthorized(stage.kind, "the authorizer said so"))
            raise Refused(_broken(stage.kind, "the authorizer returned an error"))
        returned = _json(outcome.payload)
        if outcome.status >= 300 or not isinstance(returned, dict):
            raise Refused(_broken(stage.kind, "the authorizer returned no answer that can be used"))
        return returned

    @staticmethod
    def _simple(returned: Mapping[str, Any]) -> LetIn:
        if not isinstance(returned.get("isAuthorized"), bool):
            raise Refused(_broken(Kind.HTTP, "the authorizer's answer lacks isAuthorized"))
        if not returned["isAuthorized"]:
            raise Refused(answers.message(403, "Forbidden", error="the authorizer refused"))
        return LetIn({"lambda": returned.get("context") or None})

    @staticmethod
    def _by_policy(asked: Asked, returned: Mapping[str, Any]) -> LetIn:
        kind = asked.stage.kind
        principal, document = returned.get("principalId"), returned.get("policyDocument")
        context = returned.get("context") or {}
        if not isinstance(document, dict) or not isinstance(context, dict):
            raise Refused(_broken(kind, "the authorizer's answer lacks a policyDocument"))
        if any(isinstance(value, dict | list) for value in context.values()) and kind is Kind.REST:
            raise Refused(
                _broken(kind, "the authorizer's context holds more than texts, numbers and booleans")
            )
        arn = asked.stage.arn(asked.request.method, asked.request.path)
        try:
            policy = parse_policy(document, "policy of the authorizer")
        except MalformedPolicy as error:
            raise Refused(_broken(kind, str(error))) from None
        caller = Caller.user(
            asked.stage.account_id, f"arn:aws:iam::{asked.stage.account_id}:user/{principal}"
        )
        decision = evaluate(caller, Question(_INVOKE, arn), Policies(identity=(policy,)))
        shown = {"principalId": principal, **{name: _claim(value) for name, value in context.items()}}
        if not decision.allowed:
            if kind is Kind.HTTP:
                raise Refused(answers.message(403, "Forbidden", error="the authorizer refused"))
            how = " with an explicit deny" if decision.reason.explicit else ""
            text = f"User is not authorized to access this resource{how}"
            raise Refused(
                answers.message(
                    403, text, error=text, kind="AccessDeniedException", reason="ACCESS_DENIED", key="Message"
                ),
                shown,
            )
        usage_key = str(returned.get("usageIdentifierKey") or "")
        if (
            kind is Kind.HTTP
            and asked.route.integration is not None
            and asked.route.integration.payload_version == "2.0"
        ):
            return LetIn({"lambda": context or None}, usage_key=usage_key)
        return LetIn({**shown, "integrationLatency": 0}, usage_key=usage_key)


def _full_arns(text: str, stage: Stage) -> str:
    """A resource policy may name resources as ``execute-api:/stage/GET/path``."""
    where = f"arn:aws:execute-api:{stage.region}:{stage.account_id}:{stage.api_id}/"
    return text.replace('"execute-api:/', f'"{where}')


def _unsigned(kind: Kind, error: AwsError) -> Answer:
    if kind is Kind.HTTP:
        return answers.message(403, "Forbidden", error=error.message)
    if error.code in ("MissingAuthenticationToken", "MissingAuthenticationTokenException"):
        return answers.message(
            403,
            "Missing Authentication Token",
            error=error.message,
            kind="MissingAuthenticationTokenException",
            reason="MISSING_AUTHENTICATION_TOKEN",
        )
    expired = error.code in ("ExpiredToken", "ExpiredTokenException")
    return answers.message(
        403,
        error.message,
        error=error.message,
        kind=error.code if error.code.endswith("Exception") else f"{error.code}Exception",
        reason="EXPIRED_TOKEN" if expired else "INVALID_SIGNATURE",
    )


def _unauthorized(kind: Kind, error: str, *, shown: bool = False) -> Answer:
    """Nobody was let in; a token that was shown to an HTTP API is told what is wrong with it.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-jwt.html
    """
    if kind is Kind.HTTP:
        quoted = error.replace('"', "'")
        why = f' scope="" error="invalid_token" error_description="{quoted}"' if shown else ""
        told = ("www-authenticate", f"Bearer{why}")
        return answers.message(401, "Unauthorized", error=error).with_headers(told)
    return answers.message(
        401, "Unauthorized", error=error, kind="UnauthorizedException", reason="UNAUTHORIZED"
    )


def _broken(kind: Kind, error: str) -> Answer:
    if kind is Kind.HTTP:
        return answers.message(500, "Internal Server Error", error=error)
    return answers.message(
        500,
        None,
        error=error,
        kind="AuthorizerConfigurationException",
        reason="AUTHORIZER_CONFIGURATION_ERROR",
    )


def _claim(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + " ".join(str(each) for each in value) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload) if payload else None
    except ValueError:
        return None
