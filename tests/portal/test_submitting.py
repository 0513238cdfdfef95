"""Handing in: what is refused says where, and everything is kept."""

from __future__ import annotations

import io
import stat
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest

HELLO = "/labs/say-hello/submissions"


def entry(name: str, body: bytes = b"x", mode: int = 0) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, body)
    return into.getvalue()


BAD_YAML = entry("template.yaml", b"Resources:\n  Queue:\n    Type: [AWS::SQS::Queue\n")

REFUSED = {
    "not a zip": (b"I am no zip", "not a zip file", "submission.zip"),
    "empty": (entry("a/", b""), "There are no files in it.", "submission.zip"),
    "traversal": (entry("../../etc/passwd"), "leads out of the submission", "../../etc/passwd"),
    "absolute": (entry("/etc/passwd"), "absolute or not portable", "/etc/passwd"),
    "link": (entry("src/link", b"/etc/passwd", stat.S_IFLNK | 0o777), "Links are not accepted", "src/link"),
    "bomb": (entry("big.bin", b"\0" * 9_000_000), "unpacks to more than 200 times", "big.bin"),
    "too large": (entry("big.bin", b"\0" * 11_000_000), "larger than 10 MB", "big.bin"),
    "no template": (entry("src/app.py"), "There is no template.yaml", "template.yaml"),
    "template too deep": (
        entry("app/x/template.yaml", b"a: 1"),
        "There is one in app/x/template.yaml",
        "template.yaml",
    ),
    "invalid YAML": (BAD_YAML, "not valid YAML", "template.yaml:4"),
    "not a mapping": (entry("template.yaml", b"- a\n"), "template", "template.yaml"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_graded_is_refused_with_its_place_and_kept(learner: Any, case: str) -> None:
    body, message, where = REFUSED[case]

    answer = learner.upload(HELLO, body)

    assert answer.status_code == 422
    assert "This submission was not graded." in answer.text
    assert message in answer.text
    assert where in answer.text
    assert "Traceback" not in answer.text
    # The lab's page is still all there, with a way to get back what was sent.
    assert "What is judged" in answer.text
    assert learner.get("/submissions/1/file").data == body
    assert "Nothing handed in yet." in learner.get("/attempts").text


def test_choosing_no_file_is_told(learner: Any) -> None:
    answer = learner.post(HELLO, {"archive": (io.BytesIO(b""), "")})

    assert answer.status_code == 422
    assert "Choose a zip file." in answer.text


def test_a_request_beyond_the_limit_is_a_page_of_its_own(app: Any, learner: Any) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1000

    answer = learner.upload(HELLO, b"x" * 2000)

    assert answer.status_code == 413
    assert "larger than this portal reads" in answer.text


def test_an_unknown_lab_takes_no_submission(learner: Any, zipped: Any, reference: Any) -> None:
    assert learner.upload("/labs/nope/submissions", zipped(reference)).status_code == 404


def test_a_good_zip_becomes_an_attempt_and_is_kept_byte_by_byte(
    learner: Any, zipped: Any, reference: Any
) -> None:
    body = zipped(reference)

    answer = learner.upload(HELLO, body)

    assert answer.request.path == "/attempts/1"
    assert "Next in line" in answer.text
    assert learner.get("/attempts/1/submission").data == body


def test_a_zip_sent_while_an_attempt_runs_is_refused_but_kept(
    learner: Any, zipped: Any, reference: Any, work: Any
) -> None:
    learner.upload(HELLO, zipped(reference))
    second = zipped({**reference, "notes.md": "second"})

    answer = learner.upload(HELLO, second)

    assert answer.status_code == 409
    assert "Another attempt at this lab is being graded." in answer.text
    assert "/attempts/1" in answer.text
    assert learner.get("/submissions/2/file").data == second
    work()
    assert learner.upload(HELLO, second).request.path == "/attempts/2"


def test_the_workspace_is_handed_in_as_it_is_saved(learner: Any) -> None:
    learner.get("/labs/say-hello/workspace")
    learner.put("/labs/say-hello/workspace/files", {"path": "src/app.py", "text": "answer = 42\n"})

    answer = learner.post(HELLO)

    assert answer.request.path == "/attempts/1"
    body = learner.get("/attempts/1/submission").data
    assert zipfile.ZipFile(io.BytesIO(body)).read("src/app.py") == b"answer = 42\n"


def test_a_broken_template_in_the_editor_is_refused_in_the_editor(learner: Any) -> None:
    learner.get("/labs/say-hello/workspace")
    broken = {"path": "template.yaml", "text": "Resources:\n  Queue: [\n"}

    saved = learner.put("/labs/say-hello/workspace/files", broken)
    answer = learner.post(HELLO)

    assert saved.json["problem"]["line"] == 3
    assert answer.status_code == 422
    assert "Your files are saved and no attempt is used." in answer.text
    assert "template.yaml:3" in answer.text


def test_nobody_sees_what_another_handed_in(
    learner: Any, signed_in: Any, people: Any, zipped: Any, reference: Any
) -> None:
    learner.upload(HELLO, zipped(reference))
    learner.upload(HELLO, b"no zip")
    grace = signed_in(people.add("grace", "Grace", None, datetime.now(UTC)))

    for path in ("/attempts/1", "/attempts/1/progress", "/attempts/1/submission", "/submissions/2/file"):
        assert grace.get(path).status_code == 404
    assert grace.post("/attempts/1/again").status_code == 404
    assert grace.post("/labs/say-hello/workspace/restore/1").status_code == 404


def test_what_a_refusal_quotes_is_text_and_no_format(learner: Any, zipped: Any) -> None:
    template = 'Resources:\n  "<b>100 %d</b>": {}\n  "<b>100 %d</b>": {}\n'

    answer = learner.upload("/labs/say-hello/submissions", zipped({"template.yaml": template}))

    assert answer.status_code == 422
    assert "<b>100" not in answer.text
    assert "&lt;b&gt;100 %d" in answer.text
