"""A stack's roles inspected: what they may do, what they did, what is wrong, and what would do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graders.evidence.aws import error_code, is_missing
from graders.iam import evidence as evidences
from graders.iam.account import Principals, read_principals
from graders.iam.budget import Excess, excess
from graders.iam.declared import Right
from graders.iam.escalation import Escalation, Escalations, Runs, running_in
from graders.iam.evidence import Evidence
from graders.iam.exposure import Exposure, exposures
from graders.iam.findings import Findings, RightsFinding
from graders.iam.minimal import Need, Proof, minimal_policy, needs, prove
from graders.iam.model import HeldPolicy, Role
from graders.iam.patches import Change, Patcher
from graders.iam.places import Places
from graders.iam.surroundings import Owned, Surroundings
from sandbox.account import Account
from sandbox.templates import TemplateText

RightsOf = Callable[[str], Sequence[Right]]
"""What the lab lets a function, by its physical name, have."""


@dataclass(frozen=True)
class InspectedRole:
    """One role of a stack. ``functions`` are those that run as it; without a lab ``rights`` is empty."""

    role: Role
    functions: tuple[str, ...]
    rights: tuple[Right, ...]
    evidence: Evidence
    findings: tuple[RightsFinding, ...]
    escalations: tuple[Escalation, ...]
    unused: tuple[Mapping[str, Any], ...]
    needed: tuple[Need, ...]
    minimal: Mapping[str, Any]
    proof: Proof
    patch: str = ""


@dataclass(frozen=True)
class Inspection:
    """The roles of a stack, and what the policies of its resources open."""

    roles: tuple[InspectedRole, ...] = ()
    exposures: tuple[Exposure, ...] = ()


@dataclass
class Inspector:
    """Inspects the roles of one stack. ``template`` is the learner's, for places and patches.

    ``others`` are ARNs, by what to call them, that the learner has no business with.
    """

    account: Account
    resources: Sequence[Any]
    template: TemplateText | None = None
    rights_of: RightsOf | None = None
    others: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        self.principals: Principals = read_principals(self.account)
        self.surroundings = Surroundings.of(
            self.resources,
            account_id=self.account.account_id,
            region=self.account.region,
            others=self.others,
        )
        self.functions = self._functions()
        self.places = Places(self.template, tuple(self.resources)) if self.template is not None else None

    def inspect(self) -> Inspection:
        """Everything; takes the decisions of the account as they are now."""
        decisions = self.account.decisions()
        names = {item.physical_id for item in self.resources if item.type == "AWS::IAM::Role"}
        roles = [role for role in self.principals.roles.values() if role.name in names]
        return Inspection(
            tuple(self._inspect(role, decisions) for role in roles),
            tuple(self.exposures()),
        )

    def every_role(self, rights: Sequence[Right] = ()) -> tuple[InspectedRole, ...]:
        """All roles of the account, whichever stack they belong to; ``rights`` generalise names."""
        decisions = self.account.decisions()
        return tuple(self._inspect(role, decisions, rights) for role in self.principals.roles.values())

    def excess(self, role: Role, rights: Sequence[Right]) -> tuple[Excess, ...]:
        """The pairs beyond ``rights`` that a role's policies allow."""
        return excess(role, rights, self.surroundings)

    def role_of(self, function: str) -> Role | None:
        """The role that a function, by name, runs as."""
        return self.principals.role(self._role_arn(function))

    def _role_arn(self, function: str) -> str:
        return next(
            (str(item.get("Role", "")) for item in self.functions if item["FunctionName"] == function), ""
        )

    def evidence_of(self, role: Role) -> Evidence:
        """What a role did until now."""
        return evidences.of_role(role.arn, self.account.decisions())

    def _inspect(
        self, role: Role, decisions: Iterable[Mapping[str, Any]], more: Sequence[Right] = ()
    ) -> InspectedRole:
        functions = tuple(
            str(item["FunctionName"]) for item in self.functions if item.get("Role") == role.arn
        )
        rights = (*more, *(right for name in functions for right in self._rights(name)))
        seen = evidences.of_role(role.arn, decisions)
        looking = Findings(role, seen, self.surroundings, rights)
        wanted = needs(seen, rights)
        policy = minimal_policy(wanted)
        running = [each for each in self._running() if each.arn.rsplit(":", 1)[-1] not in functions]
        return InspectedRole(
            role,
            functions,
            rights,
            seen,
            tuple(self.placed(role, found) for found in looking.found),
            Escalations(role, self.principals, running, self.surroundings).find(),
            tuple(_unused(looking)),
            wanted,
            policy,
            prove(role, wanted, policy),
            self._patch(role, looking),
        )

    def placed(self, role: Role, found: RightsFinding) -> RightsFinding:
        """A finding with the line of its statement and the narrower policy as a patch."""
        if self.places is None or self.template is None:
            return found
        place = self.places.statement(role.name, found.policy, found.index)
        if place is None:
            return found
        patch = Patcher(self.template, self.surroundings).diff([Change(place, found.narrower)])
        return replace(found, line=place.line, patch=patch)

    def line(self, role: Role, policy: str, index: int) -> str:
        """The line of a role's statement, by its policy's name in the decision log; empty if unknown."""
        held = next((each for each in role.policies if each.name == policy), HeldPolicy(policy, {}))
        place = self.places.statement(role.name, held, index) if self.places is not None else None
        return place.line if place is not None else ""

    def _patch(self, role: Role, looking: Findings) -> str:
        """All of a role's statements narrowed at once; empty when there is nothing to narrow."""
        if self.places is None or self.template is None:
            return ""
        wrong = {(found.policy.name, found.index) for found in looking.found}
        changes: dict[tuple[Any, ...], Change] = {}
        for statement in looking.statements:
            place = self.places.statement(role.name, statement.policy, statement.index)
            if place is None or statement.key not in wrong:
                continue
            before = changes.get(place.path)
            kept = (*(before.statements if before else ()), *looking.narrower(statement))
            changes[place.path] = Change(place, kept)
        return Patcher(self.template, self.surroundings).diff(list(changes.values()))

    def _rights(self, function: str) -> Sequence[Right]:
        return self.rights_of(function) if self.rights_of is not None else ()

    def _functions(self) -> tuple[Mapping[str, Any], ...]:
        client = self.account.client("lambda")
        page = client.list_functions()
        found = list(page["Functions"])
        while page.get("NextMarker"):
            page = client.list_functions(Marker=page["NextMarker"])
            found += page["Functions"]
        return tuple(found)

    def _running(self) -> tuple[Runs, ...]:
        return running_in(self.functions)

    # --- policies of resources

    def exposures(self) -> Iterator[Exposure]:
        """What the policies of the stack's resources open."""
        for owned in self.surroundings.owned:
            document = self._policy_of(owned)
            if document is not None:
                yield from exposures(
                    owned.arn,
                    document,
                    account_id=self.account.account_id,
                    region=self.account.region,
                    friends=(self.account.fixture_account_id,),
                )

    def _policy_of(self, owned: Owned) -> Mapping[str, Any] | None:
        read = _POLICIES.get(owned.type)
        if read is None:
            return None
        service, ask = read
        try:
            text = ask(self.account.client(service), owned)
        except Exception as error:  # narrowed at once: no policy is an answer
            if is_missing(error) or error_code(error) in _NO_POLICY:
                return None
            raise
        return json.loads(text) if text else None


_NO_POLICY = frozenset({"NoSuchBucketPolicy", "PolicyNotFoundException"})
_POLICIES: Mapping[str, tuple[str, Callable[[Any, Owned], str | None]]] = {
    "AWS::S3::Bucket": ("s3", lambda client, it: client.get_bucket_policy(Bucket=it.physical_id)["Policy"]),
    "AWS::SQS::Queue": (
        "sqs",
        lambda client, it: (
            client.get_queue_attributes(QueueUrl=it.physical_id, AttributeNames=["Policy"])
            .get("Attributes", {})
            .get("Policy")
        ),
    ),
    "AWS::SNS::Topic": (
        "sns",
        lambda client, it: client.get_topic_attributes(TopicArn=it.arn)["Attributes"].get("Policy"),
    ),
    "AWS::Lambda::Function": (
        "lambda",
        lambda client, it: client.get_policy(FunctionName=it.physical_id)["Policy"],
    ),
    "AWS::KMS::Key": (
        "kms",
        lambda client, it: client.get_key_policy(KeyId=it.physical_id, PolicyName="default")["Policy"],
    ),
    "AWS::SecretsManager::Secret": (
        "secretsmanager",
        lambda client, it: client.get_resource_policy(SecretId=it.arn).get("ResourcePolicy"),
    ),
    "AWS::Events::EventBus": (
        "events",
        lambda client, it: client.describe_event_bus(Name=it.physical_id).get("Policy"),
    ),
}


def _unused(looking: Findings) -> Iterator[Mapping[str, Any]]:
    for statement, written, stands_for in looking.unused:
        yield {
            "action": written,
            "resource": ", ".join(statement.resources) or "all but those named",
            "actions": len(stands_for),
            "policy": statement.policy.name,
            "statement": statement.index,
        }
