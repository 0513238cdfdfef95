"""custom-resource-python: custom resources, nested stacks, imports, dynamic references, loops."""

from __future__ import annotations

from typing import Any

import pytest

from tests.applications.harness import Application, Shell, by_aws

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


def seeds(application: Application, table: str) -> list[str]:
    items = application.client("dynamodb").scan(TableName=table)["Items"]
    return sorted(item["id"]["S"] for item in items)


def greeting(application: Application, outputs: dict[str, str]) -> Any:
    return application.invoke(outputs["Greeter"], {"seed": outputs["Seed"]})


def test_it_prepares_itself_again_with_each_edition(shell: Shell) -> None:
    shell.aws("ssm", "put-parameter", "--name", "/shop/greeting", "--type", "String", "--value", "good day")

    with by_aws(shell, "custom-resource-python") as application:
        outputs = application.outputs
        assert (outputs["SeedName"], outputs["SeedBefore"], outputs["Count"]) == ("seed-1", "none", "2")
        assert outputs["First"] == "yes"
        assert outputs["Everything"] == '{"departments":["Books","Toys"],"length":2}'
        assert outputs["ToysQueueUrl"].endswith("/custom-resource-python-Toys")
        assert greeting(application, outputs) == {
            "greeting": "good day",
            "fixed": "good day",
            "user": "shop",
            "password": 24,
            "seeded": "good day",
            "level": "debug",
        }

        words = ("--parameter-overrides", "Edition=2", "Departments=Books,Toys,Food")
        capable = ("--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND")
        deploy = ("aws", "cloudformation", "deploy", "--template-file", "packaged.yaml")
        stack = ("--stack-name", application.stack)
        shell.run(*deploy, *stack, *capable, *words, cwd=application.folder)

        outputs = application.outputs
        assert (outputs["SeedName"], outputs["SeedBefore"], outputs["Count"]) == ("seed-2", "1", "3")
        assert "First" not in outputs
        assert outputs["FoodQueueUrl"].endswith("/custom-resource-python-Food")
        assert seeds(application, outputs["Table"]) == ["seed-2"], "the one replaced is deleted"
        assert greeting(application, outputs)["seeded"] == "good day"
        (used,) = shell.aws("cloudformation", "list-imports", "--export-name", f"{application.stack}-Table")[
            "Imports"
        ]
        assert used.startswith(f"{application.stack}-Catalogue-")
