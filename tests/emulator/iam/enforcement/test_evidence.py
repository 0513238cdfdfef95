"""What is kept of decisions: the log, CloudTrail, the simulator."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.conftest import ACCOUNT_ID, REGION
from tests.emulator.iam.enforcement.conftest import Country, allow, deny, document


def tried(call: Any, **parameters: Any) -> None:
    with pytest.raises(ClientError):
        call(**parameters)


def test_a_decision_is_kept_with_what_decided_it(country: Country) -> None:
    worker = country.role("worker", allow("sqs:ListQueues", Sid="Look"))("sqs")

    worker.list_queues()
    tried(worker.create_queue, QueueName="q")

    (listed,) = country.decisions("ListQueues")
    assert listed["decision"] == "Allow"
    assert listed["outcome"] == "ok"
    assert listed["role_arn"] == f"arn:aws:iam::{ACCOUNT_ID}:role/worker"
    assert listed["session"] == "worker-fn"
    assert listed["authorisations"][0]["statements"] == [
        {
            "policy_type": "identity-based policy",
            "policy": "worker/own",
            "index": 0,
            "sid": "Look",
            "effect": "Allow",
        }
    ]
    (created,) = country.decisions("CreateQueue")
    assert created["decision"] == "Deny"
    assert created["authorisations"][0]["resource"] == f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:q"
    assert created["authorisations"][0]["policy_type"] == "identity-based policy"
    assert "not authorized" in created["message"]


def test_records_are_plain_data_in_order(country: Country) -> None:
    country.root("sqs").list_queues()
    country.root("sqs").list_queues()

    records = [each.as_json() for each in country.guard.log.since()]

    assert json.loads(json.dumps(records)) == records
    numbers = [record["sequence"] for record in records]
    assert numbers == sorted(numbers)
    assert [r["sequence"] for r in records if r["sequence"] > numbers[0]] == [
        each.sequence for each in country.guard.log.since(numbers[0])
    ]


def test_cloudtrail_tells_of_a_refusal_and_its_statement(country: Country) -> None:
    ada = country.user("ada", allow("*"), deny("sqs:CreateQueue", Sid="NoQueues"))
    tried(ada("sqs").create_queue, QueueName="q")

    found = country.root("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateQueue"}]
    )["Events"]

    (event,) = found
    assert event["Username"] == "ada"
    detail = json.loads(event["CloudTrailEvent"])
    assert detail["errorCode"] == "AccessDenied"
    assert detail["eventSource"] == "sqs.amazonaws.com"
    assert detail["userIdentity"]["type"] == "IAMUser"
    assert detail["readOnly"] is False
    (decided,) = detail["additionalEventData"]["authorisations"]
    assert decided["statements"][0]["sid"] == "NoQueues"


def test_cloudtrail_pages_newest_first(country: Country) -> None:
    for name in ("a", "b", "c"):
        country.root("sqs").create_queue(QueueName=name)
    wanted = [{"AttributeKey": "EventName", "AttributeValue": "CreateQueue"}]
    trail = country.root("cloudtrail")

    first = trail.lookup_events(LookupAttributes=wanted, MaxResults=2)
    second = trail.lookup_events(LookupAttributes=wanted, MaxResults=2, NextToken=first["NextToken"])

    names = [
        json.loads(event["CloudTrailEvent"])["requestParameters"]["QueueName"]
        for event in first["Events"] + second["Events"]
    ]
    assert names == ["c", "b", "a"]
    assert "NextToken" not in second


def test_the_simulator_gives_the_evaluators_answer(country: Country) -> None:
    country.user("ada", allow("sqs:*", f"arn:aws:sqs:*:{ACCOUNT_ID}:ours"), deny("sqs:DeleteQueue"))
    ours = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:ours"

    results = country.root("iam").simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{ACCOUNT_ID}:user/ada",
        ActionNames=["sqs:SendMessage", "sqs:DeleteQueue", "sns:Publish"],
        ResourceArns=[ours],
    )["EvaluationResults"]

    assert [(each["EvalActionName"], each["EvalDecision"]) for each in results] == [
        ("sqs:SendMessage", "allowed"),
        ("sqs:DeleteQueue", "explicitDeny"),
        ("sns:Publish", "implicitDeny"),
    ]
    assert results[0]["MatchedStatements"][0]["SourcePolicyId"] == "ada/own"


def test_the_simulator_says_which_context_is_missing(country: Country) -> None:
    policy = document(allow("s3:ListBucket", Condition={"StringLike": {"s3:prefix": "in/*"}}))
    simulate = country.root("iam").simulate_custom_policy

    (without,) = simulate(PolicyInputList=[policy], ActionNames=["s3:ListBucket"])["EvaluationResults"]
    (given,) = simulate(
        PolicyInputList=[policy],
        ActionNames=["s3:ListBucket"],
        ContextEntries=[
            {"ContextKeyName": "s3:prefix", "ContextKeyValues": ["in/a"], "ContextKeyType": "string"}
        ],
    )["EvaluationResults"]

    assert (without["EvalDecision"], without["MissingContextValues"]) == ("implicitDeny", ["s3:prefix"])
    assert given["EvalDecision"] == "allowed"


def test_simulating_nobody_is_no_such_entity(country: Country) -> None:
    with pytest.raises(ClientError, match="NoSuchEntity"):
        country.root("iam").simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{ACCOUNT_ID}:user/none", ActionNames=["sqs:ListQueues"]
        )
