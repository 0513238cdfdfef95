from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli import iam

ROLE = {
    "role": "arn:aws:iam::111122223333:role/worker",
    "used": [{"action": "dynamodb:PutItem", "resource": "t", "times": 3}],
    "minimal_policy": {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "dynamodb:PutItem"}],
    },
    "proof": {"replayed": 1, "holds": True, "refused": [], "idle": []},
}


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A sandbox that did something."""
    role = json.loads(json.dumps(ROLE))
    monkeypatch.setattr(iam, "_of_sandbox", lambda name, patterns: [role])
    return {"role": role}


def run(*arguments: str) -> Any:
    return CliRunner().invoke(iam.command, ["minimal", *arguments])


@pytest.mark.parametrize(
    "arguments", [(), ("a02", ".", "--sandbox", "demo"), ("a02", "--generalise", "arn:aws:s3:::b/*")]
)
def test_one_source_has_to_be_named(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_sandbox_that_does_not_run_is_bad_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLDSTART_HOME", str(tmp_path))

    found = run("--sandbox", "nobody")

    assert found.exit_code == 2
    assert "No sandbox" in found.stderr


def test_each_role_gets_its_policy_and_the_proof(sandbox: dict[str, Any]) -> None:
    found = run("--sandbox", "demo")

    assert found.exit_code == 0
    assert '"Action": "dynamodb:PutItem"' in found.stdout
    assert "3 authorisations of the run decided again as 1 requests: all allowed" in found.stdout


def test_as_json_it_is_one_document(sandbox: dict[str, Any]) -> None:
    found = run("--sandbox", "demo", "--json")

    assert json.loads(found.stdout) == {"roles": [sandbox["role"]]}


def test_a_policy_that_is_not_proven_is_our_failure(sandbox: dict[str, Any]) -> None:
    sandbox["role"]["proof"]["holds"] = False

    assert run("--sandbox", "demo").exit_code == 3
