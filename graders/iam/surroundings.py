"""What there is to act on: the stack's resources by ARN, and those that nobody's contract names. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graders.iam import actions
from graders.iam.actions import OTHER, Candidate
from graders.iam.model import Role, as_list


@dataclass(frozen=True, slots=True)
class Owned:
    """A resource of the stack with its ARN. ``parts`` are ARNs of what is in it, such as an object."""

    logical_id: str
    physical_id: str
    type: str
    arn: str
    parts: tuple[str, ...] = ()


def _by_name(pattern: str) -> Callable[[str, str, str], str]:
    return lambda name, account, region: pattern.format(name=name, account=account, region=region)


def _as_it_is(pattern: str) -> Callable[[str, str, str], str]:
    by_name = _by_name(pattern)
    return lambda name, account, region: name if name.startswith("arn:") else by_name(name, account, region)


def _queue(url: str, account: str, region: str) -> str:
    return f"arn:aws:sqs:{region}:{account}:{url.rsplit('/', 1)[-1]}"


_AT = "{region}:{account}"
_ARNS: Mapping[str, tuple[Callable[[str, str, str], str], tuple[str, ...]]] = {
    "AWS::S3::Bucket": (_by_name("arn:aws:s3:::{name}"), (f"/{OTHER}",)),
    "AWS::DynamoDB::Table": (_by_name(f"arn:aws:dynamodb:{_AT}:table/{{name}}"), (f"/index/{OTHER}",)),
    "AWS::SQS::Queue": (_queue, ()),
    "AWS::SNS::Topic": (_as_it_is("{name}"), ()),
    "AWS::Lambda::Function": (_as_it_is(f"arn:aws:lambda:{_AT}:function:{{name}}"), ()),
    "AWS::Logs::LogGroup": (_by_name(f"arn:aws:logs:{_AT}:log-group:{{name}}"), (f":log-stream:{OTHER}",)),
    "AWS::StepFunctions::StateMachine": (_as_it_is("{name}"), ()),
    "AWS::SecretsManager::Secret": (_as_it_is("{name}"), ()),
    "AWS::KMS::Key": (_as_it_is(f"arn:aws:kms:{_AT}:key/{{name}}"), ()),
    "AWS::Events::EventBus": (_as_it_is(f"arn:aws:events:{_AT}:event-bus/{{name}}"), ()),
    "AWS::Events::Rule": (_as_it_is(f"arn:aws:events:{_AT}:rule/{{name}}"), ()),
    "AWS::SSM::Parameter": (_by_name(f"arn:aws:ssm:{_AT}:parameter/{{name}}"), ()),
    "AWS::Kinesis::Stream": (_by_name(f"arn:aws:kinesis:{_AT}:stream/{{name}}"), ()),
    "AWS::Scheduler::Schedule": (_as_it_is(f"arn:aws:scheduler:{_AT}:schedule/default/{{name}}"), ()),
    "AWS::IAM::Role": (_by_name("arn:aws:iam::{account}:role/{name}"), ()),
}


@dataclass(frozen=True)
class Surroundings:
    """The account around a role: its stack's resources, and resources of others that a lab names.

    ``others`` are ARNs, by what a learner would call them, that the learner has no business with.
    """

    account_id: str
    region: str
    owned: tuple[Owned, ...] = ()
    others: Mapping[str, str] | None = None

    @classmethod
    def of(
        cls,
        resources: Iterable[Any],
        *,
        account_id: str,
        region: str,
        others: Mapping[str, str] | None = None,
    ) -> Surroundings:
        """Those of a stack's ``resources``, each with ``logical_id``, ``physical_id`` and ``type``."""
        owned = []
        for item in resources:
            if item.type in _ARNS and item.physical_id:
                build, parts = _ARNS[item.type]
                arn = build(item.physical_id, account_id, region)
                found = Owned(
                    item.logical_id, item.physical_id, item.type, arn, tuple(arn + p for p in parts)
                )
                owned.append(found)
        return cls(account_id, region, tuple(owned), others)

    def owner_of(self, arn: str) -> Owned | None:
        """The resource of the stack that an ARN names, or that what it names is part of."""
        fitting = [
            item for item in self.owned if arn == item.arn or arn.startswith((f"{item.arn}/", f"{item.arn}:"))
        ]
        return max(fitting, key=lambda item: len(item.arn), default=None)

    def candidates(self, action: str, more: Iterable[str] = ()) -> tuple[Candidate, ...]:
        """Resources to try an action on: the stack's, those of others, any other one, and ``more``."""
        types = actions.types_of(action)
        if not types:
            return (Candidate("*", "everything, for it acts on no resource of its own"),)
        service = action.partition(":")[0]
        found: dict[str, Candidate] = {}
        for candidate in (*self._known, *map(self._instance, more)):
            if actions.type_of(candidate.arn) in types:
                found.setdefault(candidate.arn, candidate)
        # Access points and their like are further doors to what is tried anyway.
        for resource_type in [name for name in types if not name.startswith("accesspoint")] or types:
            for arn in self._foreign(service, resource_type):
                found.setdefault(arn, Candidate(arn, f"any other {_spoken(resource_type)}", other=True))
        return tuple(found.values())

    def _instance(self, arn: str) -> Candidate:
        owner = self.owner_of(arn)
        if owner is not None:
            return Candidate(arn, f"anything in your {owner.logical_id}")
        return Candidate(arn, f"any other {_spoken(actions.type_of(arn))}", other=True)

    @functools.cached_property
    def _known(self) -> tuple[Candidate, ...]:
        own = [
            Candidate(
                arn, f"your {item.logical_id}" if arn == item.arn else f"anything in your {item.logical_id}"
            )
            for item in self.owned
            for arn in (item.arn, *item.parts)
        ]
        return (*own, *(Candidate(arn, name, other=True) for name, arn in (self.others or {}).items()))

    @functools.lru_cache(maxsize=512)  # noqa: B019  An instance lives as long as one grading.
    def _foreign(self, service: str, resource_type: str) -> tuple[str, ...]:
        return tuple(actions.other(service, resource_type, account_id=self.account_id, region=self.region))

    def __hash__(self) -> int:
        return id(self)


def instances(role: Role, surroundings: Surroundings) -> tuple[str, ...]:
    """A resource for each pattern of a role's statements, with something in place of its wildcards."""
    found: dict[str, None] = {}
    for _, _, statement in role.allowing():
        for pattern in as_list(statement.get("Resource")):
            found |= dict.fromkeys(_instances(str(pattern), surroundings))
    return tuple(found)


def _instances(pattern: str, surroundings: Surroundings) -> Iterator[str]:
    if pattern.count(":") < 5 or "${" in pattern:
        return
    partition, service, region, account, rest = pattern.split(":", 5)[1:]
    here = {"*": surroundings.region}
    filled = ":".join(
        (
            "arn",
            "aws" if "*" in partition else partition,
            service,
            here.get(region, region).replace("*", OTHER),
            surroundings.account_id if "*" in account else account,
            re.sub(r"\*+", OTHER, rest).replace("?", "x"),
        )
    )
    if "*" not in service:
        yield filled
        if service == "logs" and rest.startswith("log-group:") and rest.endswith(":*"):
            # "group:*" is how a policy names the streams of a group.
            yield f"{filled.removesuffix(OTHER)}log-stream:{OTHER}"


def _spoken(resource_type: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", resource_type).replace("-", " ").replace("_", " ")
    return {"statemachine": "state machine"}.get(words.lower(), words.lower())
