"""How people become users: by themselves, or by an administrator.

Source: https://docs.aws.amazon.com/cognito/latest/developerguide/signing-up-users-in-your-app.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.cognitoidp.models import UserStatus

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.cognito import pools
from sandbox.emulator.fabric.cognito.messages import Messages, receiver
from sandbox.emulator.fabric.cognito.pools import Place, attributes
from sandbox.emulator.fabric.cognito.triggers import Question, Trigger, Triggers


class SigningUp:
    """New users, their confirmation, and forgotten passwords."""

    def __init__(self, core: AccountCore, triggers: Triggers, messages: Messages) -> None:
        self._core = core
        self._triggers = triggers
        self._messages = messages

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "SignUp": self._sign_up,
            "ResendConfirmationCode": self._resend,
            "ConfirmSignUp": self._confirm,
            "AdminConfirmSignUp": self._admin_confirm,
            "AdminCreateUser": self._admin_create,
            "ForgotPassword": self._forgot,
            "ConfirmForgotPassword": self._reset,
        }
        return {("cognito-idp", name): handler for name, handler in found.items()}

    def _place(self, call: Call) -> Place:
        place = pools.of_client(call.params["ClientId"])
        place.check_secret(call.params.get("Username", ""), call.params.get("SecretHash"))
        return place

    def _sign_up(self, call: Call) -> dict[str, Any]:
        params = call.params
        name, metadata = params["Username"], params.get("ClientMetadata")
        with self._core.dispatch_lock:
            place = self._place(call)
            if (place.config("AdminCreateUserConfig") or {}).get("AllowAdminCreateUserOnly"):
                raise AwsError("NotAuthorizedException", "SignUp is not permitted for this user pool")
            place.check_password(params["Password"])
            given = params.get("UserAttributes")
            user = place.new_user(name, params["Password"], UserStatus.UNCONFIRMED, given)
        answer = self._before(place, user, "SignUp", params.get("ValidationData"), metadata)
        if answer.get("autoConfirmUser"):
            user.status = UserStatus.CONFIRMED
        for attribute in ("email", "phone_number"):
            if answer.get(f"autoVerify{'Email' if attribute == 'email' else 'Phone'}"):
                if not user.attribute_lookup.get(attribute):
                    raise AwsError(
                        "InvalidLambdaResponseException",
                        f"Cannot auto verify {attribute}: the user has no such attribute",
                    )
                _verify(user, attribute)
        with self._core.dispatch_lock:
            place.add(user, name)
        made: dict[str, Any] = {"UserConfirmed": user.status is UserStatus.CONFIRMED, "UserSub": user.id}
        if user.status is UserStatus.CONFIRMED:
            self._confirmed(place, user, "ConfirmSignUp", metadata)
        elif attribute := receiver(place, user):
            made["CodeDeliveryDetails"] = self._messages.send_code(place, user, "SignUp", attribute, metadata)
        return made

    def _before(
        self, place: Place, user: Any, reason: str, validation: Any, metadata: Mapping[str, str] | None
    ) -> dict[str, Any]:
        """What the function before a new user says, ``False`` for everything if there is none."""
        told = {name: value for name, value in attributes(user, status=False).items() if name != "sub"}
        data = {each["Name"]: each.get("Value", "") for each in validation or ()} or None
        response = dict.fromkeys(("autoConfirmUser", "autoVerifyEmail", "autoVerifyPhone"), False)
        request = {"userAttributes": told, "validationData": data}
        if metadata:
            request["clientMetadata"] = dict(metadata)
        question = Question(reason, user.username, request, response)
        return self._triggers.ask(place, Trigger.PRE_SIGN_UP, question) or response

    def _confirmed(self, place: Place, user: Any, reason: str, metadata: Mapping[str, str] | None) -> None:
        request: dict[str, Any] = {"userAttributes": attributes(user)}
        if metadata:
            request["clientMetadata"] = dict(metadata)
        self._triggers.ask(place, Trigger.POST_CONFIRMATION, Question(reason, user.username, request, {}))

    def _resend(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            place = self._place(call)
            user = place.get_user(call.params["Username"])
            attribute = receiver(place, user)
            if user.status is not UserStatus.UNCONFIRMED:
                raise AwsError("InvalidParameterException", "User is already confirmed.")
            if not attribute:
                raise AwsError("InvalidParameterException", "Auto verification not turned on.")
        metadata = call.params.get("ClientMetadata")
        details = self._messages.send_code(place, user, "ResendCode", attribute, metadata)
        return {"CodeDeliveryDetails": details}

    def _confirm(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            place = self._place(call)
            user = place.find_user(call.params["Username"])
            if user is None:
                if place.hides_users:
                    raise AwsError(
                        "CodeMismatchException", "Invalid verification code provided, please try again."
                    )
                place.get_user(call.params["Username"])
            _unconfirmed(user)
            attribute = self._messages.take(user, "SignUp", call.params["ConfirmationCode"])
            user.status = UserStatus.CONFIRMED
            _verify(user, attribute)
        self._confirmed(place, user, "ConfirmSignUp", call.params.get("ClientMetadata"))
        return {}

    def _admin_confirm(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            place = pools.of_pool(call)
            user = place.get_user(call.params["Username"])
            _unconfirmed(user)
            user.status = UserStatus.CONFIRMED
        self._confirmed(place, user, "ConfirmSignUp", call.params.get("ClientMetadata"))
        return {}

    def _admin_create(self, call: Call) -> dict[str, Any]:
        params = call.params
        name, metadata = params["Username"], params.get("ClientMetadata")
        again = params.get("MessageAction") == "RESEND"
        with self._core.dispatch_lock:
            place = pools.of_pool(call)
            password = params.get("TemporaryPassword") or place.new_password()
            place.check_password(password)
            if again:
                user = place.get_user(name)
                if user.status is not UserStatus.FORCE_CHANGE_PASSWORD:
                    raise AwsError("UnsupportedUserStateException", "User is already confirmed.")
                user.password = password
            else:
                given = params.get("UserAttributes")
                user = place.new_user(name, password, UserStatus.FORCE_CHANGE_PASSWORD, given)
        if not again:
            self._before(place, user, "AdminCreateUser", params.get("ValidationData"), metadata)
            with self._core.dispatch_lock:
                place.add(user, name)
        if params.get("MessageAction") != "SUPPRESS":
            self._invite(
                place, user, name, params.get("DesiredDeliveryMediums") or ["SMS"], password, metadata
            )
        told = user.to_json(extended=True)
        members = (
            "Username",
            "Attributes",
            "UserCreateDate",
            "UserLastModifiedDate",
            "Enabled",
            "UserStatus",
        )
        return {"User": {member: told[member] for member in members}}

    def _invite(
        self,
        place: Place,
        user: Any,
        name: str,
        mediums: list[str],
        password: str,
        metadata: Mapping[str, str] | None,
    ) -> None:
        """Send a user that an administrator made the temporary password."""
        for medium in mediums:
            attribute = "email" if medium == "EMAIL" else "phone_number"
            if user.attribute_lookup.get(attribute):
                values = {"{username}": name, "{####}": password}
                self._messages.send(place, user, "AdminCreateUser", attribute, metadata, values)

    def _forgot(self, call: Call) -> dict[str, Any]:
        name, metadata = call.params["Username"], call.params.get("ClientMetadata")
        with self._core.dispatch_lock:
            place = self._place(call)
            user = place.find_user(name)
            if user is None and place.hides_users:
                address = f"{name[:1]}***@***"
                return {
                    "CodeDeliveryDetails": {
                        "Destination": address,
                        "DeliveryMedium": "EMAIL",
                        "AttributeName": "email",
                    }
                }
            user = place.get_user(name)
            if not user.enabled:
                raise AwsError("NotAuthorizedException", "User is disabled.")
            if user.status is UserStatus.FORCE_CHANGE_PASSWORD:
                raise AwsError(
                    "NotAuthorizedException", "User password cannot be reset in the current state."
                )
            attribute = _recovery(place, user)
        return {
            "CodeDeliveryDetails": self._messages.send_code(
                place, user, "ForgotPassword", attribute, metadata
            )
        }

    def _reset(self, call: Call) -> dict[str, Any]:
        params = call.params
        with self._core.dispatch_lock:
            place = self._place(call)
            user = place.find_user(params["Username"])
            if user is None and place.hides_users:
                raise AwsError("ExpiredCodeException", "Invalid code provided, please request a code again.")
            user = place.get_user(params["Username"])
            place.check_password(params["Password"])
            attribute = self._messages.take(user, "ForgotPassword", params["ConfirmationCode"])
            user.password = params["Password"]
            user.status = UserStatus.CONFIRMED
            _verify(user, attribute)
        self._confirmed(place, user, "ConfirmForgotPassword", params.get("ClientMetadata"))
        return {}


def _verify(user: Any, attribute: str) -> None:
    user.update_attributes([{"Name": f"{attribute}_verified", "Value": "true"}])


def _unconfirmed(user: Any) -> None:
    if user.status is not UserStatus.UNCONFIRMED:
        raise AwsError(
            "NotAuthorizedException",
            f"User cannot be confirmed. Current status is {user.status.value}",
        )


def _recovery(place: Place, user: Any) -> str:
    """The attribute by which a user gets back in.

    Raises:
        AwsError: there is no way but by an administrator.
    """
    ways = (place.config("AccountRecoverySetting") or {}).get("RecoveryMechanisms") or [
        {"Name": "verified_phone_number", "Priority": 1},
        {"Name": "verified_email", "Priority": 2},
    ]
    for way in sorted(ways, key=lambda each: int(each["Priority"])):
        if way["Name"] == "admin_only":
            raise AwsError("NotAuthorizedException", "Contact administrator to reset password.")
        attribute = str(way["Name"]).removeprefix("verified_")
        if (
            user.attribute_lookup.get(attribute)
            and user.attribute_lookup.get(f"{attribute}_verified") == "true"
        ):
            return attribute
    raise AwsError(
        "InvalidParameterException",
        "Cannot reset password for the user as there is no registered/verified email or phone_number",
    )
