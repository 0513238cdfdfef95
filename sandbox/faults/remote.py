"""How faults are made on a real account: by its API alone, from outside."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

from sandbox.faults.made import Undo, configure, function_name
from sandbox.faults.model import BadFault

# How often a queue is asked for a message that has to be taken out of it again.
_LOOKS = 20
_MARK = "COLDSTART_RENEWED"


class RemoteHands:
    """Calls through clients that ``client(service, region=…)`` gives; implements ``made.Hands``."""

    def __init__(self, client: Callable[..., Any]) -> None:
        self.undos: list[Undo] = []
        self._client = client

    def client(self, service: str, region: str = "") -> Any:
        """A client that acts as the grader."""
        return self._client(service, region=region)

    def partners(self, service: str, region: str = "") -> Any:
        """A client in the account of the grader's partners."""
        return self._client(service, region=region, fixture=True)

    def undo(self, what: str, action: Callable[[], object]) -> None:
        """Remember it."""
        self.undos.append(Undo(what, action))

    def code_of(self, function: str, region: str = "") -> bytes:
        """Downloaded from where Lambda says that it lies."""
        found = self.client("lambda", region).get_function(FunctionName=function)["Code"]
        if found.get("RepositoryType") != "S3":
            raise BadFault(f"The code of {function} is an image; it can't be put back.")
        with urllib.request.urlopen(found["Location"], timeout=60) as answer:
            return bytes(answer.read())

    def take_back(self, queue_url: str, message_id: str, region: str = "") -> None:
        """By receiving until it comes; the others become visible again at once."""
        sqs = self.client("sqs", region)
        found = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
        urls = [queue_url]
        if policy := found.get("RedrivePolicy"):
            name = json.loads(policy)["deadLetterTargetArn"].rsplit(":", 1)[-1]
            urls.append(sqs.get_queue_url(QueueName=name)["QueueUrl"])
        for url in urls:
            if _received(sqs, url, message_id):
                return

    def roll(self, table: str, region: str = "") -> None:
        """DynamoDB does it by itself, every few hours; nobody can ask for it."""
        raise BadFault("A table's stream can't be made to begin a new shard.")

    def renew(self, function: str, region: str = "") -> None:
        """By another environment variable, for as long as the fault lasts."""
        client, (name, _) = self.client("lambda", region), function_name(function)
        before = client.get_function_configuration(FunctionName=name)
        variables = before.get("Environment", {}).get("Variables", {})
        configure(client, name, {**variables, _MARK: "1"})
        self.undo(f"environment of {name}", lambda: configure(client, name, variables))


def _received(sqs: Any, url: str, message_id: str) -> bool:
    """Whether the message was in the queue; it is deleted then."""
    for _ in range(_LOOKS):
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0).get(
            "Messages"
        )
        if not messages:
            return False
        for message in messages:
            handle = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
            if message["MessageId"] == message_id:
                sqs.delete_message(**handle)
                return True
            sqs.change_message_visibility(**handle, VisibilityTimeout=0)
    return False
