from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from curriculum.loader import Lab
from graders.errors import UnknownCheck
from graders.progress import ProgressEvent
from graders.runner import grade, seeds_from
from graders.skeleton import skeleton
from sandbox.errors import EnvironmentFault
from sandbox.submissions import Submission

ChangedLab = Callable[[Mapping[str, str]], Lab]

PROMISED = {
    "schema", "lab", "lab_version", "seed", "seeds", "backend", "isolation", "runtimes", "outcome", "points",
    "points_possible", "duration_s", "phases", "checks", "iam", "cost", "submission_digest", "grader_digest",
}  # fmt: skip
PROMISED_OF_A_CHECK = {
    "id", "title", "dimension", "outcome", "points", "points_possible", "visibility", "headline", "did",
    "saw", "ruled_out", "means", "look", "docs",
}  # fmt: skip

TWO_CHECKS = '''
from graders.api import FUN, V, check, failed, passed, control

TRIES = []

@check(id="f1", points=60, dimension=FUN, visibility=V)
def first(sandbox):
    """The first."""
    return passed("good")

@check(id="f2", points=30, dimension=FUN, visibility=V)
def second(sandbox):
    """The second."""
    {body}
'''


# Waits on the account itself, which the deadline ends.
WAITS = "sandbox.account.ended.wait(); raise RuntimeError('account is gone')"
SHORT = skeleton("say-hello", "X01")["lab.toml"].replace(
    "gate_points = 10", "gate_points = 10\ntime_limit_s = 0.05"
)


def reference(lab: Lab) -> Submission:
    return Submission(lab.reference("reference-python"))


def by_id(report: Mapping[str, Any]) -> dict[str, Any]:
    return {item["id"]: item for item in report["checks"]}


def test_the_reference_passes_on_two_seeds_in_two_accounts(lab: Lab, backend: Any) -> None:
    report = grade(lab, reference(lab), backend, seed=5).report

    assert (report["outcome"], report["points"], report["points_possible"]) == ("passed", 100, 100)
    assert report["seeds"] == list(seeds_from(5, 2))
    assert len(backend.opened) == 2
    assert all(account.closed for account in backend.opened)


def test_the_report_is_what_was_promised(lab: Lab, backend: Any) -> None:
    report = grade(lab, reference(lab), backend, seed=5).report

    assert set(report) >= PROMISED
    assert all(set(item) >= PROMISED_OF_A_CHECK for item in report["checks"])
    assert report["schema"] == "coldstart.report/1"
    assert json.loads(json.dumps(report)) == report
    assert report["isolation"]["level"] == 4
    assert report["runtimes"] == ["python3.12"]


def test_one_seed_gives_the_same_stack_and_parameters_again(lab: Lab, backend: Any) -> None:
    for _ in range(2):
        grade(lab, reference(lab), backend, seed=11, seeds=1, conditions=False)

    first, second = (account.stacks for account in backend.opened)
    assert first == second


def test_a_failed_check_names_the_misconception_of_its_mutant(lab: Lab, backend: Any) -> None:
    mutant = Submission(lab.variant(lab.mutants[0]))

    finding = by_id(grade(lab, mutant, backend, seed=5).report)["f1"]

    assert finding["outcome"] == "failed"
    assert finding["means"] == [{"pattern": lab.mutants[0].what, "likelihood": "very likely"}]
    assert finding["did"][0]["api"] == "lambda:Invoke"


def test_a_failed_gate_leaves_the_rest_unassessed_and_their_points_possible(lab: Lab, backend: Any) -> None:
    template = b"Resources: {Broken: {Type: 'AWS::No::Such'}}"
    report = grade(lab, reference(lab).with_files({"template.yaml": template}), backend, seed=5).report
    checks = by_id(report)

    assert (report["outcome"], report["points"], report["points_possible"]) == ("not_passed", 0, 100)
    assert (checks["G2"]["outcome"], checks["f1"]["outcome"]) == ("failed", "not_assessed")
    assert "AWS::No::Such" in checks["G2"]["saw"][0]["what"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"src/app.py": b"x"}, "no template.yaml, template.yml"),
        ({"template.yaml": b"Resources: [", "src/app.py": b"x"}, "YAML"),
        ({"template.yaml": b"just text", "src/app.py": b"x"}, "template"),
        ({"template.yaml": b"Resources: {Q: {Type: X}}"}, "no handler"),
        ({"template.yaml": b"x", "big": b"x" * 10_000_001}, "larger than 10 MB"),
    ],
)
def test_bad_files_fail_the_gate_and_say_why(
    lab: Lab, backend: Any, files: dict[str, bytes], told: str
) -> None:
    report = grade(lab, Submission(files), backend, seed=5).report

    assert report["outcome"] == "not_passed"
    assert told in by_id(report)["G2"]["headline"]


def test_a_missing_account_is_tried_again_and_costs_the_learner_nothing(lab: Lab, backend: Any) -> None:
    backend.no_account = 1

    assert grade(lab, reference(lab), backend, seed=5).outcome == "passed"


def test_a_grading_without_any_account_is_inconclusive(lab: Lab, backend: Any) -> None:
    backend.no_account = 100

    report = grade(lab, reference(lab), backend, seed=5).report

    assert report["outcome"] == "inconclusive"
    assert {item["outcome"] for item in report["checks"]} == {"inconclusive"}


def test_only_what_could_not_be_judged_is_run_again_on_a_fresh_account(
    changed_lab: ChangedLab, backend: Any
) -> None:
    body = 'TRIES.append(1)\n    control(len(TRIES) > 1, "not yet")\n    return passed("good")'
    lab = changed_lab({"checks.py": TWO_CHECKS.format(body=body)})

    report = grade(lab, reference(lab), backend, seed=5, seeds=1).report

    assert by_id(report)["f2"]["outcome"] == "passed"
    assert len(backend.opened) == 2


def test_a_check_that_stays_inconclusive_is_run_three_times_and_spares_the_attempt(
    changed_lab: ChangedLab, backend: Any
) -> None:
    lab = changed_lab({"checks.py": TWO_CHECKS.format(body="raise RuntimeError('ours')")})

    report = grade(lab, reference(lab), backend, seed=5, seeds=1).report

    assert report["outcome"] == "inconclusive"
    assert len(backend.opened) == 3
    assert by_id(report)["f1"]["outcome"] == "passed"


def test_a_condition_that_could_not_be_judged_is_judged_on_a_fresh_account(lab: Lab, backend: Any) -> None:
    deployments: list[int] = []

    def breaks_once(account: Any) -> None:
        deployments.append(1)
        if len(deployments) == 2:
            raise EnvironmentFault("lost on the second deployment")

    backend.on_deploy = breaks_once

    report = grade(lab, reference(lab), backend, seed=5, seeds=1).report

    assert (report["outcome"], by_id(report)["G3"]["outcome"]) == ("passed", "passed")
    assert len(backend.opened) == 2


def test_code_that_runs_past_the_time_limit_costs_its_points(changed_lab: ChangedLab, backend: Any) -> None:
    lab = changed_lab({"checks.py": TWO_CHECKS.format(body=WAITS), "lab.toml": SHORT})
    backend.running = ("invoke Greeter",)

    report = grade(lab, reference(lab), backend, seed=5, seeds=1).report

    assert report["outcome"] == "not_passed"
    assert "still running then: invoke Greeter" in by_id(report)["f2"]["headline"]
    assert report["points_possible"] == 100


def test_a_run_that_stands_still_through_our_fault_is_inconclusive(
    changed_lab: ChangedLab, backend: Any
) -> None:
    lab = changed_lab({"checks.py": TWO_CHECKS.format(body=WAITS), "lab.toml": SHORT})

    report = grade(lab, reference(lab), backend, seed=5, seeds=1, conditions=False).report

    assert report["outcome"] == "inconclusive"


def test_one_check_alone_runs_with_what_it_builds_on(lab: Lab, backend: Any) -> None:
    report = grade(lab, reference(lab), backend, seed=5, only=["f1"]).report

    assert [item["id"] for item in report["checks"]] == ["G2", "f1"]
    assert report["seeds"] == [5]


def test_an_unknown_check_is_refused_with_the_known_ones(lab: Lab, backend: Any) -> None:
    with pytest.raises(UnknownCheck, match="G2, f1"):
        grade(lab, reference(lab), backend, only=["f9"])


def test_progress_tells_every_phase_and_every_check(lab: Lab, backend: Any) -> None:
    events: list[ProgressEvent] = []

    grade(lab, reference(lab), backend, seed=5, seeds=1, progress=events.append)

    phases = [event.phase for event in events if event.status == "started"]
    assert phases == ["account", "build", "deploy", "checks", "redeploy", "delete"]
    assert [(event.check_id, event.outcome) for event in events if event.check_id] == [("f1", "passed")]
    assert events[-1].phase == "report"


def test_what_outlives_the_stack_is_named_and_forbids_the_pass(lab: Lab, backend: Any) -> None:
    backend.forgets_to_delete = True

    report = grade(lab, reference(lab), backend, seed=5).report

    assert report["outcome"] == "not_passed"
    left = by_id(report)["G4"]["saw"]
    assert any("AWS::Lambda::Function" in entry["what"] for entry in left)


def test_a_secret_in_the_code_forbids_the_pass(lab: Lab, backend: Any) -> None:
    code = lab.reference("reference-python")["src/app.py"] + b"\nKEY = 'AKIAIOSFODNN7EXAMPLE'\n"

    report = grade(lab, reference(lab).with_files({"src/app.py": code}), backend, seed=5).report

    assert (report["points"], report["outcome"]) == (100, "not_passed")
    assert "src/app.py, line" in by_id(report)["G5"]["saw"][0]["source"]
    assert "AKIAIOSFODNN7EXAMPLE" not in json.dumps(report)
