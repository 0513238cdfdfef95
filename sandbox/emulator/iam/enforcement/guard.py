"""Decides each call before it is performed, and keeps what was decided."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Principal, PrincipalKind
from sandbox.emulator.clock import VirtualClock
from sandbox.emulator.gateway import unsigned
from sandbox.emulator.iam.enforcement import encryption, refusals, resources
from sandbox.emulator.iam.enforcement.decisions import DecisionLog, Record, Verdict
from sandbox.emulator.iam.enforcement.policies import Held, PrincipalPolicies
from sandbox.emulator.iam.evaluation import Caller, Policies, Policy, Request, evaluate
from sandbox.emulator.iam.evaluation.model import ContextValue
from sandbox.emulator.iam.mapping import Asked, Authorisation, Unmapped, authorisations


class Guard:
    """The authorisation of one account process: of calls, of deliveries, and of what services do with roles.

    ``lock`` is the dispatch lock: policies are read from moto's state under it. ``enforcing`` off: everything
    is decided and recorded, nothing is refused.
    """

    def __init__(
        self,
        lock: threading.RLock,
        clock: VirtualClock,
        *,
        enforcing: bool = True,
    ) -> None:
        self.enforcing = enforcing
        self.principals = PrincipalPolicies()
        self.log = DecisionLog()
        self._lock = lock
        self._clock = clock
        self._facts = resources.MotoFacts()

    def teach(self, kind: str, find: resources.Find) -> None:
        """A service that keeps its resources itself says how ARNs of a ``kind`` are found there."""
        self._facts.taught[kind] = find

    def authorise(
        self, call: Call, *, source_ip: str = "", user_agent: str = "", via_service: bool = False
    ) -> Record | None:
        """Decide a call. None when a service calls, whose delivery was decided before, or when anybody may.

        ``via_service``: a service makes the call for the caller, as CloudFormation does.

        Raises:
            Denied: it is not allowed; carries the error to answer with.
            AwsError: ``NotEmulated``, there is no mapping: that is our gap.
        """
        principal = call.principal
        if principal.kind is PrincipalKind.SERVICE or unsigned.needs_none(call):
            return None
        asked = Asked(call.service, call.operation, call.params, call.account_id, call.region, self._facts)
        context = self._context(call.region, source_ip, user_agent, via_service=via_service)
        with self._lock:
            wanted = self._map(asked, principal)
            held = self.principals.of(principal)
            verdicts = [self._decide(held, each, context) for each in wanted]
            if all(verdict.decision.allowed for verdict in verdicts):
                for each in encryption.needed(asked):
                    verdicts.append(self._decide(held, each, context))
        record = self._record(call, principal, verdicts, source_ip, user_agent)
        refused = next((verdict for verdict in verdicts if not verdict.decision.allowed), None)
        if refused is not None and self.enforcing:
            message = refusals.sentence(call.service, held.caller, refused.request, refused.decision)
            error = refusals.access_denied(call.service, message)
            raise Denied(error, replace(record, message=message))
        return record

    def resources_of(self, call: Call) -> tuple[str, ...]:
        """The ARNs that a call is about; none when nobody has written down which."""
        asked = Asked(call.service, call.operation, call.params, call.account_id, call.region, self._facts)
        with self._lock:
            try:
                return tuple(dict.fromkeys(each.resource for each in authorisations(asked)))
            except Unmapped:
                return ()

    def hide_missing_object(self, call: Call) -> None:
        """S3 does not tell that an object is missing to somebody who may not list its bucket.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html

        Raises:
            AwsError: AccessDenied, in place of the 404.
        """
        bucket = f"arn:aws:s3:::{call.params.get('Bucket', '')}"
        with self._lock:
            exists = bool(resources.owner(bucket))
        refusal = exists and self.refusal(
            call.principal,
            "s3:ListBucket",
            bucket,
            region=call.region,
            context={"s3:prefix": str(call.params.get("Key", ""))},
            quietly=True,
        )
        if refusal:
            raise refusals.access_denied("s3", refusal)

    def allows(
        self,
        principal: Principal,
        action: str,
        resource: str,
        *,
        region: str,
        context: Mapping[str, ContextValue] | None = None,
        operation: str = "",
        quietly: bool = False,
    ) -> bool:
        """Whether a principal of the account may do one thing, for services that act with its role.

        ``quietly`` leaves no record: for questions that only choose between two errors.
        """
        return not self.refusal(
            principal,
            action,
            resource,
            region=region,
            context=context,
            operation=operation,
            quietly=quietly,
        )

    def refusal(
        self,
        principal: Principal,
        action: str,
        resource: str,
        *,
        region: str,
        context: Mapping[str, ContextValue] | None = None,
        operation: str = "",
        quietly: bool = False,
    ) -> str:
        """Why a principal may not do one thing, in AWS's words; empty when it may."""
        service, _, name = action.partition(":")
        base = self._context(region)
        with self._lock:
            held = self.principals.of(principal)
            verdict = self._decide(held, Authorisation(action, resource, "", context or {}), base)
        if not quietly:
            denied = "" if verdict.decision.allowed else "AccessDenied"
            self.log.add(
                Record(
                    self.log.next_sequence(),
                    self._now(),
                    "platform",
                    principal.arn,
                    str(principal.kind),
                    principal.account_id,
                    region,
                    service,
                    operation or name,
                    (verdict,),
                    role_arn=principal.role_arn,
                    session=principal.arn.rsplit("/", 1)[-1] if principal.role_arn else "",
                    outcome=denied or "ok",
                )
            )
        if verdict.decision.allowed or not self.enforcing:
            return ""
        return refusals.sentence(service, held.caller, verdict.request, verdict.decision)

    def delivery_refusal(
        self,
        service: str,
        action: str,
        resource: str,
        *,
        source_arn: str,
        source_account: str,
        policy: Policy | None,
        context: Mapping[str, ContextValue] | None = None,
    ) -> bool:
        """Whether a resource's policy keeps a service (``s3.amazonaws.com``) out that delivers to it."""
        parts = resource.split(":", 5)
        region = parts[3] if len(parts) > 3 else ""
        given: dict[str, ContextValue] = {
            **self._context(region),
            "aws:SourceArn": source_arn,
            "aws:SourceAccount": source_account,
            **(context or {}),
        }
        caller = Caller.of_service(service)
        request = Request(action, resource, resources.owner(resource), given)
        decision = evaluate(caller, request, Policies(resource=policy))
        name, _, operation = action.partition(":")
        self.log.add(
            Record(
                self.log.next_sequence(),
                self._now(),
                "delivery",
                service,
                "service",
                source_account,
                region,
                name,
                operation,
                (Verdict(request, decision),),
                outcome="ok" if decision.allowed else "AccessDenied",
            )
        )
        return not decision.allowed

    def close(self, record: Record, outcome: str, status: int, parameters: dict[str, Any]) -> None:
        """Keep the record of a call that has been answered."""
        self.log.add(replace(record, outcome=outcome, status=status, parameters=parameters))

    def _map(self, asked: Asked, principal: Principal) -> tuple[Authorisation, ...]:
        try:
            return authorisations(asked)
        except Unmapped as gap:
            if principal.kind is PrincipalKind.ROOT:
                return ()  # The account's owner may do what nobody has written down yet.
            raise AwsError(
                "NotEmulated",
                f"Coldstart can't authorise {gap.service}:{gap.operation} yet: {gap.reason}. "
                "This is our gap, not a mistake of yours.",
                501,
            ) from None

    def _decide(self, held: Held, wanted: Authorisation, context: Mapping[str, ContextValue]) -> Verdict:
        given = {**context, **wanted.context}
        if wanted.via:
            given["aws:ViaAWSService"] = "true"
            given["kms:ViaService"] = wanted.via
            given.pop("aws:SourceIp", None)
        if wanted.action.startswith("kms:"):
            given.setdefault("kms:CallerAccount", held.caller.account)
        resource = resources.find_policy(wanted.resource, wanted.action)
        policies = held.over(resource)
        if _mentions_tags(policies):
            for name, value in resources.tags(wanted.resource).items():
                given[f"aws:ResourceTag/{name}"] = value
                service = wanted.action.partition(":")[0]
                given[f"{service}:ResourceTag/{name}"] = value
        account = resources.owner(wanted.resource) or wanted.account_id or held.caller.account
        request = Request(wanted.action, wanted.resource, account, given)
        return Verdict(request, evaluate(held.caller, request, policies), wanted.via)

    def _context(
        self, region: str, source_ip: str = "", user_agent: str = "", *, via_service: bool = False
    ) -> dict[str, ContextValue]:
        at = self._clock.time()
        now = dt.datetime.fromtimestamp(at, dt.UTC)
        context: dict[str, ContextValue] = {
            # The endpoint speaks plain HTTP to this machine alone; what it stands for is TLS.
            "aws:SecureTransport": "true",
            "aws:CurrentTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "aws:EpochTime": str(int(at)),
            "aws:RequestedRegion": region,
            "aws:ViaAWSService": "true" if via_service else "false",
        }
        if source_ip:
            context["aws:SourceIp"] = source_ip
        if user_agent:
            context["aws:UserAgent"] = user_agent
        return context

    def _record(
        self, call: Call, principal: Principal, verdicts: Iterable[Verdict], source_ip: str, user_agent: str
    ) -> Record:
        return Record(
            self.log.next_sequence(),
            self._now(),
            "api",
            principal.arn,
            str(principal.kind),
            principal.account_id,
            call.region,
            call.service,
            call.operation,
            tuple(verdicts),
            role_arn=principal.role_arn,
            session=principal.arn.rsplit("/", 1)[-1] if principal.role_arn else "",
            access_key_id=principal.access_key_id,
            request_id=call.request_id,
            environment_id=call.environment_id,
            user_agent=user_agent,
            source_ip=source_ip,
        )

    def _now(self) -> dt.datetime:
        return self._clock.now()


class Denied(AwsError):
    """A call that is not allowed, with what was decided."""

    def __init__(self, error: AwsError, record: Record) -> None:
        super().__init__(error.code, error.message, error.status)
        self.record = record


def _mentions_tags(policies: Policies) -> bool:
    return any(
        _speaks_of_tags(policy)
        for policy in (
            *policies.identity,
            *policies.session,
            *(p for p in (policies.resource, policies.boundary) if p is not None),
            *(p for level in policies.scps for p in level),
        )
    )


def _speaks_of_tags(policy: Policy) -> bool:
    return any(
        "resourcetag/" in condition.key.lower()
        for statement in policy.document.statements
        for condition in statement.conditions
    )
