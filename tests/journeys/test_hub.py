"""A real JupyterHub that signs its people in at a real portal, and brings their work along both ways."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from curriculum.loader import Catalogue
from records.database import Database
from records.people import People
from records.store import Store
from tests.browsing import (
    ROOT,
    chromium,
    free_port,
    needs_chromium,
    serve,
    shoot,
    until,
    until_answers,
)

DEPLOY = ROOT / "deploy" / "jupyterhub"
LAB = "serverless-or-containers"
SECRET = "for tests only"

pytestmark = [
    *needs_chromium,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not shutil.which("npm"), reason="no npm"),
    pytest.mark.skipif(not shutil.which("git"), reason="no git"),
]


@pytest.fixture(scope="module")
def installed() -> Path:
    """JupyterHub, JupyterLab and the proxy, from their locks; kept for the next run."""
    place = ROOT / "var" / "hub"
    lock = (DEPLOY / "requirements.lock").read_bytes() + (DEPLOY / "package-lock.json").read_bytes()
    if not (place / "done").is_file() or (place / "done").read_bytes() != lock:
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", place / "env"], check=True)
        pip = [place / "env" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        wanted = ["--require-hashes", "--no-deps", "-r", DEPLOY / "requirements.lock"]
        subprocess.run([*pip, *wanted], check=True, timeout=800)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(DEPLOY / name, place)
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(npm, cwd=place, check=True, capture_output=True, timeout=300)
        (place / "done").write_bytes(lock)
    return place


@dataclass
class Site:
    portal: str
    hub: str
    database: Database
    homes: Path


@pytest.fixture
def site(installed: Path, tmp_path: Path) -> Iterator[Site]:
    home, homes, port, hub_port = tmp_path / "home", tmp_path / "homes", free_port(), free_port(3)
    homes.mkdir()
    database = Database(f"sqlite:///{home / 'coldstart.db'}")
    database.upgrade()
    portal, hub = f"http://localhost:{port}", f"http://127.0.0.1:{hub_port}"
    told = {"COLDSTART_URL": portal, "COLDSTART_HUB_URL": hub, "COLDSTART_HUB_SECRET": SECRET}
    server = serve(home, ROOT / "labs", port, **told)
    command = [
        *(installed / "env" / "bin" / "jupyterhub", f"--config={DEPLOY / 'jupyterhub_config.py'}"),
        *(f"--JupyterHub.bind_url={hub}", f"--JupyterHub.hub_port={hub_port + 1}"),
        f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{hub_port + 2}",
    ]
    environment = {
        "PATH": f"{installed}/env/bin:{installed}/node_modules/.bin:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        **told,
        "COLDSTART_HUB_SPAWNER": "simple",
        "COLDSTART_HUB_HOMES": str(homes),
        "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32),
    }
    with (tmp_path / "hub.log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        until_answers(f"{hub}/hub/health", within_s=60)
        yield Site(portal, hub, database, homes)
    finally:
        process.terminate()
        process.wait(60)
        server.terminate()
        server.wait(15)
        database.close()
        print((tmp_path / "hub.log").read_text()[-6000:])


def test_work_goes_to_the_hub_and_comes_back(site: Site) -> None:
    people, store, now = People(site.database), Store(site.database), datetime.now(UTC)
    user = people.add("grace", "Grace", None, now)
    starter = Catalogue().get_lab(LAB).starter("python")
    store.save_files(user.id, LAB, {**starter, "notes.txt": b"from the portal\n"}, now)

    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"{site.portal}/sign-in/link/{people.make_link(user.id, now)}")
        page.goto(f"{site.hub}/")
        page.wait_for_url("**/lab**", timeout=120_000)
        expect(page.get_by_text(LAB).first).to_be_visible(timeout=60_000)
        shoot(page, "jupyterlab")
        base = page.url.split("/lab")[0]
        read = _contents(page, base, "GET", f"{LAB}/notes.txt")
        assert read["content"] == "from the portal\n"
        _contents(
            page,
            base,
            "PUT",
            f"{LAB}/notes.txt",
            {"type": "file", "format": "text", "content": "from the hub\n"},
        )
        until(lambda: store.workspace(user.id, LAB)["notes.txt"] == b"from the hub\n", "it did not come")

    # The token is in no file of the learner's.
    kept = subprocess.run(["grep", "-rl", "cst_", site.homes], capture_output=True, text=True)
    assert kept.stdout == ""


def test_a_stranger_is_led_to_the_portal_s_door(site: Site) -> None:
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"{site.hub}/")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert page.url.startswith(f"{site.portal}/sign-in")


def _contents(page: Page, base: str, method: str, path: str, body: object = None) -> dict[str, object]:
    script = """async ([address, method, body]) => {
        const token = document.cookie.match(/_xsrf=([^;]+)/)?.[1] ?? "";
        const headers = {"X-XSRFToken": token, "Content-Type": "application/json"};
        const answer = await fetch(address, {method, headers, body: body && JSON.stringify(body)});
        return {status: answer.status, ...(await answer.json())};
    }"""
    found: dict[str, object] = page.evaluate(script, [f"{base}/api/contents/{path}", method, body])
    assert found["status"] in (200, 201), found
    return found
