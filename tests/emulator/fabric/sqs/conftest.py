"""An account whose queues are ours."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.emulator.fabric.sqs import SqsService


@pytest.fixture
def service(account: Any) -> SqsService:
    made = SqsService(account.core)
    account.add(made.handlers())
    return made


@pytest.fixture
def sqs(account: Any, service: SqsService) -> Any:
    """A boto3-like client of the account's root user."""
    return account.client("sqs")
