"""AWS's own managed policies: there in every account, at almost no cost.

moto knows them but leaves them out unless asked, since it parses two megabytes for each account.
Here they are parsed once, before the first fork, and an account begins with copies.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from sandbox.emulator.patches import replaces

_OWNER = "aws"


@functools.cache
def _originals() -> tuple[Any, ...]:
    from moto.iam.aws_managed_policies import aws_managed_policies_data
    from moto.iam.models import AWSManagedPolicy

    made = [
        AWSManagedPolicy.from_data(name, _OWNER, "aws", data)
        for name, data in json.loads(aws_managed_policies_data).items()
    ]
    return tuple(made)


def _copied(original: Any, account_id: str) -> Any:
    made = object.__new__(type(original))
    made.__dict__.update(original.__dict__, account_id=account_id)
    return made


@replaces(
    "moto.iam.models",
    "IAMBackend._init_aws_policies",
    source_sha256="b3f2c8c3a9c6a1eb111edf70dbf4d4a8731fd0b0f0c826849ce638583efd0a37",
)
def _begin_with_copies(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    _originals()

    def _init_aws_policies(backend: Any) -> list[Any]:
        return [_copied(policy, backend.account_id) for policy in _originals()]

    return _init_aws_policies
