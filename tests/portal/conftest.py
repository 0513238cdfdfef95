"""The whole portal over a database and a labs folder of its own, and browsers that are no browsers."""

from __future__ import annotations

import importlib.util
import io
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser
from werkzeug.test import TestResponse

from app import Portal
from curriculum.loader import Catalogue
from graders.skeleton import skeleton
from records.credentials import Credentials
from records.database import Database
from records.people import People, User
from records.queue import Queue
from settings import Settings
from tests.browsing import chromium
from worker.grading import grader
from worker.loop import Worker


@pytest.fixture(name="zipped")
def _zipped() -> Callable[[Mapping[str, bytes | str]], bytes]:
    """Makes a zip of files."""
    return zipped


def zipped(files: Mapping[str, bytes | str]) -> bytes:
    """A zip of these files."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        for path, body in files.items():
            archive.writestr(path, body)
    return into.getvalue()


@dataclass
class Visitor:
    """Somebody with a browser: keeps cookies, sends the page's CSRF token, follows redirects."""

    client: FlaskClient

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, **options)

    def post(self, path: str, data: Mapping[str, Any] | None = None, **options: Any) -> TestResponse:
        form = {**(data or {}), "csrf_token": self.token()}
        return self.client.post(path, data=form, follow_redirects=True, **options)

    def put(self, path: str, body: Mapping[str, Any]) -> TestResponse:
        return self.client.put(path, json=dict(body), headers=self._script())

    def delete(self, path: str) -> TestResponse:
        return self.client.delete(path, headers=self._script())

    def upload(self, path: str, archive: bytes, name: str = "work.zip") -> TestResponse:
        return self.post(path, {"archive": (io.BytesIO(archive), name)})

    def _script(self) -> dict[str, str]:
        return {"X-CSRFToken": self.token(), "Accept": "application/json"}

    def token(self) -> str:
        for page in ("/attempts", "/sign-in"):
            found = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(page).text)
            if found:
                return found[1]
        raise AssertionError("no page with a form")


@pytest.fixture
def labs_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "labs"
    for slug, code in (("say-hello", "X01"), ("say-goodbye", "X02")):
        for path, body in skeleton(slug, code).items():
            target = folder / slug / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(body, "utf-8")
    return folder


@pytest.fixture
def reference(labs_folder: Path) -> dict[str, bytes]:
    folder = labs_folder / "say-hello" / "solutions" / "reference-python"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture
def settings(tmp_path: Path, labs_folder: Path) -> Settings:
    return Settings(
        home=tmp_path / "home", labs_folder=labs_folder, secret_key="for tests only", verify_email=False
    )


@pytest.fixture(scope="package")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables and nothing in them, to be copied."""
    path = tmp_path_factory.mktemp("empty") / "coldstart.db"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    database.close()
    return path


@pytest.fixture
def portal(settings: Settings, empty_database: Path) -> Iterator[Portal]:
    settings.home.mkdir(parents=True, exist_ok=True)
    shutil.copy(empty_database, settings.home / "coldstart.db")
    portal = Portal(settings)
    yield portal
    portal.database.close()


@pytest.fixture
def app(portal: Portal) -> Flask:
    return portal.flask


@pytest.fixture
def people(portal: Portal) -> People:
    return People(portal.database)


@pytest.fixture
def credentials(portal: Portal) -> Credentials:
    return Credentials(portal.database)


@pytest.fixture
def ada(people: People) -> User:
    return people.add("ada", "Ada", None, datetime.now(UTC))


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Nobody in particular."""
    return Visitor(app.test_client())


@pytest.fixture
def signed_in(app: Flask, people: People) -> Callable[[User], Visitor]:
    """Signs a user in by a one-time link."""

    def sign_in(user: User) -> Visitor:
        visitor = Visitor(app.test_client())
        answer = visitor.get(f"/sign-in/link/{people.make_link(user.id, datetime.now(UTC))}")
        assert answer.status_code == 303
        return visitor

    return sign_in


@pytest.fixture
def learner(ada: User, signed_in: Callable[[User], Visitor]) -> Visitor:
    """Ada, signed in."""
    return signed_in(ada)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


_path = Path(__file__).parent.parent / "graders" / "fakes.py"
_spec = importlib.util.spec_from_file_location("grading_fakes", _path)
assert _spec is not None
assert _spec.loader is not None
fakes = sys.modules.setdefault("grading_fakes", importlib.util.module_from_spec(_spec))
if not hasattr(fakes, "FakeBackend"):
    _spec.loader.exec_module(fakes)


@pytest.fixture
def work(portal: Portal) -> Callable[..., None]:
    """Grades what waits, over a backend that needs no emulator; or closes it with a given report."""
    queue = Queue(portal.database, lambda: datetime.now(UTC))

    def run(report: Mapping[str, Any] | None = None) -> None:
        labs = Catalogue(portal.settings.labs_folder)
        grade = grader(labs, fakes.FakeBackend()) if report is None else lambda *_: report
        assert Worker(queue, portal.store, grade).run_one()

    return run
