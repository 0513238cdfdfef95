"""The shared checks every lab has without a line of its own: G2 is the gate, the others are conditions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from graders.findings import Dimension, Finding, Saw, Visibility, failed, passed
from graders.sandbox import Sandbox
from graders.scoring import CheckResult
from graders.template import Template
from sandbox.errors import BadSubmission, DeploymentFailed

TITLES = {
    "G1": "The submission unpacks and is under the size limit.",
    "G2": "The template deploys from clean.",
    "G3": "Deploying the same artefact again changes nothing.",
    "G4": "Deleting the stack leaves nothing behind.",
    "G5": "No secret-looking literal is in template or code.",
    "G6": "No statement allows every action, or passing any role.",
}
# G2 where there is no template.
COMPLETE = "Everything that has to be handed in is there."
WITHOUT_STACK = {"G1": TITLES["G1"], "G2": COMPLETE, "G5": TITLES["G5"]}
_DIMENSIONS = {"G5": Dimension.SEC, "G6": Dimension.SEC}

# Literals that are secrets by their form alone; names such as "password" prove nothing in code.
_SECRETS = {
    "an AWS access key id": re.compile(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
    "an AWS secret access key": re.compile(
        r"(?i)secret_?access_?key[\"']?\s*[:=]\s*[\"'][A-Za-z0-9/+]{40}[\"']"
    ),
    "a private key": re.compile(r"-----BEGIN (?:RSA |EC |OPENSSH |)PRIVATE KEY-----"),
    "a GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    "a Stripe live key": re.compile(r"\b[rs]k_live_[A-Za-z0-9]{16,}\b"),
    "a Slack token": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
}
_SECRET_NAME = re.compile(r"(?i)(password|passwd|secret|api_?key|auth_?token|private_?key)$")
_TEXT_LIMIT_BYTES = 1_000_000


def result(check_id: str, finding: Finding, *, worth: float = 0.0) -> CheckResult:
    """A shared check's result."""
    return CheckResult(
        check_id,
        TITLES[check_id],
        _DIMENSIONS.get(check_id, Dimension.IAC),
        Visibility.V,
        worth,
        finding,
        static=check_id in ("G1", "G5", "G6"),
    )


def deployed(stack_name: str, resources: int) -> Finding:
    """G2 when the stack is there."""
    return passed(
        f"The stack deployed with {_count(resources, 'resource')}.",
        saw=Saw("cloudformation:DescribeStacks", f"{stack_name}: CREATE_COMPLETE"),
    )


def refused(error: BadSubmission | DeploymentFailed) -> Finding:
    """G2 when the submission could not be built or deployed."""
    if isinstance(error, BadSubmission):
        return failed(
            str(error.args[0]),
            saw=Saw(error.where or "the submitted files", str(error.args[0])),
            look=[error.where] if error.where else (),
            hint=error.what_to_do,
        )
    bad = [event for event in error.events if str(event.get("ResourceStatus", "")).endswith("_FAILED")]
    seen = [
        Saw(
            "cloudformation:DescribeStackEvents",
            f"{event.get('LogicalResourceId', '')} ({event.get('ResourceType', '')}) "
            f"{event.get('ResourceStatus', '')}: {event.get('ResourceStatusReason', '')}",
            _time(event.get("Timestamp")),
        )
        for event in bad[:3]
    ]
    return failed(
        "The stack did not deploy.",
        saw=seen or Saw("cloudformation", error.reason),
        means=[error.reason],
        look=[f"{event.get('LogicalResourceId')} in the template" for event in bad[:1]],
        hint="Later checks need the stack, so they were not assessed.",
    )


def has_all(files: Mapping[str, bytes], required: Sequence[str]) -> None:
    """G2 of a lab without a template.

    Raises:
        BadSubmission: a file is missing.
    """
    missing = [name for name in required if name not in files]
    if missing:
        tops = ", ".join(sorted({path.split("/")[0] for path in files})[:20])
        raise BadSubmission(
            f"There is no {' and no '.join(missing)}.",
            where=missing[0],
            what_to_do=f"Hand in the folder that holds it. There are: {tops}.",
        )


def complete(required: Sequence[str], *, worth: float) -> CheckResult:
    """G2 of a lab without a template, when nothing is missing."""
    finding = passed(f"There is {', '.join(required)}." if required else "Nothing has to be there.")
    return replace(result("G2", finding, worth=worth), title=COMPLETE)


def redeploy(sandbox: Sandbox) -> Finding:
    """G3."""
    try:
        changed = sandbox.deploy_again()
    except DeploymentFailed as error:
        return failed(
            "The second deployment of the same artefact failed.", saw=Saw("cloudformation", error.reason)
        )
    if changed:
        return failed(
            f"The second deployment of the same artefact changed {_count(len(changed), 'resource')}.",
            saw=[Saw("cloudformation:ListStackResources", ", ".join(changed))],
            look=["Values that differ at each deployment, such as times or random names"],
        )
    return passed("The second deployment of the same artefact changed no resource.")


def leaves_nothing(left: Sequence[str], allowed: Sequence[str]) -> Finding:
    """G4, from what the deletion left behind."""
    bad = [item for item in left if item.split(" ", 1)[0] not in allowed]
    if bad:
        return failed(
            f"{_count(len(bad), 'thing')} outlived the stack.",
            saw=[Saw("after DeleteStack", item) for item in bad[:3]],
            look=["DeletionPolicy, and log groups that no template declares"],
            hint="A function whose log group is not in the template leaves it behind for ever.",
        )
    return passed("Nothing outlived the stack.")


def no_secrets(files: Mapping[str, bytes], template: Template) -> Finding:
    """G5."""
    found = [*_secrets_in_files(files), *_secrets_in_variables(template)]
    if not found:
        return passed("No secret-looking literal was found.")
    return failed(
        f"{_count(len(found), 'secret-looking literal')}.",
        saw=[Saw(where, what) for where, what in found[:3]],
        look=[where for where, _ in found[:1]],
        hint="Keep secrets in Secrets Manager or an SSM SecureString parameter and read them at run time.",
    )


def no_admin(template: Template) -> Finding:
    """G6."""
    found = []
    for owner, statement in statements(template):
        if statement.get("Effect") != "Allow":
            continue
        actions = [str(action).lower() for action in _as_list(statement.get("Action"))]
        everything = "*" in actions or "*:*" in actions
        passes_any_role = "*" in _as_list(statement.get("Resource")) and any(
            action in ("iam:*", "iam:passrole", "iam:pass*") for action in actions
        )
        if everything or passes_any_role:
            what = "allows action `*`" if everything else "allows iam:PassRole on `*`"
            found.append(Saw(f"policy of {owner}", f"{what}: {json.dumps(statement, default=str)[:200]}"))
    if not found:
        return passed("No statement allows every action, or passing any role.")
    return failed(
        f"{_count(len(found), 'statement')} with too many rights.",
        saw=found[:3],
        look=[found[0].source],
        hint="Name the actions the function calls and the resources it calls them on.",
    )


def statements(template: Template) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every IAM policy statement in a processed template, with the resource that holds it."""
    for item in template.resources("AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        documents = [item.get("PolicyDocument")]
        documents += [
            policy.get("PolicyDocument")
            for policy in _as_list(item.get("Policies"))
            if isinstance(policy, Mapping)
        ]
        for document in documents:
            if isinstance(document, Mapping):
                for statement in _as_list(document.get("Statement")):
                    if isinstance(statement, Mapping):
                        yield item.logical_id, statement


def _secrets_in_files(files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    for path, body in files.items():
        if len(body) > _TEXT_LIMIT_BYTES or b"\0" in body[:1024]:
            continue
        text = body.decode("utf-8", "replace")
        for what, pattern in _SECRETS.items():
            match = pattern.search(text)
            if match:
                yield f"{path}, line {text.count(chr(10), 0, match.start()) + 1}", f"what looks like {what}"


def _secrets_in_variables(template: Template) -> Iterator[tuple[str, str]]:
    for item in template.resources("AWS::Lambda::Function"):
        variables = item.get("Environment.Variables", {})
        if isinstance(variables, Mapping):
            for name, value in variables.items():
                if (
                    _SECRET_NAME.search(name)
                    and isinstance(value, str)
                    and len(value) >= 6
                    and ":" not in value
                ):
                    yield f"environment of {item.logical_id}", f"variable {name} holds a literal"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _time(value: Any) -> str:
    return value.strftime("%H:%M:%S") if hasattr(value, "strftime") else ""
