"""A user pool, its clients and users in moto's state, as the requests that name them find them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.cognitoidp.models import CognitoIdpUser, UserStatus, cognitoidp_backends
from moto.cognitoidp.utils import check_secret_hash, flatten_attrs, validate_username_format

from sandbox.emulator.calls import AwsError, Call
from sandbox.emulator.core import AccountCore

BAD_CREDENTIALS = "Incorrect username or password."
# What a pool without a policy of its own asks of passwords.
# Source: https://docs.aws.amazon.com/cognito/latest/developerguide/managing-users-passwords.html
_RULES: tuple[tuple[str, Callable[[str], bool], str], ...] = (
    ("RequireUppercase", str.isupper, "Password must have uppercase characters"),
    ("RequireLowercase", str.islower, "Password must have lowercase characters"),
    ("RequireNumbers", str.isdigit, "Password must have numeric characters"),
    (
        "RequireSymbols",
        lambda letter: letter in "^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+- ",
        "Password must have symbol characters",
    ),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A pool, and the client through which it is spoken to, if any; both are moto's."""

    pool: Any
    client: Any = None

    @property
    def client_id(self) -> str:
        """The client's id, as functions are told it."""
        return str(self.client.id) if self.client is not None else "CLIENT_ID_NOT_APPLICABLE"

    def setting(self, name: str, default: Any = None) -> Any:
        """A setting of the client."""
        return (self.client.extended_config if self.client is not None else {}).get(name) or default

    def config(self, name: str, default: Any = None) -> Any:
        """A setting of the pool."""
        return self.pool.extended_config.get(name) or default

    @property
    def hides_users(self) -> bool:
        """Whether nobody gets to know who has an account here."""
        return bool(self.setting("PreventUserExistenceErrors") == "ENABLED")

    def find_user(self, username: str) -> Any:
        """The user of that name, or that has it as an alias; or None."""
        found = self.pool._get_user(username) or self.pool.users.get(username)
        if found is not None:
            return found
        for alias in self.config("AliasAttributes", ()):
            for user in self.pool.users.values():
                held = user.attribute_lookup
                verified = alias == "preferred_username" or held.get(f"{alias}_verified") == "true"
                if verified and held.get(alias) == username:
                    return user
        return None

    def get_user(self, username: str) -> Any:
        """The user of that name.

        Raises:
            AwsError: there is none.
        """
        found = self.find_user(username)
        if found is None:
            raise AwsError("UserNotFoundException", "User does not exist.")
        return found

    def new_user(self, username: str, password: str | None, status: UserStatus, given: Any) -> Any:
        """A user that is not in the pool yet.

        Raises:
            AwsError: there is one of that name, or the attributes are not those that the pool wants.
        """
        attributes = flatten_attrs(list(given or ()))
        by = self.config("UsernameAttributes")
        if by:
            kind = next((each for each in by if validate_username_format(username, _format=each)), None)
            if kind is None:
                wanted = "an email or a phone number" if len(by) > 1 else f"a {by[0].replace('_', ' ')}"
                wanted = "an email" if by == ["email"] else wanted
                raise AwsError("InvalidParameterException", f"Username should be {wanted}.")
            attributes.setdefault(kind, username)
        if self.find_user(username) is not None:
            raise AwsError("UsernameExistsException", "User already exists")
        self._check(attributes)
        listed = [{"Name": name, "Value": value} for name, value in attributes.items()]
        return CognitoIdpUser(self.pool.id, None if by else username, password, status, listed)

    def add(self, user: Any, username: str) -> None:
        """Let a new user in.

        Raises:
            AwsError: somebody else took the name meanwhile.
        """
        if self.find_user(username) is not None:
            raise AwsError("UsernameExistsException", "User already exists")
        self.pool.users[user.username] = user

    def _check(self, attributes: Mapping[str, str]) -> None:
        for attribute in self.pool.schema_attributes.values():
            if attribute.required and attribute.name != "sub" and attribute.name not in attributes:
                raise AwsError(
                    "InvalidParameterException",
                    "Attributes did not conform to the schema: "
                    f"{attribute.name}: The attribute is required\n",
                )

    def check_password(self, password: str) -> None:
        """Refuse a password that the pool's policy does.

        Raises:
            AwsError: with the first of its rules that is broken.
        """
        policy = (self.config("Policies") or {}).get("PasswordPolicy") or {}
        problem = ""
        if len(password) < int(policy.get("MinimumLength", 8)):
            problem = "Password not long enough"
        else:
            for rule, holds, text in _RULES:
                if policy.get(rule, True) and not any(map(holds, password)):
                    problem = text
                    break
        if problem:
            raise AwsError("InvalidPasswordException", f"Password did not conform with policy: {problem}")

    def new_password(self) -> str:
        """A password that fits every policy."""
        return f"{secrets.token_urlsafe(8)}aA1!"

    def check_secret(self, username: str, given: str | None) -> None:
        """Refuse a request of a client with a secret that does not show it.

        Raises:
            AwsError: it does not.
        """
        if self.client is None or not self.client.generate_secret:
            return
        if not given:
            raise AwsError(
                "NotAuthorizedException",
                f"Client {self.client.id} is configured with secret but SECRET_HASH was not received",
            )
        if not check_secret_hash(self.client.secret, self.client.id, username, given):
            raise AwsError(
                "NotAuthorizedException", f"SecretHash does not match for the client: {self.client.id}"
            )


def of_client(client_id: str) -> Place:
    """The pool of a client, wherever it is. Call with the dispatch lock held.

    Raises:
        AwsError: no pool has such a client.
    """
    for pool in _all():
        if client_id in pool.clients:
            return Place(pool, pool.clients[client_id])
    raise AwsError("ResourceNotFoundException", f"User pool client {client_id} does not exist.")


def of_pool(call: Call) -> Place:
    """The pool that an administrator names, and the client if one is named, too; lock held.

    Raises:
        AwsError: it is not there.
    """
    pool_id, client_id = call.params["UserPoolId"], call.params.get("ClientId")
    pool = cognitoidp_backends[call.account_id][call.region].user_pools.get(pool_id)
    if pool is None:
        raise AwsError("ResourceNotFoundException", f"User pool {pool_id} does not exist.")
    if client_id and client_id not in pool.clients:
        raise AwsError("ResourceNotFoundException", f"User pool client {client_id} does not exist.")
    return Place(pool, pool.clients[client_id] if client_id else None)


def find(region: str, pool_id: str) -> Any:
    """The pool of an id, in whichever account of the process; or None. Call with the dispatch lock held."""
    return next((pool for pool in _all() if pool.id == pool_id and pool.region == region), None)


def _all() -> Iterable[Any]:
    for regions in list(cognitoidp_backends.values()):
        for backend in list(regions.values()):
            yield from list(backend.user_pools.values())


def attributes(user: Any, *, status: bool = True) -> dict[str, str]:
    """A user's attributes as functions are told them."""
    found = {name: str(value) for name, value in user.attribute_lookup.items()}
    if status:
        found["cognito:user_status"] = str(user.status.value)
    return found


def fresh(core: AccountCore, place: Place, username: str) -> Any:
    """The user as it is now; functions may have changed it through the API."""
    with core.dispatch_lock:
        return place.get_user(username)
