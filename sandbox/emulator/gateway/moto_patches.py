"""What moto does anew on each call although it never changes, and what the gateway has done before it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from moto.core.errors import ErrorLookupFactory
from moto.iam.access_control import PermissionResult

from sandbox.emulator.patches import replaces


@replaces(
    "moto.core.responses",
    "method_names_from_class",
    source_sha256="9dbac89d082b655fee902c450e69de9dbadf9699ad06411298494984b55138c3",
)
def _remembered(original: Any) -> Any:
    @functools.cache
    def method_names_from_class(owner: type) -> frozenset[str]:
        return frozenset(original(owner))

    return method_names_from_class


@replaces(
    "moto.core.utils",
    "service_name_from_moto_package_name",
    source_sha256="7a76495600e3a446dc714302b3576e83caef23669152b96afd377229a23dfa8e",
)
def _named_once(original: Any) -> Any:
    """For each error that it answers, moto makes a session and lists every service of AWS."""
    return functools.cache(original)


@replaces(
    "moto.core.errors",
    "ErrorLookupFactory.for_service",
    source_sha256="a5137a421b369d89e71e3f69ed2a6dc52c23a04aec9f500a9679994430eac82b",
)
def _looked_up_once(original: Any) -> Any:
    """For each error, moto makes anew the table of a service's errors, which it means to keep."""
    remembered = functools.cache(lambda service_model: original(ErrorLookupFactory(), service_model))

    def for_service(_factory: Any, service_model: Any) -> Any:
        return remembered(service_model)

    return for_service


@replaces(
    "moto.s3.models",
    "FakeBucket.get_permission",
    source_sha256="7571412a3495a0e3e1a2a34b0b8ed3fc0af1a96d35514841b274fbe1eac12b99",
)
def _bucket_policies_were_evaluated(_original: Callable[..., Any]) -> Callable[..., Any]:
    def get_permission(_bucket: Any, _action: str, _resource: str) -> Any:
        # moto ignores conditions: "deny without TLS" would deny everything.
        return PermissionResult.NEUTRAL

    return get_permission


@replaces(
    "moto.iam.policy_validation",
    "IAMPolicyDocumentValidator.validate",
    source_sha256="3198fe202eac5ed889c4778423c3be2066d7758be68fde8f01566d75fd47be64",
)
@replaces(
    "moto.iam.policy_validation",
    "IAMTrustPolicyDocumentValidator.validate",
    source_sha256="be3ae1f3489c56b25b40f8f028de2c089c9c49fb8cc6b865d9d15cc7cc652ac9",
)
def _documents_were_checked(_original: Callable[..., None]) -> Callable[..., None]:
    def validate(_validator: Any) -> None:
        """Malformed documents do not get past the gateway; moto refuses some that AWS takes."""

    return validate
