"""A shell with a home of its own, and a sandbox in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.runtimes.prepared import prepare_python_runtime, python_runtime_place
from sandbox.runtimes.prepared_nodejs import nodejs_runtime_place, prepare_further_runtimes

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = Path(os.environ.get("COLDSTART_HOME", ROOT / "var"))


class Shell:
    """Runs `python -m cli` with a home of its own."""

    def __init__(self, home: Path) -> None:
        plain = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COLDSTART_"))
        }
        self.environment = {**plain, "COLDSTART_HOME": str(home)}

    def try_run(self, *words: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *words],
            env={**self.environment, **variables},
            cwd=ROOT,
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def run(self, *words: str, text: str = "", **variables: str) -> str:
        done = self.try_run("sandbox", *words, text=text, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *words: str, text: str = "", **variables: str) -> str:
        """What was complained about; with the exit status of bad input."""
        done = self.try_run("sandbox", *words, text=text, **variables)
        assert (done.returncode, done.stdout) == (2, ""), done
        return done.stderr


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    runtime = prepare_python_runtime(INSTALLED, lambda _text: None)
    prepare_further_runtimes(INSTALLED, lambda _text: None)
    with tempfile.TemporaryDirectory(prefix="home-") as made:
        place = python_runtime_place(Path(made))
        place.parent.mkdir()
        shutil.copytree(runtime, place)
        nodejs_runtime_place(Path(made)).symlink_to(nodejs_runtime_place(INSTALLED))
        shell = Shell(Path(made))
        yield shell
        shell.try_run("sandbox", "down", "--all")


@pytest.fixture(scope="module")
def up(shell: Shell) -> dict[str, Any]:
    """One sandbox that the tests share."""
    document: dict[str, Any] = json.loads(
        shell.run("up", "--json", "--name", "mine", "--region", "eu-west-1")
    )
    return document


def client(up: dict[str, Any], service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=up["AWS_ENDPOINT_URL"],
        aws_access_key_id=up["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=up["AWS_SECRET_ACCESS_KEY"],
        region_name=up["AWS_DEFAULT_REGION"],
    )
