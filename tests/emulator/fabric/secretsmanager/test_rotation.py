"""Secrets are rotated by their functions: at once, on a schedule, again after a failure."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.fabric.secretsmanager import Secrets
from tests.emulator.fabric.fakes import RecordingFunctions, create_function

DAY_S = 24 * 3600


class Vault:
    """The secret ``db`` and a function that rotates as AWS's templates do, unless told to fail at a step."""

    def __init__(self, account: Any, functions: RecordingFunctions) -> None:
        self.account = account
        self.functions = functions
        self.api = account.client("secretsmanager")
        self.secret = self.api.create_secret(Name="db", SecretString="first")["ARN"]
        self.fails_at = ""
        self.function = create_function(account, "rotate")
        functions.answer = self._step

    def allow(self) -> None:
        self.account.client("lambda").add_permission(
            FunctionName="rotate",
            StatementId="secrets",
            Action="lambda:InvokeFunction",
            Principal="secretsmanager.amazonaws.com",
        )

    def rotate(self, **settings: Any) -> Any:
        settings.setdefault("RotationLambdaARN", self.function)
        return self.api.rotate_secret(SecretId="db", **settings)

    def value(self, **which: Any) -> str:
        return str(self.api.get_secret_value(SecretId="db", **which)["SecretString"])

    def stages(self) -> dict[str, list[str]]:
        return dict(self.api.describe_secret(SecretId="db")["VersionIdsToStages"])

    def steps(self) -> list[str]:
        return [event["Step"] for event in self.functions.events]

    def _step(self, event: Any) -> None:
        step, arn, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
        versions = self.api.describe_secret(SecretId=arn)["VersionIdsToStages"]
        assert "AWSPENDING" in versions[token]
        if step == self.fails_at:
            raise RuntimeError(f"{step} does not work")
        if step == "createSecret":
            value = f"number {len(versions)}"
            self.api.put_secret_value(
                SecretId=arn, ClientRequestToken=token, SecretString=value, VersionStages=["AWSPENDING"]
            )
        if step == "testSecret":
            self.api.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
        if step == "finishSecret":
            [current] = [each for each, stages in versions.items() if "AWSCURRENT" in stages]
            self.api.update_secret_version_stage(
                SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
            )


@pytest.fixture
def vault(account: Any) -> Vault:
    functions = RecordingFunctions()
    account.add(Secrets(account.core, functions).handlers())
    return Vault(account, functions)


def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_four_steps_make_a_new_current_version(vault: Vault) -> None:
    vault.allow()
    token = vault.rotate()["VersionId"]
    vault.account.settle()
    assert vault.steps() == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    event = dict(vault.functions.events[0])
    assert event.pop("RotationToken")
    assert event == {"Step": "createSecret", "SecretId": vault.secret, "ClientRequestToken": token}
    # What is read without naming a version is the new one, and the old one is still to be had.
    assert (vault.value(), vault.value(VersionStage="AWSPREVIOUS")) == ("number 2", "first")
    assert sorted(vault.stages()[token]) == ["AWSCURRENT", "AWSPENDING"]
    told = vault.api.describe_secret(SecretId="db")
    assert (told["RotationEnabled"], told["RotationLambdaARN"]) == (True, vault.function)
    delivered = [event.detail["step"] for event in vault.account.events("delivery")]
    assert delivered == vault.steps()
    vault.rotate()
    vault.account.settle()
    assert vault.value() == "number 3"


def test_a_function_has_to_let_secrets_manager_in(vault: Vault) -> None:
    assert refused(vault.rotate) == (
        "AccessDeniedException",
        "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy "
        "grants access to the principal secretsmanager.amazonaws.com.",
    )
    assert refused(lambda: vault.rotate(RotationLambdaARN=f"{vault.function}-no"))[0] == (
        "ResourceNotFoundException"
    )
    assert refused(lambda: vault.api.rotate_secret(SecretId="db")) == (
        "InvalidRequestException",
        "No Lambda rotation function ARN is associated with this secret.",
    )
    assert vault.functions.events == []
    assert list(vault.stages().values()) == [["AWSCURRENT"]]


def test_what_failed_stays_pending_and_is_tried_again(vault: Vault) -> None:
    vault.allow()
    vault.fails_at = "setSecret"
    token = vault.rotate()["VersionId"]
    vault.account.settle()
    assert vault.steps() == ["createSecret", "setSecret"]
    assert vault.value() == "first"
    assert vault.stages()[token] == ["AWSPENDING"]
    failure = vault.account.events("delivery")[-1]
    assert (failure.outcome, failure.detail["step"]) == ("RotationFailed", "setSecret")
    assert "setSecret does not work" in failure.detail["reason"]
    assert refused(vault.rotate)[1] == (
        "A previous rotation isn't complete. That rotation will be reattempted."
    )

    vault.fails_at = ""
    vault.account.advance(600)
    assert vault.steps()[2:] == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    assert {event["ClientRequestToken"] for event in vault.functions.events} == {token}
    assert vault.value().startswith("number")


def test_a_function_that_does_not_finish_has_failed(vault: Vault) -> None:
    vault.allow()
    vault.functions.answer = lambda event: None
    vault.rotate()
    vault.account.settle()
    failure = vault.account.events("delivery")[-1]
    assert (failure.outcome, failure.detail["step"]) == ("RotationFailed", "finishSecret")
    assert vault.value() == "first"


def test_a_schedule_rotates_as_time_goes_by(vault: Vault) -> None:
    vault.allow()
    vault.rotate(RotationRules={"AutomaticallyAfterDays": 10, "Duration": "3h"})
    vault.account.settle()
    told = vault.api.describe_secret(SecretId="db")
    assert told["RotationRules"] == {"AutomaticallyAfterDays": 10, "Duration": "3h"}
    due = told["NextRotationDate"].astimezone(dt.UTC)
    assert (due.hour, due.minute) == (3, 0)
    vault.account.advance(8 * DAY_S)
    assert vault.value() == "number 2"
    vault.account.advance(2 * DAY_S)
    assert vault.value() == "number 3"
    vault.account.advance(20 * DAY_S)
    assert vault.value() == "number 5"

    vault.api.cancel_rotate_secret(SecretId="db")
    told = vault.api.describe_secret(SecretId="db")
    assert (told["RotationEnabled"], "NextRotationDate" in told) == (False, False)
    vault.account.advance(20 * DAY_S)
    assert vault.value() == "number 5"


def test_an_expression_may_wait_for_its_first_window(vault: Vault) -> None:
    vault.allow()
    vault.rotate(RotationRules={"ScheduleExpression": "cron(0 16 ? * 2 *)"}, RotateImmediately=False)
    vault.account.settle()
    # Only whether the function works was tried, on a version that is gone again.
    assert vault.steps() == ["testSecret"]
    assert list(vault.stages().values()) == [["AWSCURRENT"]]
    vault.account.advance(7 * DAY_S)
    assert vault.value() == "number 2"
    ran = vault.account.events("delivery")[-1].at
    assert (ran.isoweekday(), ran.hour) == (1, 16)


@pytest.mark.parametrize(
    "rules",
    [
        {"AutomaticallyAfterDays": 0},
        {"AutomaticallyAfterDays": 3, "ScheduleExpression": "rate(4 days)"},
        {"ScheduleExpression": "rate(3 hours)"},
        {"ScheduleExpression": "cron(30 8 * * ? *)"},
        {"ScheduleExpression": "cron(0 0/2 * * ? *)"},
        {"ScheduleExpression": "every day"},
        {"AutomaticallyAfterDays": 3, "Duration": "90m"},
        {"Duration": "2h"},
    ],
)
def test_rules_that_aws_does_not_take(vault: Vault, rules: dict[str, Any]) -> None:
    vault.allow()
    assert refused(lambda: vault.rotate(RotationRules=rules))[0] == "InvalidParameterException"
    assert vault.functions.events == []
