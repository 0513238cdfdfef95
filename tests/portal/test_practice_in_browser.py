"""The practice account in a real browser, from an empty account to the learner's own CLI."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from curriculum.loader import Catalogue
from graders.skeleton import skeleton
from records.database import Database
from records.people import People
from records.store import Store
from sandbox.providers.emulated import KeptSandboxes
from tests.applications import harness
from tests.browsing import (
    DESKTOP,
    PHONE,
    ROOT,
    free_port,
    look_closely,
    needs_axe,
    needs_chromium,
    serve,
    shoot,
    sign_in_link,
)
from tests.portal.practising import FILES, furnish

pytestmark = [*needs_chromium, pytest.mark.timeout(300)]
SLOW_MS = 30_000
INVOICES = "supplierId;invoiceNo;lineNo;description;quantity;unitPrice\nS-1;A-7;1;Bolts;200;0,15\n"


@dataclass
class Site:
    """A portal as it is served, and what lies behind it."""

    address: str
    database: Database
    home: Path
    server: subprocess.Popen[bytes]
    start: Callable[[], subprocess.Popen[bytes]]

    def link(self, login: str) -> str:
        return sign_in_link(self.database, self.address, login)

    def work_on(self, login: str, lab: str, files: dict[str, bytes]) -> None:
        user = People(self.database).find(login)
        assert user is not None
        Store(self.database).save_files(user.id, lab, files, datetime.now(UTC), replace_all=True)

    def restart(self) -> None:
        self.server.terminate()
        self.server.wait(15)
        self.server = self.start()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="practice-") as made:
        home, labs = Path(made) / "home", Path(made) / "labs"
        for path, body in skeleton("say-hello", "X01").items():
            target = labs / "say-hello" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(body, "utf-8")
        shutil.copytree(ROOT / "labs" / "invoice-intake", labs / "invoice-intake")
        furnish(home)
        database = Database(f"sqlite:///{home / 'coldstart.db'}")
        database.upgrade()

        port = free_port()
        start = functools.partial(serve, home, labs, port)
        site = Site(f"http://127.0.0.1:{port}", database, home, start(), start)
        try:
            yield site
        finally:
            site.server.terminate()
            site.server.wait(15)
            kept = KeptSandboxes(home, say=lambda _: None)
            for account in kept.running():
                kept.down(account.name)
            database.close()


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """Opens a page as a learner; any complaint of the browser fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(login: str, path: str = "/", **options: Any) -> Page:
        context = browser.new_context(base_url=site.address, **{"viewport": DESKTOP, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
        page.goto(site.link(login))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [each for each in complaints if "status of 4" not in each] == []


def test_from_an_empty_account_to_a_processed_file_and_the_learners_own_cli(
    visit: Callable[..., Page], site: Site
) -> None:
    base = "/labs/invoice-intake/sandbox"
    lab = Catalogue(ROOT / "labs").get_lab("invoice-intake")
    page = visit("ada", "/labs/invoice-intake")
    site.work_on("ada", lab.slug, lab.reference("reference-python"))

    page.get_by_role("link", name="Practice account").click()
    page.get_by_role("button", name="Open the account").click()
    expect(page.get_by_text("Nothing is deployed yet.")).to_be_visible(timeout=SLOW_MS)
    shoot(page, "opened")
    page.get_by_role("button", name="Deploy the workspace").click()
    # Nobody reloads: the page hears of it.
    expect(page.get_by_text("IntakeBucketName")).to_be_visible(timeout=SLOW_MS)
    expect(page.get_by_role("status").filter(has_text="Deployed.")).to_have_count(1)
    shoot(page, "deployed")

    page.goto("about:blank")
    site.restart()
    page.goto(f"{base}/resources")
    page.get_by_role("link", name="IntakeBucket", exact=True).click()
    page.get_by_label("Key", exact=True).fill("incoming/")
    page.get_by_label("File").set_input_files(
        {"name": "first.csv", "mimeType": "text/csv", "buffer": INVOICES.encode()}
    )
    page.get_by_role("button", name="Put").click()
    expect(page.get_by_role("link", name="incoming/first.csv")).to_be_visible()
    expect(page.get_by_role("link", name="processed/first.csv.json")).to_be_visible(timeout=SLOW_MS)
    shoot(page, "bucket")

    page.get_by_role("link", name="Logs").click()
    expect(page.get_by_text("RowsIngested").first).to_be_visible()
    shoot(page, "logs")
    page.get_by_role("link", name="Resources", exact=True).click()
    page.get_by_role("link", name="Invoices", exact=True).click()
    expect(page.locator("#items details")).to_have_count(1)
    shoot(page, "table")

    page.get_by_role("link", name="Timeline").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("Deliveries").first).to_be_visible()
    frame.get_by_role("searchbox").fill("first.csv")
    expect(frame.locator("#list tr").first).to_be_visible()
    shoot(page, "timeline")

    page.get_by_role("link", name="Rights").click()
    expect(page.get_by_text("dynamodb:BatchWriteItem").first).to_be_visible()
    shoot(page, "rights")

    page.get_by_role("link", name="Overview").click()
    before = page.locator("#now time").get_attribute("datetime") or ""
    page.get_by_role("button", name="+6h").click()
    expect(page.get_by_role("heading", name="What happened meanwhile")).to_be_visible(timeout=SLOW_MS)
    shoot(page, "moved")
    after = page.locator("#now time").get_attribute("datetime") or ""
    assert (datetime.fromisoformat(after) - datetime.fromisoformat(before)).total_seconds() >= 6 * 3600

    page.get_by_role("button", name="Show keys").click()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy bash").click()
    expect(page.get_by_role("button", name="Copied bash")).to_be_visible()
    shoot(page, "keys")
    exports = page.evaluate("navigator.clipboard.readText()")
    listed = _in_a_shell(exports, "aws s3api list-buckets --query 'Buckets[].Name' --output text")
    assert "invoice-intake-intake-" in listed
    bucket = next(name for name in listed.split() if name.startswith("invoice-intake-intake-"))

    page.goto(f"{base}/bucket?name={bucket}")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    copied = f"echo '{INVOICES}' | sed 's/A-7/A-8/' | aws s3 cp - s3://{bucket}/incoming/second.csv"
    _in_a_shell(exports, copied)
    expect(page.get_by_role("link", name="processed/second.csv.json")).to_be_visible(timeout=SLOW_MS)
    assert exports.split("AWS_SECRET_ACCESS_KEY=")[1].split()[0] not in page.content()


def test_logs_and_executions_are_followed_without_a_reload(visit: Callable[..., Page], site: Site) -> None:
    page = visit("ben", "/labs/say-hello/sandbox")
    site.work_on("ben", "say-hello", FILES)
    page.get_by_role("button", name="Open the account").click()
    page.get_by_role("button", name="Deploy the workspace").click()
    expect(page.get_by_text("execute-api").first).to_be_visible(timeout=SLOW_MS)

    page.goto("/labs/say-hello/sandbox/logs")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    other = page.context.new_page()
    other.goto("/labs/say-hello/sandbox/resources")
    other.get_by_role("link", name="Hello", exact=True).click()
    other.get_by_label("Event", exact=True).fill('{"pathParameters": {"name": "followed"}}')
    other.get_by_role("button", name="Call it").click()
    expect(other.get_by_text("REPORT RequestId")).to_be_visible()
    shoot(other, "called")
    expect(page.get_by_text(re.compile("seen .*followed"))).to_be_visible(timeout=SLOW_MS)

    other.get_by_role("link", name="Traces").click()
    expect(other.locator(".falls svg rect").first).to_be_visible()
    shoot(other, "traces")
    other.goto("/labs/say-hello/sandbox/resources")
    other.get_by_role("link", name="Flow", exact=True).click()
    other.get_by_role("button", name="Start", exact=True).click()
    expect(other.locator(".diagram .state.done")).to_have_count(5, timeout=SLOW_MS)
    shoot(other, "execution")


PAGES = ("", "/resources", "/logs", "/traces", "/timeline", "/rights")
RESOURCES = ("Hello", "Things", "Files", "Letters", "Orders", "Flow", "ServerlessHttpApi")


@needs_axe
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_everything_fits(
    visit: Callable[..., Page], site: Site, viewport: dict[str, int]
) -> None:
    base = "/labs/say-hello/sandbox"
    page = visit("cleo", base, viewport=viewport)
    look_closely(page, "closed")
    if page.get_by_role("button", name="Open the account").count():
        site.work_on("cleo", "say-hello", FILES)
        page.get_by_role("button", name="Open the account").click()
        page.get_by_role("button", name="Deploy the workspace").click()
        expect(page.get_by_text("execute-api").first).to_be_visible(timeout=SLOW_MS)
    page.goto(f"{base}/resources")
    addresses = {
        name: page.get_by_role("link", name=name, exact=True).get_attribute("href") for name in RESOURCES
    }
    for name, address in [*((path, f"{base}{path}") for path in PAGES), *addresses.items()]:
        page.goto(address or "")
        match name:
            case "Files":
                page.get_by_label("or text").fill("text")
                page.get_by_label("Key", exact=True).fill(
                    "a/rather/long/key/that/has/to/break/somewhere/in/a/narrow/page.txt"
                )
                page.get_by_role("button", name="Put").click()
            case "Letters":
                page.get_by_label("Body").fill('{"a": "message"}')
                page.get_by_role("button", name="Send").click()
            case "Hello" | "ServerlessHttpApi":
                page.get_by_role("button", name="Call it").click()
            case "Flow":
                page.get_by_role("button", name="Start", exact=True).click()
        look_closely(page, name)
    page.goto(base)
    page.get_by_role("button", name="+1h").click()
    look_closely(page, "moved")
    page.get_by_role("button", name="Show keys").click()
    look_closely(page, "keys")


def _in_a_shell(exports: str, command: str) -> str:
    """What the real `aws` answers in a shell that the exports were pasted into."""
    path = f"{harness.install('aws').parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{exports}\n{command}"],
        env={"PATH": path, "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
