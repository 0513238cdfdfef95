"""What holds of every policy: laws of the evaluator, tried on generated policies."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.emulator.iam.evaluation import (
    Caller,
    Decision,
    Policies,
    Policy,
    Request,
    evaluate,
    parse_policy,
)
from sandbox.emulator.iam.evaluation.patterns import glob
from sandbox.emulator.iam.evaluation.variables import fixed, read
from tests.emulator.iam.evaluation.tables import ACCOUNT, OTHER_ACCOUNT, SESSION, USER

Statement = dict[str, Any]
laws = settings(deadline=None, max_examples=80)
ACTIONS = st.sampled_from(["s3:GetObject", "s3:PutObject", "sqs:SendMessage"])
ACTION_PATTERNS = st.sampled_from(["*", "s3:*", "s3:GetObject", "S3:put*", "sqs:Send?essage", "iam:*"])
RESOURCES = st.sampled_from(["arn:aws:s3:::a/x", "arn:aws:s3:::a/y", f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"])
RESOURCE_PATTERNS = st.sampled_from(
    [
        "*",
        "arn:aws:s3:::a/*",
        "arn:aws:s3:::a/x",
        "arn:aws:s3:::b/*",
        f"arn:aws:sqs:*:{ACCOUNT}:?",
        "arn:aws:s3:::a/${x:k}",
    ]
)
CONDITIONS = st.one_of(
    st.just({}),
    st.builds(
        lambda operator, values: {operator: {"x:k": values}},
        st.sampled_from(
            [
                "StringEquals",
                "StringNotEquals",
                "StringLikeIfExists",
                "ForAllValues:StringEquals",
                "ForAnyValue:StringLike",
            ]
        ),
        st.lists(st.sampled_from(["x", "y", "x*"]), min_size=1, max_size=2),
    ),
    st.builds(lambda want: {"Null": {"x:k": want}}, st.sampled_from(["true", "false"])),
)
CALLERS = st.sampled_from([USER, SESSION])
PRINCIPALS = st.sampled_from(
    [
        "*",
        {"AWS": ACCOUNT},
        {"AWS": USER.arn},
        {"AWS": SESSION.arn},
        {"AWS": SESSION.role_arn},
        {"AWS": OTHER_ACCOUNT},
    ]
)


@st.composite
def statements(draw: st.DrawFn, effect: str | None = None) -> Statement:
    return {
        "Effect": effect or draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        draw(st.sampled_from(["Action", "Action", "NotAction"])): draw(ACTION_PATTERNS),
        draw(st.sampled_from(["Resource", "Resource", "NotResource"])): draw(RESOURCE_PATTERNS),
        "Condition": draw(CONDITIONS),
    }


def lists(effect: str | None = None) -> st.SearchStrategy[list[Statement]]:
    return st.lists(statements(effect), min_size=1, max_size=4)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    values = draw(
        st.one_of(
            st.none(), st.sampled_from(["x", "y", ""]), st.lists(st.sampled_from(["x", "y"]), max_size=2)
        )
    )
    context = {} if values is None else {"X:K": values}
    return Request(draw(ACTIONS), draw(RESOURCES), draw(st.sampled_from(["", OTHER_ACCOUNT])), context)


def policy(given_statements: list[Statement], version: str = "2012-10-17") -> Policy:
    return parse_policy({"Version": version, "Statement": given_statements})


@st.composite
def policy_sets(draw: st.DrawFn) -> Policies:
    resource = draw(st.one_of(st.none(), lists()))
    named = [{**statement, "Principal": draw(PRINCIPALS)} for statement in resource or []]
    return Policies(
        identity=tuple(policy(each) for each in draw(st.lists(lists(), max_size=2))),
        resource=policy(named) if named else None,
        boundary=draw(st.one_of(st.none(), lists().map(policy))),
        session=tuple(policy(each) for each in draw(st.lists(lists(), max_size=1))),
        scps=tuple((policy(each),) for each in draw(st.lists(lists(), max_size=2))),
    )


def allowed(caller: Caller, request: Request, policies: Policies) -> bool:
    return evaluate(caller, request, policies).allowed


def with_identity(policies: Policies, *more: Policy) -> Policies:
    return Policies(
        (*policies.identity, *more), policies.resource, policies.boundary, policies.session, policies.scps
    )


@laws
@given(CALLERS, requests(), policy_sets(), statements("Deny"))
def test_adding_a_deny_never_allows(
    caller: Caller, request: Request, policies: Policies, deny: Statement
) -> None:
    before = allowed(caller, request, policies)
    assert before or not allowed(caller, request, with_identity(policies, policy([deny])))


@laws
@given(CALLERS, requests(), policy_sets(), lists("Allow"))
def test_adding_an_allow_to_an_identity_never_denies(
    caller: Caller, request: Request, policies: Policies, more: list[Statement]
) -> None:
    assert not allowed(caller, request, policies) or allowed(
        caller, request, with_identity(policies, policy(more))
    )


@laws
@given(CALLERS, requests(), lists(), st.data())
def test_widening_the_resource_of_an_allow_never_denies(
    caller: Caller, request: Request, before: list[Statement], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(before) - 1))
    statement = before[index]
    if statement["Effect"] == "Deny":
        return
    wider = {key: value for key, value in statement.items() if not key.endswith("Resource")} | {
        "Resource": "*"
    }
    after = [*before[:index], wider, *before[index + 1 :]]
    narrow, wide = (Policies(identity=(policy(each),)) for each in (before, after))
    assert not allowed(caller, request, narrow) or allowed(caller, request, wide)


@laws
@given(CALLERS, requests(), lists(), st.randoms(use_true_random=False))
def test_the_order_of_statements_is_irrelevant(
    caller: Caller, request: Request, given_statements: list[Statement], random: Any
) -> None:
    shuffled = random.sample(given_statements, len(given_statements))
    one, other = (
        evaluate(caller, request, Policies(identity=(policy(each),))) for each in (given_statements, shuffled)
    )
    assert (one.allowed, one.reason, len(one.statements)) == (
        other.allowed,
        other.reason,
        len(other.statements),
    )


@laws
@given(CALLERS, requests(), lists())
def test_a_policy_cut_in_pieces_decides_as_the_whole(
    caller: Caller, request: Request, given_statements: list[Statement]
) -> None:
    whole = Policies(identity=(policy(given_statements),))
    pieces = Policies(identity=tuple(policy([statement]) for statement in given_statements))
    assert evaluate(caller, request, whole).reason == evaluate(caller, request, pieces).reason


@laws
@given(CALLERS, requests(), policy_sets(), lists())
def test_a_boundary_a_session_policy_and_an_scp_only_narrow(
    caller: Caller, request: Request, policies: Policies, limit: list[Statement]
) -> None:
    without = Policies(policies.identity, policies.resource)
    if not allowed(caller, request, without):
        assert not allowed(
            caller, request, Policies(without.identity, without.resource, boundary=policy(limit))
        )
        assert not allowed(
            caller, request, Policies(without.identity, without.resource, session=(policy(limit),))
        )
        assert not allowed(
            caller, request, Policies(without.identity, without.resource, scps=((policy(limit),),))
        )


@laws
@given(CALLERS, requests(), policy_sets())
def test_an_explicit_deny_is_told_by_its_statements_and_a_missing_allow_by_its_layer(
    caller: Caller, request: Request, policies: Policies
) -> None:
    decision: Decision = evaluate(caller, request, policies)
    effects = {ref.effect for ref in decision.statements}
    if decision.allowed:
        assert effects == {"Allow"}
        assert decision.reason.policy_type is None
    elif decision.reason.explicit:
        assert effects == {"Deny"}
        assert decision.statements[0].policy_type is decision.reason.policy_type
    else:
        assert not effects
        assert decision.reason.policy_type is not None


@laws
@given(requests(), policy_sets())
def test_across_accounts_nothing_is_allowed_without_the_resource_s_policy(
    request: Request, policies: Policies
) -> None:
    abroad = Request(request.action, "arn:aws:s3:::a/x", OTHER_ACCOUNT, request.context)
    if allowed(USER, abroad, policies):
        kinds = {ref.policy_type for ref in evaluate(USER, abroad, policies).statements}
        assert {"resource-based policy", "identity-based policy"} <= kinds


@laws
@given(requests(), policy_sets())
def test_a_request_seen_before_is_decided_the_same(request: Request, policies: Policies) -> None:
    assert evaluate(USER, request, policies) == evaluate(USER, request, policies)


def _slow_glob(pattern: str, text: str) -> bool:
    """The definition, without any cleverness."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return _slow_glob(pattern[1:], text) or (bool(text) and _slow_glob(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and _slow_glob(pattern[1:], text[1:])


@laws
@given(st.text("ab:*?", max_size=8), st.text("ab:", max_size=10))
def test_wildcards_match_as_their_definition_says(pattern: str, text: str) -> None:
    pieces = fixed(read(pattern, variables=True))
    assert pieces is not None
    assert (glob(pieces).fullmatch(text) is not None) == _slow_glob(pattern, text)


def test_no_pattern_makes_a_match_run_away() -> None:
    pieces = fixed(read("*a" * 300 + "b", variables=True))
    assert pieces is not None
    assert glob(pieces).fullmatch("a" * 5000) is None
