"""The editor's files: saved one by one, under the rules of a submission."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
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

    assert answer.json["saved"] == "src/app.py"
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

    assert 'data-binary="[&#34;logo.bin&#34;]"' in learner.get(WORK).text


def test_saving_needs_the_pages_token(learner: Any) -> None:
    answer = learner.client.put(FILES, json={"path": "a", "text": ""})

    assert answer.status_code == 400


def history_links(learner: Any, path: str) -> list[str]:
    """The saves of a file that can be compared, the newest first."""
    page = learner.get(f"{WORK}/history?path={path}").text
    return re.findall(rf'href="({WORK}/history/\d+)"', page)


def test_every_save_can_be_looked_at_and_brought_back(learner: Any) -> None:
    learner.get(WORK)
    learner.put(FILES, {"path": "src/app.py", "text": "one\n"})
    learner.put(FILES, {"path": "src/app.py", "text": "two\n"})
    newest, before, _starter = history_links(learner, "src/app.py")

    assert "Nothing has changed since then" in learner.get(newest).text
    page = learner.get(before).text
    assert '<span class="removed">−one' in page
    assert '<span class="added">+two' in page

    learner.post(f"{before}/restore")

    assert saved(learner)["src/app.py"] == "one\n"
    assert len(history_links(learner, "src/app.py")) == 4


def test_a_deleted_file_can_be_brought_back(learner: Any) -> None:
    learner.get(WORK)
    learner.put(FILES, {"path": "src/more.py", "text": "kept\n"})
    learner.delete(f"{FILES}?path=src/more.py")
    assert "src/more.py" not in saved(learner)

    learner.post(f"{history_links(learner, 'src/more.py')[0]}/restore")

    assert saved(learner)["src/more.py"] == "kept\n"


def test_the_saves_of_others_are_not_found(learner: Any, signed_in: Any, people: Any) -> None:
    learner.get(WORK)
    learner.put(FILES, {"path": "src/app.py", "text": "mine\n"})
    link = history_links(learner, "src/app.py")[0]
    grace = signed_in(people.add("grace", "Grace", None, datetime.now(UTC)))

    assert grace.get(link).status_code == 404
    assert grace.post(f"{link}/restore").status_code == 404
    assert learner.get(link.replace("say-hello", "say-goodbye")).status_code == 404


def test_of_two_windows_the_second_is_asked_and_neither_text_is_lost(learner: Any) -> None:
    learner.get(WORK)
    first = learner.put(FILES, {"path": "src/app.py", "text": "first\n"}).json["digest"]
    theirs = learner.put(FILES, {"path": "src/app.py", "text": "theirs\n", "base": first}).json["digest"]

    late = learner.put(FILES, {"path": "src/app.py", "text": "mine\n", "base": first})

    assert late.status_code == 409
    assert (late.json["theirs"], late.json["digest"]) == ("theirs\n", theirs)
    assert saved(learner)["src/app.py"] == "theirs\n"
    assert "mine" in learner.get(history_links(learner, "src/app.py")[0]).text
    again = learner.put(FILES, {"path": "src/app.py", "text": "mine\n", "base": theirs})
    assert again.status_code == 200
    assert saved(learner)["src/app.py"] == "mine\n"


def test_the_same_text_from_two_windows_is_no_conflict(learner: Any) -> None:
    learner.get(WORK)
    learner.put(FILES, {"path": "src/app.py", "text": "same\n"})

    assert (
        learner.put(FILES, {"path": "src/app.py", "text": "same\n", "base": "sha256:old"}).status_code == 200
    )


def test_a_file_that_another_window_made_is_not_written_over(learner: Any) -> None:
    learner.get(WORK)
    learner.put(FILES, {"path": "src/new.py", "text": "theirs\n", "base": ""})

    assert learner.put(FILES, {"path": "src/new.py", "text": "mine\n", "base": ""}).status_code == 409


def test_the_starter_of_another_runtime_can_be_taken(
    learner: Any, labs_folder: Path, reference: dict[str, bytes]
) -> None:
    folder = labs_folder / "say-hello" / "starter" / "nodejs"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "app.js").write_text("export const handler = async () => ({});\n", "utf-8")
    (folder / "template.yaml").write_bytes(reference["template.yaml"])
    assert '<option value="python" selected>' in learner.get(WORK).text

    page = learner.post(f"{WORK}/reset", {"runtime": "nodejs"}).text

    assert set(saved(learner)) == {"src/app.js", "template.yaml"}
    assert '<option value="nodejs" selected>' in page
    assert history_links(learner, "src/app.py")


def test_a_starter_that_there_is_not_is_the_first_one(learner: Any) -> None:
    learner.post(f"{WORK}/reset", {"runtime": "cobol"})

    assert set(saved(learner)) == {"src/app.py", "template.yaml"}
