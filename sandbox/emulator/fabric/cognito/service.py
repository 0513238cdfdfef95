"""Cognito user pools of an account. moto keeps pools, clients, users and groups."""

from __future__ import annotations

from sandbox.emulator.calls import Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.cognito.messages import Messages
from sandbox.emulator.fabric.cognito.plane import WellKnown
from sandbox.emulator.fabric.cognito.signin import SigningIn
from sandbox.emulator.fabric.cognito.signup import SigningUp
from sandbox.emulator.fabric.cognito.tokens import Tokens
from sandbox.emulator.fabric.cognito.triggers import Triggers
from sandbox.emulator.functions.contract import Functions


class UserPools:
    """Signing up and in; ``pages`` answers at the issuer's address."""

    def __init__(self, core: AccountCore, functions: Functions) -> None:
        triggers = Triggers(core, functions)
        self._up = SigningUp(core, triggers, Messages(core, triggers))
        self._in = SigningIn(core, triggers, Tokens(core, triggers))
        self.pages = WellKnown(core)

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        return {**self._up.handlers(), **self._in.handlers()}
