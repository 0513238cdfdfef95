"""The fault ``slow``: as far away from functions as a service is over a network."""

from __future__ import annotations

import socket
import time
from typing import Any

import boto3

from sandbox.emulator.gateway import server


def test_a_slow_service_lets_functions_wait_and_nobody_else(account: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    running = server.serve(account.gateway.application("environment-1"), listener)
    client = boto3.client(
        "dynamodb",
        endpoint_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
        region_name="eu-north-1",
        aws_access_key_id=account.keys.access_key_id,
        aws_secret_access_key=account.keys.secret_access_key,
    )
    account.gateway.faults.set("slow", service="dynamodb", seconds=0.2)
    began = time.monotonic()

    client.list_tables()

    assert time.monotonic() - began >= 0.2
    assert account.gateway.faults.delay_s("sqs") == 0
    account.gateway.faults.set("slow", service="dynamodb", seconds=3600)
    assert account.client("dynamodb").list_tables()["TableNames"] == [], "nobody waits but functions"
    running.close()
