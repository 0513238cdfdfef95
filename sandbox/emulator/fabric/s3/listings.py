"""Listings in pages that S3 leaves shorter than it could.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html ("The response might contain
fewer keys but will never contain more")
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.emulator.faults import Faults
from sandbox.emulator.patches import replaces
from sandbox.faults.reads import ShortPages

_faults: Faults | None = None


def obey(faults: Faults) -> None:
    """From now on the fault ``s3.short_pages`` has a page of a listing hold ``keys`` keys at most."""
    global _faults
    _faults = faults


@replaces(
    "moto.s3.models",
    "S3Backend._truncate_result",
    source_sha256="28479183c337597b6828c051b11737510da49ad8976334d86e09bb5e36780679",
)
def _shorten(original: Callable[..., Any]) -> Callable[..., Any]:
    def truncate_result(backend: Any, result_keys: Any, max_keys: int) -> Any:
        fault = _faults.find(ShortPages) if _faults is not None else None
        if fault is not None and max_keys > 0:
            max_keys = min(max_keys, fault.keys)
        return original(backend, result_keys, max_keys)

    return truncate_result
