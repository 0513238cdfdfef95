"""Provisioned concurrency: environments that are ready before anybody asks, and aliases that have them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.cloudformation.resources.base import ResourceContext
from sandbox.emulator.cloudformation.resources.functions import Alias

CODE = """
import os, time
print("loading")
count = 0

def handler(event, context):
    global count
    count += 1
    if event.get("exit"):
        os._exit(1)
    time.sleep(event.get("sleep", 0))
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], count]
"""


def published(functions: Any, code: str = CODE, **settings: Any) -> str:
    functions.create(code, **settings)
    return str(functions.api.publish_version(FunctionName="fn")["Version"])


def provision(functions: Any, qualifier: str, count: int = 1) -> dict[str, Any]:
    put: dict[str, Any] = functions.api.put_provisioned_concurrency_config(
        FunctionName="fn", Qualifier=qualifier, ProvisionedConcurrentExecutions=count
    )
    return put


def state(functions: Any, qualifier: str) -> dict[str, Any]:
    found: dict[str, Any] = functions.api.get_provisioned_concurrency_config(
        FunctionName="fn", Qualifier=qualifier
    )
    return found


def refused(call: Any, *arguments: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_environments_are_initialised_before_the_first_event(functions: Any) -> None:
    version = published(functions)

    put = provision(functions, version, 2)
    functions.account.settle()

    assert (put["Status"], put["AvailableProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 0)
    ready = state(functions, version)
    assert (ready["Status"], ready["AllocatedProvisionedConcurrentExecutions"]) == ("READY", 2)
    logs = functions.logs()
    assert [line.split(" ")[0] for line in logs] == ["INIT_START", "loading", "INIT_REPORT"] * 2
    assert "\tPhase: init\tStatus: success" in logs[2]
    answer = functions.invoke(Qualifier=version)
    assert answer["Payload"] == ["provisioned-concurrency", 1]
    [event] = functions.events("invocation")
    assert event.detail["init_ms"] is None


def test_they_outlast_idle_hours(functions: Any) -> None:
    version = published(functions)
    provision(functions, version)
    functions.account.settle()
    functions.invoke(Qualifier=version)

    functions.account.advance(2000)

    assert functions.invoke(Qualifier=version)["Payload"] == ["provisioned-concurrency", 2]


def test_what_is_lost_is_replaced(functions: Any) -> None:
    version = published(functions)
    provision(functions, version)
    functions.account.settle()

    functions.invoke({"exit": True}, Qualifier=version)
    functions.account.settle()

    assert functions.invoke(Qualifier=version)["Payload"] == ["provisioned-concurrency", 1]


def test_more_than_was_provisioned_spills_over(functions: Any) -> None:
    version = published(functions)
    provision(functions, version)
    functions.account.settle()
    seen: list[str] = []

    def call() -> None:
        seen.append(functions.invoke({"sleep": 0.5}, Qualifier=version)["Payload"][0])

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(seen) == ["on-demand", "provisioned-concurrency"]


def test_what_is_kept_ready_follows_its_alias(functions: Any) -> None:
    one = published(functions)
    functions.api.create_alias(FunctionName="fn", Name="live", FunctionVersion=one)
    provision(functions, "live")
    functions.account.settle()
    functions.update_code(CODE.replace("loading", "loading two"))
    two = functions.api.publish_version(FunctionName="fn")["Version"]

    functions.api.update_alias(FunctionName="fn", Name="live", FunctionVersion=two)
    functions.account.settle()

    assert state(functions, "live")["Status"] == "READY"
    answer = functions.invoke(Qualifier="live")
    assert (answer["ExecutedVersion"], answer["Payload"][0]) == (two, "provisioned-concurrency")
    assert functions.invoke(Qualifier=one)["Payload"][0] == "on-demand"
    functions.api.delete_alias(FunctionName="fn", Name="live")
    listed = functions.api.list_provisioned_concurrency_configs(FunctionName="fn")
    assert listed["ProvisionedConcurrencyConfigs"] == []


def test_an_init_that_fails_is_told(functions: Any) -> None:
    version = published(functions, "raise ValueError('no table')")

    provision(functions, version)
    functions.account.settle()

    failed = state(functions, version)
    assert (failed["Status"], failed["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")
    assert any("Status: error" in line for line in functions.logs())


def test_after_delete_nothing_is_kept_ready(functions: Any) -> None:
    version = published(functions)
    provision(functions, version, 2)
    functions.account.settle()

    functions.api.delete_provisioned_concurrency_config(FunctionName="fn", Qualifier=version)

    functions.wait_for(lambda: functions.service._fleet.count() == 0)
    code, message = refused(state, functions, version)
    assert code == "ProvisionedConcurrencyConfigNotFoundException"
    assert message == "No Provisioned Concurrency Config found for this function"


def test_what_aws_refuses_of_provisioned_concurrency(functions: Any) -> None:
    version = published(functions)
    api = functions.api
    api.create_alias(FunctionName="fn", Name="live", FunctionVersion=version)

    assert refused(provision, functions, "$LATEST") == (
        "InvalidParameterValueException",
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
    )
    assert refused(provision, functions, "nope")[0] == "ResourceNotFoundException"
    assert refused(provision, functions, version, 1001)[1] == (
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000]."
    )
    api.put_function_concurrency(FunctionName="fn", ReservedConcurrentExecutions=2)
    assert (
        "should not be greater than the reservedConcurrentExecution"
        in refused(provision, functions, version, 3)[1]
    )
    provision(functions, version)
    assert refused(provision, functions, "live")[0] == "ResourceConflictException"
    functions.account.settle()


ROUTES = {"AdditionalVersionWeights": {"2": 0.5}}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"FunctionVersion": "$LATEST", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}},
            "$LATEST is not supported for an alias pointing to more than 1 version",
        ),
        (
            {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}},
            "Function version 1 is already included in routing configuration.",
        ),
        (
            {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1, "3": 0.1}}},
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        ),
        (
            {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 1.5}}},
            "value less than or equal to 1.0",
        ),
        ({"FunctionVersion": "9"}, "Function not found"),
    ],
)
def test_what_aws_refuses_of_aliases(functions: Any, settings: dict[str, Any], words: str) -> None:
    published(functions)
    for description in ("two", "three"):
        functions.api.update_function_configuration(FunctionName="fn", Description=description)
        functions.api.publish_version(FunctionName="fn")

    _code, message = refused(functions.api.create_alias, FunctionName="fn", Name="live", **settings)

    assert words in message


def test_an_alias_keeps_what_an_update_does_not_name(functions: Any) -> None:
    published(functions)
    functions.api.update_function_configuration(FunctionName="fn", Description="two")
    functions.api.publish_version(FunctionName="fn")
    api = functions.api
    made = api.create_alias(
        FunctionName="fn", Name="live", FunctionVersion="1", Description="it", RoutingConfig=ROUTES
    )
    assert made["RoutingConfig"] == ROUTES

    changed = api.update_alias(FunctionName="fn", Name="live", Description="new")
    stopped = api.update_alias(FunctionName="fn", Name="live", RoutingConfig={"AdditionalVersionWeights": {}})

    assert (changed["FunctionVersion"], changed["RoutingConfig"]) == ("1", ROUTES)
    assert "RoutingConfig" not in stopped
    assert changed["RevisionId"] != made["RevisionId"]
    stale = refused(
        api.update_alias, FunctionName="fn", Name="live", Description="x", RevisionId=made["RevisionId"]
    )
    assert stale[0] == "PreconditionFailedException"
    weighted = api.update_alias(FunctionName="fn", Name="live", RoutingConfig=ROUTES)
    assert weighted["RoutingConfig"] == ROUTES
    assert "Alias with weights can not be used" in refused(provision, functions, "live")[1]
    [listed] = api.list_aliases(FunctionName="fn", FunctionVersion="2")["Aliases"]
    assert listed["Name"] == "live"


def test_extensions_and_wrappers_are_refused_as_our_gap(functions: Any) -> None:
    layer = functions.publish_layer("watch", {"extensions/watcher": "#!/bin/sh\n", "python/x.py": ""})

    code, message = refused(functions.create, CODE, Layers=[layer])
    wrapped, _ = refused(
        functions.create, CODE, Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper"}}
    )

    assert (code, wrapped) == ("NotEmulated", "NotEmulated")
    assert f"layer {layer} holds `extensions/watcher`" in message
    assert functions.events("gap")


def test_snap_start_is_kept_for_runtimes_that_have_it(functions: Any) -> None:
    functions.create(CODE, SnapStart={"ApplyOn": "PublishedVersions"})
    version = functions.api.publish_version(FunctionName="fn")

    latest = functions.api.get_function_configuration(FunctionName="fn")["SnapStart"]

    assert latest == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    assert version["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    code, message = refused(
        functions.create, CODE, name="old", Runtime="python3.11", SnapStart={"ApplyOn": "PublishedVersions"}
    )
    assert (code, message) == (
        "InvalidParameterValueException",
        "python3.11 is not supported for SnapStart enabled functions.",
    )


def test_a_template_waits_until_they_are_ready(functions: Any) -> None:
    published(functions)
    core = functions.core
    context = ResourceContext(
        account_id=core.account_id,
        region=core.region,
        stack_name="shop",
        stack_id="stack",
        logical_id="Live",
        tags={},
        clients=core.clients,
        principal=core.owner,
        gateway_port=core.gateway_port,
    )
    old = {
        "FunctionName": "fn",
        "Name": "live",
        "FunctionVersion": "1",
        "ProvisionedConcurrencyConfig": {"ProvisionedConcurrentExecutions": 1},
    }
    alias = Alias()

    made = alias.create(context, old)

    assert state(functions, "live")["Status"] == "READY"
    alias.update(
        context,
        made.physical_id,
        old,
        {key: value for key, value in old.items() if key != "ProvisionedConcurrencyConfig"},
    )
    assert refused(state, functions, "live")[0] == "ProvisionedConcurrencyConfigNotFoundException"
