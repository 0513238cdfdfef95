"""Where moto would use a key that AWS does not: one that is disabled, going away or in another region."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.kms.models import kms_backends

from sandbox.emulator.patches import replaces

# States in which a key works. Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
USABLE = ("Enabled", "Updating")
_IN_WORDS = {
    "Creating": "creating",
    "PendingDeletion": "pending deletion",
    "PendingReplicaDeletion": "pending replica deletion",
}


def find_key(arn: str) -> Any:
    """A key by its ARN, or None. Call with the dispatch lock held."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[3] not in kms_backends[parts[4]].regions:
        return None
    return kms_backends[parts[4]][parts[3]].keys.get(parts[5].removeprefix("key/"))


def refusal(key: Any) -> tuple[str, str] | None:
    """The error's code and message for a key that can't be used now; None for one that can."""
    if key.key_state in USABLE:
        return None
    if key.key_state == "Disabled":
        return "DisabledException", f"{key.arn} is disabled."
    return "KMSInvalidStateException", f"{key.arn} is {_IN_WORDS.get(key.key_state, key.key_state)}."


def _check(backend: Any, key_id: str) -> None:
    key = backend.keys.get(backend.any_id_to_key_id(key_id)) if key_id else None
    refused = refusal(key) if key is not None else None
    if refused is not None:
        raise JsonRESTError(*refused)


@replaces(
    "moto.kms.models",
    "generate_key_id",
    source_sha256="6c555ec7adca14516465777c980cd8df5afd63bb79379ecca9a0052d812a1c24",
)
def _as_aws_names_them(original: Callable[..., str]) -> Callable[..., str]:
    """moto's ids of multi-Region keys are four characters too long for its own ciphertexts."""

    def generate_key_id(multi_region: bool = False) -> str:
        return f"mrk-{uuid.uuid4().hex}" if multi_region else original(False)

    return generate_key_id


@replaces(
    "moto.kms.responses",
    "KmsResponse._validate_cmk_id",
    source_sha256="063b9cdd2ff878660eb705af6d6dce2d1413b14d2cd65689cbf0c30362a63a2a",
)
def _in_this_region(original: Callable[..., None]) -> Callable[..., None]:
    def validate(response: Any, key_id: str) -> None:
        is_arn = key_id.startswith("arn:") and ":key/" in key_id
        if is_arn and (region := key_id.split(":")[3]) != response.region:
            raise JsonRESTError("NotFoundException", f"Invalid arn {region}")
        raw = response.kms_backend.get_key_id(key_id)
        if not raw.startswith("mrk-"):
            original(response, key_id)
        elif raw not in response.kms_backend.keys:
            raise JsonRESTError("NotFoundException", f"Key '{response._display_arn(key_id)}' does not exist")

    return validate


@replaces(
    "moto.kms.models",
    "KmsBackend.encrypt",
    source_sha256="bc36789dcd190059661352341d12a86903e14b4e52e462c6f4b9024f4064f76a",
)
def _encrypts(original: Callable[..., Any]) -> Callable[..., Any]:
    def encrypt(backend: Any, key_id: str, plaintext: bytes, encryption_context: dict[str, str]) -> Any:
        _check(backend, key_id)
        return original(backend, key_id, plaintext, encryption_context)

    return encrypt


@replaces(
    "moto.kms.models",
    "KmsBackend.decrypt",
    source_sha256="52b413fa59da4c0df0de6b5d145c801cb45cd85c6daff72716ce274f39b3cfb0",
)
def _decrypts(original: Callable[..., Any]) -> Callable[..., Any]:
    def decrypt(
        backend: Any, ciphertext_blob: bytes, encryption_context: dict[str, str], key_id: str | None = None
    ) -> Any:
        plaintext, arn = original(backend, ciphertext_blob, encryption_context, key_id)
        _check(backend, arn)
        return plaintext, arn

    return decrypt


@replaces(
    "moto.kms.models",
    "KmsBackend.sign",
    source_sha256="59b926da80ce0ec8182326cc6f1ea9def7c4d2e55bd6bfb6316bc53d325bfadd",
)
def _signs(original: Callable[..., Any]) -> Callable[..., Any]:
    def sign(backend: Any, key_id: str, message: bytes, signing_algorithm: str) -> Any:
        _check(backend, key_id)
        return original(backend, key_id, message, signing_algorithm)

    return sign


@replaces(
    "moto.kms.models",
    "KmsBackend.verify",
    source_sha256="d230909592faab52b840c0008ebd6c8374d2d67e2e2fd938b1016a1b1bb0ed70",
)
def _verifies(original: Callable[..., Any]) -> Callable[..., Any]:
    def verify(backend: Any, key_id: str, message: bytes, signature: bytes, signing_algorithm: str) -> Any:
        _check(backend, key_id)
        return original(backend, key_id, message, signature, signing_algorithm)

    return verify


@replaces(
    "moto.kms.models",
    "KmsBackend.generate_mac",
    source_sha256="464327c768ea3fcae3bf1abe3654e8570c221d4266ed128c21b96fab1adf98d8",
)
def _makes_codes(original: Callable[..., Any]) -> Callable[..., Any]:
    def generate_mac(backend: Any, message: bytes, key_id: str, *rest: Any, **more: Any) -> Any:
        _check(backend, key_id)
        return original(backend, message, key_id, *rest, **more)

    return generate_mac
