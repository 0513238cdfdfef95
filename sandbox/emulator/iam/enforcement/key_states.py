"""Whether a key works, and what services answer whose key does not.

Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
"""

from __future__ import annotations

from typing import Any

from moto.kms.models import kms_backends

from sandbox.emulator.calls import AwsError

# States in which a key works.
USABLE = ("Enabled", "Updating")
_IN_WORDS = {
    "Creating": "creating",
    "PendingDeletion": "pending deletion",
    "PendingReplicaDeletion": "pending replica deletion",
}
_DISABLED, _INVALID = "DisabledException", "KMSInvalidStateException"
# By service: its own codes for a disabled key and for one in another state; ``{}`` is KMS's message.
# Source: the errors of each service's API reference; S3 puts ``KMS.`` before KMS's own code.
_CODES: dict[str, tuple[str, str]] = {
    "s3": ("KMS.DisabledException", "KMS.KMSInvalidStateException"),
    "sqs": ("KmsDisabled", "KmsInvalidState"),
    "sns": ("KMSDisabled", "KMSInvalidState"),
    "kinesis": ("KMSDisabledException", "KMSInvalidStateException"),
    "ssm": ("InvalidKeyId", "InvalidKeyId"),
}
_READS = ("GetSecretValue", "BatchGetSecretValue")
_SECRET = (
    "Secrets Manager can't {} the protected secret text using the provided KMS key. "
    "Check that the KMS key is available, enabled, and not in an invalid state."
)


def find_key(arn: str) -> Any:
    """A key by its ARN, or None. Call with the dispatch lock held."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[3] not in kms_backends[parts[4]].regions:
        return None
    return kms_backends[parts[4]][parts[3]].keys.get(parts[5].removeprefix("key/"))


def refusal(key: Any) -> tuple[str, str] | None:
    """KMS's error code and message for a key that can't be used now; None for one that can."""
    if key.key_state in USABLE:
        return None
    if key.key_state == "Disabled":
        return _DISABLED, f"{key.arn} is disabled."
    return _INVALID, f"{key.arn} is {_IN_WORDS.get(key.key_state, key.key_state)}."


def error(service: str, operation: str, key_arn: str) -> AwsError | None:
    """What a service answers that needs a key for a call; None when the key works or is not to be found."""
    key = find_key(key_arn)
    refused = refusal(key) if key is not None else None
    if refused is None:
        return None
    code, message = refused
    if service == "secretsmanager":
        reads = operation in _READS
        return AwsError(
            "DecryptionFailure" if reads else "EncryptionFailure",
            _SECRET.format("decrypt" if reads else "encrypt"),
        )
    disabled, invalid = _CODES.get(service, (_DISABLED, _INVALID))
    return AwsError(disabled if code == _DISABLED else invalid, message)
