"""Challenges that a pool's functions define, create and verify; and those that wait for an answer.

Source: https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-challenge.html
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.emulator.calls import AwsError
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.cognito.pools import BAD_CREDENTIALS, Place, attributes
from sandbox.emulator.fabric.cognito.srp import Exchange
from sandbox.emulator.fabric.cognito.triggers import Question, Trigger, Triggers, unrecognizable

CUSTOM, NEW_PASSWORD, PASSWORD = "CUSTOM_CHALLENGE", "NEW_PASSWORD_REQUIRED", "PASSWORD_VERIFIER"
_REASON = "Authentication"
# What a function asks for that the pool does by itself.
_OWN = frozenset({"SRP_A", PASSWORD, "SMS_MFA", "SOFTWARE_TOKEN_MFA", NEW_PASSWORD})


@dataclass(frozen=True, slots=True)
class Step:
    """A challenge that somebody has been given and not answered yet."""

    name: str
    place: Place
    username: str
    until: float = 0.0
    exchange: Exchange | None = None
    custom: bool = False
    history: tuple[Mapping[str, Any], ...] = ()
    private: Mapping[str, str] = field(default_factory=dict)
    metadata: str = ""


class Steps:
    """Challenges by the session string that goes with them, each good for one answer."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self._held: dict[str, Step] = {}

    def put(self, step: Step, *, session: str = "") -> str:
        """Keep a challenge; the session string that finds it."""
        session = session or secrets.token_urlsafe(96)
        lasting_s = 60.0 * int(step.place.setting("AuthSessionValidity", 3))
        with self._core.dispatch_lock:
            self._held[session] = replace(step, until=self._core.clock.time() + lasting_s)
        return session

    def take(self, session: str, name: str, client_id: str) -> Step:
        """The challenge of a session, which is then used up.

        Raises:
            AwsError: it is not one, or too old.
        """
        with self._core.dispatch_lock:
            step = self._held.pop(session, None)
        if step is None or step.place.client_id != client_id or step.name != name:
            raise AwsError("NotAuthorizedException", "Invalid session for the user.")
        if self._core.clock.time() > step.until:
            raise AwsError("NotAuthorizedException", "Invalid session for the user, session is expired.")
        return step

    def holds(self, session: str) -> bool:
        """Whether somebody may answer in this session."""
        with self._core.dispatch_lock:
            return session in self._held


@dataclass(frozen=True, slots=True)
class Decision:
    """What comes next: tokens, a challenge of the pool's own, or one that a function made."""

    tokens: bool = False
    own: str = ""
    answer: Mapping[str, Any] | None = None


class CustomChallenges:
    """Asks the three functions of a custom way to sign in."""

    def __init__(self, triggers: Triggers, steps: Steps) -> None:
        self._triggers = triggers
        self._steps = steps

    def next(
        self,
        place: Place,
        user: Any,
        history: tuple[Mapping[str, Any], ...],
        metadata: Mapping[str, str] | None,
    ) -> Decision:
        """What the function that defines challenges wants now.

        Raises:
            AwsError: nothing more: the sign-in has failed.
        """
        answer = self._ask(
            place,
            Trigger.DEFINE_AUTH_CHALLENGE,
            user,
            {"session": list(history)},
            dict.fromkeys(("challengeName", "issueTokens", "failAuthentication")),
            metadata,
        )
        if answer.get("failAuthentication"):
            raise AwsError("NotAuthorizedException", BAD_CREDENTIALS)
        if answer.get("issueTokens"):
            return Decision(tokens=True)
        name = answer.get("challengeName")
        if not isinstance(name, str) or not name:
            raise unrecognizable()
        if name in _OWN:
            return Decision(own=name)
        return Decision(answer=self._create(place, user, name, history, metadata))

    def _create(
        self,
        place: Place,
        user: Any,
        name: str,
        history: tuple[Mapping[str, Any], ...],
        metadata: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        made = self._ask(
            place,
            Trigger.CREATE_AUTH_CHALLENGE,
            user,
            {"challengeName": name, "session": list(history)},
            dict.fromkeys(("publicChallengeParameters", "privateChallengeParameters", "challengeMetadata")),
            metadata,
        )
        private = _texts(made.get("privateChallengeParameters"))
        told = str(made.get("challengeMetadata") or "")
        step = Step(
            CUSTOM, place, user.username, custom=True, history=history, private=private, metadata=told
        )
        return {
            "ChallengeName": CUSTOM,
            "Session": self._steps.put(step),
            "ChallengeParameters": {
                "USERNAME": user.username,
                **_texts(made.get("publicChallengeParameters")),
            },
        }

    def verify(self, step: Step, user: Any, answer: str, metadata: Mapping[str, str] | None) -> bool:
        """Whether the function that verifies answers takes this one."""
        told = self._ask(
            step.place,
            Trigger.VERIFY_AUTH_CHALLENGE,
            user,
            {"privateChallengeParameters": dict(step.private), "challengeAnswer": answer},
            {"answerCorrect": None},
            metadata,
        )
        return bool(told.get("answerCorrect"))

    def _ask(
        self,
        place: Place,
        trigger: Trigger,
        user: Any,
        request: Mapping[str, Any],
        response: Mapping[str, Any],
        metadata: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        whole = {"userAttributes": attributes(user), **request}
        if metadata:
            whole["clientMetadata"] = dict(metadata)
        answer = self._triggers.ask(place, trigger, Question(_REASON, user.username, whole, response))
        if answer is None:
            raise AwsError(
                "InvalidParameterException", "Custom auth lambda trigger is not configured for the user pool."
            )
        return answer


def result(step: Step, passed: bool) -> Mapping[str, Any]:
    """An answered challenge, as the function that defines the next one is told of it."""
    return {
        "challengeName": step.name,
        "challengeResult": passed,
        "challengeMetadata": step.metadata or None,
    }


def _texts(value: Any) -> dict[str, str]:
    if value is not None and not isinstance(value, Mapping):
        raise unrecognizable()
    return {str(name): str(each) for name, each in (value or {}).items()}
