"""How an emulated account makes the faults that are made of API calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.dynamodb.models import dynamodb_backends

from sandbox.emulator.calls import Principal
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.sqs import Mailroom
from sandbox.emulator.fabric.streams.dynamodb import roll
from sandbox.faults import BadFault
from sandbox.faults.made import Undo, function_name

# (account id, region, function's name)
Renew = Callable[[str, str, str], None]


class EmulatedHands:
    """Makes one fault, as ``principal``, the grader, and as ``fixture`` in the account of its partners.

    Implements ``sandbox.faults.made.Hands``.
    """

    def __init__(
        self, core: AccountCore, principal: Principal, fixture: Principal, mailroom: Mailroom, renew: Renew
    ) -> None:
        self.undos: list[Undo] = []
        self._core = core
        self._principal = principal
        self._fixture = fixture
        self._mailroom = mailroom
        self._renew = renew

    def client(self, service: str, region: str = "") -> Any:
        """A client within the process."""
        where = region or self._core.region
        return self._core.clients.client(service, region=where, principal=self._principal)

    def partners(self, service: str, region: str = "") -> Any:
        """A client in the fixture account."""
        where = region or self._core.region
        return self._core.clients.client(service, region=where, principal=self._fixture)

    def undo(self, what: str, action: Callable[[], object]) -> None:
        """Remember it."""
        self.undos.append(Undo(what, action))

    def code_of(self, function: str, region: str = "") -> bytes:
        """The package as it was uploaded."""
        name, _ = function_name(function)
        self.client("lambda", region).get_function_configuration(FunctionName=name)
        with self._core.dispatch_lock:
            backend = lambda_backends[self._core.account_id][region or self._core.region]
            return bytes(backend.get_function(name).code_bytes)

    def take_back(self, queue_url: str, message_id: str, region: str = "") -> None:
        """Without receiving it, which would count."""
        sqs = self.client("sqs", region)
        found = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
        arns = [found["QueueArn"]]
        if policy := found.get("RedrivePolicy"):
            arns.append(json.loads(policy)["deadLetterTargetArn"])
        for arn in arns:
            queue = self._mailroom.find_queue(arn)
            if queue is not None:
                self._mailroom.discard(queue, message_id)

    def roll(self, table: str, region: str = "") -> None:
        """Close the shard of its stream, and begin another."""
        where = region or self._core.region
        with self._core.dispatch_lock:
            found = dynamodb_backends[self._core.account_id][where].tables.get(table)
            if found is None or found.stream_shard is None:
                raise BadFault(f"Fault `roll_shard`: there is no table {table} with a stream in {where}.")
            roll(found.stream_shard)

    def renew(self, function: str, region: str = "") -> None:
        """End all that are warm."""
        name, _ = function_name(function)
        where = region or self._core.region
        self.client("lambda", where).get_function_configuration(FunctionName=name)
        self._renew(self._core.account_id, where, name)
