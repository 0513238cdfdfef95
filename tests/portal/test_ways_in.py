"""Passkeys, and accounts elsewhere: in a real browser, with a real issuer beside it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from portal.users.providers import read_providers
from records.credentials import Credentials
from records.database import Database
from records.mails import Mails
from records.people import People
from tests.browsing import (
    DESKTOP,
    PHONE,
    ROOT,
    free_port,
    look_closely,
    mailed_link,
    needs_axe,
    needs_chromium,
    serve,
    shoot,
    sign_in_link,
)

HERE = Path(__file__).parent / "issuer"
PASSWORD = "correct horse battery"


@dataclass
class Site:
    address: str
    database: Database
    home: Path

    def link(self, login: str) -> str:
        return sign_in_link(self.database, self.address, login)


@pytest.fixture(scope="module")
def issuer() -> Path:
    """The issuer's program, installed on demand and kept for the next run."""
    place = ROOT / "var" / "issuer"
    lock = (HERE / "package-lock.json").read_bytes()
    if not (place / "done").is_file() or (place / "done").read_bytes() != lock:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, place)
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(npm, cwd=place, check=True, capture_output=True, timeout=300)
        (place / "done").write_bytes(lock)
    shutil.copy(HERE / "issuer.mjs", place)
    return place / "issuer.mjs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, issuer: Path) -> Iterator[Site]:
    home, port, issuing = tmp_path_factory.mktemp("home"), free_port(), free_port()
    database = Database(f"sqlite:///{home / 'coldstart.db'}")
    database.upgrade()
    address = f"http://localhost:{port}"
    back = f"{address}/sign-in/with/campus/back"
    provider = subprocess.Popen(["node", issuer, str(issuing), back], stdout=subprocess.PIPE, text=True)
    assert provider.stdout is not None
    campus = {
        "id": "campus",
        "title": "Campus",
        "issuer": f"http://127.0.0.1:{issuing}",
        "client_id": "coldstart",
        "client_secret": "for tests only",
    }
    more = {"COLDSTART_URL": address, "COLDSTART_SIGN_IN_WITH": json.dumps([campus])}
    try:
        assert provider.stdout.readline() == "ready\n"
        server = serve(home, ROOT / "labs", port, **more)
        try:
            yield Site(address, database, home)
        finally:
            server.terminate()
            server.wait(15)
    finally:
        provider.terminate()
        provider.wait(15)
        provider.stdout.close()
        database.close()


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    contexts: list[BrowserContext] = []

    def open_page(path: str = "/", **options: Any) -> Page:
        context = browser.new_context(base_url=site.address, **{"viewport": DESKTOP, **options})
        contexts.append(context)
        page = context.new_page()
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()


def authenticator(page: Page) -> None:
    """A device of the visitor's that holds passkeys and knows its owner's finger."""
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "automaticPresenceSimulation": True,
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
    }
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})


pytestmark = [*needs_chromium, pytest.mark.skipif(not shutil.which("node"), reason="no Node.js")]


def test_from_signing_up_to_leaving(visit: Callable[..., Page], site: Site, tmp_path: Path) -> None:
    page = visit("/sign-up")
    authenticator(page)
    page.get_by_label("E-mail").fill("grace@example.org")
    page.get_by_label("Name").fill("Grace Hopper")
    page.get_by_label("Password").fill(PASSWORD)
    shoot(page, "sign-up")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Look at your mail")).to_be_visible()
    shoot(page, "mail-sent")

    page.goto(mailed_link(site.home, site.address))
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("link", name="Grace Hopper").click()
    page.get_by_label("Name of the new passkey").fill("My laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("My laptop", exact=True)).to_be_visible()
    shoot(page, "account")
    page.get_by_role("banner").get_by_role("button", name="Sign out").click()

    page.goto("/account")
    shoot(page, "sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    page.get_by_text("New token").click()
    page.get_by_label("What for").fill("laptop")
    page.get_by_role("button", name="Make it").click()
    token = page.locator("#token").text_content() or ""
    assert Credentials(site.database).token(token, datetime.now(UTC)) is not None
    page.get_by_role("link", name="Back to your account").click()

    with page.expect_download() as download:
        page.get_by_role("button", name="Download everything").click()
    assert download.value.suggested_filename == "coldstart-data.zip"
    page.get_by_text("Delete the account").click()
    page.get_by_label("Write your login").fill("grace@example.org")
    page.locator("#data").get_by_label("Password you have now").fill(PASSWORD)
    page.get_by_role("button", name="Delete it for good").click()
    expect(page.get_by_role("heading", name="Your account is deleted")).to_be_visible()
    page.goto("/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Nobody here has this passkey")


def test_a_passkey_answers_its_own_question_and_is_removed(visit: Callable[..., Page], site: Site) -> None:
    page = visit(site.link("katherine"))
    authenticator(page)
    page.goto("/account")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("Passkey", exact=True)).to_be_visible()

    # The same device is not asked for a second one.
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("has a passkey of yours already")
    replay = """async () => {
        const token = document.querySelector("[data-passkey-new]").dataset.csrf;
        const type = "application/json";
        const headers = {"Content-Type": type, Accept: type, "X-CSRFToken": token};
        const post = async (path, body) =>
            fetch(path, {method: "POST", headers, body: JSON.stringify(body)});
        const options = await (await post("/sign-in/passkey/options", {})).json();
        const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
        const credential = (await navigator.credentials.get({publicKey})).toJSON();
        const signed = credential.response.signature;
        const changed = signed.slice(0, -6) + "AAAAAA";
        const other = {...credential, response: {...credential.response, signature: changed}};
        const first = (await post("/sign-in/passkey", {credential: other})).status;
        const late = (await post("/sign-in/passkey", {credential})).status;
        return [first, late];
    }"""
    # One signature is changed; the other is right, for a question that was used up by then.
    assert page.evaluate(replay) == [401, 401]

    page.get_by_role("button", name="Remove Passkey").click()
    # It is the only way in of somebody without password and address.
    expect(page.get_by_role("alert").first).to_contain_text("your only way in")


def test_an_account_elsewhere_makes_one_here_and_signs_in_again(
    visit: Callable[..., Page], site: Site
) -> None:
    page = visit("/labs/invoice-intake")
    _by_campus(page, "dorothy")
    expect(page).to_have_url(re.compile("/labs/invoice-intake"))
    user = People(site.database).by_email("dorothy@example.org")
    assert user is not None
    assert (user.login, user.name, user.password_hash) == ("dorothy@example.org", "dorothy", None)

    again = visit("/sign-in")
    _by_campus(again, "dorothy")
    again.goto("/account")
    expect(again.get_by_text("Campus", exact=True)).to_be_visible()
    # Taking away the last way in would lock them out, unless a mail can let them in again.
    again.get_by_role("button", name="Remove Campus").click()
    expect(again.get_by_role("button", name="Add Campus")).to_be_visible()


def test_an_address_alone_opens_nobodys_account(visit: Callable[..., Page], site: Site) -> None:
    people, now = People(site.database), datetime.now(UTC)
    people.add("mary@example.org", "Mary", None, now, email="mary@example.org")

    page = visit("/sign-in")
    _by_campus(page, "mary")
    expect(page.get_by_role("heading", name="You have an account already")).to_be_visible()

    unverified = visit("/sign-in")
    _by_campus(unverified, "joan+unverified")
    expect(unverified.get_by_text("no address of yours that it has verified")).to_be_visible()
    assert people.by_email("joan@example.org") is None

    # Whoever is signed in adds it, and signs in with it from then on.
    owner = visit(site.link("mary@example.org"))
    owner.goto("/account")
    owner.get_by_role("button", name="Add Campus").click()
    _at_campus(owner, "mary")
    expect(owner.get_by_text("Campus", exact=True)).to_be_visible()
    back = visit("/sign-in")
    _by_campus(back, "mary")
    expect(back.get_by_role("link", name="Mary")).to_be_visible()


def test_an_answer_that_nobody_asked_for_signs_nobody_in(visit: Callable[..., Page]) -> None:
    page = visit("/sign-in/with/campus/back?code=made-up&state=made-up")

    expect(page.get_by_text("Campus did not sign you in")).to_be_visible()
    assert visit("/sign-in/with/nowhere/back").get_by_text("no such way to sign in").count() == 1


@needs_axe
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_everything_fits(
    visit: Callable[..., Page], site: Site, viewport: dict[str, int]
) -> None:
    for path in ("/sign-in", "/sign-up", "/sign-in/forgotten"):
        look_closely(visit(path, viewport=viewport), path)
    user = People(site.database).find("axel") or People(site.database).add(
        "axel", "Axel", None, datetime.now(UTC)
    )
    credentials, now = Credentials(site.database), datetime.now(UTC)
    if not credentials.tokens_of(user.id):
        credentials.make_token(user.id, "a laptop with a rather long name, as people have them", now)
        credentials.add_passkey(user.id, "Phone", "axel", b"key", 0, now)
        credentials.link(user.id, "campus", "axel", "axel@example.org", now)
    page = visit(site.link("axel"), viewport=viewport)
    page.goto("/account")
    look_closely(page, "account")
    shoot(page, "account")


@needs_axe
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pages_that_mails_and_others_lead_to_are_for_everybody(
    visit: Callable[..., Page], site: Site, viewport: dict[str, int]
) -> None:
    people, mails, now = People(site.database), Mails(site.database), datetime.now(UTC)
    name = f"pages-{viewport['width']}"
    address = f"{name}@example.org"
    user = people.add(address, name, None, now, email=address)
    page = visit(site.link(address), viewport=viewport)

    def linked(purpose: str, path: str, user_id: int | None) -> None:
        token = mails.make_link(purpose, f"{purpose}@example.org", now, timedelta(hours=1), user_id=user_id)
        page.goto(path + token)
        look_closely(page, purpose)

    linked("change", "/account/email/", user.id)
    page.goto("/account")
    page.get_by_text("New token").click()
    page.get_by_label("What for").fill("laptop")
    page.get_by_role("button", name="Make it").click()
    look_closely(page, "token")
    page.goto("/account")
    page.get_by_text("Delete the account").click()
    page.get_by_label("Write your login").fill("somebody else")
    page.get_by_role("button", name="Delete it for good").click()
    look_closely(page, "refused")

    other = visit("/sign-in/forgotten", viewport=viewport)
    other.get_by_label("E-mail").fill("nobody@example.org")
    other.get_by_role("button", name="Send the link").click()
    look_closely(other, "mail sent")
    page = other
    linked("sign-up", "/sign-up/confirm/", None)
    linked("reset", "/sign-in/reset/", user.id)
    other.goto("/sign-in/reset/old")
    look_closely(other, "old link")
    _by_campus(other, name)
    expect(other.get_by_role("heading", name="You have an account already")).to_be_visible()
    look_closely(other, "known elsewhere")

    leaving = visit(site.link(address), viewport=viewport)
    leaving.goto("/account")
    leaving.get_by_text("Delete the account").click()
    leaving.get_by_label("Write your login").fill(address)
    leaving.get_by_role("button", name="Delete it for good").click()
    expect(leaving.get_by_role("heading", name="Your account is deleted")).to_be_visible()
    look_closely(leaving, "deleted")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"id": "google", "client_id": "x"}, "google needs client_secret"),
        ({"id": "campus", "client_id": "x", "client_secret": "y"}, "campus needs title, issuer"),
        ({"id": "google", "client_id": "x", "client_secret": "y", "secret": "z"}, "unknown key secret"),
        ({"id": "No way", "title": "T", "issuer": "i", "client_id": "x", "client_secret": "y"}, "another id"),
    ],
)
def test_a_provider_that_is_not_described_whole_is_refused(given: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_providers([given])


def _by_campus(page: Page, name: str) -> None:
    if "/sign-in" not in page.url:
        page.goto("/sign-in")
    page.get_by_role("button", name="Continue with Campus").click()
    _at_campus(page, name)


def _at_campus(page: Page, name: str) -> None:
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
