"""A gateway on a socket, and boto3 clients that talk to it over HTTP."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sandbox.emulator.gateway import server
from sandbox.emulator.sts import SecurityTokens

Connect = Callable[..., Any]


@pytest.fixture
def endpoint(account: Any) -> Iterator[str]:
    """The URL of the account's gateway."""
    account.add(SecurityTokens(account.core, account.gateway.keys).handlers())
    listener = socket.create_server(("127.0.0.1", 0))
    running = server.serve(account.gateway.application(), listener)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    running.close()


@pytest.fixture
def connect(account: Any, endpoint: str) -> Connect:
    """Makes a boto3 client of a service, with the owner's keys unless others are given."""

    def make(service: str, keys: dict[str, str] | None = None, **options: Any) -> Any:
        given = keys or {
            "aws_access_key_id": account.keys.access_key_id,
            "aws_secret_access_key": account.keys.secret_access_key,
        }
        config = options.pop("config", Config(retries={"total_max_attempts": 1}))
        return boto3.client(
            service, endpoint_url=endpoint, region_name="eu-north-1", config=config, **given, **options
        )

    return make


def session_keys(credentials: dict[str, str]) -> dict[str, str]:
    """The keys that STS answered with, as boto3 takes them."""
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }
