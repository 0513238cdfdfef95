"""What is wrong with a role's statements, each with the statement and the evidence. Pure."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graders.iam import actions
from graders.iam.contexts import contexts
from graders.iam.declared import Right, generalised
from graders.iam.evidence import Evidence, Seen, Use
from graders.iam.minimal import Need, minimal_policy
from graders.iam.model import HeldPolicy, PolicySource, Role, as_list
from graders.iam.surroundings import Surroundings, instances
from sandbox.emulator.iam.evaluation import Request

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class RightsFinding:
    """One thing that is wrong with one statement.

    ``kind`` is a short constant name, ``headline`` what a learner reads, ``evidence`` further lines.
    ``policy`` and ``index`` are the statement's; ``narrower`` the statements that the run needed of it.
    """

    kind: str
    headline: str
    policy: HeldPolicy
    index: int
    evidence: tuple[str, ...] = ()
    narrower: tuple[Mapping[str, Any], ...] = ()
    line: str = ""
    patch: str = ""


@dataclass(frozen=True)
class Statement:
    """An Allow of a role with what it covers and which uses rest on it."""

    policy: HeldPolicy
    index: int
    body: Mapping[str, Any]
    covered: tuple[str, ...]
    uses: tuple[Seen, ...] = ()

    @property
    def key(self) -> tuple[str, int]:
        """As the decision log names it."""
        return self.policy.name, self.index

    @property
    def patterns(self) -> tuple[str, ...]:
        """Its actions as written."""
        return tuple(map(str, as_list(self.body.get("Action"))))

    @property
    def resources(self) -> tuple[str, ...]:
        """Its resources as written."""
        return tuple(map(str, as_list(self.body.get("Resource"))))

    @property
    def wild_actions(self) -> tuple[str, ...]:
        """Those of its actions that hold a wildcard."""
        return tuple(text for text in self.patterns if "*" in text or "?" in text)


@dataclass(frozen=True)
class Findings:
    """Looks at every statement of one role."""

    role: Role
    evidence: Evidence
    surroundings: Surroundings
    rights: Sequence[Right] = ()
    statements: tuple[Statement, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "statements", tuple(self._statements()))

    @functools.cached_property
    def found(self) -> tuple[RightsFinding, ...]:
        """The findings, in the order of the role's policies."""
        return tuple(found for statement in self.statements for found in self._of(statement))

    @functools.cached_property
    def unused(self) -> tuple[tuple[Statement, str, tuple[str, ...]], ...]:
        """Each action as written that allowed nothing in the run, with the real actions it stands for.

        Actions that no log could show, and those that the lab says are needed, are not among them.
        """
        return tuple(self._look_for_unused())

    def _look_for_unused(self) -> Iterator[tuple[Statement, str, tuple[str, ...]]]:
        for statement in self.statements:
            for written in statement.patterns or (f"all but {', '.join(self._excluded(statement))}",):
                stands_for = self._stands_for(statement, written)
                if stands_for and not any(self._spared(statement, action) for action in stands_for):
                    yield statement, written, stands_for

    def narrower(self, statement: Statement) -> tuple[Mapping[str, Any], ...]:
        """The statements that would do in place of one: what the run needed of it, and no more."""
        wanted = [
            Need(seen.request, generalised(seen.action, seen.resource, self.rights))
            for seen in statement.uses
            if seen.by_identity or not seen.statements
        ]
        wanted += [
            need
            for need in self._declared()
            if self._tightest(need.request.action, need.request.resource) == statement.key
        ]
        return tuple(minimal_policy(wanted)["Statement"])

    # --- the kinds

    def _of(self, statement: Statement) -> Iterator[RightsFinding]:
        for found in (
            self._inverted(statement),
            self._wild_action(statement),
            self._wild_resource(statement),
            self._broad_resource(statement),
            self._unknown(statement),
            self._unused(statement),
        ):
            if found is not None:
                yield found

    def _inverted(self, statement: Statement) -> RightsFinding | None:
        if "NotAction" in statement.body:
            but = ", ".join(self._excluded(statement))
            told = (
                f"Allows everything but {but}: {len(statement.covered)} actions of the labs' services alone."
            )
            return self._found("not_action", told, statement, self._used(statement))
        if "NotResource" in statement.body:
            but = ", ".join(map(str, as_list(statement.body["NotResource"])))
            told = f"Allows its actions on every resource but {but}."
            return self._found("not_resource", told, statement, self._used(statement))
        return None

    def _wild_action(self, statement: Statement) -> RightsFinding | None:
        wild = statement.wild_actions
        if not wild:
            return None
        several = [action for text in wild for action in self._stands_for(statement, text)]
        told = f"`{', '.join(wild)}` allows {len(set(several))} actions."
        return self._found("wildcard_action", told, statement, self._used(statement))

    def _wild_resource(self, statement: Statement) -> RightsFinding | None:
        if "*" not in statement.resources:
            return None
        # Some actions act on a resource in some requests only; those of the others need `*`.
        on_nothing = {seen.action for seen in statement.uses if seen.resource == "*"}
        narrowable = [
            action for action in statement.covered if actions.types_of(action) and action not in on_nothing
        ]
        if not narrowable:
            return None
        several = f"{len(narrowable)} actions that" if len(narrowable) > 1 else f"{narrowable[0]}, which"
        told = f"Resource `*` for {several} can be allowed for one resource."
        return self._found("wildcard_resource", told, statement, self._used(statement))

    def _broad_resource(self, statement: Statement) -> RightsFinding | None:
        """A pattern that reaches resources of the same type that are not the stack's."""
        broad = [
            text
            for text in statement.resources
            if text != "*" and ("*" in text or "?" in text) and self._reaches_others(statement, text)
        ]
        if not broad:
            return None
        told = f"`{broad[0]}` reaches resources that are not yours."
        return self._found("broad_resource", told, statement, self._used(statement))

    def _unknown(self, statement: Statement) -> RightsFinding | None:
        unknown = [
            text
            for text in statement.patterns
            if text not in statement.wild_actions and not actions.exists(text)
        ]
        if not unknown:
            return None
        return self._found(
            "unknown_action", f"There is no action {', '.join(unknown)}: it allows nothing.", statement, ()
        )

    def _unused(self, statement: Statement) -> RightsFinding | None:
        idle = [
            written
            for each, written, _ in self.unused
            if each is statement and written in statement.patterns and written not in statement.wild_actions
        ]
        if not idle:
            return None
        verb = "was" if len(idle) == 1 else "were"
        told = f"{', '.join(idle)} {verb} never used in this run."
        return self._found("unused_action", told, statement, self._used(statement))

    # --- helpers

    def _statements(self) -> Iterator[Statement]:
        for policy, index, body in self.role.allowing():
            uses = tuple(
                seen
                for seen in self.evidence.used
                if (seen.by_identity or not seen.statements)
                and (policy.name, index)
                == self._tightest(seen.action, seen.resource, seen if seen.statements else None)
            )
            yield Statement(policy, index, body, actions.covered(body), uses)

    def _tightest(self, action: str, resource: str, seen: Seen | None = None) -> tuple[str, int] | None:
        """Of the statements that allow a request the one that gives least away."""
        if seen is not None:
            keys = {(ref.policy, ref.index) for ref in seen.statements if ref.effect == "Allow"}
        else:
            probe = self.role.decide(_request(action, resource, self.role.account_id))
            keys = {(ref.policy, ref.index) for ref in probe.statements if ref.effect == "Allow"}
        ranked = sorted(
            (_looseness(policy, body), policy.name, index)
            for policy, index, body in self.role.allowing()
            if (policy.name, index) in keys
        )
        return (ranked[0][1], ranked[0][2]) if ranked else None

    def _declared(self) -> Iterator[Need]:
        for each in self.rights:
            if each.needed:
                for action in each.actions:
                    for resource in each.resources:
                        yield Need(_request(action, resource, self.role.account_id), resource, declared=True)

    def _spared(self, statement: Statement, action: str) -> bool:
        """Whether an action is no reason to complain: used, needed by the lab's word, or not to be seen."""
        resting = (*self.evidence.uses_of(statement.key), *statement.uses)
        if any(seen.action == action for seen in resting):
            return True
        if self.evidence.use_of(action) is Use.NOT_OBSERVABLE:
            return True
        return any(
            each.needed and each.covers(action, resource)
            for each in self.rights
            for resource in each.resources
        )

    def _stands_for(self, statement: Statement, written: str) -> tuple[str, ...]:
        """What an action as written really allows: within boundary and organization, minus denies."""
        several = (
            actions.covered({"Effect": "Allow", "Action": written})
            if written in statement.patterns
            else statement.covered
        )
        return tuple(action for action in several if self._granted(statement, action))

    def _granted(self, statement: Statement, action: str) -> bool:
        """Whether a statement allows an action on anything at all."""
        for context in contexts([statement.body], self.surroundings.region, self.role.denying()):
            for candidate in self.surroundings.candidates(action, self._instances):
                refs = self.role.could(Request(action, candidate.arn, context=context)).statements
                if any((ref.policy, ref.index) == statement.key and ref.effect == "Allow" for ref in refs):
                    return True
        return False

    @functools.cached_property
    def _instances(self) -> tuple[str, ...]:
        return instances(self.role, self.surroundings)

    def _reaches_others(self, statement: Statement, pattern: str) -> bool:
        alone = actions.policy([{"Effect": "Allow", "Action": "*", "Resource": pattern}])
        return any(
            candidate.other and alone.document.statements[0].covers(candidate.arn, lambda _key: ())
            for action in statement.covered
            for candidate in self.surroundings.candidates(action)
        )

    @staticmethod
    def _excluded(statement: Statement) -> tuple[str, ...]:
        return tuple(map(str, as_list(statement.body.get("NotAction"))))

    @staticmethod
    def _used(statement: Statement) -> tuple[str, ...]:
        counted: dict[str, int] = {}
        for seen in statement.uses:
            counted[seen.action] = counted.get(seen.action, 0) + 1
        if not counted:
            return ("Nothing in this run rested on it.",)
        told = [f"{action} ({times} ×)" for action, times in sorted(counted.items())]
        more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        return (f"This run used {', '.join(told[:_SHOWN])}{more} of it.",)

    def _found(
        self, kind: str, headline: str, statement: Statement, evidence: tuple[str, ...]
    ) -> RightsFinding:
        narrower = self.narrower(statement)
        return RightsFinding(kind, headline, statement.policy, statement.index, evidence, narrower)


def _request(action: str, resource: str, account_id: str) -> Request:
    return Request(action, resource.replace("*", "x") if resource != "*" else resource, account_id)


def _looseness(policy: HeldPolicy, body: Mapping[str, Any]) -> tuple[bool, bool, bool, bool, int]:
    written = tuple(map(str, as_list(body.get("Action"))))
    resources = tuple(map(str, as_list(body.get("Resource"))))
    return (
        "NotAction" in body or "NotResource" in body,
        any("*" in text for text in written),
        "*" in resources,
        policy.source is not PolicySource.INLINE,
        sum(text.count("*") for text in resources),
    )
