"""Users who are brought in from elsewhere when they first sign in.

Source: https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-migrate-user.html
"""

from __future__ import annotations

from collections.abc import Mapping

from moto.cognitoidp.models import UserStatus

from sandbox.emulator.calls import AwsError
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.cognito.pools import BAD_CREDENTIALS, Place
from sandbox.emulator.fabric.cognito.triggers import Question, Trigger, Triggers

_ANSWER = (
    "userAttributes",
    "finalUserStatus",
    "messageAction",
    "desiredDeliveryMediums",
    "forceAliasCreation",
)


class Migration:
    """Asks the function that knows the users of another directory."""

    def __init__(self, core: AccountCore, triggers: Triggers) -> None:
        self._core = core
        self._triggers = triggers

    def bring_in(
        self, place: Place, username: str, password: str, reason: str, metadata: Mapping[str, str] | None
    ) -> None:
        """Make a user of somebody unknown whom the pool's function knows; otherwise do nothing.

        Raises:
            AwsError: the function failed, or knows no such user.
        """
        with self._core.dispatch_lock:
            if place.find_user(username) is not None:
                return
        if not self._triggers.configured(place, Trigger.USER_MIGRATION):
            return
        request = {"password": password, "validationData": dict(metadata or {}), "userAttributes": None}
        answer = self._triggers.ask(
            place,
            Trigger.USER_MIGRATION,
            Question(reason, username, request, dict.fromkeys(_ANSWER)),
        )
        told = (answer or {}).get("userAttributes")
        if not isinstance(told, Mapping) or not told:
            raise AwsError("NotAuthorizedException", BAD_CREDENTIALS)
        confirmed = (answer or {}).get("finalUserStatus") == "CONFIRMED"
        status = UserStatus.CONFIRMED if confirmed else UserStatus.RESET_REQUIRED
        given = [
            {"Name": str(name), "Value": str(value)} for name, value in told.items() if name != "username"
        ]
        with self._core.dispatch_lock:
            user = place.new_user(username, password, status, given)
            place.add(user, username)
