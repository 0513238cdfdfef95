"""The pages in a real browser: accessible, keyboard usable, fitting, live, and usable without scripts."""

from __future__ import annotations

import re
import sys
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
from records.hints import Hints
from records.people import People
from records.queue import Queue
from records.sessions import Sessions
from records.sharing import Sharing
from records.store import Store
from records.workspaces import Workspaces
from sandbox.submissions import pack
from tests.browsing import (
    DESKTOP,
    PHONE,
    free_port,
    look_closely,
    needs_axe,
    needs_chromium,
    serve,
    sign_in_link,
)
from worker.grading import grader
from worker.loop import Worker

pytestmark = needs_chromium


@dataclass
class Site:
    """A portal in processes of its own, and its database."""

    address: str
    database: Database
    labs: Catalogue

    def __post_init__(self) -> None:
        self.people = People(self.database)
        self.store = Store(self.database)
        self.queue = Queue(self.database, lambda: datetime.now(UTC))

    def link(self, login: str) -> str:
        return sign_in_link(self.database, self.address, login)

    def hand_in(self, login: str, lab: str, files: dict[str, bytes]) -> int:
        user, now = self.people.find(login), datetime.now(UTC)
        assert user is not None
        submission = self.store.receive(user.id, lab, "zip", pack(files), now)
        return self.store.open_attempt(user.id, lab, submission, now).id

    def grade(self) -> None:
        backend = sys.modules["grading_fakes"].FakeBackend()
        assert Worker(self.queue, self.store, grader(self.labs, backend)).run_one()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home, labs = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("labs")
    for slug, code in (("say-hello", "X01"), ("say-goodbye", "X02")):
        for path, body in skeleton(slug, code).items():
            target = labs / slug / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(body, "utf-8")
    database = Database(f"sqlite:///{home / 'coldstart.db'}")
    database.upgrade()
    server = serve(home, labs, port := free_port())
    try:
        yield Site(f"http://127.0.0.1:{port}", database, Catalogue(labs))
    finally:
        server.terminate()
        server.wait(15)
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
        page.on("console", lambda told: complaints.append(told.text) if _is_ours(told) else None)
        if login:
            page.goto(site.link(login))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _is_ours(told: Any) -> bool:
    # A refusal is an answer: the browser notes each one, and the tests that provoke them look at the page.
    provoked = ("responded with a status of 4", "ERR_INTERNET_DISCONNECTED")
    return told.type in ("error", "warning") and not any(text in told.text for text in provoked)


@pytest.fixture(scope="module")
def graded(site: Site) -> dict[str, int | str]:
    """One attempt in each state, by name."""
    site.link("ada")
    lab = site.labs.get_lab("say-hello")
    reference = lab.reference("reference-python")
    wrong = {
        **reference,
        "src/app.py": reference["src/app.py"].replace(b"os.environ['GREETING']", b"'Hello'"),
    }
    found: dict[str, int | str] = {}
    for name, files in (("passed", reference), ("not_passed", wrong)):
        found[name] = site.hand_in("ada", "say-hello", files)
        site.grade()
    ada = site.people.find("ada")
    assert ada is not None
    found["shared"] = Sharing(site.database).share(int(found["not_passed"]), ada.id, datetime.now(UTC))
    found["broken"] = site.hand_in("ada", "say-hello", reference)
    claim = site.queue.claim("w")
    assert claim is not None
    site.queue.close(claim, None, "The grading could not run (OSError). This attempt is not counted.")
    found["running"] = site.hand_in("ada", "say-hello", reference)
    running = site.queue.claim("w")
    assert running is not None
    for body in (
        {"phase": "account", "status": "started", "seed": 7},
        {"phase": "account", "status": "done", "seed": 7, "elapsed_s": 0.04},
        {"phase": "checks", "status": "started", "seed": 7},
        *(
            {"phase": "checks", "status": "done", "seed": 7, "total": 5, "title": "A check."}
            | {"check_id": f"f{number}", "outcome": outcome}
            for number, outcome in enumerate(
                ("passed", "failed", "partial", "not_assessed", "inconclusive"), 1
            )
        ),
    ):
        site.queue.record(running, body)
    found["waiting"] = site.hand_in("ada", "say-goodbye", reference)
    for text in (b"one = 1\n", b"two = 2\n"):
        site.store.save_files(ada.id, "say-goodbye", {"src/app.py": text}, datetime.now(UTC))
    saves = Workspaces(site.database).saves(ada.id, "say-goodbye")
    found["save"] = saves[-1].id
    for step in (1, 2, 3, 4):
        Hints(site.database).open(ada.id, "say-hello", "f1", step, datetime.now(UTC))
    return found


PAGES = {
    "sign in": "/sign-in",
    "sign up": "/sign-up",
    "catalogue": "/",
    "lab": "/labs/say-hello",
    "editor": "/labs/say-hello/workspace",
    "history": "/attempts",
    "saves": "/labs/say-goodbye/workspace/history",
    "save": "/labs/say-goodbye/workspace/history/{save}",
    "passed": "/attempts/{passed}",
    "not passed": "/attempts/{not_passed}",
    "comparison": "/attempts/{not_passed}/compare",
    "shared": "/shared/{shared}",
    "broken": "/attempts/{broken}",
    "running": "/attempts/{running}",
    "waiting": "/attempts/{waiting}",
    "missing": "/nope",
}


@needs_axe
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_everything_fits(
    visit: Callable[..., Page], graded: dict[str, int | str], name: str, viewport: dict[str, int]
) -> None:
    login = "" if name.startswith(("sign", "shared")) else "ada"
    page = visit(login, PAGES[name].format(**graded), viewport=viewport)
    look_closely(page, name)


def test_the_first_tab_leads_past_the_menu_and_focus_can_be_seen(visit: Callable[..., Page]) -> None:
    page = visit("ada", "/")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    ring = "getComputedStyle(document.activeElement.closest('li') ?? document.activeElement).outlineWidth"
    assert page.evaluate(ring) == "3px"


def test_what_one_types_is_saved_and_is_what_one_hands_in(visit: Callable[..., Page], site: Site) -> None:
    page = visit("typist", "/labs/say-hello/workspace")
    page.get_by_role("button", name="src/app.py").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("# mine")
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    expect(page.get_by_text("All changes saved")).to_be_visible()

    page.keyboard.type(" and more")
    # At once, before the pause is over: submitting waits for the save.
    page.get_by_role("button", name="Submit for grading").click()
    page.wait_for_url(re.compile(r"/attempts/\d+$"))

    attempt = int(page.url.rpartition("/")[2])
    submission = site.store.attempt(attempt).submission_id
    user = site.people.find("typist")
    assert user is not None
    kept = site.store.workspace(user.id, "say-hello")
    assert kept["src/app.py"].endswith(b"# mine and more")
    assert site.store.body_of(submission) == pack(kept)


def test_of_two_windows_the_later_one_is_asked(visit: Callable[..., Page], site: Site) -> None:
    first = visit("twofold", "/labs/say-hello/workspace")
    second = first.context.new_page()
    second.goto("/labs/say-hello/workspace")
    for page, text in ((first, "# first"), (second, "# second")):
        page.bring_to_front()
        page.get_by_role("button", name="src/app.py").click()
        page.keyboard.press("Control+Home")
        page.keyboard.type(text)
        if page is first:
            expect(page.get_by_text("All changes saved")).to_be_visible()
    asked = second.get_by_role("dialog", name="src/app.py was saved in another window")
    expect(asked.get_by_text("# first")).to_be_visible()

    asked.get_by_role("button", name="Keep what is here").click()

    expect(second.get_by_text("All changes saved")).to_be_visible()
    user = site.people.find("twofold")
    assert user is not None
    assert site.store.workspace(user.id, "say-hello")["src/app.py"].startswith(b"# second")


@pytest.mark.parametrize("lost", ["session", "network"])
def test_what_could_not_be_saved_is_kept_and_brought_back(
    visit: Callable[..., Page], site: Site, lost: str
) -> None:
    login = f"cut-off-{lost}"
    page = visit(login, "/labs/say-hello/workspace")
    page.get_by_role("button", name="src/app.py").click()
    page.keyboard.press("Control+Home")
    user = site.people.find(login)
    assert user is not None
    if lost == "session":
        site.people.end_sessions(user.id)
        Sessions(site.database).end_all(user.id)
    else:
        page.context.set_offline(True)
    page.keyboard.type("# typed in vain")
    expect(page.get_by_text(re.compile("Not saved: "))).to_be_visible()
    context = page.context
    page.close()
    context.set_offline(False)

    page = context.new_page()
    page.goto(site.link(login))
    page.goto("/labs/say-hello/workspace")
    expect(page.get_by_text("This browser kept what could not be saved.")).to_be_visible()
    page.get_by_role("button", name="Bring it back").click()
    expect(page.get_by_text("All changes saved")).to_be_visible()
    assert site.store.workspace(user.id, "say-hello")["src/app.py"].startswith(b"# typed in vain")
    page.reload()
    expect(page.get_by_text("This browser kept")).to_be_hidden()


def test_files_are_made_renamed_and_deleted(visit: Callable[..., Page]) -> None:
    page = visit("filer", "/labs/say-hello/workspace")
    page.get_by_role("button", name="New").click()
    page.get_by_role("textbox", name="Path").fill("src/../x")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("leads out of the submission")
    page.get_by_role("textbox", name="Path").fill("src/more.py")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_label("Contents of src/more.py")).to_be_focused()

    page.get_by_role("button", name="Rename").click()
    page.get_by_role("textbox", name="Path").fill("src/less.py")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    expect(page.get_by_role("button", name="src/less.py")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="src/less.py")).to_have_count(0)

    page.reload()
    expect(page.get_by_role("button", name="template.yaml")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("less|more"))).to_have_count(0)


def test_folders_are_walked_moved_filled_and_deleted_by_keyboard_alone(
    visit: Callable[..., Page], site: Site, tmp_path: Path
) -> None:
    page = visit("walker", "/labs/say-hello/workspace")
    page.get_by_role("button", name="src/", exact=True).focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="src/app.py")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("button", name="src/app.py")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="src/app.py")).to_be_visible()

    page.get_by_role("button", name="Rename").press("Enter")
    page.get_by_role("textbox", name="Path").fill("lib/deep")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="lib/deep/app.py")).to_be_visible()
    expect(page.get_by_role("button", name="src/", exact=True)).to_have_count(0)

    folder = tmp_path / "more"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "räk smörgås.txt").write_text("ja", "utf-8")
    (folder / "in" / "data.bin").write_bytes(bytes(range(256)))
    page.get_by_label("Add a folder").set_input_files(folder)
    expect(page.get_by_role("button", name="more/in/räk smörgås.txt")).to_be_visible()
    user = site.people.find("walker")
    assert user is not None
    kept = site.store.workspace(user.id, "say-hello")
    assert kept["more/in/data.bin"] == bytes(range(256))
    assert "lib/deep/app.py" in kept

    page.get_by_role("button", name="more/", exact=True).press("Enter")
    page.get_by_role("button", name="Delete").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete").press("Enter")
    expect(page.get_by_role("button", name="more/", exact=True)).to_have_count(0)
    assert not [path for path in site.store.workspace(user.id, "say-hello") if path.startswith("more/")]


def test_a_mistake_in_the_template_is_told_with_its_line_while_one_types(visit: Callable[..., Page]) -> None:
    page = visit("slipper", "/labs/say-hello/workspace")
    page.get_by_label("Contents of template.yaml").click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("x: [\n")

    problem = page.get_by_role("link", name=re.compile(r"template\.yaml:\d+"))
    expect(problem).to_be_visible()
    page.get_by_role("button", name="Submit for grading").click()
    expect(page.get_by_role("alert").first).to_contain_text("This was not graded.")


def test_the_linter_s_remarks_are_listed_and_lead_to_their_lines(visit: Callable[..., Page]) -> None:
    page = visit("linted", "/labs/say-hello/workspace")
    page.get_by_label("Contents of template.yaml").click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("Mapings: {}\n")

    problem = page.locator("[data-lint] li").filter(has_text="Mapings")
    expect(problem).to_be_visible(timeout=20_000)
    expect(page.locator(".cm-lint-marker-error")).to_be_visible()
    problem.get_by_role("link", name="Line 1").click()
    expect(page.get_by_label("Contents of template.yaml")).to_be_focused()
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Delete")
    expect(problem).to_be_hidden(timeout=20_000)


def test_state_machines_are_completed_and_read_while_one_types(
    visit: Callable[..., Page], site: Site
) -> None:
    page = visit("machinist", "/labs/say-hello/workspace")
    page.get_by_role("button", name="New").click()
    page.get_by_role("textbox", name="Path").fill("order.asl.yaml")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_label("Contents of order.asl.yaml")).to_be_focused()

    page.keyboard.type("Star")
    page.get_by_role("option", name="StartAt").click()
    page.keyboard.type(": Nowhere")

    remark = page.locator("[data-lint] li").filter(has_text="States")
    expect(remark).to_be_visible(timeout=20_000)


def test_a_running_attempt_is_followed_and_turns_into_its_report(
    visit: Callable[..., Page], site: Site
) -> None:
    page = visit("watcher", "/")
    reference = site.labs.get_lab("say-hello").reference("reference-python")
    attempt = site.hand_in("watcher", "say-hello", reference)
    page.goto(f"/attempts/{attempt}")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    # Others may wait before it; only this one is followed here.
    claim = None
    while claim is None or claim.attempt_id != attempt:
        claim = site.queue.claim("w")
        assert claim is not None

    site.queue.record(claim, {"phase": "account", "status": "started", "seed": 7})
    expect(page.get_by_text("Open a fresh AWS account")).to_be_visible()
    site.queue.record(claim, {"phase": "account", "status": "done", "seed": 7, "elapsed_s": 1.25})
    expect(page.get_by_text("1.25 s")).to_be_visible()
    page.reload()
    expect(page.get_by_text("1.25 s")).to_be_visible()
    site.queue.record(claim, {"phase": "deploy", "status": "started", "seed": 7})
    expect(page.get_by_role("status")).to_contain_text("Run 1: deploying")

    site.queue.close(claim, None, "Ours.")
    expect(page.get_by_role("heading", name="Inconclusive")).to_be_visible()


def test_a_zip_that_is_too_large_is_told_before_it_is_sent(
    visit: Callable[..., Page], tmp_path: Path
) -> None:
    page = visit("heavy", "/labs/say-hello")
    huge = tmp_path / "huge.zip"
    with huge.open("wb") as stream:
        stream.truncate(30_000_000)

    page.get_by_label("Choose a zip or drop it here").set_input_files(huge)

    expect(page.get_by_role("alert")).to_contain_text("30.0 MB")


def test_everything_but_the_editor_works_without_scripts(
    visit: Callable[..., Page], site: Site, tmp_path: Path
) -> None:
    page = visit("plain", "/labs/say-hello", java_script_enabled=False)
    archive = tmp_path / "work.zip"
    archive.write_bytes(pack(site.labs.get_lab("say-hello").reference("reference-python")))

    page.get_by_label("Choose a zip or drop it here").set_input_files(archive)
    page.get_by_role("button", name="Submit for grading").click()
    expect(page.get_by_text(re.compile("Next in line|before yours"))).to_be_visible()
    while not page.get_by_role("heading", name="Passed").count():
        site.grade()
        # The page asks again by itself; the test does not wait for it.
        page.reload()

    expect(page.get_by_label("100 of 100 points")).to_be_visible()


def test_the_chosen_colours_are_kept(visit: Callable[..., Page]) -> None:
    page = visit("painter", "/")
    for name in ("light", "dark"):
        page.get_by_role("button", name="Colours").click()
        expect(page.get_by_role("button", name=f"Colours: {name}")).to_be_visible()
    page.reload()

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(10, 20, 26)"
