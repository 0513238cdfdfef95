"""powertools-python: Logger, Metrics, Tracer and a router, all from the public layer."""

from __future__ import annotations

import json

import pytest

from tests.applications.harness import Shell, by_aws

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]


def test_orders_are_placed_with_what_the_layer_brings(shell: Shell) -> None:
    with by_aws(shell, "powertools-python") as application:
        url = application.outputs["Url"]

        placed = application.ask("POST", f"{url}/orders", {"item": "pear", "count": 2})
        assert placed.status == 200, placed.body
        found = application.ask("GET", f"{url}/orders/{placed.json()['id']}")
        assert (found.json()["item"], found.json()["count"]) == ("pear", 2)
        assert application.ask("GET", f"{url}/orders/none").status == 404
        assert application.ask("POST", f"{url}/orders", {"item": "pear", "count": 0}).status == 422

        lines = application.logs(application.outputs["Function"])
        told = [json.loads(line) for line in lines if line.startswith("{")]
        assert {"pear"} == {line["item"] for line in told if line.get("message") == "placed"}
        metrics = application.client("cloudwatch").list_metrics(Namespace="Shop")["Metrics"]
        assert {metric["MetricName"] for metric in metrics} == {"ColdStart", "OrdersPlaced"}


def test_a_layer_of_which_nothing_is_known_says_what_to_do(shell: Shell) -> None:
    unknown = "arn:aws:lambda:us-east-1:123456789012:layer:somebodys-tools:3"
    code = shell.home / "code.zip"
    code.write_bytes(b"PK\x05\x06" + bytes(18))
    role = {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    }
    arn = shell.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(role))["Role"][
        "Arn"
    ]
    words = ("--runtime", "python3.12", "--handler", "a.b", "--zip-file", f"fileb://{code}", "--role", arn)

    told = shell.run(
        "aws",
        "lambda",
        "create-function",
        "--function-name",
        "f",
        *words,
        "--layers",
        unknown,
        succeeds=False,
    )

    assert f"does not have the content of layer {unknown}" in told
    assert "AWS::Serverless::LayerVersion" in told
