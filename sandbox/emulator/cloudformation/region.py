"""The service in one account and region: its stacks, and how a request becomes a target."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from sandbox.emulator.calls import AwsError, Call, Principal, PrincipalKind
from sandbox.emulator.cloudformation import capabilities, documents, parameters, rules, template
from sandbox.emulator.cloudformation.backstage import Backstage
from sandbox.emulator.cloudformation.callbacks import Callbacks
from sandbox.emulator.cloudformation.dynamic import DynamicReferences
from sandbox.emulator.cloudformation.errands import Errand
from sandbox.emulator.cloudformation.errors import invalid
from sandbox.emulator.cloudformation.execution import Attempt, StackOperation
from sandbox.emulator.cloudformation.includes import Read
from sandbox.emulator.cloudformation.nested import Nesting
from sandbox.emulator.cloudformation.parameters import Parameters
from sandbox.emulator.cloudformation.plan import Planner
from sandbox.emulator.cloudformation.resources.base import ResourceProvider
from sandbox.emulator.cloudformation.schemas import Schemas
from sandbox.emulator.cloudformation.shifts import Shifts
from sandbox.emulator.cloudformation.sources import read_part, read_template
from sandbox.emulator.cloudformation.stacks import Stack, StackStore, Target
from sandbox.emulator.cloudformation.template import Template
from sandbox.emulator.cloudformation.transform import Macros
from sandbox.emulator.cloudformation.working import Worker, Workplace
from sandbox.emulator.core import AccountCore
from sandbox.emulator.iam.enforcement import trusts

log = structlog.get_logger()

# How long a call that starts an operation waits for its end. The clients' waiters look at once and then
# sleep for up to half a minute, so an operation of a moment would cost them that.
_PATIENCE_S = 5.0

NOTHING = Target("", Template({}), Template({}), Parameters())


@dataclass(slots=True)
class Draft:
    """A target whose macros have not run yet."""

    target: Target
    given: list[Mapping[str, Any]]
    previous: Parameters | None
    read_stored: parameters.ReadStored
    read_part: Read


class Region:
    """CloudFormation in one account and region."""

    def __init__(
        self,
        core: AccountCore,
        account_id: str,
        name: str,
        providers: Mapping[str, ResourceProvider],
        callbacks: Callbacks,
        shifts: Shifts,
    ) -> None:
        self.core = core
        self.attempts: dict[str, Attempt] = {}
        """Updates of nested stacks that wait for their parent's to come out well, by stack id."""
        self._callbacks = callbacks
        self._shifts = shifts
        self.store = StackStore(account_id, name)
        schemas = Schemas(name)
        self.place = Workplace(core, schemas, providers)
        self.planner = Planner(self.store, schemas, providers)
        self._macros = Macros(account_id, name)

    def now(self) -> dt.datetime:
        return self.core.clock.now()

    def client(self, service: str, principal: Principal) -> Any:
        return self.core.clients.client(service, region=self.store.region, principal=principal)

    def draft(self, call: Call, stack: Stack | None) -> Draft:
        """Read a request's template and parameters; ``stack`` is what they would change.

        Raises:
            AwsError: the template or a parameter is not in order.
        """
        previous = stack.target if stack is not None and stack.target is not NOTHING else None
        params = call.params
        text = read_template(
            params, self.client("s3", call.principal), previous.text if previous is not None else None
        )
        written = Template(documents.parse(text))
        template.check_form(written)
        given = list(params.get("Parameters") or [])
        kept = previous.parameters if previous is not None else None
        read = DynamicReferences(lambda service: self.client(service, call.principal)).parameter
        bound = parameters.bind(written.parameters, given, kept, read)
        target = Target(
            text=text,
            template=written,
            processed=written,
            parameters=bound,
            tags=self._tags(params, previous),
            capabilities=tuple(params.get("Capabilities") or ()),
            role_arn=params.get("RoleARN") or (previous.role_arn if previous is not None else ""),
            notification_arns=tuple(
                params.get("NotificationARNs", previous.notification_arns if previous is not None else ())
            ),
            disable_rollback=bool(params.get("DisableRollback", False)),
        )
        storage = self.client("s3", call.principal)
        return Draft(target, given, kept, read, lambda location: read_part(location, storage))

    def process(self, draft: Draft) -> Target:
        """Run a draft's macros and check what they made.

        Raises:
            AwsError: a macro or a check refuses it, or a capability is missing.
        """
        target = draft.target
        processed = self._macros.run(target.template, target.parameters.values, draft.read_part)
        if processed.parameters != target.template.parameters:
            bound = parameters.bind(processed.parameters, draft.given, draft.previous, draft.read_stored)
            target = replace(target, parameters=bound)
        target = replace(target, processed=processed)
        place = {"AWS::Region": self.store.region, "AWS::AccountId": self.store.account_id}
        place |= {"AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}
        rules.check(target.template, {**place, **target.parameters.values})
        template.check(processed, self.place.schemas)
        refusal = capabilities.insufficient(processed, target.capabilities)
        if refusal is not None:
            raise refusal
        return target

    def start(
        self, stack: Stack, principal: Principal, label: str, operate: Callable[[StackOperation], None]
    ) -> None:
        """Run an operation on a stack in the account's own time; return early if that is a moment."""
        errand = Errand(self.core.work, self.core.clock.time, f"cloudformation: {label} {stack.name}")
        if stack.status == "CREATE_IN_PROGRESS" and stack.timeout_minutes:
            errand.deadline = self.core.clock.time() + 60 * stack.timeout_minutes
        operation = self.operation(stack, self._actor(stack, principal), errand)

        def run() -> None:
            with stack.operating:
                try:
                    operate(operation)
                except Exception as error:
                    log.exception("stack_operation_failed", stack=stack.name)
                    failed = stack.status.replace("_CLEANUP", "").replace("_IN_PROGRESS", "_FAILED")
                    stack.enter(failed, self.now(), f"EnvironmentFault: {type(error).__name__}: {error}")
                    raise
                finally:
                    self.tell(stack)

        errand.begin(run)
        # An account with nothing left to do waits for somebody outside, and so would this.
        work = self.core.work
        work.wait_until(lambda: errand.ended or work.is_settled(), _PATIENCE_S)

    def operation(self, stack: Stack, actor: Principal, errand: Errand) -> StackOperation:
        """An operation on a stack, done by ``actor`` during an errand."""
        backstage = Backstage(self._callbacks, errand, Nesting(self, stack, actor, errand), self._shifts)
        return StackOperation(self.store, stack, Worker(self.place, stack, actor, backstage))

    def check_role(self, role_arn: str, principal: Principal) -> None:
        """Refuse a service role that CloudFormation can't assume.

        Raises:
            AwsError: it is not there, or does not trust CloudFormation.
        """
        if not role_arn:
            return
        with self.core.dispatch_lock:
            assumed = trusts(role_arn, "cloudformation.amazonaws.com")
        if not assumed:
            raise invalid(f"Role {role_arn} is invalid or cannot be assumed")

    def _actor(self, stack: Stack, principal: Principal) -> Principal:
        role_arn = stack.target.role_arn
        if not role_arn:
            return principal
        name = role_arn.rpartition("/")[2]
        return Principal(
            kind=PrincipalKind.ROLE_SESSION,
            account_id=stack.account_id,
            arn=f"arn:aws:sts::{stack.account_id}:assumed-role/{name}/AWSCloudFormation",
            role_arn=role_arn,
        )

    def tell(self, stack: Stack) -> None:
        """Leave on the timeline what became of a stack."""
        self.core.timeline.add(
            "deployment",
            stack.name,
            account_id=stack.account_id,
            region=stack.region,
            outcome=stack.status,
            stack_id=stack.id,
            reason=stack.reason,
        )

    def _tags(self, params: Mapping[str, Any], previous: Target | None) -> dict[str, str]:
        if "Tags" not in params or params["Tags"] is None:
            return dict(previous.tags) if previous is not None else {}
        tags = {str(tag["Key"]): str(tag.get("Value", "")) for tag in params["Tags"]}
        reserved = [key for key in tags if key.lower().startswith("aws:")]
        if reserved:
            raise AwsError("ValidationError", f"Tag key {reserved[0]} can not start with aws:")
        return tags
