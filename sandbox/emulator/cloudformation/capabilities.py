"""Which templates need to be acknowledged before they run."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.emulator.calls import AwsError
from sandbox.emulator.cloudformation.includes import includes
from sandbox.emulator.cloudformation.template import Template

_IAM = frozenset(
    f"AWS::IAM::{name}"
    for name in (
        "AccessKey",
        "Group",
        "InstanceProfile",
        "ManagedPolicy",
        "Policy",
        "Role",
        "User",
        "UserToGroupAddition",
    )
)
_NAMES = ("GroupName", "InstanceProfileName", "ManagedPolicyName", "RoleName", "UserName")


def needed(template: Template) -> tuple[list[str], str]:
    """The capabilities that a processed template needs, and why."""
    resources = [r for r in template.resources.values() if r.get("Type") in _IAM]
    if not resources:
        return [], ""
    named = any(name in r.get("Properties", {}) for r in resources for name in _NAMES)
    types = ", ".join(sorted({str(r["Type"]) for r in resources}))
    reason = f"The following resource(s) require capabilities: [{types}]"
    return ["CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"], reason


def insufficient(template: Template, given: Sequence[str]) -> AwsError | None:
    """The refusal of a processed template whose needs are not acknowledged."""
    wanted, _ = needed(template)
    # Whoever acknowledges named IAM resources acknowledges unnamed ones.
    missing = [c for c in wanted if c not in given and "CAPABILITY_NAMED_IAM" not in given]
    return _refusal(missing) if missing else None


def unexpanded(template: Template, given: Sequence[str]) -> AwsError | None:
    """The refusal of running macros without somebody reviewing what they make."""
    return (
        _refusal(["CAPABILITY_AUTO_EXPAND"])
        if (template.transforms or includes(template.values)) and "CAPABILITY_AUTO_EXPAND" not in given
        else None
    )


def _refusal(missing: Sequence[str]) -> AwsError:
    return AwsError(
        "InsufficientCapabilitiesException", f"Requires capabilities : [{', '.join(missing)}]", 400
    )
