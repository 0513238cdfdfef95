"""What a decision is made from, and the decision. Frozen types that the rest of the emulator builds on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.emulator.iam.evaluation.statements import Document

_Scalar = str | bool | int | float | bytes
ContextValue = _Scalar | Sequence[_Scalar] | None


class CallerKind(StrEnum):
    """What sort of principal makes a request."""

    USER = "user"
    ROLE_SESSION = "role-session"
    FEDERATED_USER = "federated-user"
    """A session of ``GetFederationToken``."""
    SERVICE = "service"
    """An AWS service acting for itself, such as ``sns.amazonaws.com`` delivering to a queue."""
    ROOT = "root"
    EXTERNAL = "external"
    """Known to an identity provider only, and asking for a role: ``AssumeRoleWithWebIdentity``, ``…SAML``."""
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request.

    ``arn`` is the ARN that signs the request: of the user, of the session
    (``arn:aws:sts::…:assumed-role/role/name``), or of the account's root. ``role_arn`` is the role behind a
    session, with its path; ``user_arn`` the user behind a federated session. ``unique_id`` is what
    ``aws:userid`` says (``AIDA…``, ``AROA…:session``). ``service_linked``: the session's role is a
    service-linked one. ``management_account``: the account manages its organization, so no SCP binds it.
    ``tags`` are the principal's tags, session tags included.
    """

    kind: CallerKind
    account: str = ""
    arn: str = ""
    role_arn: str = ""
    user_arn: str = ""
    service: str = ""
    unique_id: str = ""
    identity_provider: str = ""
    canonical_id: str = ""
    service_linked: bool = False
    management_account: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def user(cls, account: str, arn: str, *, unique_id: str = "") -> Caller:
        """An IAM user."""
        return cls(CallerKind.USER, account, arn, unique_id=unique_id)

    @classmethod
    def role_session(cls, account: str, arn: str, role_arn: str, *, unique_id: str = "") -> Caller:
        """A session of a role."""
        return cls(CallerKind.ROLE_SESSION, account, arn, role_arn, unique_id=unique_id)

    @classmethod
    def of_service(cls, service: str) -> Caller:
        """An AWS service, by its principal name."""
        return cls(CallerKind.SERVICE, service=service)


@dataclass(frozen=True, slots=True)
class Request:
    """One authorisation AWS would ask for: an action on a resource.

    ``action`` is ``service:Action``. ``resource`` is an ARN, or ``*`` for an action without resources.
    ``resource_account``: empty when the ARN says it or it is the caller's. ``context`` holds condition keys,
    named in any case, as text, numbers, booleans or lists of those. Keys that say who the caller is
    (``aws:PrincipalArn``, ``aws:PrincipalAccount``, ``aws:PrincipalType``, ``aws:userid``, ``aws:username``,
    ``aws:PrincipalTag/…``, ``aws:PrincipalIsAWSService``, ``aws:PrincipalServiceName``) and
    ``aws:ResourceAccount`` are derived unless given here.
    """

    action: str
    resource: str = "*"
    resource_account: str = ""
    context: Mapping[str, ContextValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy ready to be evaluated, under the name that explanations use. Made by ``parse_policy``."""

    name: str
    document: Document
    _references: dict[PolicyType, tuple[StatementRef, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def references(self, kind: PolicyType) -> tuple[StatementRef, ...]:
        """Its statements as explanations name them, when it is a policy of that type. Made once."""
        found = self._references.get(kind)
        if found is None:
            found = tuple(
                StatementRef(kind, self.name, each.index, each.sid, "Allow" if each.allows else "Deny")
                for each in self.document.statements
            )
            self._references[kind] = found
        return found


@dataclass(frozen=True, slots=True)
class Policies:
    """Every policy that bears on a request.

    ``identity``: inline and managed policies of the user and its groups, or of the role. ``resource``: the
    policy of the resource, also a role's trust policy (``sts:AssumeRole`` on the role) or a key policy.
    ``session``: policies passed when the session was made; none passed is empty. ``scps``: the organization's
    levels from the root down to the account, each with its policies; without an organization empty.
    """

    identity: tuple[Policy, ...] = ()
    resource: Policy | None = None
    boundary: Policy | None = None
    session: tuple[Policy, ...] = ()
    scps: tuple[tuple[Policy, ...], ...] = ()


class PolicyType(StrEnum):
    """The layers, in the words of AWS's error messages."""

    SCP = "service control policy"
    RESOURCE = "resource-based policy"
    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"


class Reason(StrEnum):
    """Why a request was decided as it was."""

    ALLOWED_BY_IDENTITY = "an identity-based policy allows it"
    ALLOWED_BY_RESOURCE = "a resource-based policy allows it"
    ALLOWED_BY_BOTH = "the identity-based and the resource-based policy allow it"
    ALLOWED_AS_ROOT = "the account's root user may"
    DENIED_BY_SCP = "explicit deny in a service control policy"
    DENIED_BY_RESOURCE = "explicit deny in a resource-based policy"
    DENIED_BY_IDENTITY = "explicit deny in an identity-based policy"
    DENIED_BY_BOUNDARY = "explicit deny in a permissions boundary"
    DENIED_BY_SESSION = "explicit deny in a session policy"
    NO_SCP = "no service control policy allows it"
    NO_RESOURCE = "no resource-based policy allows it"
    NO_IDENTITY = "no identity-based policy allows it"
    NO_BOUNDARY = "no permissions boundary allows it"
    NO_SESSION = "no session policy allows it"

    @property
    def policy_type(self) -> PolicyType | None:
        """The layer that denies, or that lacks the allow. ``None`` for an allowed request."""
        return _LAYERS.get(self)

    @property
    def explicit(self) -> bool:
        """A Deny statement decided."""
        return self in EXPLICIT.values()


EXPLICIT = {
    PolicyType.SCP: Reason.DENIED_BY_SCP,
    PolicyType.RESOURCE: Reason.DENIED_BY_RESOURCE,
    PolicyType.IDENTITY: Reason.DENIED_BY_IDENTITY,
    PolicyType.BOUNDARY: Reason.DENIED_BY_BOUNDARY,
    PolicyType.SESSION: Reason.DENIED_BY_SESSION,
}
MISSING = {
    PolicyType.SCP: Reason.NO_SCP,
    PolicyType.RESOURCE: Reason.NO_RESOURCE,
    PolicyType.IDENTITY: Reason.NO_IDENTITY,
    PolicyType.BOUNDARY: Reason.NO_BOUNDARY,
    PolicyType.SESSION: Reason.NO_SESSION,
}
_LAYERS = {reason: layer for table in (EXPLICIT, MISSING) for layer, reason in table.items()}


@dataclass(frozen=True, slots=True)
class StatementRef:
    """A statement that decided: which policy, of which type, and where in it (``index`` counts from 0)."""

    policy_type: PolicyType
    policy: str
    index: int
    sid: str
    effect: str

    def as_json(self) -> dict[str, Any]:
        """As plain JSON types: ``policy_type``, ``policy``, ``index``, ``sid`` (may be empty), ``effect``."""
        return {
            "policy_type": str(self.policy_type),
            "policy": self.policy,
            "index": self.index,
            "sid": self.sid,
            "effect": self.effect,
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed or not, why, and by which statements.

    ``statements``: of an allowed request those that allow it, of an explicitly denied one all that deny it.
    Empty when nothing but a missing allow decided; ``reason.policy_type`` then says where it is missing.
    """

    allowed: bool
    reason: Reason
    statements: tuple[StatementRef, ...] = ()
