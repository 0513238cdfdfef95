"""Passkeys: an authenticator's signature instead of a password.

Source: https://www.w3.org/TR/webauthn-3/
"""

from __future__ import annotations

import base64
import ipaddress
import json
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from portal.errors import answer
from portal.paths import own_path
from portal.services import services
from portal.users.session import begin, current_user, require_user
from records.errors import Taken

_CHALLENGE = "passkey_challenge"

bp = Blueprint("passkeys", __name__)


def offered() -> bool:
    """Whether browsers make passkeys here: they do for host names and not for addresses."""
    return bool(_party())


@bp.post("/account/passkeys/options")
def new_options() -> ResponseReturnValue:
    """What the browser needs to make one."""
    if require_user() is not None:
        return answer(401, gettext("Sign in first"))
    user = current_user()
    options = generate_registration_options(
        rp_id=_party(),
        rp_name="Coldstart",
        user_id=f"coldstart-{user.id}".encode(),
        user_name=user.email or user.login,
        user_display_name=user.name,
        exclude_credentials=[
            PublicKeyCredentialDescriptor(base64url_to_bytes(item.credential_id))
            for item in services().credentials.passkeys_of(user.id)
        ],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
    )
    return _asked(options)


@bp.post("/account/passkeys")
def add() -> ResponseReturnValue:
    """Keep what the browser made."""
    if require_user() is not None:
        return answer(401, gettext("Sign in first"))
    body = _body()
    try:
        made = verify_registration_response(
            credential=json.dumps(body.get("credential")),
            expected_challenge=_challenge(),
            expected_rp_id=_party(),
            expected_origin=_origin(),
            require_user_verification=True,
        )
        services().credentials.add_passkey(
            current_user().id,
            str(body.get("name") or "").strip()[:80] or gettext("Passkey"),
            bytes_to_base64url(made.credential_id),
            made.credential_public_key,
            made.sign_count,
            services().now(),
        )
    except (WebAuthnException, Taken, ValueError, KeyError) as error:
        return answer(422, gettext("The passkey was not taken."), where=type(error).__name__)
    services().store.note(current_user().id, "passkey_added", services().now())
    return jsonify(page=url_for("account.show", _anchor="passkeys"))


@bp.post("/sign-in/passkey/options")
def sign_in_options() -> ResponseReturnValue:
    """What the browser needs to sign in with one. Nobody has to say who they are first."""
    options = generate_authentication_options(
        rp_id=_party(), user_verification=UserVerificationRequirement.REQUIRED
    )
    return _asked(options)


@bp.post("/sign-in/passkey")
def sign_in() -> ResponseReturnValue:
    """Sign in with one."""
    accounts, credentials, body = services().accounts, services().credentials, _body()
    accounts.limit("passkey", request.remote_addr or "", 60)
    given = body.get("credential")
    found = credentials.passkey(str(given.get("id", ""))) if isinstance(given, dict) else None
    refused = gettext("Nobody here has this passkey.")
    if found is None:
        return answer(401, refused)
    try:
        shown = verify_authentication_response(
            credential=json.dumps(given),
            expected_challenge=_challenge(),
            expected_rp_id=_party(),
            expected_origin=_origin(),
            credential_public_key=found.public_key,
            credential_current_sign_count=found.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError):
        return answer(401, refused)
    user = accounts.active(found.user_id)
    if user is None:
        return answer(401, refused)
    credentials.used_passkey(found, shown.new_sign_count, services().now())
    begin(user)
    services().store.note(user.id, "signed_in_by_passkey", services().now())
    return jsonify(page=own_path(str(body.get("next") or "")) or url_for("catalogue.home"))


def _asked(options: Any) -> ResponseReturnValue:
    session[_CHALLENGE] = base64.b64encode(options.challenge).decode()
    return Response(options_to_json(options), mimetype="application/json")


def _challenge() -> bytes:
    """What was to be signed; each is good once.

    Raises:
        KeyError: nothing was asked for.
    """
    return base64.b64decode(session.pop(_CHALLENGE))


def _body() -> dict[str, Any]:
    found = request.get_json(silent=True)
    return found if isinstance(found, dict) else {}


def _origin() -> str:
    """Where our pages are. On one machine alone the loopback has two names, and both are ours."""
    url = services().accounts.url
    return request.host_url.rstrip("/") if _is_local(url) and _is_local(request.host_url) else url


def _party() -> str:
    """The host name that passkeys are for; empty where there is only an address."""
    host = urlsplit(_origin()).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return ""


def _is_local(url: str) -> bool:
    return (urlsplit(url).hostname or "") in ("localhost", "127.0.0.1", "::1")
