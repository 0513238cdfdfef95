"""Signing in with an account that one has elsewhere: any OpenID Connect issuer, and GitHub.

GitHub speaks OAuth 2.0 and no OpenID Connect to people; who somebody is comes from its API:
https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Blueprint, Flask, current_app, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from joserfc.errors import JoseError

from portal.errors import answer
from portal.paths import own_path
from portal.services import services
from portal.users.providers import Provider
from portal.users.session import begin, find_user
from records.errors import LoginTaken, Taken

_TIME_LIMIT_S = 15
_EXTENSION = "coldstart-oauth"

bp = Blueprint("elsewhere", __name__, template_folder="templates")


@dataclass(frozen=True, slots=True)
class Person:
    """Who an issuer says that somebody is. ``email`` is empty unless the issuer has verified it."""

    subject: str
    name: str
    email: str


def register(app: Flask, providers: Sequence[Provider]) -> None:
    """Make each provider's client."""
    oauth = OAuth(app)
    for provider in providers:
        known: dict[str, Any] = {
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
            "client_kwargs": {
                "scope": provider.scope,
                "code_challenge_method": "S256",
                "timeout": _TIME_LIMIT_S,
            },
        }
        if provider.kind == "github":
            known |= {
                "authorize_url": f"{provider.issuer}/login/oauth/authorize",
                "access_token_url": f"{provider.issuer}/login/oauth/access_token",
                "api_base_url": provider.api,
            }
        else:
            known["server_metadata_url"] = f"{provider.issuer}/.well-known/openid-configuration"
        oauth.register(provider.id, **known)
    app.extensions[_EXTENSION] = oauth
    app.register_blueprint(bp)


@bp.post("/sign-in/with/<provider_id>")
def leave(provider_id: str) -> ResponseReturnValue:
    """To the issuer, to sign in there."""
    provider, client = _client(provider_id)
    if client is None or provider is None:
        return answer(404, gettext("There is no such way to sign in here."))
    session["following"] = own_path(request.form.get("next", "")) or ""
    target = services().accounts.url + url_for("elsewhere.back", provider_id=provider_id)
    try:
        there = client.authorize_redirect(target).location
    except (requests.RequestException, OAuthError, ValueError):
        return answer(503, gettext("%(provider)s does not answer.", provider=provider.title))
    # Not a redirect: pages may send their forms to us alone, and browsers count where that leads.
    return render_template("leaving.html", provider=provider, there=there), {"Refresh": f"0; url={there}"}


@bp.get("/sign-in/with/<provider_id>/back")
def back(provider_id: str) -> ResponseReturnValue:
    """From the issuer: sign in, make the account, or add this way in to the account one has."""
    provider, client = _client(provider_id)
    if client is None or provider is None:
        return answer(404, gettext("There is no such way to sign in here."))
    try:
        person = _person(provider, client, client.authorize_access_token())
    except (OAuthError, JoseError, requests.RequestException, ValueError, KeyError, TypeError) as error:
        current_app.logger.warning("sign-in with %s failed: %s", provider.id, error)
        return answer(
            401,
            gettext("%(provider)s did not sign you in.", provider=provider.title),
            what_to_do=gettext("Go back and try again, or choose another way."),
        )
    return _arrived(provider, person)


def _arrived(provider: Provider, person: Person) -> ResponseReturnValue:
    accounts, credentials, now = services().accounts, services().credentials, services().now()
    following = session.pop("following", "") or url_for("catalogue.home")
    here, known = find_user(), credentials.identity(provider.id, person.subject)
    shown = person.email or person.name or person.subject
    if here is not None:
        if known is None:
            credentials.link(here.id, provider.id, person.subject, shown, now)
            services().store.note(here.id, "identity_linked", now, provider=provider.id)
        elif known.user_id != here.id:
            return answer(409, gettext("Somebody else here signs in with that account."))
        return redirect(url_for("account.show", _anchor="passkeys"), 303)
    if known is not None:
        user = accounts.active(known.user_id)
        if user is None:
            return answer(403, gettext("This account is closed. Ask whoever runs this portal."))
        begin(user)
        services().store.note(user.id, "signed_in_elsewhere", now, provider=provider.id)
        return redirect(following, 303)
    if not accounts.sign_up_open:
        return answer(
            403, gettext("Accounts are made by whoever runs this portal. Ask them for a sign-in link.")
        )
    if not accounts.is_email(person.email):
        return answer(
            403,
            gettext(
                "%(provider)s tells us no address of yours that it has verified.", provider=provider.title
            ),
        )
    # An address alone opens nobody's account: whoever has one here proves that first, and links then.
    if accounts.people.by_email(person.email) or accounts.people.find(person.email):
        return render_template("known_elsewhere.html", provider=provider, email=person.email), 409
    try:
        user = accounts.people.add(
            person.email, (person.name or person.email)[:120], None, now, email=person.email
        )
        credentials.link(user.id, provider.id, person.subject, shown, now)
    except (LoginTaken, Taken):
        return answer(409, gettext("Somebody else here signs in with that account."))
    begin(user)
    services().store.note(user.id, "signed_up_elsewhere", now, provider=provider.id)
    return redirect(following, 303)


def _person(provider: Provider, client: Any, token: dict[str, Any]) -> Person:
    """Who the issuer says that it is.

    Raises:
        KeyError, TypeError, ValueError: it does not say it as it should.
    """
    if provider.kind == "github":
        profile = client.get("user", token=token).json()
        addresses = client.get("user/emails", token=token).json()
        email = next((item["email"] for item in addresses if item["primary"] and item["verified"]), "")
        return Person(str(profile["id"]), str(profile.get("name") or profile["login"]), email.casefold())
    claims = token["userinfo"]
    if not claims.get("email") and client.server_metadata.get("userinfo_endpoint"):
        more = client.userinfo(token=token)
        if more["sub"] == claims["sub"]:
            claims = {**claims, **more}
    verified = claims.get("email_verified") is True or claims.get("email_verified") == "true"
    return Person(
        str(claims["sub"]),
        str(claims.get("name") or claims.get("preferred_username") or ""),
        str(claims.get("email") or "").casefold() if verified else "",
    )


def _client(provider_id: str) -> tuple[Provider | None, Any]:
    provider = next((item for item in services().providers if item.id == provider_id), None)
    return provider, current_app.extensions[_EXTENSION].create_client(provider_id) if provider else None
