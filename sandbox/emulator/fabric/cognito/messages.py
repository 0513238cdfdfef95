"""Codes and what users are sent of them. No message leaves the account: the timeline shows it.

Source: https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-custom-message.html
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.calls import AwsError
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.cognito.pools import Place, attributes
from sandbox.emulator.fabric.cognito.triggers import Question, Trigger, Triggers

_CODE, _NAME = "{####}", "{username}"
_DAY_S = 24 * 3600.0
# How long a code is good, by what it is for.
_VALID_S = {"SignUp": _DAY_S, "ForgotPassword": 3600.0}
_REASONS = {"ResendCode": "SignUp"}


@dataclass(frozen=True, slots=True)
class _Code:
    text: str
    attribute: str
    until: float


class Messages:
    """Sends codes and knows which were sent."""

    def __init__(self, core: AccountCore, triggers: Triggers) -> None:
        self._core = core
        self._triggers = triggers
        self._codes: dict[tuple[str, str], _Code] = {}

    def send_code(
        self, place: Place, user: Any, reason: str, attribute: str, metadata: Mapping[str, str] | None
    ) -> dict[str, str]:
        """Send a new code to a user's ``attribute``; where it went, as the API tells it.

        ``reason`` is ``SignUp``, ``ResendCode`` or ``ForgotPassword``. Never call it with the lock held.
        """
        purpose = _REASONS.get(reason, reason)
        code = f"{secrets.randbelow(10**6):06}"
        with self._core.dispatch_lock:
            until = self._core.clock.time() + _VALID_S[purpose]
            self._codes[user.id, purpose] = _Code(code, attribute, until)
        return self.send(place, user, reason, attribute, metadata, {_CODE: code})

    def send(
        self,
        place: Place,
        user: Any,
        reason: str,
        attribute: str,
        metadata: Mapping[str, str] | None,
        values: Mapping[str, str],
    ) -> dict[str, str]:
        """Send the message for ``reason``, its placeholders replaced by ``values``."""
        by_mail = attribute != "phone_number"
        words = self._words(place, user, reason, metadata)
        text = words["emailMessage" if by_mail else "smsMessage"]
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        address = user.attribute_lookup.get(attribute, "")
        medium = "EMAIL" if by_mail else "SMS"
        self._core.timeline.add(
            "delivery",
            f"cognito:{place.pool.id}",
            account_id=place.pool.account_id,
            region=place.pool.region,
            message=text,
            medium=medium,
            destination=address,
            purpose=reason,
            user=user.username,
            **({"mail_subject": words["emailSubject"]} if by_mail else {}),
        )
        return {"Destination": _masked(address), "DeliveryMedium": medium, "AttributeName": attribute}

    def take(self, user: Any, purpose: str, code: str) -> str:
        """Use up a code that was sent; the attribute that it was sent to. Call with the dispatch lock held.

        Raises:
            AwsError: it is another, or too old.
        """
        held = self._codes.get((user.id, purpose))
        if held is not None and self._core.clock.time() > held.until:
            raise AwsError("ExpiredCodeException", "Invalid code provided, please request a code again.")
        if held is None or not hmac.compare_digest(held.text.encode(), code.encode()):
            raise AwsError("CodeMismatchException", "Invalid verification code provided, please try again.")
        del self._codes[user.id, purpose]
        return held.attribute

    def _words(
        self, place: Place, user: Any, reason: str, metadata: Mapping[str, str] | None
    ) -> dict[str, str]:
        words = _standing(place, reason)
        answer = self._triggers.ask(
            place,
            Trigger.CUSTOM_MESSAGE,
            Question(
                reason,
                user.username,
                {
                    "userAttributes": attributes(user),
                    "codeParameter": _CODE,
                    "linkParameter": "{##Click Here##}",
                    "usernameParameter": _NAME if reason == "AdminCreateUser" else None,
                    **({"clientMetadata": dict(metadata)} if metadata else {}),
                },
                dict.fromkeys(("smsMessage", "emailMessage", "emailSubject")),
            ),
        )
        told = {name: str(value) for name, value in (answer or {}).items() if value and name in words}
        return words | told


def _standing(place: Place, reason: str) -> dict[str, str]:
    """The pool's own words for a message."""
    if reason == "AdminCreateUser":
        template = (place.config("AdminCreateUserConfig") or {}).get("InviteMessageTemplate") or {}
        text = "Your username is {username} and temporary password is {####}."
        return {
            "smsMessage": template.get("SMSMessage") or text,
            "emailMessage": template.get("EmailMessage") or text,
            "emailSubject": template.get("EmailSubject") or "Your temporary password",
        }
    template = place.config("VerificationMessageTemplate") or {}
    what = "password reset code" if reason == "ForgotPassword" else "confirmation code"
    mail = template.get("EmailMessage") or place.config("EmailVerificationMessage")
    subject = template.get("EmailSubject") or place.config("EmailVerificationSubject")
    sms = template.get("SmsMessage") or place.config("SmsVerificationMessage")
    return {
        "smsMessage": sms or f"Your {what} is {_CODE}",
        "emailMessage": mail or f"Your {what} is {_CODE}",
        "emailSubject": subject or f"Your {'verification' if 'conf' in what else 'password reset'} code",
    }


def receiver(place: Place, user: Any) -> str:
    """The attribute by which a new user shows to be reachable; empty if the pool verifies none of its own."""
    verified = place.config("AutoVerifiedAttributes", ())
    return next(
        (each for each in ("phone_number", "email") if each in verified and user.attribute_lookup.get(each)),
        "",
    )


def _masked(address: str) -> str:
    name, at, domain = address.partition("@")
    return f"{name[:1]}***@{domain[:1]}***" if at else f"+{'*' * max(len(address) - 5, 0)}{address[-4:]}"
