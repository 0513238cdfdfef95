"""Function URLs as objects of the API. moto drops the qualifier, so these are kept here.

Source: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunctionUrlConfig.html
"""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions import names
from sandbox.emulator.functions.api.validation import constraint
from sandbox.emulator.functions.api.versions import page
from sandbox.emulator.functions.logs import timestamp
from sandbox.emulator.functions.names import LATEST, FunctionName
from sandbox.emulator.functions.store import FunctionStore

_LETTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 32
_QUALIFIER = re.compile(r"(?!^[0-9]+$)[a-zA-Z0-9-_]+")
_QUALIFIER_IN_MESSAGES = r"(^\$LATEST$)|((?!^[0-9]+$)([a-zA-Z0-9-_]+))"
_AUTH_TYPES = ("NONE", "AWS_IAM")
_INVOKE_MODES = ("BUFFERED", "RESPONSE_STREAM")
_MAX_AGE_LIMIT_S = 86_400
_METHOD_LETTERS = 6


@dataclass(frozen=True, slots=True)
class FunctionUrl:
    """One address. ``cors`` has the API's members; times are ISO 8601 texts, account time."""

    url_id: str
    name: FunctionName
    auth_type: str
    invoke_mode: str
    cors: dict[str, Any]
    created: str
    modified: str

    @property
    def host(self) -> str:
        """The address's host."""
        return f"{self.url_id}.lambda-url.{self.name.region}.on.aws"

    def members(self) -> dict[str, Any]:
        """As the API tells it."""
        told: dict[str, Any] = {
            "FunctionUrl": f"https://{self.host}/",
            "FunctionArn": self.name.qualified_arn,
            "AuthType": self.auth_type,
            "InvokeMode": self.invoke_mode,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
        }
        return {**told, "Cors": self.cors} if self.cors else told


@dataclass(slots=True)
class FunctionUrls:
    """Keeps and answers them; one for ``$LATEST`` and one for each alias of a function."""

    _core: AccountCore
    _store: FunctionStore
    _kept: dict[FunctionName, FunctionUrl] = field(default_factory=dict)

    def handlers(self) -> Handlers:
        """The operations taken over from moto."""
        return {
            ("lambda", "CreateFunctionUrlConfig"): self.create,
            ("lambda", "GetFunctionUrlConfig"): self.get,
            ("lambda", "UpdateFunctionUrlConfig"): self.update,
            ("lambda", "DeleteFunctionUrlConfig"): self.delete,
            ("lambda", "ListFunctionUrlConfigs"): self.list_urls,
        }

    def find(self, url_id: str) -> FunctionUrl | None:
        """The address with an id, if there is one."""
        return next((kept for kept in list(self._kept.values()) if kept.url_id == url_id), None)

    def forget(self, name: FunctionName) -> None:
        """A function or an alias is gone; unqualified: with everything it had."""
        self._kept = {
            key: kept
            for key, kept in self._kept.items()
            if key.arn != name.arn or (name.qualifier and key.qualifier != name.qualifier)
        }

    def create(self, call: Call) -> dict[str, Any]:
        """Give a function or an alias an address."""
        name = self._name(call)
        _check(call.params)
        now = self._now()
        with self._core.dispatch_lock:
            self._store.find(name)
            if name in self._kept:
                raise AwsError(
                    "ResourceConflictException",
                    f"Failed to create function url config for [functionArn = {name.qualified_arn}]. "
                    "Error message:  FunctionUrlConfig exists for this Lambda function",
                    409,
                    Type="User",
                )
            made = FunctionUrl(
                url_id="".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH)),
                name=name,
                auth_type=call.params["AuthType"],
                invoke_mode=call.params.get("InvokeMode") or "BUFFERED",
                cors=_cors(call.params),
                created=now,
                modified=now,
            )
            self._kept = {**self._kept, name: made}
        return made.members()

    def get(self, call: Call) -> dict[str, Any]:
        """Read it."""
        return self._get(self._name(call)).members()

    def update(self, call: Call) -> dict[str, Any]:
        """Change what is named; the address stays."""
        params = call.params
        _check(params)
        with self._core.dispatch_lock:
            kept = self._get(self._name(call))
            changed = replace(
                kept,
                auth_type=params.get("AuthType") or kept.auth_type,
                invoke_mode=params.get("InvokeMode") or kept.invoke_mode,
                cors=kept.cors if params.get("Cors") is None else _cors(params),
                modified=self._now(),
            )
            self._kept = {**self._kept, kept.name: changed}
        return changed.members()

    def delete(self, call: Call) -> dict[str, Any]:
        """Take it away."""
        with self._core.dispatch_lock:
            gone = self._get(self._name(call))
            self._kept = {key: kept for key, kept in self._kept.items() if key != gone.name}
        return {}

    def list_urls(self, call: Call) -> dict[str, Any]:
        """All addresses of a function."""
        name = self._name(call).at("")
        with self._core.dispatch_lock:
            self._store.find(name)
        found = sorted(
            (kept for kept in self._kept.values() if kept.name.arn == name.arn),
            key=lambda kept: kept.name.qualifier,
        )
        return page(call, "FunctionUrlConfigs", [kept.members() for kept in found])

    def _now(self) -> str:
        return timestamp(int(self._core.clock.time() * 1000))

    @staticmethod
    def _name(call: Call) -> FunctionName:
        name = names.of(call)
        if name.qualifier == LATEST:
            return name.at("")
        if name.qualifier and not _QUALIFIER.fullmatch(name.qualifier):
            raise constraint(
                "qualifier",
                name.qualifier,
                f"Member must satisfy regular expression pattern: {_QUALIFIER_IN_MESSAGES}",
            )
        return name

    def _get(self, name: FunctionName) -> FunctionUrl:
        kept = self._kept.get(name)
        if kept is None:
            raise AwsError(
                "ResourceNotFoundException", "The resource you requested does not exist.", 404, Type="User"
            )
        return kept


def _cors(params: dict[str, Any]) -> dict[str, Any]:
    given = params.get("Cors") or {}
    return {member: value for member, value in given.items() if value is not None and value != []}


def _check(params: dict[str, Any]) -> None:
    for member, allowed in (("AuthType", _AUTH_TYPES), ("InvokeMode", _INVOKE_MODES)):
        value = params.get(member)
        if value is not None and value not in allowed:
            raise constraint(
                member[0].lower() + member[1:],
                value,
                f"Member must satisfy enum value set: [{', '.join(allowed)}]",
            )
    cors = params.get("Cors") or {}
    age = cors.get("MaxAge")
    if age is not None and not 0 <= int(age) <= _MAX_AGE_LIMIT_S:
        bound = f"less than or equal to {_MAX_AGE_LIMIT_S}" if int(age) > 0 else "greater than or equal to 0"
        raise constraint("cors.maxAge", age, f"Member must have value {bound}")
    # OPTIONS is answered by Lambda itself; AWS refuses it by this limit.
    if any(len(method) > _METHOD_LETTERS for method in cors.get("AllowMethods") or []):
        raise constraint(
            "cors.allowMethods",
            f"[{', '.join(cors['AllowMethods'])}]",
            "Member must satisfy constraint: [Member must have length less than or equal to 6, Member must "
            "have length greater than or equal to 0, Member must satisfy regular expression pattern: .*]",
        )
