"""A workspace is cloned, pulled and pushed by the real git, over real HTTP."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from records.credentials import Credentials
from records.database import Database
from records.people import People
from records.store import Store
from tests.browsing import ROOT, free_port, serve

LAB = "invoice-intake"

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="no git: apt-get install git")


@dataclass
class Site:
    """A portal, and what git needs to speak to it."""

    address: str
    database: Database
    user_id: int
    folder: Path
    token: str

    def git(self, *words: str, cwd: str = "", succeeds: bool = True) -> str:
        """What git says; with the token as the password."""
        helper = f"!f() {{ echo username=x; echo password={self.token}; }}; f"
        done = subprocess.run(
            ["git", "-c", f"credential.helper={helper}", *words],
            cwd=self.folder / cwd,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.folder),
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_AUTHOR_NAME": "Ada",
                "GIT_AUTHOR_EMAIL": "ada@example.org",
                "GIT_COMMITTER_NAME": "Ada",
                "GIT_COMMITTER_EMAIL": "ada@example.org",
                "LC_ALL": "C.UTF-8",
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode == 0) == succeeds, done.stderr
        return done.stdout + done.stderr

    def clone(self, into: str = "work") -> Path:
        self.git("clone", f"{self.address}/git/{LAB}.git", into)
        return self.folder / into

    def commit(self, into: str = "work", message: str = "work") -> None:
        self.git("add", "--all", "--force", cwd=into)
        self.git("commit", "-m", message, cwd=into)

    @property
    def files(self) -> dict[str, bytes]:
        return Store(self.database).workspace(self.user_id, LAB)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Database]]:
    home, port = tmp_path_factory.mktemp("home"), free_port()
    database = Database(f"sqlite:///{home / 'coldstart.db'}")
    database.upgrade()
    address = f"http://127.0.0.1:{port}"
    server = serve(home, ROOT / "labs", port, COLDSTART_URL=address)
    yield address, database
    server.terminate()
    server.wait(15)
    database.close()


@pytest.fixture
def site(portal: tuple[str, Database], tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    address, database = portal
    user = People(database).add(request.node.name[:100], "Ada <the first>", None, datetime.now(UTC))
    token = Credentials(database).make_token(user.id, "git", datetime.now(UTC), ["workspace"])
    return Site(address, database, user.id, tmp_path, token)


def test_what_is_pushed_is_in_the_workspace_and_what_is_saved_is_pulled(site: Site) -> None:
    work = site.clone()
    assert (work / "template.yaml").read_bytes() == site.files["template.yaml"]
    assert "Ada the first" in site.git("log", "-1", "--format=%an", cwd="work")

    (work / "src" / "more.py").write_text("more = 1\n")
    (work / "notes räksmörgås.md").write_text("ja")
    shutil.rmtree(work / "sample", ignore_errors=True)
    site.commit()
    told = site.git("push", cwd="work")

    assert "remote: Saved: " in told
    assert f"{site.address}/labs/{LAB}/workspace" in told
    assert site.files["src/more.py"] == b"more = 1\n"
    assert site.files["notes räksmörgås.md"] == b"ja"
    assert not any(path.startswith("sample/") for path in site.files)

    Store(site.database).save_files(site.user_id, LAB, {"src/app.py": b"mine = 2\n"}, datetime.now(UTC))
    (work / "src" / "more.py").write_text("more = 3\n")
    site.commit()
    assert "fetch first" in site.git("push", cwd="work", succeeds=False)
    site.git("pull", "--rebase", cwd="work")
    assert (work / "src" / "app.py").read_text() == "mine = 2\n"
    site.git("push", cwd="work")
    assert (site.files["src/app.py"], site.files["src/more.py"]) == (b"mine = 2\n", b"more = 3\n")
    assert "Saved in the browser" in site.git("log", "--format=%s", cwd="work")


def test_history_is_not_rewritten_and_branches_are_two(site: Site) -> None:
    work = site.clone()
    (work / "a.txt").write_text("a")
    site.commit()
    site.git("push", cwd="work")
    site.git("reset", "--hard", "HEAD~1", cwd="work")
    (work / "b.txt").write_text("b")
    site.commit()

    assert "non-fast-forward" in site.git("push", "--force", cwd="work", succeeds=False)
    assert "can't be deleted" in site.git("push", "origin", ":main", cwd="work", succeeds=False)
    assert "only main, and submit" in site.git("push", "origin", "HEAD:topic", cwd="work", succeeds=False)
    assert "only main, and submit" in site.git(
        "push", "origin", "HEAD:refs/tags/v1", cwd="work", succeeds=False
    )
    assert "b.txt" not in site.files


def test_pushing_to_submit_hands_in(site: Site) -> None:
    work = site.clone()
    (work / "template.yaml").write_text("x: [\n")
    site.commit()
    refused = site.git("push", "origin", "HEAD:submit", cwd="work")
    assert "Not graded. template.yaml" in refused

    site.git("revert", "--no-edit", "HEAD", cwd="work")
    told = site.git("push", "origin", "HEAD:submit", cwd="work")

    [attempt] = Store(site.database).attempts_of(site.user_id)
    assert f"Handed in: {site.address}/attempts/{attempt.id}" in told
    assert Store(site.database).owned(attempt.submission_id, site.user_id).source == "git"
    # main went along: the next pull has nothing to bring.
    assert "up to date" in site.git("pull", cwd="work")


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("link", "a link; only files"),
        ("build", "build folders and caches are left out"),
        ("large", "limit|larger|more than|too large"),
        ("latin", "names of files are UTF-8"),
        ("module", "a submodule"),
    ],
)
def test_what_no_workspace_can_hold_is_refused_with_its_name(site: Site, kind: str, told: str) -> None:
    work, before = site.clone(), site.files
    match kind:
        case "link":
            (work / "passwd").symlink_to("/etc/passwd")
        case "build":
            (work / "node_modules").mkdir()
            (work / "node_modules" / "x.js").write_text("1")
        case "large":
            (work / "zeros.bin").write_bytes(bytes(40_000_000))
        case "latin":
            subprocess.run(["sh", "-c", "printf x > $(printf 'caf\\351.txt')"], cwd=work, check=True)
        case "module":
            head = site.git("rev-parse", "HEAD", cwd="work").strip()
            site.git("update-index", "--add", "--cacheinfo", f"160000,{head},module", cwd="work")
            site.git("commit", "-m", "module", cwd="work")
    if kind != "module":
        site.commit()

    said = site.git("push", cwd="work", succeeds=False)

    assert re.search(told, said), said
    assert site.files == before


def test_a_large_push_comes_in_pieces(site: Site) -> None:
    work = site.clone()
    (work / "noise.bin").write_bytes(bytes(range(256)) * 4 + os.urandom(3_000_000))
    site.commit()

    site.git("push", cwd="work")

    assert len(site.files["noise.bin"]) > 3_000_000


def test_only_a_token_for_the_workspace_opens_it(site: Site) -> None:
    made = Credentials(site.database)
    site.token = made.make_token(site.user_id, "read", datetime.now(UTC), ["read", "submit"])
    assert "403" in site.git("clone", f"{site.address}/git/{LAB}.git", "no", succeeds=False)
    site.token = "cst_made_up"
    assert "Authentication failed" in site.git("clone", f"{site.address}/git/{LAB}.git", "no", succeeds=False)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{site.address}/git/{LAB}.git/info/refs?service=git-upload-pack")
    assert refused.value.headers["WWW-Authenticate"].startswith("Basic")
    refused.value.close()


def test_what_is_no_git_is_refused_and_hurts_nobody(site: Site) -> None:
    key = base64.b64encode(f"x:{site.token}".encode()).decode()

    def post(body: bytes) -> int:
        request = urllib.request.Request(
            f"{site.address}/git/{LAB}.git/git-receive-pack",
            body,
            {"Authorization": f"Basic {key}", "Content-Type": "application/x-git-receive-pack-request"},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    assert post(b"garbage") in (200, 503)
    assert post(b"00") in (200, 503)
    assert site.clone().is_dir()
