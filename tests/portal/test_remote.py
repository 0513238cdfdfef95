"""`coldstart grade --remote`: the same answer from a portal, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from cli.grade import command


@pytest.fixture
def address(app: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def folder(tmp_path: Path, reference: dict[str, bytes]) -> Path:
    for path, body in reference.items():
        target = tmp_path / "mine" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
    return tmp_path / "mine"


@pytest.fixture
def hand_in(address: str, credentials: Any, ada: Any, folder: Path) -> Callable[..., Result]:
    """Runs the command against the portal, as ada."""
    token = credentials.make_token(ada.id, "laptop", datetime.now(UTC))

    def run(*words: str, **variables: str) -> Result:
        known = {"COLDSTART_PORTAL": address, "COLDSTART_TOKEN": token}
        return CliRunner().invoke(
            command, ["say-hello", str(folder), "--remote", *words], env={**known, **variables}
        )

    return run


@pytest.fixture
def worker(portal: Any, ada: Any, work: Callable[..., None]) -> Iterator[threading.Thread]:
    """Grades the attempt as soon as it waits."""
    stop = threading.Event()

    def grade() -> None:
        while not stop.wait(0.02):
            if portal.store.open_of(ada.id, "say-hello"):
                work()
                return

    thread = threading.Thread(target=grade)
    thread.start()
    yield thread
    stop.set()
    thread.join()


def test_a_folder_is_graded_there_and_told_here(
    hand_in: Callable[..., Result], worker: Any, tmp_path: Path
) -> None:
    done = hand_in("--json", "--junit", str(tmp_path / "junit.xml"))

    report = json.loads(done.stdout)
    assert done.exit_code == 0, done.stderr
    assert (report["schema"], report["outcome"]) == ("coldstart.report/1", "passed")
    assert "Attempt 1: http://127.0.0.1" in done.stderr
    assert "testsuite" in (tmp_path / "junit.xml").read_text("utf-8")


def test_progress_comes_while_it_runs(hand_in: Callable[..., Result], worker: Any) -> None:
    assert "deploying: done" in hand_in("--json").stderr


def test_what_the_portal_refuses_is_told_with_its_reason(
    hand_in: Callable[..., Result], folder: Path
) -> None:
    (folder / "template.yaml").write_text("Resources: [", "utf-8")

    done = hand_in()

    assert done.exit_code == 2
    assert "template.yaml" in done.stderr


def test_a_wrong_token_is_bad_input(hand_in: Callable[..., Result]) -> None:
    done = hand_in(COLDSTART_TOKEN="cst_wrong")

    assert done.exit_code == 2
    assert "valid token" in done.stderr


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"COLDSTART_TOKEN": ""}, "There is no token"),
        ({"COLDSTART_PORTAL": "http://portal.example.org"}, "not sent without TLS"),
        ({"COLDSTART_PORTAL": "portal.example.org"}, "no address of a portal"),
    ],
)
def test_a_token_goes_only_where_it_is_safe(
    hand_in: Callable[..., Result], variables: dict[str, str], told: str
) -> None:
    done = hand_in(**variables)

    assert done.exit_code == 2
    assert told in done.stderr


def test_a_portal_that_is_not_there_is_our_fault(hand_in: Callable[..., Result]) -> None:
    done = hand_in(COLDSTART_PORTAL="http://127.0.0.1:9")

    assert done.exit_code == 3
    assert "does not answer" in done.stderr


@pytest.mark.parametrize("words", [("--keep",), ("--seed", "4"), ("--timeline", "x.html")])
def test_what_needs_an_account_of_ones_own_is_refused(
    hand_in: Callable[..., Result], words: tuple[str, ...]
) -> None:
    done = hand_in(*words)

    assert done.exit_code == 2
    assert "on this machine" in done.stderr
