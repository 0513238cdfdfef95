"""moto asks inline and trust policies for a version; AWS asks only managed policies for one.

The roles that the Serverless transform writes have inline policies without ``Version``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.emulator.patches import replaces


def _check_inline(document: str) -> None:
    from moto.iam.policy_validation import IAMPolicyDocumentValidator

    class InlinePolicy(IAMPolicyDocumentValidator):  # type: ignore[misc]
        def _validate_version(self) -> None:
            """``2008-10-17``, which is what an absent version means, is good enough here."""

    InlinePolicy(document).validate()


@replaces(
    "moto.iam.models",
    "IAMBackend.put_role_policy",
    source_sha256="646445273c90d95fb87bb43c823ffb675ba9db7ba64378be35778716b9705f8d",
)
def _put_role_policy(_original: Callable[..., None]) -> Callable[..., None]:
    def put_role_policy(self: Any, role_name: str, policy_name: str, policy_json: str) -> None:
        role = self.get_role(role_name)
        _check_inline(policy_json)
        role.put_policy(policy_name, policy_json)

    return put_role_policy


@replaces(
    "moto.iam.policy_validation",
    "IAMTrustPolicyDocumentValidator._validate_version",
    source_sha256="44a05aa2a7a43adb22410e3ddf8e266c08cf1e09a17d194a5d5b0aa9437d653d",
)
def _trust_version(_original: Callable[..., None]) -> Callable[..., None]:
    def _validate_version(self: Any) -> None:
        """Absent means ``2008-10-17``, which is a version."""

    return _validate_version
