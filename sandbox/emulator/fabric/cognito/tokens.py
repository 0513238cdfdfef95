"""The tokens of a user pool: each pool signs with a key of its own, and functions may change the claims.

Source: https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
"""

from __future__ import annotations

import json
import threading
import uuid
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwk, jwt

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.cognito.pools import Place, attributes
from sandbox.emulator.fabric.cognito.triggers import Question, Trigger, Triggers, unrecognizable

_UNIT_S = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
_SCOPE = "aws.cognito.signin.user.admin"
# Claims that no function changes.
_FIXED = frozenset(
    {
        *("acr", "amr", "at_hash", "aud", "auth_time", "azp", "client_id", "exp", "iat", "iss", "jti"),
        *("nbf", "nonce", "origin_jti", "sub", "token_use", "cognito:username", "username"),
        *("version", "event_id", "device_key", "scope", "identities"),
    }
)
_keys: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
_keys_lock = threading.Lock()


def signing_key(pool: Any) -> Any:
    """The key that a pool signs with, made when it is first asked for."""
    with _keys_lock:
        if pool not in _keys:
            _keys[pool] = jwk.RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        return _keys[pool]


def public_keys(pool: Any) -> dict[str, Any]:
    """What stands at the pool's ``/.well-known/jwks.json``."""
    return {"keys": [signing_key(pool).as_dict(private=False)]}


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in: since when, and for how long tokens can be renewed."""

    user_id: str
    username: str
    client_id: str
    origin: str
    since: int
    until: float


@dataclass(slots=True)
class _Changes:
    """What a function wants of the claims of one token."""

    add: Mapping[str, Any]
    suppress: frozenset[str]
    scopes_to_add: tuple[str, ...] = ()
    scopes_to_suppress: frozenset[str] = frozenset()


class Tokens:
    """Makes tokens and renews them."""

    def __init__(self, core: AccountCore, triggers: Triggers) -> None:
        self._core = core
        self._triggers = triggers

    def issue(
        self, place: Place, user: Any, reason: str, metadata: Mapping[str, str] | None
    ) -> dict[str, Any]:
        """Sign a user in: an ``AuthenticationResult``. Never call it with the dispatch lock held."""
        now = self._core.clock.time()
        lasting = _lasting(place, "RefreshToken", 30, "days")
        session = Session(user.id, user.username, place.client_id, str(uuid.uuid4()), int(now), now + lasting)
        made = self.renew(place, user, session, reason, metadata)
        refresh = f"{uuid.uuid4()}.{uuid.uuid4()}"
        with self._core.dispatch_lock:
            place.pool.refresh_tokens[refresh] = (place.client_id, user.username, session.origin)
            _sessions(place.pool)[refresh] = session
        return made | {"RefreshToken": refresh}

    def session(self, place: Place, refresh: str) -> Session | None:
        """Whose a refresh token is; None if it is nobody's any more. Call with the dispatch lock held."""
        session = _sessions(place.pool).get(refresh)
        # Signing out everywhere takes the token out of moto's own table.
        alive = place.pool.refresh_tokens.get(refresh) is not None
        good = session is not None and alive and session.until > self._core.clock.time()
        return session if good else None

    def renew(
        self, place: Place, user: Any, session: Session, reason: str, metadata: Mapping[str, str] | None
    ) -> dict[str, Any]:
        """New tokens of a session."""
        groups = [group.group_name for group in user.groups]
        changes, groups, roles = self._asked(place, user, groups, reason, metadata)
        now, pool = int(self._core.clock.time()), place.pool
        common = {
            "iss": f"https://cognito-idp.{pool.region}.amazonaws.com/{pool.id}",
            "sub": user.id,
            "origin_jti": session.origin,
            "event_id": str(uuid.uuid4()),
            "auth_time": session.since,
            "iat": now,
            **({"cognito:groups": groups} if groups else {}),
        }
        lasting = _lasting(place, "AccessToken", 1, "hours")
        access = _changed(
            common
            | {"token_use": "access", "client_id": place.client_id, "username": user.username}
            | {"scope": _scopes(changes["access"]), "exp": now + lasting, "jti": str(uuid.uuid4())},
            changes["access"],
        )
        readable = place.setting("ReadAttributes")
        told = {
            name: value == "true" if name.endswith("_verified") else value
            for name, value in user.attribute_lookup.items()
            if name != "sub" and (not readable or name in readable)
        }
        identity = _changed(
            common
            | told
            | {"token_use": "id", "aud": place.client_id, "cognito:username": user.username}
            | roles
            | {"exp": now + _lasting(place, "IdToken", 1, "hours"), "jti": str(uuid.uuid4())},
            changes["id"],
        )
        texts = {name: _signed(pool, claims) for name, claims in (("access", access), ("id", identity))}
        with self._core.dispatch_lock:
            pool.access_tokens[texts["access"]] = (place.client_id, user.username)
            pool.id_tokens[texts["id"]] = (place.client_id, user.username)
        return {
            "AccessToken": texts["access"],
            "IdToken": texts["id"],
            "ExpiresIn": lasting,
            "TokenType": "Bearer",
        }

    def _asked(
        self, place: Place, user: Any, groups: list[str], reason: str, metadata: Mapping[str, str] | None
    ) -> tuple[dict[str, _Changes], list[str], dict[str, Any]]:
        """What the pool's function wants changed, the groups to tell, and the roles."""
        version = self._triggers.version(place)
        member = "claimsOverrideDetails" if version == "1" else "claimsAndScopeOverrideDetails"
        roles = [group.role_arn for group in user.groups if group.role_arn]
        preferred = min(
            (group for group in user.groups if group.role_arn),
            key=lambda group: group.precedence if group.precedence is not None else 2**31,
            default=None,
        )
        held = {
            "groupsToOverride": groups,
            "iamRolesToOverride": roles,
            "preferredRole": preferred.role_arn if preferred is not None else None,
        }
        answer = self._triggers.ask(
            place,
            Trigger.PRE_TOKEN_GENERATION,
            Question(
                reason,
                user.username,
                {
                    "userAttributes": attributes(user),
                    "groupConfiguration": held,
                    **({"scopes": [_SCOPE]} if version != "1" else {}),
                    **({"clientMetadata": dict(metadata)} if metadata else {}),
                },
                {member: None},
                source="TokenGeneration",
            ),
        )
        details = _mapping((answer or {}).get(member))
        told = _mapping(details.get("groupOverrideDetails"))
        held |= {name: value for name, value in told.items() if name in held and value is not None}
        if version == "1":
            changes = {"id": _read(details, texts=True), "access": _Changes({}, frozenset())}
        else:
            changes = {
                "id": _read(_mapping(details.get("idTokenGeneration"))),
                "access": _read(_mapping(details.get("accessTokenGeneration"))),
            }
        claims: dict[str, Any] = {}
        if held["iamRolesToOverride"]:
            claims["cognito:roles"] = held["iamRolesToOverride"]
        if held["preferredRole"]:
            claims["cognito:preferred_role"] = held["preferredRole"]
        return changes, list(held["groupsToOverride"] or ()), claims


def _read(told: Mapping[str, Any], *, texts: bool = False) -> _Changes:
    add = _mapping(told.get("claimsToAddOrOverride"))
    if texts and any(isinstance(value, Mapping | list) for value in add.values()):
        raise unrecognizable()
    return _Changes(
        {name: str(value) if texts else value for name, value in add.items()},
        frozenset(_texts(told.get("claimsToSuppress"))),
        tuple(_texts(told.get("scopesToAdd"))),
        frozenset(_texts(told.get("scopesToSuppress"))),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise unrecognizable()
    return value or {}


def _texts(value: Any) -> list[str]:
    if value is not None and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise unrecognizable()
    return value or []


def _changed(claims: dict[str, Any], changes: _Changes) -> dict[str, Any]:
    added = {name: value for name, value in changes.add.items() if name not in _FIXED}
    gone = changes.suppress - _FIXED
    return {name: value for name, value in {**claims, **added}.items() if name not in gone}


def _scopes(changes: _Changes) -> str:
    scopes = [_SCOPE, *changes.scopes_to_add]
    return " ".join(dict.fromkeys(scope for scope in scopes if scope not in changes.scopes_to_suppress))


def _signed(pool: Any, claims: Mapping[str, Any]) -> str:
    key = signing_key(pool)
    plain = json.loads(json.dumps(claims))
    return str(jwt.encode({"kid": key.kid, "alg": "RS256"}, plain, key, algorithms=["RS256"]))


def _lasting(place: Place, kind: str, default: int, unit: str) -> int:
    units = place.setting("TokenValidityUnits", {})
    given = place.setting(f"{kind}Validity")
    return int(given) * _UNIT_S[units.get(kind) or unit] if given else default * _UNIT_S[unit]


_held: weakref.WeakKeyDictionary[Any, dict[str, Session]] = weakref.WeakKeyDictionary()


def _sessions(pool: Any) -> dict[str, Session]:
    """The sessions of a pool by their refresh tokens."""
    return _held.setdefault(pool, {})
