"""`coldstart start`: the starter of a runtime, by family or by Lambda's own name."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.start import command


@pytest.mark.parametrize(
    ("runtime", "written", "file"),
    [
        ("nodejs", "nodejs22.x", "src/app.js"),
        ("nodejs24.x", "nodejs24.x", "src/app.js"),
        ("provided.al2023", "provided.al2023", "src/main.go"),
        ("java25", "java25", "pom.xml"),
    ],
)
def test_a_starter_is_written_for_the_runtime(runtime: str, written: str, file: str, tmp_path: Path) -> None:
    run = CliRunner().invoke(command, ["a01", str(tmp_path / "x"), "--runtime", runtime])

    assert run.exit_code == 0
    assert f"Runtime: {written}\n" in (tmp_path / "x/template.yaml").read_text("utf-8")
    assert (tmp_path / "x" / file).is_file()


@pytest.mark.parametrize("runtime", ["python3.8", "rust"])
def test_a_runtime_that_is_not_to_be_had_writes_nothing(runtime: str, tmp_path: Path) -> None:
    run = CliRunner().invoke(command, ["a01", str(tmp_path / "x"), "--runtime", runtime])

    assert run.exit_code == 2
    assert not (tmp_path / "x").exists()
