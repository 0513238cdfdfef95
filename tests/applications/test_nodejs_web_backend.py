"""nodejs-web-backend: three handlers, one table, the SDK built in by npm."""

from __future__ import annotations

import pytest

from tests.applications.harness import Shell, by_sam

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]


def test_it_keeps_items(shell: Shell) -> None:
    with by_sam(shell, "nodejs-web-backend") as application:
        address = application.outputs["WebEndpoint"]

        kept = application.ask("POST", address, {"id": "a", "name": "apple"})
        assert (kept.status, kept.json()) == (200, {"id": "a", "name": "apple"})
        assert application.ask("POST", address, b"{").status == 400

        assert application.ask("GET", address + "a").json() == {"id": "a", "name": "apple"}
        assert application.ask("GET", address + "b").status == 404
        everything = application.ask("GET", address)
        assert everything.json() == [{"id": "a", "name": "apple"}]
        assert everything.headers["X-Sdk"].startswith("file:///var/task/node_modules/")
        item = application.client("dynamodb").get_item(
            TableName=application.outputs["Table"], Key={"id": {"S": "a"}}
        )["Item"]
        assert item == {"id": {"S": "a"}, "name": {"S": "apple"}}
