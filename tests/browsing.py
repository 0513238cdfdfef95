"""What tests with a real browser share: how it starts, what each page is held to, and pictures of the way.

Pictures go to ``var/shots/<test>/``, numbered in the order they were taken, to be looked at.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from records.database import Database
from records.people import People

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
SHOTS = ROOT / "var" / "shots"
AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
_taken: dict[Path, int] = {}
_WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

needs_chromium = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium"),
]
needs_axe = pytest.mark.skipif(
    not AXE.is_file(), reason="no axe-core: cd frontend && npm ci --ignore-scripts"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def free_port(in_a_row: int = 1) -> int:
    """A port on loopback that nobody listens on, nor on the ones after it."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            others = [socket.socket() for _ in range(1, in_a_row)]
            try:
                for number, other in enumerate(others, 1):
                    other.bind(("127.0.0.1", port + number))
            except OSError:
                continue
            finally:
                for other in others:
                    other.close()
        return port


def serve(home: Path, labs: Path, port: int, **more: str) -> subprocess.Popen[bytes]:
    """Start the portal alone, as an operator's gunicorn does, and wait until it answers.

    ``more`` are further variables of its environment.
    """
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "app:asgi", "-k", "asgi", "-b", f"127.0.0.1:{port}"),
            *("--no-control-socket", "--log-level", "warning", "--graceful-timeout", "1"),
        ],
        cwd=ROOT,
        env={**os.environ, "COLDSTART_HOME": str(home), "COLDSTART_LABS_FOLDER": str(labs), **more},
    )
    try:
        until_answers(f"http://127.0.0.1:{port}/healthz")
    except BaseException:
        server.kill()
        server.wait()
        raise
    return server


def until_answers(address: str, within_s: float = 30.0) -> None:
    """Wait until an address answers.

    Raises:
        OSError: it did not in that time.
    """
    end = time.monotonic() + within_s
    while True:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def until(done: Callable[[], T], told: str, within_s: float = 30.0) -> T:
    """Wait until another process did something; what ``done`` answers then."""
    end = time.monotonic() + within_s
    while not (found := done()):
        assert time.monotonic() < end, told
        time.sleep(0.05)
    return found


def sign_in_link(database: Database, address: str, login: str) -> str:
    """A link that signs somebody in once; who is not there yet is added."""
    people, now = People(database), datetime.now(UTC)
    user = people.find(login) or people.add(login, login.title(), None, now)
    return f"{address}/sign-in/link/{people.make_link(user.id, now)}"


def mailed_link(home: Path, address: str) -> str:
    """The link in the newest mail, once it was handed over."""

    def found() -> re.Match[str] | None:
        newest = max((home / "outbox").glob("*.eml"), default=None)
        text = newest.read_text("utf-8").replace("=\n", "") if newest else ""
        return re.search(rf"{address}\S+", text)

    match = until(found, "no mail with a link")
    assert match is not None
    return match[0]


def shoot(page: Page, name: str) -> None:
    """Keep a picture of the whole page as it is now."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "by hand").split(" ")[0].rpartition("/")[2]
    folder = SHOTS / re.sub(r"[^\w.-]+", "-", test.replace(".py::", "/", 1).replace("/", "."))
    if folder not in _taken:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    _taken[folder] = _taken.get(folder, 0) + 1
    page.screenshot(path=folder / f"{_taken[folder]:02}-{name}.png", full_page=True)


def look_closely(page: Page, name: str) -> None:
    """Hold the page to what each page is held to: axe-core finds nothing in any theme, nothing sticks out.

    What stands in a frame is a page of its own, with its own tests.
    """
    for details in page.locator("details").all():
        details.evaluate("element => { element.open = true }")
    # Under the page's own policy no foreign script runs; the test's tool gets in beside it.
    page.evaluate(AXE.read_text("utf-8"))
    for scheme in ("light", "dark", "contrast"):
        if scheme == "contrast":
            page.evaluate("document.documentElement.dataset.theme = 'contrast'")
        else:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        found = page.evaluate("axe.run({exclude: ['iframe']}, {resultTypes: ['violations']})")
        told = [
            f"{item['id']}: {node['html'][:160]} {node['failureSummary']}"
            for item in found["violations"]
            for node in item["nodes"]
        ]
        assert told == [], (name, scheme)
        assert page.evaluate(_WIDER) == 0, (name, scheme)
    page.evaluate("delete document.documentElement.dataset.theme")
