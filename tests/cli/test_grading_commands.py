from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import cli.grade
import cli.lab
import cli.labs
import cli.start
from curriculum.loader import Catalogue
from graders.skeleton import skeleton

_spec = importlib.util.spec_from_file_location(
    "grading_fakes", Path(__file__).parent.parent / "graders" / "fakes.py"
)
assert _spec is not None
assert _spec.loader is not None
fakes = importlib.util.module_from_spec(_spec)
sys.modules.setdefault("grading_fakes", fakes)
_spec.loader.exec_module(fakes)


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "labs"
    for path, body in skeleton("say-hello", "X01").items():
        target = folder / "say-hello" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(body, "utf-8")
    for module in (cli.grade, cli.labs, cli.start):
        monkeypatch.setattr(module, "Catalogue", lambda: Catalogue(folder))
    return folder


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = fakes.FakeBackend()

    @contextlib.contextmanager
    def opened(provider: str) -> Iterator[Any]:
        yield made

    monkeypatch.setattr(cli.grade, "open_backend", opened)
    monkeypatch.setattr(cli.lab, "open_backend", opened)
    return made


def run(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(item) for item in arguments], catch_exceptions=False)


def test_labs_are_listed_and_shown(labs: Path) -> None:
    assert json.loads(run(cli.labs.command, "--json").stdout)[0]["slug"] == "say-hello"
    shown = json.loads(run(cli.labs.command, "x01", "--json").stdout)
    assert shown["contract"]["outputs"][0]["name"] == "FunctionArn"
    assert "Greet" in run(cli.labs.command, "x01").stdout


def test_an_unknown_lab_is_bad_input(labs: Path) -> None:
    result = run(cli.labs.command, "say-helo")

    assert result.exit_code == 2
    assert "Did you mean `say-hello`?" in result.stderr
    assert "Traceback" not in result.output


def test_start_writes_brief_contract_and_starter(labs: Path, tmp_path: Path) -> None:
    result = run(cli.start.command, "x01", tmp_path / "mine")

    assert result.exit_code == 0
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {
        "BRIEF.md",
        "CONTRACT.md",
        "src",
        "template.yaml",
    }


def test_start_never_overwrites(labs: Path, tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text("mine")

    result = run(cli.start.command, "x01", tmp_path)

    assert result.exit_code == 2
    assert (tmp_path / "template.yaml").read_text() == "mine"
    assert not (tmp_path / "BRIEF.md").exists()


def test_start_refuses_a_runtime_without_a_starter(labs: Path, tmp_path: Path) -> None:
    result = run(cli.start.command, "x01", tmp_path / "mine", "--runtime", "go")

    assert (result.exit_code, "It has: python" in result.stderr) == (2, True)


def test_a_pass_exits_0_with_one_document_on_stdout(labs: Path, backend: Any) -> None:
    folder = labs / "say-hello" / "solutions" / "reference-python"

    result = run(cli.grade.command, "x01", folder, "--json", "--seed", "5")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["outcome"] == "passed"
    assert "deploying: done" in result.stderr


def test_a_fail_exits_1_and_writes_junit_and_page(labs: Path, backend: Any, tmp_path: Path) -> None:
    result = run(
        cli.grade.command,
        "x01",
        labs / "say-hello" / "starter" / "python",
        "--junit",
        tmp_path / "report.xml",
        "--html",
        tmp_path / "report.html",
    )

    assert result.exit_code == 1
    assert "Not passed  10/100 points" in result.stdout
    assert "<testsuite" in (tmp_path / "report.xml").read_text()
    assert "<!doctype html>" in (tmp_path / "report.html").read_text()


def test_our_own_failure_exits_3(labs: Path, backend: Any) -> None:
    backend.no_account = 100

    result = run(cli.grade.command, "x01", labs / "say-hello" / "solutions" / "reference-python")

    assert result.exit_code == 3
    assert "The fault is ours" in " ".join(result.stdout.split())


@pytest.mark.parametrize("arguments", [("nope", "."), ("x01", "/nowhere"), ("x01", ".", "--only", "f9")])
def test_bad_input_exits_2_without_a_traceback(labs: Path, backend: Any, arguments: tuple[str, ...]) -> None:
    result = run(cli.grade.command, *arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_a_zip_is_graded_like_its_folder(labs: Path, backend: Any, tmp_path: Path) -> None:
    reference = labs / "say-hello" / "solutions" / "reference-python"
    archive = shutil.make_archive(str(tmp_path / "mine"), "zip", reference)

    assert run(cli.grade.command, "x01", archive).exit_code == 0
    (tmp_path / "not.zip").write_text("no zip")
    assert run(cli.grade.command, "x01", tmp_path / "not.zip").exit_code == 2


def test_one_check_alone(labs: Path, backend: Any) -> None:
    folder = labs / "say-hello" / "solutions" / "reference-python"

    report = json.loads(run(cli.grade.command, "x01", folder, "--only", "f1", "--json").stdout)

    assert [item["id"] for item in report["checks"]] == ["G2", "f1"]


def test_a_new_lab_lints_and_verifies(tmp_path: Path, backend: Any) -> None:
    assert run(cli.lab.command, "new", "order-queue", "--code", "X02", "--into", tmp_path).exit_code == 0
    linted = run(cli.lab.command, "lint", "order-queue", "--labs", tmp_path, "--json")
    verified = run(cli.lab.command, "verify", "x02", "--labs", tmp_path, "--json", "--runs", "2")

    assert json.loads(linted.stdout) == {"lab": "order-queue", "problems": [], "ok": True}
    document = json.loads(verified.stdout)
    assert (verified.exit_code, document["ok"], document["kill_rate"], document["runs"]) == (0, True, 1.0, 2)


def test_the_matrix_shows_a_surviving_mutant(labs: Path, backend: Any) -> None:
    mutant = labs / "say-hello" / "mutants" / "harmless"
    mutant.mkdir()
    (mutant / "mutant.toml").write_text('what = "Nothing is wrong."\nmust_fail = ["f1"]\n')

    result = run(cli.lab.command, "verify", "x01", "--labs", labs)

    assert result.exit_code == 1
    assert "SURVIVES: f1" in result.stdout
    assert "1 of 2 assessed mutants killed" in result.stdout


def test_a_new_lab_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "order-queue").mkdir()

    assert run(cli.lab.command, "new", "order-queue", "--into", tmp_path).exit_code == 2
    assert run(cli.lab.command, "new", "Order Queue", "--into", tmp_path).exit_code == 2
    assert list((tmp_path / "order-queue").iterdir()) == []


def test_lint_tells_every_problem_of_a_manifest(labs: Path) -> None:
    (labs / "say-hello" / "lab.toml").write_text("[lab]\ncode = 5\n")

    result = run(cli.lab.command, "lint", "say-hello", "--labs", labs)

    assert result.exit_code == 1
    assert "`code` should be a text, not 5" in " ".join(result.stdout.split())
