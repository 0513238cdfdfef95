"""Templates are linted while they are written, off the portal's own process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from portal.workspace.linting import Linter

GOOD = "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  Box:\n    Type: AWS::S3::Bucket\n"
SAM = """Transform: AWS::Serverless-2016-10-31
Resources:
  Work:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: python3.13
      CodeUri: src/
      Events:
        Often: {Type: Schedule, Properties: {Schedul: rate(1 hour)}}
"""
# Nine levels of nine aliases each: 387 million when somebody writes them out.
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture(scope="module")
def linter() -> Iterator[Linter]:
    made = Linter(time_limit_s=60)
    yield made
    made.close()


def test_what_is_wrong_is_told_with_its_line_and_rule(linter: Linter) -> None:
    assert linter.lint("template.yaml", GOOD) == []
    [problem] = linter.lint("template.yaml", GOOD.replace("S3::Bucket", "S3::Buckett")) or []
    assert (problem["line"], problem["column"], problem["level"]) == (4, 5, "error")
    assert "AWS::S3::Buckett" in problem["message"]
    assert any("Schedul" in item["message"] for item in linter.lint("template.yaml", SAM) or [])
    assert [item["rule"] for item in linter.lint("template.yaml", "x: [\n") or []] == ["E0000"]


def test_a_hostile_template_costs_the_process_and_nothing_else(linter: Linter) -> None:
    linter.lint("template.yaml", GOOD)
    linter.time_limit_s = 3
    told = linter.lint(
        "template.yaml", f"{LAUGHS}Resources:\n  Box:\n    Type: AWS::S3::Bucket\n    Properties: *i\n"
    )
    linter.time_limit_s = 60

    assert told is None or all(isinstance(item["line"], int) for item in told)
    assert linter.lint("template.yaml", "x" * 600_000) is None
    assert linter.lint("template.yaml", GOOD) == []


def test_a_learner_s_saved_template_is_linted_and_nothing_else(learner: Any, portal: Any) -> None:
    files = "/labs/say-hello/workspace/files"
    assert learner.get("/labs/say-hello/workspace").status_code == 200
    learner.put(files, {"path": "template.yaml", "text": GOOD.replace("S3::Bucket", "S3::Buckett")})

    def ask(path: str) -> Any:
        return learner.client.post(
            "/labs/say-hello/workspace/lint", json={"path": path}, headers=learner._script()
        )

    try:
        assert ask("template.yaml").json["problems"][0]["line"] == 4
        assert ask("src/app.py").status_code == 422
        assert ask("../../etc/passwd").status_code == 422
    finally:
        portal.linter.close()


MACHINE = """{
  "StartAt": "Charge",
  "States": {
    "Charge": {"Type": "Task", "Resource": "${ChargeArn}", "Next": "Done"},
    "Done": {"Type": "Succeed"}
  }
}
"""


def test_state_machines_are_read_as_step_functions_reads_them(linter: Linter) -> None:
    assert linter.lint("order.asl.json", MACHINE) == []
    wrong = MACHINE.replace('"Next": "Done"', '"Next": "Dona"').replace("Succeed", "Sucede")

    told = {item["line"]: item["message"] for item in linter.lint("order.asl.json", wrong) or []}

    assert "Dona" in told[4]
    assert "is not reachable" in told[5]
    [broken] = linter.lint("order.asl.json", '{\n  "StartAt": "A",\n  "States": {]\n}') or []
    assert broken["line"] == 3
    as_yaml = "StartAt: A\nStates:\n  A:\n    Type: Pass\n    Next: B\n"
    assert [item["line"] for item in linter.lint("order.asl.yaml", as_yaml) or []] == [5, 2]
    # Templates go on being templates.
    assert linter.lint("template.yaml", GOOD) == []
