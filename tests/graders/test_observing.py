"""What checks see of functions, logs and stacks, against services that answer as AWS does."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from grading_fakes import AwsRefusal, Service

from graders.errors import NotAssessed, ResourceNotFound
from graders.faults import Faults
from graders.functions import FunctionView, Invocation, describe, invoke, renew_environments, split
from graders.sandbox import Stack, StackResource
from graders.stacks import RunStacks
from graders.telemetry import Cursor, invocations, logs, mark
from graders.template import Template

ALIAS = "arn:aws:lambda:eu-west-1:111122223333:function:quote:live"
VIEW = FunctionView(
    "quote", ALIAS, "python3.12", "app.handler", 5, 128, "arn:aws:iam::1:role/p/quote-role", "/x", {}
)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (ALIAS, ("quote", "live")),
        (ALIAS.removesuffix(":live"), ("quote", "")),
        ("quote:3", ("quote", "3")),
        ("quote", ("quote", "")),
    ],
)
def test_a_function_is_named_by_name_qualifier_or_arn(named: str, expected: tuple[str, str]) -> None:
    assert split(named) == expected


class Functions:
    """One function with an alias; remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.variables = {"TABLE": "t"}
        self.alias = "3"

    def get_function_configuration(self, FunctionName: str, Qualifier: str = "") -> dict[str, Any]:
        if FunctionName != "quote":
            raise AwsRefusal("ResourceNotFoundException")
        return {
            "FunctionName": "quote",
            "FunctionArn": "arn",
            "Timeout": 5,
            "Environment": {"Variables": dict(self.variables)},
        }

    def get_alias(self, FunctionName: str, Name: str) -> dict[str, Any]:
        return {"FunctionVersion": self.alias}

    def update_function_configuration(self, FunctionName: str, Environment: dict[str, Any]) -> None:
        self.variables = Environment["Variables"]

    def publish_version(self, FunctionName: str) -> dict[str, Any]:
        return {"Version": "4"}

    def update_alias(self, FunctionName: str, Name: str, FunctionVersion: str) -> None:
        self.alias = FunctionVersion


def test_a_function_named_by_alias_tells_the_aliased_version() -> None:
    view = describe(Functions(), ALIAS)

    assert (view.is_alias, view.qualifier, view.alias_version) == (True, "live", "3")
    assert (view.timeout_s, view.memory_mb, view.log_group) == (5, 128, "/aws/lambda/quote")


def test_a_function_that_is_not_there_is_a_missing_resource() -> None:
    with pytest.raises(ResourceNotFound, match="no function `other`"):
        describe(Functions(), "other")


def test_new_environments_move_the_alias_and_are_undone() -> None:
    client = Functions()

    with renew_environments(client, ALIAS, {"MODE": "x"}):
        assert (client.alias, client.variables) == ("4", {"TABLE": "t", "MODE": "x"})

    assert (client.alias, client.variables) == ("3", {"TABLE": "t"})


def test_the_report_line_is_read_by_name() -> None:
    line = "\t".join(
        (
            "REPORT RequestId: 1",
            "Duration: 12.50 ms",
            "Billed Duration: 13 ms",
            "Memory Size: 128 MB",
            "Max Memory Used: 41 MB",
        )
    )

    assert Invocation(200, None, log_tail=f"END\n{line}\n").report == {
        "Duration": 12.5,
        "Billed Duration": 13.0,
        "Memory Size": 128.0,
        "Max Memory Used": 41.0,
    }


def test_invocations_are_counted_from_the_platforms_record_since_a_moment(account: Any) -> None:
    account.happened("invocation", "quote")
    start = mark(account, Cursor())
    account.happened("invocation", "quote:live")
    account.happened("invocation", "quote-other")
    account.happened("api", "quote")

    assert len(invocations(account, VIEW, start)) == 1
    assert len(invocations(account, VIEW, None)) == 2


def test_logs_are_read_over_all_pages_and_a_missing_group_is_empty(account: Any) -> None:
    def filter_log_events(logGroupName: str, nextToken: str = "", **_: Any) -> dict[str, Any]:
        if logGroupName == "/gone":
            raise AwsRefusal("ResourceNotFoundException")
        event = {"timestamp": 0, "message": f"page{nextToken}\n", "logStreamName": "s"}
        return {"events": [event], **({} if nextToken else {"nextToken": "2"})}

    account.client = lambda service, **_: Service(filter_log_events=filter_log_events)

    assert [event.message for event in logs(account, "/x", None)] == ["page", "page2"]
    assert logs(account, "/gone", None) == []


def test_a_fault_the_backend_cannot_make_is_not_assessed(account: Any) -> None:
    with pytest.raises(NotAssessed), Faults(account).on("deny", function="quote", actions=["s3:*"]):
        pass


def test_ending_one_switch_leaves_the_other_on(account: Any) -> None:
    faults = Faults(account)

    with faults.on("latency", seconds=1):
        with faults.on("duplicates"):
            assert account.faults == ["latency", "duplicates"]
        assert account.faults == ["latency"]

    assert account.faults == []


class Storage:
    """A bucket that can only be deleted when it is empty."""

    def __init__(self) -> None:
        self.versions = [{"Key": f"k{number}", "VersionId": "v"} for number in range(3)]

    def list_object_versions(self, Bucket: str, MaxKeys: int) -> dict[str, Any]:
        return {"Versions": self.versions[:2]}

    def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> None:
        gone = {item["Key"] for item in Delete["Objects"]}
        self.versions = [item for item in self.versions if item["Key"] not in gone]

    def head_bucket(self, Bucket: str) -> None:
        raise AwsRefusal("404")


class Deletes:
    def __init__(self, act: Callable[[], None] = lambda: None) -> None:
        self.act = act

    def delete(self, account: Any, stack_name: str) -> None:
        self.act()


def test_the_graders_own_objects_are_taken_out_before_the_stack_is_deleted(account: Any) -> None:
    storage = Storage()
    client = account.client
    account.client = lambda service, **_: storage if service == "s3" else client(service)
    stack = Stack(
        "s", {}, {}, (StackResource("Bucket", "b", "AWS::S3::Bucket", "CREATE_COMPLETE"),), Template({}, {})
    )

    left = RunStacks(Deletes(), account, None, {}, {}).delete(stack)  # type: ignore[arg-type]

    assert (storage.versions, left) == ([], ())


def test_a_log_group_that_the_function_made_is_left_behind(account: Any) -> None:
    function = StackResource("F", "s-F", "AWS::Lambda::Function", "CREATE_COMPLETE")
    stack = Stack("s", {}, {}, (function,), Template({}, {}), frozenset({"/aws/lambda/older"}))
    account.groups |= {"/aws/lambda/s-F", "/aws/lambda/older", "/aws/lambda/of-another-stack"}

    left = RunStacks(Deletes(), account, None, {}, {}).delete(stack)  # type: ignore[arg-type]

    assert left == ("AWS::Logs::LogGroup /aws/lambda/s-F",)


def test_a_payload_that_is_not_json_stays_bytes(account: Any) -> None:
    client = Service(invoke=lambda **_: {"StatusCode": 200, "Payload": io.BytesIO(b"<html>")})

    assert invoke(client, "quote", {}, asynchronous=False).payload == b"<html>"
