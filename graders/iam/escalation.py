"""Ways by which a role could come to more rights: known combinations, asked of the evaluator. Pure.

A combination counts only where it leads somewhere: to a role, user or function that really exists in the
account, and, for roles, one that may do what the asking role may not.

Sources:
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from graders.iam import actions
from graders.iam.account import Principals
from graders.iam.contexts import Context, base, contexts
from graders.iam.model import Role
from graders.iam.surroundings import Surroundings, instances
from sandbox.emulator.iam.evaluation import Caller, Policies, PolicyType, Request, StatementRef, evaluate


@dataclass(frozen=True, slots=True)
class Runs:
    """Something of the account that runs as a role: a function, a state machine."""

    arn: str
    role_arn: str


@dataclass(frozen=True, slots=True)
class Escalation:
    """A way up: what the role may do, what it comes to by that, and the statements that let it."""

    steps: tuple[str, ...]
    towards: str
    gains: str
    statements: tuple[StatementRef, ...]

    @property
    def sentence(self) -> str:
        """``May iam:PassRole and lambda:CreateFunction, and so act as role X, which allows …``."""
        return f"{' and '.join(self.steps)}: {self.gains}"


ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
# Services that run something as a role they are handed, with what it takes to have them do so.
# The last names any of which will do; the resources they act on are new, so nobody else's.
PASSING: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "lambda.amazonaws.com": (
        ("lambda:CreateFunction", "lambda:InvokeFunction"),
        ("lambda:CreateFunction", "lambda:CreateEventSourceMapping"),
        ("lambda:CreateFunction", "lambda:AddPermission"),
        ("lambda:UpdateFunctionConfiguration", "lambda:UpdateFunctionCode"),
        ("lambda:UpdateFunctionConfiguration", "lambda:InvokeFunction"),
    ),
    "states.amazonaws.com": (
        ("states:CreateStateMachine", "states:StartExecution"),
        ("states:UpdateStateMachine", "states:StartExecution"),
    ),
    "events.amazonaws.com": (("events:PutRule", "events:PutTargets"),),
    "scheduler.amazonaws.com": (("scheduler:CreateSchedule",), ("scheduler:UpdateSchedule",)),
    "pipes.amazonaws.com": (("pipes:CreatePipe",), ("pipes:UpdatePipe",)),
    "cloudformation.amazonaws.com": (
        ("cloudformation:CreateStack",),
        ("cloudformation:UpdateStack",),
        ("cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"),
    ),
    "ecs-tasks.amazonaws.com": (("ecs:RegisterTaskDefinition", "ecs:RunTask"), ("ecs:RunTask",)),
    "ec2.amazonaws.com": (("ec2:RunInstances",),),
    "codebuild.amazonaws.com": (("codebuild:CreateProject", "codebuild:StartBuild"),),
    "glue.amazonaws.com": (("glue:CreateDevEndpoint",), ("glue:CreateJob", "glue:StartJobRun")),
    "ssm.amazonaws.com": (("ssm:StartAutomationExecution",),),
    "apigateway.amazonaws.com": (("apigateway:PUT", "execute-api:Invoke"),),
}
# Changes of the role's own rights, or of those of another that it then may use.
_Ask = tuple[str, Mapping[str, str]]
_ON_ROLES: tuple[_Ask, ...] = (
    ("iam:PutRolePolicy", {}),
    ("iam:AttachRolePolicy", {"iam:PolicyARN": ADMIN}),
    ("iam:DeleteRolePermissionsBoundary", {}),
)
_ON_USERS: tuple[_Ask, ...] = (
    ("iam:PutUserPolicy", {}),
    ("iam:AttachUserPolicy", {"iam:PolicyARN": ADMIN}),
    ("iam:CreateAccessKey", {}),
    ("iam:CreateLoginProfile", {}),
    ("iam:UpdateLoginProfile", {}),
)
_ON_GROUPS: tuple[_Ask, ...] = (
    ("iam:PutGroupPolicy", {}),
    ("iam:AttachGroupPolicy", {"iam:PolicyARN": ADMIN}),
    ("iam:AddUserToGroup", {}),
)
_ON_POLICIES: tuple[_Ask, ...] = (("iam:CreatePolicyVersion", {}), ("iam:SetDefaultPolicyVersion", {}))
# What runs as a stronger role already, and may be made to run something else.
_ON_RUNNING = {
    "lambda": ("lambda:UpdateFunctionCode",),
    "states": ("states:UpdateStateMachine",),
}


@dataclass
class Escalations:
    """Finds a role's ways up among the principals of its account and what runs there."""

    role: Role
    principals: Principals
    running: Sequence[Runs]
    surroundings: Surroundings
    _stronger: dict[str, str] = field(default_factory=dict)

    def find(self) -> tuple[Escalation, ...]:
        """Every way up, the shortest first."""
        found = [*self._by_iam(), *self._by_assuming(), *self._by_passing(), *self._by_running()]
        return tuple(sorted(found, key=lambda item: (len(item.steps), item.sentence)))

    # --- the combinations

    def _by_iam(self) -> Iterator[Escalation]:
        own = self.role
        for action, context in _ON_ROLES:
            bounded = own.boundary is not None
            if action != "iam:DeleteRolePermissionsBoundary" or bounded:
                yield from self._single(action, own.arn, context, own.arn, "it may give itself any right")
        for policy in own.policies:
            if policy.name in self.principals.managed:
                for action, context in _ON_POLICIES:
                    gains = f"it may rewrite {policy.short_name}, which is its own policy"
                    yield from self._single(action, policy.name, context, own.arn, gains)
        for user in self.principals.users:
            for action, context in _ON_USERS:
                gains = f"it may act as user {user.rsplit('/', 1)[-1]}, or give that user any right"
                yield from self._single(action, user, context, user, gains)
        for group in self.principals.groups:
            for action, context in _ON_GROUPS:
                gains = f"it may give the group {group.rsplit('/', 1)[-1]} any right, or put users into it"
                yield from self._single(action, group, context, group, gains)

    def _by_assuming(self) -> Iterator[Escalation]:
        for target, power in self._targets():
            trusted = self._ask("sts:AssumeRole", target.arn, {}, target)
            if trusted:
                yield self._way((trusted,), target, power)
                continue
            rewriting = self._ask("iam:UpdateAssumeRolePolicy", target.arn, {})
            if rewriting and self._could_be_trusted(target):
                yield self._way((rewriting,), target, power)

    def _by_passing(self) -> Iterator[Escalation]:
        for target, power in self._targets():
            for service, ways in PASSING.items():
                if not _trusts(target, service):
                    continue
                passing = self._ask("iam:PassRole", target.arn, {"iam:PassedToService": service})
                if not passing:
                    continue
                for way in ways:
                    steps = [self._anywhere(action) for action in way]
                    if all(steps):
                        taken = tuple(step for step in steps if step is not None)
                        yield self._way((passing, *taken), target, power)
                        break

    def _by_running(self) -> Iterator[Escalation]:
        stronger = {target.arn: (target, power) for target, power in self._targets()}
        for item in self.running:
            if item.role_arn not in stronger:
                continue
            target, power = stronger[item.role_arn]
            for action in _ON_RUNNING.get(item.arn.split(":")[2], ()):
                step = self._ask(action, item.arn, {})
                if step:
                    yield self._way((step,), target, power)

    # --- asking

    def _single(
        self, action: str, resource: str, context: Mapping[str, str], towards: str, gains: str
    ) -> Iterator[Escalation]:
        step = self._ask(action, resource, context)
        if step:
            yield Escalation((_told(step),), towards, gains, step[2])

    def _way(self, steps: Sequence[_Step], target: Role, power: str) -> Escalation:
        refs = tuple(dict.fromkeys(ref for step in steps for ref in step[2]))
        gains = f"it may act as {target.name}, which allows {power} and this role does not"
        return Escalation(tuple(map(_told, steps)), target.arn, gains, refs)

    def _ask(
        self, action: str, resource: str, context: Mapping[str, str], trusting: Role | None = None
    ) -> _Step | None:
        policy = trusting.trust if trusting is not None else None
        for given in self._contexts(action):
            request = Request(action, resource, self.role.account_id, {**given, **context})
            decision = self.role.decide(request, policy)
            if decision.allowed:
                own = tuple(ref for ref in decision.statements if ref.policy_type is PolicyType.IDENTITY)
                return action, resource, own
        return None

    def _anywhere(self, action: str) -> _Step | None:
        """On whatever resource: it makes a new one."""
        for candidate in self.surroundings.candidates(action, instances(self.role, self.surroundings)):
            step = self._ask(action, candidate.arn, {})
            if step:
                return action, "", step[2]
        return None

    def _contexts(self, action: str) -> tuple[Context, ...]:
        speaking = [
            statement for _, _, statement in self.role.allowing() if action in actions.covered(statement)
        ]
        return contexts(speaking, self.surroundings.region, self.role.denying())

    def _could_be_trusted(self, target: Role) -> bool:
        """Whether it may assume the role once that trusts it: in one account the trust alone is enough."""
        return (
            target.account_id == self.role.account_id
            or self._ask("sts:AssumeRole", target.arn, {}) is not None
        )

    def _targets(self) -> Iterator[tuple[Role, str]]:
        """The other roles of the account that may do something this one may not, with what."""
        for arn, target in self.principals.roles.items():
            if arn == self.role.arn:
                continue
            if arn not in self._stronger:
                self._stronger[arn] = next(self._powers(target), "")
            if self._stronger[arn]:
                yield target, self._stronger[arn]

    def _powers(self, target: Role) -> Iterator[str]:
        more = instances(target, self.surroundings)
        for _, _, statement in target.allowing():
            for action in actions.covered(statement):
                for candidate in self.surroundings.candidates(action, more):
                    context = base(self.surroundings.region)
                    request = Request(action, candidate.arn, context=context)
                    if target.could(request).allowed and not self.role.could(request).allowed:
                        yield f"{action} on {candidate.label}"


_Step = tuple[str, str, tuple[StatementRef, ...]]


def _told(step: _Step) -> str:
    action, resource, _ = step
    return (
        f"{action} on {resource.rsplit('/', 1)[-1] if ':iam:' in resource else resource}"
        if resource
        else action
    )


def _trusts(role: Role, service: str) -> bool:
    request = Request("sts:AssumeRole", role.arn, role.account_id)
    return evaluate(Caller.of_service(service), request, Policies(resource=role.trust)).allowed


def running_in(functions: Iterable[Mapping[str, str]]) -> tuple[Runs, ...]:
    """Functions as Lambda lists them, as what runs as a role."""
    return tuple(Runs(item["FunctionArn"], item.get("Role", "")) for item in functions)
