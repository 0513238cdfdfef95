from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rights_world import ACCOUNT, BUCKET, HERE, QUEUE, TABLE, allow, decision, document, role

from graders.iam import evidence
from graders.iam.declared import right
from graders.iam.minimal import Need, minimal_policy, needs, prove
from sandbox.emulator.iam.evaluation import Request

GROUP = f"arn:aws:logs:{HERE}:log-group:/worker"
EVERYTHING = role(allow("*", "*"))


def of(*decisions: dict[str, Any]) -> evidence.Evidence:
    return evidence.of_role(EVERYTHING.arn, decisions)


def test_actions_on_the_same_resource_share_a_statement_and_nothing_else_is_allowed() -> None:
    seen = of(
        decision("dynamodb:PutItem", TABLE),
        decision("dynamodb:GetItem", TABLE),
        decision("dynamodb:GetItem", TABLE),
        decision("sqs:SendMessage", QUEUE),
    )

    policy = minimal_policy(needs(seen))

    assert policy == document(
        allow(["dynamodb:GetItem", "dynamodb:PutItem"], TABLE), allow("sqs:SendMessage", QUEUE)
    )


def test_names_are_generalised_only_as_the_lab_declares() -> None:
    seen = of(
        decision("s3:GetObject", f"{BUCKET}/incoming/a.csv"),
        decision("s3:GetObject", f"{BUCKET}/incoming/b.csv"),
        decision("s3:PutObject", f"{BUCKET}/other/a.csv"),
    )

    policy = minimal_policy(needs(seen, [right("s3:GetObject", f"{BUCKET}/incoming/*")]))

    assert policy == document(
        allow("s3:GetObject", f"{BUCKET}/incoming/*"), allow("s3:PutObject", f"{BUCKET}/other/a.csv")
    )


def test_a_log_stream_stands_for_its_group_since_lambda_names_it_anew_each_time() -> None:
    seen = of(decision("logs:PutLogEvents", f"{GROUP}:log-stream:2030/01/01/[$LATEST]0f"))

    assert minimal_policy(needs(seen)) == document(allow("logs:PutLogEvents", f"{GROUP}:*"))


def test_wildcards_in_an_objects_own_name_are_escaped() -> None:
    seen = of(decision("s3:GetObject", f"{BUCKET}/in/what?*${{x}}.csv"))
    wanted = needs(seen)
    policy = minimal_policy(wanted)

    assert policy["Statement"][0]["Resource"] == f"{BUCKET}/in/what${{?}}${{*}}${{$}}{{x}}.csv"
    assert prove(EVERYTHING, wanted, policy).holds
    other = Need(Request("s3:GetObject", f"{BUCKET}/in/whatever.csv", ACCOUNT), "")
    assert prove(EVERYTHING, [other], policy).refused


def test_what_is_needed_but_not_exercised_is_in_the_policy() -> None:
    policy = minimal_policy(needs(of(), [right("sqs:SendMessage", QUEUE, needed=True)]))

    assert policy == document(allow("sqs:SendMessage", QUEUE))


def test_what_the_resources_own_policy_allowed_needs_no_policy_of_the_role() -> None:
    seen = of(decision("sqs:SendMessage", QUEUE, layer="resource-based policy", by=("queue", 0)))

    assert minimal_policy(needs(seen))["Statement"] == []


def test_a_refused_call_is_no_need() -> None:
    seen = of(decision("sqs:SendMessage", QUEUE, allowed=False, by=None))

    assert needs(seen) == ()
    assert [item.action for item in seen.denied] == ["sqs:SendMessage"]


def test_the_graders_own_fault_is_no_attempt_of_the_learner() -> None:
    fault = ("worker-role-1/coldstart-fault", 0)

    assert of(decision("sqs:SendMessage", QUEUE, allowed=False, by=fault)).denied == ()


def test_the_proof_finds_what_is_missing_and_what_is_idle() -> None:
    wanted = needs(of(decision("dynamodb:GetItem", TABLE), decision("sqs:SendMessage", QUEUE)))

    missing = prove(EVERYTHING, wanted, document(allow("dynamodb:GetItem", TABLE)))
    idle = prove(
        EVERYTHING,
        wanted,
        document(
            allow(["dynamodb:GetItem", "dynamodb:PutItem"], TABLE), allow("sqs:*", "*"), allow("sns:*", "*")
        ),
    )

    assert [request.action for request in missing.refused] == ["sqs:SendMessage"]
    assert idle.idle == ("statement 1: dynamodb:PutItem", "statement 3")
    assert not idle.holds


def test_a_key_needs_the_roles_policy_though_its_own_policy_takes_part() -> None:
    key = f"arn:aws:kms:{HERE}:key/1"
    record = decision("kms:Decrypt", key)
    record["authorisations"][0]["statements"].append(
        {"policy_type": "resource-based policy", "policy": key, "index": 0, "sid": "", "effect": "Allow"}
    )
    wanted = needs(of(record))

    assert prove(EVERYTHING, wanted, minimal_policy(wanted)).holds


def test_conditions_of_the_run_are_replayed_within_the_boundary() -> None:
    bounded = role(
        allow("*", "*"),
        boundary=document(allow("*", "*", Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}})),
    )
    context = {"aws:RequestedRegion": "eu-west-1", "aws:CurrentTime": "2030-01-01T00:00:00Z"}
    wanted = needs(evidence.of_role(bounded.arn, [decision("dynamodb:GetItem", TABLE, context=context)]))

    assert prove(bounded, wanted, minimal_policy(wanted)).holds


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]),
            st.sampled_from(["incoming", "done", "other"]),
            st.text(alphabet="ab*?$ {}é", min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_every_minimal_policy_is_proven(calls: list[tuple[str, str, str]]) -> None:
    seen = of(*(decision(action, f"{BUCKET}/{folder}/{key}") for action, folder, key in calls))
    rules = [
        right("s3:*", f"{BUCKET}/incoming/*"),
        right("s3:PutObject", [f"{BUCKET}/done/*", f"{BUCKET}/*/*"]),
    ]
    wanted = needs(seen, rules)

    proof = prove(EVERYTHING, wanted, minimal_policy(wanted))

    assert proof.holds, proof
    assert json.loads(json.dumps(minimal_policy(wanted)))


@pytest.mark.parametrize("action", ["sts:GetCallerIdentity", "s3:ListAllMyBuckets"])
def test_an_action_without_resources_stays_on_everything(action: str) -> None:
    assert minimal_policy(needs(of(decision(action, "*")))) == document(allow(action, "*"))
