"""The editor's files: saved one by one, under the rules of a submission."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

WORK = "/labs/say-hello/workspace"
FILES = f"{WORK}/files"


def saved(learner: Any) -> dict[str, str]:
    """What the workspace would hand in."""
    archive = zipfile.ZipFile(io.BytesIO(learner.get(f"{WORK}/download").data))
    return {name: archive.read(name).decode() for name in archive.namelist()}


def test_it_begins_with_the_labs_starter(learner: Any) -> None:
    page = learner.get(WORK).text

    assert "src/app.py" in page
    assert "return {}" in page
    assert set(saved(learner)) == {"src/app.py", "template.yaml"}


def test_what_is_saved_is_there_on_the_next_visit_and_nowhere_else(learner: Any) -> None:
    learner.get(WORK)

    answer = learner.put(FILES, {"path": "src/app.py", "text": "x = '</script>'\n"})

    assert answer.json == {"saved": "src/app.py"}
    assert saved(learner)["src/app.py"] == "x = '</script>'\n"
    # The text stands inside a script element: it must not be able to end it.
    assert "x = '</script>" not in learner.get(WORK).text
    assert "return {}" in learner.get("/labs/say-goodbye/workspace").text


def test_files_are_created_renamed_and_deleted(learner: Any) -> None:
    learner.get(WORK)
    learner.put(FILES, {"path": "src/more.py", "text": "1"})
    learner.put(FILES, {"path": "src/other.py", "from": "src/more.py"})
    assert saved(learner)["src/other.py"] == "1"
    assert "src/more.py" not in saved(learner)

    learner.delete(f"{FILES}?path=src/other.py")

    assert "src/other.py" not in saved(learner)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"path": "../x", "text": ""}, "leads out of the submission"),
        ({"path": "", "text": ""}, "empty"),
        ({"path": "/etc/x", "text": ""}, "absolute"),
        ({"path": ".git/config", "text": ""}, "not used for files here"),
        ({"path": "src/app.py/x", "text": ""}, "Two entries have this name"),
        ({"path": "src/new.py", "from": "src/gone.py"}, "does not exist any more"),
        ({"path": "template.yaml", "from": "src/app.py"}, "a file with this name already"),
        ({"path": "big", "text": "0123456789" * 1_100_000}, "larger than 10 MB"),
        ({"path": "x", "text": 7}, "Send a path and a text."),
    ],
)
def test_what_could_not_be_handed_in_can_not_be_saved(
    learner: Any, body: dict[str, Any], message: str
) -> None:
    learner.get(WORK)
    before = saved(learner)

    answer = learner.put(FILES, body)

    assert answer.status_code == 422
    assert message in answer.json["error"]
    assert saved(learner) == before


def test_a_saved_template_is_read_and_its_mistake_has_a_line(learner: Any) -> None:
    learner.get(WORK)

    broken = learner.put(FILES, {"path": "template.yaml", "text": "A: 1\nB: [\n"}).json["problem"]
    mended = learner.put(
        FILES, {"path": "template.yaml", "text": "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n"}
    ).json["problem"]

    assert broken["where"].startswith("template.yaml:")
    assert broken["line"] >= 2
    assert mended is None


def test_a_zip_replaces_the_files_and_the_starter_brings_them_back(learner: Any, zipped: Any) -> None:
    learner.get(WORK)
    learner.upload(f"{WORK}/upload", zipped({"template.yaml": "A: 1", "new.txt": "n"}))
    assert set(saved(learner)) == {"template.yaml", "new.txt"}

    learner.post(f"{WORK}/reset")

    assert set(saved(learner)) == {"src/app.py", "template.yaml"}


def test_a_bad_zip_leaves_the_files_alone_and_is_told_in_the_editor(learner: Any) -> None:
    learner.get(WORK)
    before = saved(learner)

    answer = learner.upload(f"{WORK}/upload", b"no zip")

    assert answer.status_code == 422
    assert "not a zip file" in answer.text
    assert "Your files are saved" in answer.text
    assert saved(learner) == before


def test_files_that_are_no_text_are_named_and_kept(learner: Any, zipped: Any) -> None:
    learner.upload(f"{WORK}/upload", zipped({"template.yaml": "A: 1", "logo.bin": b"\xff\xfe\x00"}))

    assert "Not shown here: logo.bin" in learner.get(WORK).text


def test_saving_needs_the_pages_token(learner: Any) -> None:
    answer = learner.client.put(FILES, json={"path": "a", "text": ""})

    assert answer.status_code == 400
