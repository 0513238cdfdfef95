"""`coldstart sandbox fault …` as a shell sees it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from cli.faults import command, described, summary
from sandbox.faults import kinds
from tests.cli.conftest import Shell, client


def test_a_fault_is_set_listed_and_cleared(shell: Shell, up: dict[str, Any]) -> None:
    wanted = ("service=dynamodb", "operation=List*", "code=AccessDeniedException", "first=9")
    fault_id = shell.run("fault", "set", "errors", *wanted).strip()
    with pytest.raises(ClientError, match="AccessDeniedException"):
        client(up, "dynamodb").list_tables()

    (listed,) = json.loads(shell.run("fault", "list", "--json"))["faults"]
    assert (listed["id"], listed["name"], listed["ends"], listed["struck"]) == (fault_id, "errors", None, 1)
    settings = {"service": "dynamodb", "operation": "List*", "code": "AccessDeniedException", "first": 9}
    assert listed["settings"] == settings
    told = shell.run("fault", "list")
    assert told.startswith(f"{fault_id}  first=9 service=dynamodb operation=List* code=AccessDenied")
    shell.run("fault", "clear", fault_id)

    assert client(up, "dynamodb").list_tables()["TableNames"] == []
    assert shell.run("fault", "list") == ""
    seen = [json.loads(line) for line in shell.run("events", "--json").splitlines()]
    assert [each["outcome"] for each in seen if each["kind"] == "fault"] == ["began", "ended"]


def test_a_fault_ends_by_the_accounts_clock(shell: Shell, up: dict[str, Any]) -> None:
    made = json.loads(
        shell.run("fault", "set", "region-outage", "region=eu-central-1", "--for", "10m", "--json")
    )
    assert made["name"] == "region_outage"
    assert made["began"] < made["ends"]

    shell.run("advance", "9m")
    assert json.loads(shell.run("fault", "list", "--json"))["faults"]
    shell.run("advance", "2m")

    assert json.loads(shell.run("fault", "list", "--json")) == {"faults": []}


def test_clear_undoes_what_was_made_by_calls_long_after_the_command_that_made_it(
    shell: Shell, up: dict[str, Any], tmp_path: Path
) -> None:
    s3 = client(up, "s3")
    s3.create_bucket(Bucket="kept-sandbox", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    (tmp_path / "poison.json").write_text('{"broken')
    shell.run(
        "fault", "set", "poison", "to=arn:aws:s3:::kept-sandbox", "key=in/1", f"body=@{tmp_path}/poison.json"
    )
    shell.run("fault", "set", "close", "resource=arn:aws:s3:::kept-sandbox")
    assert (
        json.loads(s3.get_bucket_policy(Bucket="kept-sandbox")["Policy"])["Statement"][0]["Effect"] == "Deny"
    )
    assert s3.get_object(Bucket="kept-sandbox", Key="in/1")["Body"].read() == b'{"broken'

    assert len(json.loads(shell.run("fault", "clear", "--json"))["ended"]) == 2

    assert "Contents" not in s3.list_objects_v2(Bucket="kept-sandbox")
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket="kept-sandbox")


def test_a_package_is_taken_from_a_file(shell: Shell, up: dict[str, Any], tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped:
        zipped.writestr("app.py", "def handler(event, context): return 'bad'")
    (tmp_path / "bad.zip").write_bytes(made.getvalue())

    said = shell.refused("fault", "set", "bad_release", "function=nowhere", f"code=@{tmp_path}/bad.zip")

    assert "nowhere" in said, "the package was read, and Lambda asked for the function"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["set", "latncy"], "There is no fault `latncy`. Did you mean `latency`? There are: errors, "),
        (["set", "latency", "second=1"], "no setting `second`. Did you mean `seconds`"),
        (["set", "latency", "seconds=soon"], "`seconds` should be a valid number"),
        (["set", "latency", "seconds"], "`seconds` is no setting. Write it like key=value."),
        (["set", "latency", "seconds=1", "seconds=2"], "`seconds` is given twice."),
        (["set", "poison", "body=@/nowhere"], "/nowhere can't be read: No such file"),
        (["set", "latency", "seconds=1", "--for", "later"], "`later` is not a duration"),
        (["set", "deny", "actions=s3:*"], "give either `function` or `role`"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_there_is(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command(words)

    assert ended.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_an_id_that_is_not_on_is_refused(shell: Shell, up: dict[str, Any]) -> None:
    assert "There is no fault with the id `latency-99`. None is on." in " ".join(
        shell.refused("fault", "clear", "latency-99").split()
    )


def test_the_help_has_every_fault_and_every_setting() -> None:
    told = " ".join(CliRunner().invoke(command, ["set", "--help"]).output.split())

    for name, fault in kinds().items():
        assert f"{name}{':' if fault.on_aws else ' (emulator only):'} {summary(fault)}" in told
        for setting, field in fault.model_fields.items():
            assert f"{setting} {described(field)}" in told
