"""From a zip in the browser to a grade whose evidence is true.

Nothing is replaced here: the portal and its worker run as `make run` starts them, the labs are the
real ones, and every submission is deployed and run.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from curriculum.loader import Catalogue, Lab
from records.database import Database
from records.store import Store
from sandbox.submissions import pack
from tests.browsing import ROOT, chromium, free_port, mailed_link, needs_chromium, shoot

GRADED_MS = 120_000
LEASE_S = 3

pytestmark = [*needs_chromium, pytest.mark.timeout(400)]


@dataclass
class Served:
    """`coldstart serve --with-worker`, as it is started by hand."""

    process: subprocess.Popen[str]
    address: str
    link: str
    home: Path

    def worker(self) -> int:
        """The worker's process id."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text("ascii")
        for child in children.split():
            arguments = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"worker" in arguments:
                return int(child)
        raise AssertionError("there is no worker")

    def healthy(self) -> bool:
        with urllib.request.urlopen(f"{self.address}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    port = free_port()
    home = tmp_path / "home"
    environment = {**os.environ, "COLDSTART_HOME": str(home), "COLDSTART_LEASE_S": str(LEASE_S)}
    with (tmp_path / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "serve", "--with-worker", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        link = ""
        for line in process.stdout:
            if found := re.search(r"http://\S+/sign-in/link/\S+", line):
                link = found[0]
                break
        assert link, (tmp_path / "serve.log").read_text()
        yield Served(process, f"http://127.0.0.1:{port}", link, home)
    finally:
        process.terminate()
        assert process.wait(30) is not None
        process.stdout.close()


@pytest.fixture
def page(served: Served) -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page(base_url=served.address, viewport={"width": 1280, "height": 800})
        page.goto(served.link)
        yield page


@pytest.fixture
def hand_in(page: Page, tmp_path: Path) -> Callable[[Lab, dict[str, bytes]], None]:
    """Choose the lab in the catalogue and hand in these files as a zip."""

    def submit(lab: Lab, files: dict[str, bytes]) -> None:
        archive = tmp_path / "work.zip"
        archive.write_bytes(pack(files))
        page.goto("/")
        page.get_by_role("link", name=lab.title).click()
        page.get_by_label("Choose a zip or drop it here").set_input_files(archive)
        page.get_by_role("button", name="Submit for grading").click()
        page.wait_for_url(re.compile(r"/attempts/\d+$"))

    return submit


def test_from_the_first_visit_to_the_first_pass_and_a_mutant_is_named(
    page: Page, served: Served, hand_in: Callable[[Lab, dict[str, bytes]], None], tmp_path: Path
) -> None:
    lab = Catalogue().get_lab("a02")
    page.context.clear_cookies()
    page.goto("/")
    shoot(page, "door")
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("E-mail").fill("grace@example.org")
    page.get_by_label("Name").fill("Grace")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Look at your mail")).to_be_visible()
    page.goto(mailed_link(served.home, served.address))
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("searchbox").fill("S3 CSV")
    page.get_by_role("button", name="Search", exact=True).click()
    shoot(page, "found")
    page.get_by_role("link", name=lab.title).click()
    shoot(page, "lab")
    page.get_by_role("link", name="Open the editor").first.click()
    archive = tmp_path / "answer.zip"
    archive.write_bytes(pack(lab.reference("reference-python")))
    page.get_by_text("Replace by a zip").click()
    page.get_by_label("Zip with the new files").set_input_files(archive)
    page.get_by_role("button", name="Replace all files").click()
    page.get_by_role("button", name="src/app.py").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("# mine now")
    expect(page.get_by_text("All changes saved")).to_be_visible()
    shoot(page, "editor")

    page.get_by_role("button", name="Submit for grading").click()
    page.wait_for_url(re.compile(r"/attempts/\d+$"))
    expect(page.get_by_text("Deploy the stack").first).to_be_visible(timeout=GRADED_MS)
    shoot(page, "grading")
    page.reload()
    expect(page.get_by_role("heading", name="Passed", exact=True)).to_be_visible(timeout=GRADED_MS)
    shoot(page, "passed")

    report = json.loads(page.request.get(f"{page.url}/report.json").text())
    assert report["points"] == report["points_possible"] > 0
    left_out = sum(check["worth"] - check["points_possible"] for check in report["checks"])
    assert report["points_possible"] + left_out == 100
    expect(page.get_by_label(f"{report['points']:g} of {report['points_possible']:g} points")).to_be_visible()
    expect(page.get_by_role("heading", name="What did not pass")).to_have_count(0)

    mutant = next(item for item in lab.mutants if item.name == "no-url-decode")
    hand_in(lab, lab.variant(mutant))
    # One mistake of 8 points is no reason to fail the lab; the report names it all the same.
    expect(page.get_by_role("heading", name="What did not pass")).to_be_visible(timeout=GRADED_MS)
    failed = page.locator(f"#{mutant.must_fail[0]}")
    expect(failed).to_contain_text("failed")
    expect(failed).to_contain_text("What we saw")
    expect(failed.locator(".meaning").filter(has_text=mutant.what)).to_be_visible()
    shoot(page, "not-passed")

    page.goto("/attempts")
    expect(page.get_by_role("row")).to_have_count(3)


def test_a_worker_killed_in_mid_job_costs_nothing(
    page: Page, served: Served, hand_in: Callable[[Lab, dict[str, bytes]], None]
) -> None:
    lab = Catalogue().get_lab("a02")
    hand_in(lab, lab.reference("reference-python"))
    expect(page.get_by_text("Ask the checks").first).to_be_visible(timeout=GRADED_MS)
    expect(page.get_by_text("0.", exact=False).first).to_be_visible(timeout=GRADED_MS)
    killed = served.worker()

    os.kill(killed, signal.SIGKILL)

    assert served.healthy()
    expect(page.get_by_text("Another one has begun again")).to_be_visible(timeout=GRADED_MS)
    expect(page.get_by_role("heading", name="Passed", exact=True)).to_be_visible(timeout=GRADED_MS)
    assert served.healthy()
    assert served.worker() != killed
    database = Database(f"sqlite:///{served.home / 'coldstart.db'}")
    store = Store(database)
    attempt = store.attempt(int(page.url.rpartition("/")[2]))
    events = [body for _, _, body in store.events_after([attempt.id], 0)]
    database.close()
    assert (attempt.tries, attempt.counted) == (2, True)
    assert sum(body["phase"] == "closed" for body in events) == 1


def test_ending_the_command_ends_everything_it_started(served: Served) -> None:
    pids = [served.process.pid, served.worker()]

    served.process.terminate()
    served.process.wait(30)

    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < end, "something outlived the command"
        time.sleep(0.05)
    with pytest.raises(OSError, match="refused"):
        served.healthy()
