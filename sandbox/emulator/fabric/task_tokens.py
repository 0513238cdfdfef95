"""Task tokens of state machines: opaque to everybody else, but they tell whose task it is."""

from __future__ import annotations

import base64
import binascii
import secrets

_RANDOM_BYTES = 288


def make(state_machine_arn: str) -> str:
    """A token that nobody can guess, for a task of this machine."""
    owner = state_machine_arn.encode()
    return base64.urlsafe_b64encode(owner + b"\0" + secrets.token_bytes(_RANDOM_BYTES)).decode()


def find_state_machine(token: str) -> str | None:
    """Whose task it is, or None if no token of ours looks like that."""
    try:
        owner, separator, _ = base64.urlsafe_b64decode(token).partition(b"\0")
        arn = owner.decode()
    except (binascii.Error, ValueError):
        return None
    return arn if separator and ":stateMachine:" in arn else None
