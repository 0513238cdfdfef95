"""What AWS refuses, for people: its code and its words."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from sandbox.errors import AccountUnavailable, SandboxError

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Refused(SandboxError):
    """AWS said no, or what was asked for can't be read. ``code`` is AWS's, where there is one."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


def asks(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Have a function that asks an account raise Refused for what is not the account's death."""

    @functools.wraps(function)
    def told(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except ClientError as error:
            said = error.response.get("Error", {})
            raise Refused(str(said.get("Message") or error), str(said.get("Code", ""))) from error
        except ParamValidationError as error:
            raise Refused(str(error), "ParamValidation") from error
        except BotoCoreError as error:
            raise AccountUnavailable(f"The account does not answer: {error}") from error

    return told
