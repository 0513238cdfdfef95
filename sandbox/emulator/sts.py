"""STS where moto hands out constant keys or says less than AWS: identities and session tokens."""

from __future__ import annotations

import datetime as dt
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from sandbox.emulator.calls import AwsError, Call, Handlers, PrincipalKind
from sandbox.emulator.core import AccountCore
from sandbox.emulator.gateway.keys import KeyRing
from sandbox.emulator.iam.enforcement import SessionGrant
from sandbox.emulator.iam.enforcement.policies import managed_document

_SESSION_TOKEN_S = 43_200


class SecurityTokens:
    """The STS operations that concern who a caller is."""

    def __init__(self, core: AccountCore, keys: KeyRing) -> None:
        self._core = core
        self._keys = keys

    def handlers(self) -> Handlers:
        """Operations taken over from moto."""
        return {
            ("sts", "GetCallerIdentity"): self.get_caller_identity,
            ("sts", "GetSessionToken"): self.get_session_token,
            ("sts", "GetFederationToken"): self.get_federation_token,
            ("sts", "AssumeRole"): self.assume_role,
        }

    def get_caller_identity(self, call: Call) -> dict[str, Any]:
        """Who signed."""
        who = call.principal
        return {"UserId": self._user_id(call), "Account": who.account_id, "Arn": who.arn}

    def get_session_token(self, call: Call) -> dict[str, Any]:
        """Temporary keys of the same user."""
        if call.principal.kind is PrincipalKind.ROLE_SESSION:
            raise AwsError("AccessDenied", "Cannot call GetSessionToken with session credentials", 403)
        return {"Credentials": self._issue(call, int(call.params.get("DurationSeconds", _SESSION_TOKEN_S)))}

    def get_federation_token(self, call: Call) -> dict[str, Any]:
        """Federated users have permissions of their own, which are not evaluated here."""
        raise AwsError("NotEmulated", "Coldstart does not emulate GetFederationToken. This is our gap.", 501)

    def assume_role(self, call: Call) -> dict[str, Any]:
        """A session of a role that exists."""
        arn = str(call.params.get("RoleArn", ""))
        parts = arn.split(":", 5)
        known = len(parts) == 6 and any(
            role.arn == arn for role in self._roles(parts[4]) if parts[2] == "iam"
        )
        if not known:
            raise AwsError(
                "AccessDenied",
                f"User: {call.principal.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}",
                403,
            )
        policies = self._session_policies(call, parts[4])
        self._check_duration(call, arn, parts[4])
        made = self._core.moto(call)
        tags = {str(tag["Key"]): str(tag["Value"]) for tag in call.params.get("Tags") or ()}
        key_id = str(made["Credentials"]["AccessKeyId"])
        self._core.guard.principals.note_session(key_id, SessionGrant(policies, tags))
        return made

    def _session_policies(self, call: Call, account_id: str) -> tuple[tuple[str, str], ...]:
        """The policies that narrow a session, by name.

        Raises:
            AwsError: a managed one is not there.
        """
        found: list[tuple[str, str]] = []
        text = call.params.get("Policy")
        if text:
            found.append(("session", text))
        for member in call.params.get("PolicyArns") or ():
            arn = str(member.get("arn", ""))
            with self._core.dispatch_lock:
                document = managed_document(account_id, arn)
            if document is None:
                raise AwsError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404)
            found.append((arn, document))
        return tuple(found)

    def _check_duration(self, call: Call, arn: str, account_id: str) -> None:
        wanted = int(call.params.get("DurationSeconds") or 0)
        longest = next(int(r.max_session_duration or 3600) for r in self._roles(account_id) if r.arn == arn)
        if call.principal.kind is PrincipalKind.ROLE_SESSION and wanted > 3600:
            raise AwsError(
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
                "role chaining",
            )
        if wanted > longest:
            raise AwsError(
                "ValidationError",
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            )

    def _roles(self, account_id: str) -> list[Any]:
        with self._core.dispatch_lock:
            return list(iam_backends[account_id]["aws"].roles.values())

    def _issue(self, call: Call, duration_s: int) -> dict[str, Any]:
        expires = self._core.clock.time() + duration_s
        with self._core.dispatch_lock:
            issued = self._keys.issue_session(call.principal, expires)
        return {
            "AccessKeyId": issued.keys.access_key_id,
            "SecretAccessKey": issued.keys.secret_access_key,
            "SessionToken": issued.keys.session_token,
            "Expiration": dt.datetime.fromtimestamp(expires, dt.UTC),
        }

    def _user_id(self, call: Call) -> str:
        who = call.principal
        with self._core.dispatch_lock:
            if who.kind is PrincipalKind.ROLE_SESSION:
                session = sts_backends[who.account_id]["aws"].get_assumed_role_from_access_key(
                    who.access_key_id
                )
                return str(session.user_id) if session is not None else who.arn.rsplit("/", 1)[-1]
            if who.kind is PrincipalKind.USER:
                for user in iam_backends[who.account_id]["aws"].users.values():
                    if user.arn == who.arn:
                        return str(user.id)
        return who.account_id
