"""OAuth 2.0 for one client, the operator's own JupyterHub: authorization code, with PKCE where it is used.

Who is signed in here and opens the hub is signed in there without being asked: the hub belongs to the
portal. What it gets is a token of that learner's for reading and for the workspace, for half a day.

Sources: https://www.rfc-editor.org/rfc/rfc6749 and https://www.rfc-editor.org/rfc/rfc7636
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from flask import Blueprint, Flask, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from portal.errors import answer
from portal.hub.client import Hub
from portal.services import services
from portal.users.session import current_user, require_user
from records.notebooks import Ticket

CLIENT_ID = "jupyterhub"
VALID = timedelta(hours=12)
SCOPES = ("read", "workspace")
_USE = "hub"
_EXTENSION = "coldstart-hub"

bp = Blueprint("hub", __name__, url_prefix="/oauth")


class _Client(ClientMixin):  # type: ignore[misc]
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.client_id = CLIENT_ID

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self._hub.back

    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(SCOPES)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self._hub.back

    def check_client_secret(self, client_secret: str) -> bool:
        return hmac.compare_digest(client_secret, self._hub.secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        return bool(response_type == "code")

    def check_grant_type(self, grant_type: str) -> bool:
        return bool(grant_type == "authorization_code")


@dataclass(frozen=True, slots=True)
class _Code(AuthorizationCodeMixin):  # type: ignore[misc]
    """What a code stood for; it was used up when it was looked at."""

    user_id: int
    redirect_uri: str
    code_challenge: str | None
    code_challenge_method: str | None = "S256"

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return " ".join(SCOPES)


class _CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    """Codes are tickets: good once and for a minute. A ticket's note is the challenge."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")

    def generate_authorization_code(self) -> str:
        challenge = str(self.request.payload.data.get("code_challenge") or "")
        ticket = Ticket(self.request.user.id, challenge, _USE)
        return _hub().tickets.make(ticket, services().now())

    def save_authorization_code(self, code: str, request: Any) -> None:
        """It is kept already."""

    def query_authorization_code(self, code: str, client: Any) -> _Code | None:
        found = _hub().tickets.redeem(code, _USE, services().now())
        return _Code(found.user_id, _hub().back, found.lab or None) if found else None

    def delete_authorization_code(self, authorization_code: _Code) -> None:
        """It is gone already."""

    def authenticate_user(self, authorization_code: _Code) -> Any:
        return services().accounts.active(authorization_code.user_id)


class _S256(CodeChallenge):  # type: ignore[misc]
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)
    DEFAULT_CODE_CHALLENGE_METHOD = "S256"


def register(app: Flask, hub: Hub) -> None:
    """Serve the hub, if there is one."""
    server = AuthorizationServer(
        app,
        query_client=lambda client_id: _Client(hub) if hub.url and client_id == CLIENT_ID else None,
        save_token=lambda token, asked: None,
    )
    server.register_token_generator("default", _token)
    server.register_grant(_CodeGrant, [_S256(required=False)])
    app.extensions[_EXTENSION] = (server, hub)
    app.register_blueprint(bp)


@bp.get("/authorize")
def authorize() -> ResponseReturnValue:
    """To the hub with a code, once somebody is signed in here."""
    if (door := require_user()) is not None:
        return door
    server, _ = current_app.extensions[_EXTENSION]
    try:
        grant = server.get_consent_grant(end_user=current_user())
    except OAuth2Error as error:
        return answer(400, str(error.description or error.error))
    return server.create_authorization_response(grant=grant, grant_user=current_user())  # type: ignore[no-any-return]


@bp.post("/token")
def token() -> ResponseReturnValue:
    """A code for a token."""
    server, _ = current_app.extensions[_EXTENSION]
    return server.create_token_response()  # type: ignore[no-any-return]


@bp.get("/userinfo")
def userinfo() -> ResponseReturnValue:
    """Whose token that is, in the words of OpenID Connect; ``username`` is one that file systems take."""
    _, _, given = request.headers.get("Authorization", "").partition(" ")
    found = services().credentials.token(given, services().now())
    user = services().accounts.active(found.user_id) if found else None
    if user is None:
        return jsonify(error="invalid_token"), 401
    return jsonify(
        sub=str(user.id),
        username=f"learner-{user.id}",
        preferred_username=user.login,
        name=user.name,
        email=user.email,
        admin=user.role == "admin",
    )


def _hub() -> Hub:
    hub: Hub = current_app.extensions[_EXTENSION][1]
    return hub


def _token(*, user: Any, **_: Any) -> dict[str, Any]:
    made = services().credentials.make_token(user.id, "JupyterHub", services().now(), SCOPES, VALID)
    services().store.note(user.id, "signed_in_to_hub", services().now())
    seconds = int(VALID.total_seconds())
    return {"access_token": made, "token_type": "Bearer", "expires_in": seconds, "scope": " ".join(SCOPES)}
