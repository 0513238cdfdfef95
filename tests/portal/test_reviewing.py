"""A report beside an earlier one, and a report that others may see."""

from __future__ import annotations

import re
from typing import Any

import pytest

HELLO = "/labs/say-hello/submissions"
HARDCODED = b'def handler(event, context):\n    return {"text": f"Hello, {event[\'name\']}!"}\n'


@pytest.fixture
def hand_in(learner: Any, zipped: Any, work: Any) -> Any:
    """Hands files in, has them graded, and returns the address of the attempt."""

    def run(files: dict[str, bytes]) -> str:
        address = learner.upload(HELLO, zipped(files)).request.path
        work()
        return str(address)

    return run


@pytest.fixture
def attempts(hand_in: Any, reference: Any) -> tuple[str, str]:
    """A wrong attempt, then a right one."""
    return hand_in({**reference, "src/app.py": HARDCODED}), hand_in(reference)


def shared_link(page: Any) -> str:
    found = re.search(r'value="http://localhost(/shared/[\w-]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def test_a_report_leads_to_the_comparison_with_the_attempt_before(
    learner: Any, attempts: tuple[str, str]
) -> None:
    assert f"{attempts[1]}/compare" in learner.get(attempts[1]).text

    page = learner.get(f"{attempts[1]}/compare").text

    assert "attempt 1 and attempt 2" in page
    assert '<div class="change better">' in page
    assert "src/app.py" in page
    assert '<span class="removed">' in page


def test_the_earlier_one_is_always_on_the_left(learner: Any, attempts: tuple[str, str]) -> None:
    page = learner.get(f"{attempts[0]}/compare?with={attempts[1].rpartition('/')[2]}").text

    assert "attempt 1 and attempt 2" in page
    assert '<div class="change better">' in page


def test_what_was_handed_in_is_shown_as_text(learner: Any, hand_in: Any, reference: Any) -> None:
    hand_in(reference)
    later = hand_in({**reference, "src/note.html": b"<script>alert(1)</script>\n"})

    page = learner.get(f"{later}/compare").text

    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_there_is_nothing_to_compare_a_first_attempt_with(learner: Any, hand_in: Any, reference: Any) -> None:
    first = hand_in(reference)

    assert "/compare" not in learner.get(first).text
    assert learner.get(f"{first}/compare").status_code == 404


def test_attempts_of_others_are_not_compared(
    people: Any, signed_in: Any, attempts: tuple[str, str], portal: Any
) -> None:
    stranger = signed_in(people.add("eve", "Eve", None, portal.flask.extensions["coldstart"].now()))

    assert stranger.get(f"{attempts[1]}/compare").status_code == 404
    assert stranger.post(f"{attempts[1]}/share").status_code == 404
    assert stranger.post(f"{attempts[1]}/unshare").status_code == 404


def test_a_shared_report_is_seen_without_signing_in_until_it_is_taken_back(
    learner: Any, visitor: Any, attempts: tuple[str, str]
) -> None:
    link = shared_link(learner.post(f"{attempts[1]}/share"))

    shown = visitor.get(link)
    assert shown.status_code == 200
    assert "Shown by Ada" in shown.text
    assert shown.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert shown.headers["Referrer-Policy"] == "no-referrer"

    learner.post(f"{attempts[1]}/unshare")
    assert visitor.get(link).status_code == 404
    assert shared_link(learner.post(f"{attempts[1]}/share")) != link


def test_sharing_twice_keeps_the_link(learner: Any, attempts: tuple[str, str]) -> None:
    first = shared_link(learner.post(f"{attempts[1]}/share"))

    assert shared_link(learner.post(f"{attempts[1]}/share")) == first


def test_whoever_it_is_shown_to_can_do_nothing_and_gets_no_files(
    learner: Any, visitor: Any, attempts: tuple[str, str]
) -> None:
    page = visitor.get(shared_link(learner.post(f"{attempts[1]}/share"))).text

    assert re.findall(r"<form[^>]* action=\"([^\"]*)\"", page) == ["/language"]
    assert attempts[1] not in page
    assert visitor.get(f"{attempts[1]}/submission").status_code == 303


def test_a_wrong_link_shows_nothing(visitor: Any) -> None:
    assert visitor.get("/shared/anything").status_code == 404


def test_an_attempt_without_a_report_is_not_shared(learner: Any, zipped: Any, reference: Any) -> None:
    waiting = learner.upload(HELLO, zipped(reference)).request.path

    assert learner.post(f"{waiting}/share").status_code == 404
