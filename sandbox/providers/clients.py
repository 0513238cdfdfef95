"""boto3 clients for accounts at an endpoint: one session for the whole process, as its models load slowly."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from sandbox.account import AccessKeys
from sandbox.isolation.warm import quicken

# A function may run for 15 minutes while its caller waits.
_READ_TIMEOUT_S = 930
_CONFIG = Config(
    # What is observed is what happened once.
    retries={"total_max_attempts": 1, "mode": "standard"},
    connect_timeout=5,
    read_timeout=_READ_TIMEOUT_S,
    max_pool_connections=32,
    proxies={},
    s3={"addressing_style": "path"},
    parameter_validation=True,
)
_making = threading.Lock()


@functools.cache
def _session() -> boto3.Session:
    """One that no environment variable, profile or file of the user has a say in."""
    quicken()
    nothing: dict[str, tuple[Any, Any, Any, Any]] = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.Session(botocore_session=botocore.session.Session(session_vars=nothing))


class ClientFactory:
    """Makes and keeps the clients of one account. Safe across threads.

    ``alive`` is asked before each call and raises when the account is gone.
    """

    def __init__(self, endpoint_url: str, alive: Callable[[], None]) -> None:
        self._endpoint_url = endpoint_url
        self._alive = alive
        self._made: dict[tuple[str, str, str], Any] = {}

    def client(self, service: str, region: str, keys: AccessKeys) -> Any:
        """A client that acts with ``keys``."""
        wanted = (service, region, keys.access_key_id)
        if wanted not in self._made:
            with _making:
                if wanted not in self._made:
                    self._made[wanted] = self._make(service, region, keys)
        return self._made[wanted]

    def _make(self, service: str, region: str, keys: AccessKeys) -> Any:
        create: Any = _session().client  # Its type is an overload for every service.
        client = create(
            service,
            region_name=region,
            endpoint_url=self._endpoint_url,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            aws_session_token=keys.session_token or None,
            config=_CONFIG,
        )
        client.meta.events.register("before-call", lambda **_: self._alive())
        return client

    def close(self) -> None:
        """Give back every connection."""
        with _making:
            made, self._made = self._made, {}
        for client in made.values():
            client.close()
