"""Hands one event to one target, or says why that failed and whether to try again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from moto.logs.models import logs_backends
from moto.sqs.models import Queue

from sandbox.emulator.calls import trace_header
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import policies, principals, roles
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.eventbridge.api_destinations import ApiDestinations, NotTaken
from sandbox.emulator.fabric.eventbridge.connections import Connections
from sandbox.emulator.fabric.eventbridge.inputs import find
from sandbox.emulator.fabric.sqs.mailroom import Mailroom
from sandbox.emulator.fabric.web import Web
from sandbox.emulator.faults.deliveries import trouble
from sandbox.emulator.functions.contract import Functions

SERVICE = "events.amazonaws.com"
# The API calls that deliveries amount to which are made without one.
_AMOUNTS_TO = {
    "events": ("events", "PutEvents"),
    "logs": ("logs", "PutLogEvents"),
    "sqs": ("sqs", "SendMessage"),
}

# Puts an event on a bus; given by the service, since a bus's rules are its business.
ToBus = Callable[[Arn, Mapping[str, Any], int], None]


@dataclass(frozen=True, slots=True)
class RuleName:
    """The rule a delivery is for."""

    name: str
    arn: str
    bus: str
    account_id: str
    region: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one target.

    ``text`` is what the target gets. ``since`` is when the rule matched, in account time; ``hops`` is how
    many buses the event has come over.
    """

    rule: RuleName
    target: Mapping[str, Any]
    event: Mapping[str, Any]
    text: str
    since: float
    hops: int = 0
    trace_header: str = ""


class DeliveryFailed(Exception):
    """The target did not take the event. ``code`` is what a dead-letter queue is told."""

    def __init__(self, code: str, message: str, *, retry: bool = False, gap: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry = retry
        self.gap = gap


class Targets:
    """Functions, queues, topics, log groups, other buses, state machines, streams and HTTP end points."""

    def __init__(
        self,
        core: AccountCore,
        functions: Functions,
        mailroom: Mailroom,
        to_bus: ToBus,
        web: Web | None = None,
        connections: Connections | None = None,
    ) -> None:
        self._core = core
        self._destinations = ApiDestinations(core, web, SERVICE, connections or Connections(core, web))
        self._functions = functions
        self._mailroom = mailroom
        self._to_bus = to_bus

    def meet_faults(self, delivery: Delivery) -> float:
        """How late a delivery is that makes no API call here; one that does, and a function, meet their own.

        Raises:
            DeliveryFailed: the target's service can't take it at the moment.
        """
        target = str(delivery.target["Arn"])
        operation = _AMOUNTS_TO.get(target.split(":")[2] if target.count(":") > 4 else "")
        if operation is None or "api-destination/" in target:
            return 0.0
        met = trouble(self._core, *operation, target, SERVICE)
        if met.error is not None:
            throttled = "Thrott" in met.error.code
            code = "THROTTLING" if throttled else "SDK_CLIENT_ERROR"
            raise DeliveryFailed(code, str(met.error), retry=throttled or met.error.status >= 500)
        return met.delay_s

    def deliver(self, delivery: Delivery) -> None:
        """Hand an event over.

        Raises:
            DeliveryFailed: it was not taken.
        """
        target, text, rule = delivery.target, delivery.text, delivery.rule
        try:
            arn = Arn.parse(target["Arn"])
        except ValueError as error:
            raise DeliveryFailed("SDK_CLIENT_ERROR", str(error)) from None
        match arn.service:
            case "lambda":
                self._to_function(arn, text, rule)
            case "sqs":
                self._to_queue(arn, target, text, rule)
            case "sns":
                self._to_topic(arn, text, rule)
            case "states" | "kinesis":
                self._in_role(arn, delivery)
            case "logs":
                self._to_log_group(arn, text, rule)
            case "events" if arn.resource.startswith("event-bus/"):
                self._check_bus(arn, delivery)
                self._to_bus(arn, delivery.event, delivery.hops)
            case "events" if arn.resource.startswith("api-destination/"):
                self._to_endpoint(arn, delivery)
            case _:
                raise DeliveryFailed(
                    "NOT_EMULATED",
                    f"Targets of the service {arn.service} are not emulated. This is our gap.",
                    gap=True,
                )

    def dead_letter(self, queue_arn: str, body: str, attributes: Mapping[str, str], rule: RuleName) -> None:
        """Send to a dead-letter queue.

        Raises:
            DeliveryFailed: the queue is not there or does not let EventBridge in.
        """
        queue = self._queue(queue_arn, rule)
        self._mailroom.send(
            queue,
            body,
            attributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )

    def _to_function(self, arn: Arn, text: str, rule: RuleName) -> None:
        try:
            json.loads(text)
        except ValueError:
            raise DeliveryFailed("INVALID_JSON", "The input of the function is not JSON.") from None
        self._check(str(arn), rule)
        self._functions.invoke_async(
            str(arn),
            text.encode(),
            account_id=arn.account_id,
            region=arn.region,
            source=f"events:{rule.name}",
            trace_header=trace_header(),
        )

    def _to_queue(self, arn: Arn, target: Mapping[str, Any], text: str, rule: RuleName) -> None:
        queue = self._queue(str(arn), rule)
        group = (target.get("SqsParameters") or {}).get("MessageGroupId") or ""
        if queue.fifo_queue and not queue.content_based_deduplication:
            raise DeliveryFailed(
                "SDK_CLIENT_ERROR",
                "The queue should either have ContentBasedDeduplication enabled or "
                "MessageDeduplicationId provided explicitly",
            )
        self._mailroom.send(queue, text, group=group, trace_header=trace_header())

    def _queue(self, queue_arn: str, rule: RuleName) -> Queue:
        self._check(queue_arn, rule)
        queue = self._mailroom.find_queue(queue_arn)
        if queue is None:
            raise DeliveryFailed("NO_RESOURCE", f"{queue_arn} does not exist")
        return queue

    def _to_topic(self, arn: Arn, text: str, rule: RuleName) -> None:
        self._check(str(arn), rule)
        principal = principals.service(SERVICE, rule.account_id)
        client = self._core.clients.client("sns", region=arn.region, principal=principal)
        request: dict[str, Any] = {"TopicArn": str(arn), "Message": text}
        if str(arn).endswith(".fifo"):
            request["MessageGroupId"] = str(uuid.uuid4())
        try:
            client.publish(**request)
        except ClientError as error:
            raise _refused(error) from error

    def _in_role(self, arn: Arn, delivery: Delivery) -> None:
        """Targets that EventBridge calls in the target's role: state machines and streams."""
        target, text = delivery.target, delivery.text
        try:
            principal = roles.assume(
                self._core, str(target.get("RoleArn") or ""), SERVICE, source_arn=delivery.rule.arn
            )
        except roles.RoleRefused as error:
            raise DeliveryFailed("NO_PERMISSIONS", str(error)) from None
        client = self._core.clients.client(
            "stepfunctions" if arn.service == "states" else "kinesis", region=arn.region, principal=principal
        )
        try:
            if arn.service == "states":
                client.start_execution(stateMachineArn=str(arn), input=text)
            else:
                path = (target.get("KinesisParameters") or {}).get("PartitionKeyPath")
                key = str(find(delivery.event, path)) if path else str(delivery.event.get("id", ""))
                client.put_record(StreamARN=str(arn), PartitionKey=key, Data=text.encode())
        except ClientError as error:
            raise _refused(error) from error

    def _check_bus(self, arn: Arn, delivery: Delivery) -> None:
        """A bus in another region is sent to in the target's role; one here needs none.

        Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-region.html
        """
        role = str(delivery.target.get("RoleArn") or "")
        if not role and arn.region == delivery.rule.region:
            return
        try:
            principal = roles.assume(self._core, role, SERVICE, source_arn=delivery.rule.arn)
        except roles.RoleRefused as error:
            raise DeliveryFailed("NO_PERMISSIONS", str(error)) from None
        if refusal := self._core.guard.refusal(principal, "events:PutEvents", str(arn), region=arn.region):
            raise DeliveryFailed("NO_PERMISSIONS", refusal)

    def _to_endpoint(self, arn: Arn, delivery: Delivery) -> None:
        try:
            self._destinations.send(arn, delivery.target, delivery.event, delivery.text, delivery.rule.arn)
        except NotTaken as error:
            raise DeliveryFailed(error.code, error.message, retry=error.retry, gap=error.gap) from None

    def _check(self, target_arn: str, rule: RuleName) -> None:
        refusal = policies.refusal(
            self._core, target_arn, policies.Delivery(SERVICE, rule.arn, rule.account_id)
        )
        if refusal:
            code = "NO_RESOURCE" if refusal.endswith("does not exist") else "NO_PERMISSIONS"
            raise DeliveryFailed(code, refusal)

    def _to_log_group(self, arn: Arn, text: str, rule: RuleName) -> None:
        name = arn.resource.removeprefix("log-group:").removesuffix(":*")
        entry = {"timestamp": round(self._core.clock.time() * 1000), "message": text}
        with self._core.dispatch_lock:
            backend = logs_backends[arn.account_id][arn.region]
            if name not in backend.groups:
                raise DeliveryFailed("NO_RESOURCE", f"{arn} does not exist")
            if not _log_group_is_open(
                self._core, backend, arn, name, policies.Delivery(SERVICE, rule.arn, rule.account_id)
            ):
                raise DeliveryFailed(
                    "NO_PERMISSIONS", f"no resource policy of CloudWatch Logs allows {SERVICE}"
                )
            stream = str(uuid.uuid4())
            backend.create_log_stream(name, stream)
            backend.put_log_events(name, stream, [entry])


def _log_group_is_open(
    core: AccountCore, backend: Any, arn: Arn, name: str, delivery: policies.Delivery
) -> bool:
    """Whether a resource policy of CloudWatch Logs lets EventBridge write to the group."""
    group = f"arn:{arn.partition}:logs:{arn.region}:{arn.account_id}:log-group:{name}:log-stream:x"
    documents = [policy.policy_document for policy in backend.resource_policies.values()]
    return all(
        any(
            policies.document_allows(core, document, delivery, action=action, resource=group)
            for document in documents
        )
        for action in ("logs:CreateLogStream", "logs:PutLogEvents")
    )


def _refused(error: ClientError) -> DeliveryFailed:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    code = str(error.response["Error"].get("Code", ""))
    throttled = "Throttl" in code
    kind = "THROTTLING" if throttled else "NO_PERMISSIONS" if "AccessDenied" in code else "SDK_CLIENT_ERROR"
    return DeliveryFailed(kind, str(error), retry=status >= 500 or throttled)
