from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from grading_fakes import AwsRefusal

from graders.api import FUN, Finding, Sandbox, V, check, control, failed, not_assessed, partial, passed
from graders.checks import Check
from graders.errors import LabBroken, NotAssessed, PathNotAlive, ResourceNotFound
from graders.evidence.masking import Mask
from graders.findings import Outcome
from graders.judging import judge, result
from graders.sandbox import Stack
from graders.template import Template
from sandbox.errors import EnvironmentFault


def sandbox_of(account: Any) -> Sandbox:
    stack = Stack("s", {"There": "value"}, {}, (), Template({}, {}))
    return Sandbox(account, stack, {}, seed=7, check_id="f1", lab_version="1")


def declare(body: Callable[[Sandbox], Finding], **options: Any) -> Check:
    def question(sandbox: Sandbox) -> Finding:
        """The good state."""
        return body(sandbox)

    return check(id="f1", points=10, dimension=FUN, visibility=V, **options)(question)


def outcome(account: Any, body: Callable[[Sandbox], Finding], **options: Any) -> Finding:
    return judge(declare(body, **options), sandbox_of(account), {}, Mask()).finding


def raising(error: Exception) -> Callable[[Sandbox], Finding]:
    def body(sandbox: Sandbox) -> Finding:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "expected", "blocked"),
    [
        (ResourceNotFound("gone"), Outcome.FAILED, False),
        (AwsRefusal("NoSuchBucket"), Outcome.FAILED, False),
        (PathNotAlive("no effect"), Outcome.NOT_ASSESSED, True),
        (NotAssessed("no such switch"), Outcome.NOT_ASSESSED, False),
        (AwsRefusal("InternalFailure"), Outcome.INCONCLUSIVE, False),
        (EnvironmentFault("account died"), Outcome.INCONCLUSIVE, False),
        (KeyError("defect"), Outcome.INCONCLUSIVE, False),
    ],
)
def test_whatever_a_check_raises_becomes_an_outcome(
    account: Any, error: Exception, expected: Outcome, blocked: bool
) -> None:
    finding = outcome(account, raising(error))

    assert (finding.outcome, finding.blocked) == (expected, blocked)


def test_a_dead_path_of_our_own_is_inconclusive(account: Any) -> None:
    def body(sandbox: Sandbox) -> Finding:
        control(False, "the ledger does not answer")
        return passed("unreachable")

    finding = outcome(account, body)

    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "the ledger does not answer" in finding.reason


def test_a_missing_output_fails_with_what_the_contract_says(account: Any) -> None:
    finding = outcome(account, lambda sandbox: passed(sandbox.output("Missing")))

    assert finding.outcome is Outcome.FAILED
    assert "`Missing`" in finding.headline
    assert "`There`" in finding.headline


def test_a_check_is_left_out_where_the_backend_lacks_a_capability(account: Any) -> None:
    asked: list[int] = []

    def body(sandbox: Sandbox) -> Finding:
        asked.append(1)
        return passed("asked")

    finding = outcome(account, body, needs={"IS"})

    assert (finding.outcome, finding.blocked, asked) == (Outcome.NOT_ASSESSED, False, [])


def test_a_check_waits_for_the_one_it_builds_on(account: Any) -> None:
    first = declare(lambda sandbox: passed("good"))
    second = declare(lambda sandbox: passed("good"), after=first)

    lost = {"f1": result(first, failed("bad"))}
    half = {"f1": result(first, partial(5, "half"))}
    unable = {"f1": result(first, not_assessed("no capability"))}

    assert judge(second, sandbox_of(account), lost, Mask()).finding.blocked
    assert judge(second, sandbox_of(account), half, Mask()).finding.blocked
    assert judge(second, sandbox_of(account), unable, Mask()).outcome is Outcome.PASSED


def test_recorded_evidence_goes_into_the_finding_with_account_time(account: Any) -> None:
    def body(sandbox: Sandbox) -> Finding:
        start = sandbox.mark()
        sandbox.did("s3:PutObject", "one file")
        sandbox.advance(2.5)
        sandbox.saw("dynamodb:Scan", "0 items", since=start)
        return failed("Nothing arrived.")

    finding = outcome(account, body)

    assert (finding.did[0].at, finding.saw[0].at) == ("12:00:00.000", "12:00:00.000–12:00:02.500")


def test_a_failure_at_something_we_do_not_emulate_is_ours(account: Any) -> None:
    def body(sandbox: Sandbox) -> Finding:
        account.happened("gap", "kinesis:SplitShard")
        return failed("Nothing arrived.")

    finding = outcome(account, body)

    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "kinesis:SplitShard" in finding.reason


def test_a_failure_while_our_account_breaks_is_ours(account: Any) -> None:
    def body(sandbox: Sandbox) -> Finding:
        account.happened("gap", "s3:intake → orders", "InternalFailure")
        return failed("Nothing arrived.")

    finding = outcome(account, body)

    assert finding.outcome is Outcome.INCONCLUSIVE
    assert finding.reason == "The emulated account failed at s3:intake → orders."


def test_long_evidence_is_cut_and_says_how_much_there_was(account: Any) -> None:
    def body(sandbox: Sandbox) -> Finding:
        for number in range(60):
            sandbox.did("lambda:Invoke", f"call {number}")
        return failed("Nothing arrived.")

    did = outcome(account, body).did

    assert (len(did), did[-1].what) == (12, "and 49 more")


def test_secrets_never_reach_a_finding(account: Any) -> None:
    secret = account.keys.secret_access_key
    finding = judge(
        declare(lambda sandbox: failed(f"Logged {secret} and ASIAABCDEFGHIJKLMNOP")),
        sandbox_of(account),
        {},
        Mask.of([secret]),
    ).finding

    assert finding.headline == "Logged … and ASIA…"


def test_randomness_is_the_checks_own_and_repeats(account: Any) -> None:
    again = sandbox_of(account).random.random()

    assert sandbox_of(account).random.random() == again
    assert random.Random("1/7/f2").random() != again


def test_faults_are_undone_when_the_check_breaks(account: Any) -> None:
    def body(sandbox: Sandbox) -> Finding:
        with sandbox.fault("latency", seconds=1):
            assert account.faults == ["latency"]
            raise KeyError("defect")

    assert outcome(account, body).outcome is Outcome.INCONCLUSIVE
    assert account.faults == []


def test_never_without_a_working_path_proves_nothing(account: Any) -> None:
    def body(sandbox: Sandbox) -> Finding:
        sandbox.never(lambda: False, window_s=5, control=lambda: False)
        return passed("unreachable")

    finding = outcome(account, body)

    assert (finding.outcome, finding.blocked) == (Outcome.NOT_ASSESSED, True)


def test_a_wrong_declaration_names_every_problem() -> None:
    def question(sandbox: Sandbox) -> Finding:
        return passed("")

    with pytest.raises(LabBroken) as caught:
        check(id="F 1", points=0, dimension=FUN, visibility=V, needs={"XX"})(question)

    for told in ("id `F 1`", "docstring", "0 points", "unknown capability XX"):
        assert told in str(caught.value)


def test_a_budget_is_the_number_of_the_backend_that_grades(account: Any) -> None:
    sandbox = sandbox_of(account)

    assert sandbox.budget(emulated=800, real=20_000) == 800

    account.backend = "aws"

    assert sandbox.budget(emulated=800, real=20_000) == 20_000


def test_names_of_actions_and_arns_are_no_secrets() -> None:
    told = "secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-west-1:111122223333:secret:payroll"

    assert Mask().text(told) == told
    assert Mask().text('the secret: "hunter2hunter2"') == 'the secret: "…"'
