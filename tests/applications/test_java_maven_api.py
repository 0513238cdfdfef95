"""java-maven-api: what `sam init` gives for Java and Maven, with the AWS SDK for Java 2."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.applications.harness import Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900), pytest.mark.slow]


@pytest.fixture
def javanese(shell: Shell) -> Shell:
    """A shell of somebody who has built with Maven before."""
    if shutil.which("mvn") is None:
        pytest.skip("Maven is not installed")
    shell.environment["MAVEN_OPTS"] = f"-Dmaven.repo.local={Path.home() / '.m2' / 'repository'}"
    return shell


def test_visitors_are_greeted_and_counted(javanese: Shell) -> None:
    with by_sam(javanese, "java-maven-api") as application:
        outputs = application.outputs

        # The first start on a machine fetches Amazon's client of the runtime, which takes its time.
        event = json.loads((application.folder / "events" / "event.json").read_text())
        local = application.invoke(outputs["HelloWorldFunction"], event)
        assert json.loads(local["body"]) == {"message": "hello grace", "visit": 1}
        first = application.ask("GET", outputs["HelloWorldApi"] + "ada")
        assert (first.status, first.json()) == (200, {"message": "hello ada", "visit": 1})
        assert first.headers["X-Function"] == outputs["HelloWorldFunction"].rsplit(":", 1)[-1]
        assert application.ask("GET", outputs["HelloWorldApi"] + "ada").json()["visit"] == 2

        assert application.invoke(outputs["SummaryFunction"], {"atLeast": 1}) == {
            "names": ["ada", "grace"],
            "visits": 3,
        }
        assert application.invoke(outputs["SummaryFunction"], {"atLeast": 2}) == {
            "names": ["ada"],
            "visits": 2,
        }
        assert "greeting ada" in "".join(application.logs(outputs["HelloWorldFunction"]))
