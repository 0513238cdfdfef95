"""`coldstart iam evaluate`: the promised answers, and nothing taken that is not a case."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.iam import command
from tests.emulator.iam.evaluation.tables import USER

ALLOW_S3 = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "Read", "Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}],
}
QUEUE = "arn:aws:sqs:us-east-1:111122223333:orders"


def case(**changed: Any) -> dict[str, Any]:
    whole = {
        "id": "one",
        "principal": {"type": "user", "account": "111122223333", "arn": USER.arn},
        "request": {"action": "s3:GetObject", "resource": "arn:aws:s3:::bucket/key"},
        "policies": {"identity": [ALLOW_S3]},
    }
    return {key: value for key, value in {**whole, **changed}.items() if value is not None}


@pytest.fixture
def evaluate(tmp_path: Path) -> Any:
    def run(content: Any, *options: str) -> Result:
        file = tmp_path / "case.json"
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return CliRunner().invoke(command, ["evaluate", str(file), *options], catch_exceptions=False)

    return run


def test_one_case_is_answered_by_one_object(evaluate: Any) -> None:
    result = evaluate(case(), "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "id": "one",
        "decision": "Allow",
        "reason": "an identity-based policy allows it",
        "statements": [
            {
                "policy_type": "identity-based policy",
                "policy": "identity[0]",
                "index": 0,
                "sid": "Read",
                "effect": "Allow",
            }
        ],
    }


def test_a_list_is_answered_by_a_list_in_its_order(evaluate: Any) -> None:
    result = evaluate([case(id="b"), case(id="a", policies=None), case(id=None)], "--json")
    answers = json.loads(result.stdout)
    assert [(item["id"], item["decision"]) for item in answers] == [
        ("b", "Allow"),
        ("a", "Deny"),
        (None, "Allow"),
    ]
    assert answers[1]["reason"] == "no identity-based policy allows it"
    assert answers[1]["statements"] == []


def test_an_empty_list_is_answered_by_one(evaluate: Any) -> None:
    assert json.loads(evaluate([], "--json").stdout) == []


def test_words_say_the_decision_the_statement_and_what_came_near(evaluate: Any) -> None:
    secure = {**ALLOW_S3["Statement"][0], "Condition": {"Bool": {"aws:SecureTransport": "true"}}}  # type: ignore[index]
    result = evaluate([case(), case(id="two", policies={"identity": [{**ALLOW_S3, "Statement": secure}]})])
    assert (
        "one: s3:GetObject on arn:aws:s3:::bucket/key\nAllow: an identity-based policy allows it."
        in result.stdout
    )
    assert "Deny: no identity-based policy allows it." in result.stdout
    assert (
        "Bool aws:SecureTransport does not hold: the request's aws:SecureTransport is absent."
        in result.stdout
    )


def test_every_part_of_the_promised_format_is_read(evaluate: Any) -> None:
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    named = {
        "Version": "2012-10-17",
        "Statement": {**everything["Statement"], "Principal": {"AWS": "111122223333"}},
    }  # type: ignore[dict-item]
    whole = case(
        principal={
            "type": "role-session",
            "account": "111122223333",
            "arn": "arn:aws:sts::111122223333:assumed-role/worker/job-1",
            "role_arn": "arn:aws:iam::111122223333:role/app/worker",
            "service_linked": True,
        },
        request={
            "action": "s3:GetObject",
            "resource": "arn:aws:s3:::bucket/key",
            "resource_account": "444455556666",
            "context": {"aws:SourceIp": "203.0.113.1", "aws:TagKeys": ["a", "b"], "x:n": 5, "x:b": True},
        },
        policies={
            "identity": [everything],
            "resource": named,
            "boundary": everything,
            "session": [everything],
            "scps": [[everything], []],
        },
    )
    answer = json.loads(evaluate(whole, "--json").stdout)
    assert answer["decision"] == "Allow"
    assert {item["policy"] for item in answer["statements"]} == {
        "identity[0]",
        "resource",
        "boundary",
        "session[0]",
    }
    whole["principal"]["service_linked"] = False
    assert json.loads(evaluate(whole, "--json").stdout)["reason"] == "no service control policy allows it"


def test_a_service_is_asked_about_by_its_name(evaluate: Any) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": QUEUE,
    }
    asked = case(
        principal={"type": "service", "service": "sns.amazonaws.com"},
        request={"action": "sqs:SendMessage", "resource": QUEUE},
        policies={"resource": {"Statement": statement}},
    )
    assert json.loads(evaluate(asked, "--json").stdout)["decision"] == "Allow"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"id": "a", "id": "b"}', "'id' occurs twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"id": NaN}', "NaN is not JSON"),
        (5, "the case must be an object"),
        ([case(), 5], "[1] must be an object"),
        ([case(), case()], "id 'one' occurs twice"),
        (case(id=[]), "id must be text or a whole number"),
        (case(request=None), "request is missing"),
        (case(principal=None), "principal is missing"),
        (case(polices={}), "has no key 'polices'. Did you mean 'policies'?"),
        (case(principal={"type": "robot"}), "principal.type must be one of user, role-session, service"),
        (case(principal={"type": "user", "arn": "ada"}), "principal.arn must be like arn:aws:iam::"),
        (
            case(principal={"type": "user", "account": "1", "arn": USER.arn}),
            "principal.account must be 111122223333",
        ),
        (
            case(principal={"type": "user", "arn": USER.arn, "role_arn": "x"}),
            "principal.role_arn does not belong to a user",
        ),
        (case(principal={"type": "user", "arn": USER.arn, "name": "x"}), "principal has no key 'name'"),
        (case(principal={"type": "service"}), "principal.service is missing"),
        (case(principal={"type": "user", "arn": 5}), "principal.arn must be text"),
        (
            case(
                principal={
                    "type": "role-session",
                    "arn": "arn:aws:sts::111122223333:assumed-role/a/b",
                    "role_arn": "arn:aws:iam::111122223333:role/c",
                }
            ),
            "principal.role_arn must be the ARN of role a in account 111122223333",
        ),
        (
            case(
                principal={
                    "type": "role-session",
                    "arn": "arn:aws:sts::111122223333:assumed-role/a/b",
                    "service_linked": "yes",
                }
            ),
            "principal.service_linked must be true or false",
        ),
        (case(request={"resource": "*"}), "request.action must be one action"),
        (case(request={"action": "s3:*"}), "request.action must be one action"),
        (case(request={"action": "s3:GetObject", "resource": "bucket"}), "request.resource must be an ARN"),
        (
            case(request={"action": "s3:GetObject", "resource_account": "12"}),
            "request.resource_account must be twelve digits",
        ),
        (
            case(request={"action": "s3:GetObject", "context": {"a:b": {}}}),
            "request.context.a:b must be text",
        ),
        (
            case(request={"action": "s3:GetObject", "context": {"a:b": None}}),
            "request.context.a:b must be text",
        ),
        (
            case(request={"action": "s3:GetObject", "context": {"a:b": "1", "A:b": "2"}}),
            "key 'a:b' occurs twice",
        ),
        (case(request={"action": "s3:GetObject", "context": []}), "request.context must be an object"),
        (case(policies={"identity": ALLOW_S3}), "policies.identity must be a list of policies"),
        (case(policies={"identity": ["x"]}), "policies.identity[0] must be a policy"),
        (case(policies={"resource": None}), "policies.resource must be a policy"),
        (case(policies={"scps": [ALLOW_S3]}), "policies.scps[0] must be a list of policies"),
        (case(policies={"scp": []}), "policies has no key 'scp'. Did you mean 'scps'?"),
        (
            case(policies={"identity": [{"Statement": [{"Effect": "Allow"}]}]}),
            "policies.identity[0]: malformed policy: Statement[0]",
        ),
        (case(policies={"boundary": {"Version": "2013"}}), "policies.boundary: malformed policy: Version"),
        (case(policies={"resource": ALLOW_S3}), "statement 1 of a resource's policy needs Principal"),
        (
            case(
                policies={
                    "session": [
                        {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}
                    ]
                }
            ),
            "policies.session[0]: malformed policy: statement 1 has a principal",
        ),
    ],
)
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["words", "json"])
def test_what_is_no_case_is_refused_with_its_place(
    evaluate: Any, content: Any, said: str, options: tuple[str, ...]
) -> None:
    result = evaluate(content, *options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in " ".join(result.stderr.split())


def test_all_problems_are_told_together(evaluate: Any) -> None:
    wrong = case(request={"action": "s3"}, policies={"identity": [{}], "sessions": []})
    stderr = " ".join(evaluate(wrong).stderr.split())
    assert "request.action" in stderr
    assert "policies.identity[0]: malformed policy" in stderr
    assert "'sessions'" in stderr


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["evaluate", str(tmp_path / "none.json")])
    assert result.exit_code == 2


def test_the_command_answers_in_its_own_process_from_standard_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "iam", "evaluate", "-", "--json"],
        input=json.dumps(case()),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["decision"] == "Allow"
