"""Environments: how many there are, which one runs an event, and what stops between events."""

from __future__ import annotations

import threading
import time

from botocore.exceptions import ClientError

from tests.conformance.table import Answer, Case, row


@row("a warm environment is used again", quick=True)
def _reuse(case: Case) -> None:
    case.fresh()
    assert [case.ask("count") for _ in range(3)] == [1, 2, 3]


@row("events at the same time have an environment each")
def _parallel(case: Case) -> None:
    answers = case.fresh().together(3, "sleep", seconds=1)
    streams = {answer.request_id: answer for answer in answers if isinstance(answer, Answer)}
    assert len(streams) == 3
    assert sum(answer.cold for answer in streams.values()) == 3
    invocations = [
        e for e in case.account.timeline() if e["kind"] == "invocation" and e["subject"] == case.name
    ]
    assert len({event["detail"]["environment_id"] for event in invocations}) == 3


@row("nothing runs between invocations", quick=True)
def _freeze(case: Case) -> None:
    case.fresh()
    case.ask("tick")
    before = case.ask("tick")
    threading.Event().wait(0.4)
    assert case.ask("tick") - before < 20


@row("reserved concurrency of zero", quick=True)
def _zero(case: Case) -> None:
    case.fresh()
    case.api.put_function_concurrency(FunctionName=case.name, ReservedConcurrentExecutions=0)
    error = case.refused(case.invoke, do="nothing")
    assert error.response["Error"]["Code"] == "TooManyRequestsException"
    assert error.response["Error"]["Message"] == "Rate Exceeded."
    assert error.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert error.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]


@row("beyond reserved concurrency is throttled")
def _reserved(case: Case) -> None:
    case.fresh()
    case.api.put_function_concurrency(FunctionName=case.name, ReservedConcurrentExecutions=2)
    answers = case.together(4, "sleep", seconds=2)
    refused = [each for each in answers if isinstance(each, ClientError)]
    assert len(refused) == 2
    assert {each.response["Error"]["Code"] for each in refused} == {"TooManyRequestsException"}
    assert case.ask("echo", value=1) == 1


@row("new variables mean a new environment")
def _recycled(case: Case) -> None:
    case.fresh()
    before = case.ask("identity")
    case.api.update_function_configuration(FunctionName=case.name, Environment={"Variables": {"MODE": "new"}})
    assert case.ask("environment", names=["MODE"]) == {"MODE": "new"}
    assert case.ask("identity") != before


@row("a version keeps its configuration")
def _version(case: Case) -> None:
    case.fresh(Environment={"Variables": {"MODE": "one"}})
    number = case.api.publish_version(FunctionName=case.name)["Version"]
    case.api.update_function_configuration(FunctionName=case.name, Environment={"Variables": {"MODE": "two"}})
    assert case.ask("environment", names=["MODE"], qualifier=number) == {"MODE": "one"}
    assert case.ask("environment", names=["MODE"]) == {"MODE": "two"}
    assert case.ask("context", qualifier=number)["function_version"] == number


@row("an alias runs the version it names", quick=True)
def _alias(case: Case) -> None:
    case.fresh()
    number = case.api.publish_version(FunctionName=case.name)["Version"]
    case.api.create_alias(FunctionName=case.name, Name="live", FunctionVersion=number)
    answer = case.invoke("context", qualifier="live")
    assert answer.version == number
    assert answer.payload["function_version"] == number
    assert answer.payload["invoked_function_arn"].endswith(f":{case.name}:live")


@row("an alias with weights sends a share elsewhere")
def _weights(case: Case) -> None:
    case.fresh()
    one = case.api.publish_version(FunctionName=case.name)["Version"]
    case.api.update_function_configuration(FunctionName=case.name, Description="another")
    two = case.api.publish_version(FunctionName=case.name)["Version"]
    case.api.create_alias(
        FunctionName=case.name,
        Name="canary",
        FunctionVersion=one,
        RoutingConfig={"AdditionalVersionWeights": {two: 0.5}},
    )
    seen = [case.invoke("nothing", qualifier="canary").version for _ in range(30)]
    assert set(seen) == {one, two}
    assert 3 < seen.count(two) < 27


@row("provisioned concurrency is initialised before anybody asks")
def _provisioned(case: Case) -> None:
    case.fresh(Environment={"Variables": {"INIT": "print:early"}})
    number = case.api.publish_version(FunctionName=case.name)["Version"]
    put = case.api.put_provisioned_concurrency_config(
        FunctionName=case.name, Qualifier=number, ProvisionedConcurrentExecutions=2
    )
    assert put["Status"] == "IN_PROGRESS"
    case.eventually(lambda: _provisioned_state(case, number)["Status"] == "READY")
    assert _provisioned_state(case, number)["AvailableProvisionedConcurrentExecutions"] == 2
    answer = case.invoke("environment", names=["AWS_LAMBDA_INITIALIZATION_TYPE"], qualifier=number)
    assert answer.payload == {"AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency"}
    assert "Init Duration" not in answer.report
    assert len([line for line in case.logs() if "early" in line]) == 2
    # What needs more than was provisioned spills over into ordinary environments.
    spilled = case.together(3, "sleep", seconds=1, qualifier=number)
    assert sum(each.cold for each in spilled if isinstance(each, Answer)) == 1
    case.api.delete_provisioned_concurrency_config(FunctionName=case.name, Qualifier=number)


def _provisioned_state(case: Case, number: str) -> dict[str, object]:
    found: dict[str, object] = case.api.get_provisioned_concurrency_config(
        FunctionName=case.name, Qualifier=number
    )
    return found


@row("a function with less memory has less of a processor")
def _cpu(case: Case) -> None:
    """Reported, not endured: see decision 0005."""
    case.fresh(MemorySize=max(256, case.runtime.memory_mb), Timeout=60)
    case.invoke("spin", cpu_seconds=0.05)
    began = time.monotonic()
    report = case.invoke("spin", cpu_seconds=0.3).report
    spent_ms = (time.monotonic() - began) * 1000
    duration = float(report.split("\tDuration: ")[1].split(" ms")[0])
    share = max(256, case.runtime.memory_mb) / 1769
    assert duration > 0.8 * 300 / share
    assert spent_ms > 300
