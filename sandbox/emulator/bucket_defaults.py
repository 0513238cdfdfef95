"""What every new bucket has on AWS and lacks in moto: closed to the public, no ACLs, encrypted.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.emulator.patches import replaces

OWNERSHIP = "BucketOwnerEnforced"
ALGORITHM = "AES256"


@replaces(
    "moto.s3.models",
    "FakeBucket.__init__",
    source_sha256="8965d4badfeec9f42c1e9a8bf6cca8085e19e44f2432f754073cdada986d7d9f",
)
def _close(original: Callable[..., None]) -> Callable[..., None]:
    from moto.s3.models import PublicAccessBlock

    def __init__(bucket: Any, *arguments: Any, **named: Any) -> None:
        original(bucket, *arguments, **named)
        bucket.public_access_block = PublicAccessBlock(True, True, True, True)
        bucket.ownership_rule = OWNERSHIP

    return __init__


@replaces(
    "moto.s3.models",
    "S3Backend.get_bucket_encryption",
    source_sha256="c53fdafc1b3d4ad99a46f488f7c2204ca64de3d36487d8816b9436040f40175b",
)
def _encrypt(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def get_bucket_encryption(backend: Any, bucket_name: str) -> Any:
        default = {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": ALGORITHM}}}
        return original(backend, bucket_name) or default

    return get_bucket_encryption
