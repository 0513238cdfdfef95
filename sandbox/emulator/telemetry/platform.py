"""The metrics that AWS's services report of themselves, from what really happened in the account.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/aws-services-cloudwatch-metrics.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.sqs.models import sqs_backends

from sandbox.emulator.core import AccountCore
from sandbox.emulator.dynamodb.capacity import meter
from sandbox.emulator.fabric.sqs.mailroom import Mailroom
from sandbox.emulator.fabric.sqs.messages import State
from sandbox.emulator.fabric.streams.patches import weigh
from sandbox.emulator.functions.names import FunctionName
from sandbox.emulator.telemetry.series import MetricKey, MetricStore, dimensions
from sandbox.emulator.timeline import TimelineEvent

_TICK_S = 60.0
# What came of a notification; each is counted once, also one that then goes to a dead-letter queue.
_NOTIFICATIONS = {
    "ok": "NumberOfNotificationsDelivered",
    "refused": "NumberOfNotificationsFailed",
    "filtered": "NumberOfNotificationsFilteredOut",
    "dead-lettered": "NumberOfNotificationsRedrivenToDlq",
    "failed": "NumberOfNotificationsFailedToRedriveToDlq",
}
_READS = frozenset({"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"})
_THROTTLES = frozenset(
    {
        "ReservedFunctionConcurrentInvocationLimitExceeded",
        "ConcurrentInvocationLimitExceeded",
        "CallerRateLimitExceeded",
    }
)


class PlatformMetrics:
    """Follows the account's timeline; samples states once a minute."""

    def __init__(self, core: AccountCore, store: MetricStore, mailroom: Mailroom) -> None:
        self._core = core
        self._store = store
        self._mailroom = mailroom
        self._sampled: dict[tuple[str, str], float] = {}
        self._handlers: dict[str, Callable[[TimelineEvent], None]] = {
            "invocation": self._invocation,
            "execution": self._execution,
            "api": self._api,
            "delivery": self._delivery,
            "replication": self._replication,
        }
        core.timeline.listeners.append(self._follow)
        store.samplers.append(self.sample)
        mailroom.watch = self._moved
        weigh(self._record_put)
        meter(self._consumed)

    def start(self) -> None:
        """Begin to sample; call once the account's work has started."""
        self._core.work.submit(self._tick, label="metrics of states", delay_s=_TICK_S, observes=True)

    def _tick(self) -> None:
        for account_id, partitions in list(sqs_backends.items()):
            for region in list(partitions):
                self.sample(account_id, region)
        self.start()

    def _follow(self, event: TimelineEvent) -> None:
        handler = self._handlers.get(event.kind)
        if handler is not None and event.account_id:
            handler(event)

    def _put(
        self, event: TimelineEvent, namespace: str, name: str, value: float, unit: str, **names: str
    ) -> None:
        key = MetricKey(event.account_id, event.region, namespace, name, dimensions(names))
        self._store.put(key, event.at.timestamp(), value, unit)

    def _invocation(self, event: TimelineEvent) -> None:
        """Of a function, of what it was called as, and of all functions together.

        Behind an alias also of each version, so that two by weight can be told apart.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
        """
        name, detail = event.subject, event.detail
        version, qualifier = str(detail.get("version") or ""), str(detail.get("qualifier") or "")
        called = qualifier or version
        resource = f"{name}:{called}" if called and called != "$LATEST" else name
        own = {"FunctionName": name, "Resource": resource}
        sets: list[dict[str, str]] = [{"FunctionName": name}, {}, own]
        if version and qualifier not in ("", "$LATEST", version):
            sets.append({**own, "ExecutedVersion": version})
        for names in sets:
            if event.outcome == "RecursiveInvocationException":
                self._put(event, "AWS/Lambda", "RecursiveInvocationsDropped", 1, "Count", **names)
            if event.outcome in _THROTTLES:
                self._put(event, "AWS/Lambda", "Throttles", 1, "Count", **names)
                continue
            if "duration_ms" not in detail:
                continue
            self._put(event, "AWS/Lambda", "Invocations", 1, "Count", **names)
            self._put(event, "AWS/Lambda", "Errors", float(event.outcome != "ok"), "Count", **names)
            self._put(event, "AWS/Lambda", "Throttles", 0, "Count", **names)
            self._put(event, "AWS/Lambda", "Duration", detail["duration_ms"], "Milliseconds", **names)
            if running := detail.get("concurrency" if names else "account_concurrency"):
                self._put(event, "AWS/Lambda", "ConcurrentExecutions", running, "Count", **names)

    def _execution(self, event: TimelineEvent) -> None:
        arn = str(event.detail["state_machine"])
        if event.outcome == "started":
            self._put(event, "AWS/States", "ExecutionsStarted", 1, "Count", StateMachineArn=arn)
            return
        endings = {
            "SUCCEEDED": "ExecutionsSucceeded",
            "FAILED": "ExecutionsFailed",
            "TIMED_OUT": "ExecutionsTimedOut",
            "ABORTED": "ExecutionsAborted",
        }
        for status, name in endings.items():
            value = float(event.detail["status"] == status)
            self._put(event, "AWS/States", name, value, "Count", StateMachineArn=arn)
        taken_ms = event.detail["duration_ms"]
        self._put(event, "AWS/States", "ExecutionTime", taken_ms, "Milliseconds", StateMachineArn=arn)

    def _api(self, event: TimelineEvent) -> None:
        service, _, operation = event.subject.partition(":")
        parameters = event.detail.get("parameters") or {}
        if service == "dynamodb" and (table := parameters.get("TableName")):
            self._table(event, str(table).rsplit("/", 1)[-1], operation)
        elif service == "sns" and operation in ("Publish", "PublishBatch") and event.outcome == "ok":
            topic = str(parameters.get("TopicArn", "")).rsplit(":", 1)[-1]
            count = len(parameters["PublishBatchRequestEntries"]) if operation == "PublishBatch" else 1
            self._put(event, "AWS/SNS", "NumberOfMessagesPublished", count, "Count", TopicName=topic)

    def _table(self, event: TimelineEvent, table: str, operation: str) -> None:
        names = {"TableName": table, "Operation": operation}
        code = event.outcome
        if code == "ok":
            taken = event.detail.get("duration_ms", 1.0)
            self._put(event, "AWS/DynamoDB", "SuccessfulRequestLatency", taken, "Milliseconds", **names)
        elif code == "ConditionalCheckFailedException":
            self._put(event, "AWS/DynamoDB", "ConditionalCheckFailedRequests", 1, "Count", TableName=table)
        elif code in ("ProvisionedThroughputExceededException", "ThrottlingException"):
            self._put(event, "AWS/DynamoDB", "ThrottledRequests", 1, "Count", **names)
            kind = "Read" if operation in _READS else "Write"
            self._put(event, "AWS/DynamoDB", f"{kind}ThrottleEvents", 1, "Count", TableName=table)
        elif event.detail.get("status", 0) >= 500:
            self._put(event, "AWS/DynamoDB", "SystemErrors", 1, "Count", **names)
        else:
            self._put(event, "AWS/DynamoDB", "UserErrors", 1, "Count")

    def _delivery(self, event: TimelineEvent) -> None:
        source, _, name = event.subject.partition(":")
        if source == "events":
            self._rule(event, name)
        elif source == "sns":
            metric = _NOTIFICATIONS.get(event.outcome)
            if metric is not None:
                self._put(event, "AWS/SNS", metric, 1, "Count", TopicName=name)
        elif source == "apigateway":
            self._api_request(event, name)
        elif "age_ms" in event.detail and ":function:" in event.detail["target"]:
            function = str(event.detail["target"]).split(":")[6]
            age = event.detail["age_ms"]
            self._put(event, "AWS/Lambda", "IteratorAge", age, "Milliseconds", FunctionName=function)
            if source == "kinesis":
                metric = "GetRecords.IteratorAgeMilliseconds"
                self._put(event, "AWS/Kinesis", metric, age, "Milliseconds", StreamName=name)
        if event.detail.get("condition") and source == event.subject and event.outcome != "ok":
            metric = "DeadLetterErrors" if event.detail.get("dead_letter") else "DestinationDeliveryFailures"
            self._put(event, "AWS/Lambda", metric, 1, "Count", FunctionName=event.subject)

    def _replication(self, event: TimelineEvent) -> None:
        """How long a change took to another region, or has been held up so far.

        Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
        """
        source, _, name = event.subject.partition(":")
        if source == "dynamodb":
            names = {"TableName": name, "ReceivingRegion": str(event.detail["target"])}
            taken = event.detail["latency_ms"]
            self._put(event, "AWS/DynamoDB", "ReplicationLatency", taken, "Milliseconds", **names)
        elif source == "s3" and event.detail["metrics"]:
            self._bucket_replication(event, name)

    def _bucket_replication(self, event: TimelineEvent, bucket: str) -> None:
        """Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html"""
        detail = event.detail
        names = {
            "SourceBucket": bucket,
            "DestinationBucket": str(detail["target"]),
            "RuleId": str(detail["rule"]),
        }
        held_up, ended = event.outcome == "held up", event.outcome == "ok"
        if held_up or ended:
            taken_s = detail["latency_ms"] / 1000
            self._put(event, "AWS/S3", "ReplicationLatency", taken_s, "Seconds", **names)
            waiting = float(detail.get("waiting", 0))
            self._put(event, "AWS/S3", "OperationsPendingReplication", waiting, "Count", **names)
        failed = float(not held_up and not ended)
        self._put(event, "AWS/S3", "OperationsFailedReplication", failed, "Count", **names)

    def _rule(self, event: TimelineEvent, name: str) -> None:
        if event.outcome == "no rule matched" or "target_id" not in event.detail:
            return
        names = {"RuleName": name}
        if not event.detail.get("retries"):
            for metric in ("MatchedEvents", "TriggeredRules"):
                self._put(event, "AWS/Events", metric, 1, "Count", **names)
        self._put(event, "AWS/Events", "Invocations", 1, "Count", **names)
        failed = float(event.outcome in ("failed", "dead-lettered"))
        self._put(event, "AWS/Events", "FailedInvocations", failed, "Count", **names)
        if event.outcome == "dead-lettered":
            self._put(event, "AWS/Events", "InvocationsSentToDlq", 1, "Count", **names)

    def _websocket(self, event: TimelineEvent, api_id: str) -> None:
        """Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-logging.html"""
        detail, status = event.detail, int(event.detail["status"])
        counts = {
            "ConnectCount": detail["event_type"] == "CONNECT",
            "MessageCount": detail["event_type"] == "MESSAGE",
            "ClientError": not detail["asked"] and 400 <= status < 500,
            "IntegrationError": bool(detail["asked"]) and status >= 400,
            "ExecutionError": bool(detail["asked"]) and status >= 500,
        }
        for names in ({"ApiId": api_id}, {"ApiId": api_id, "Stage": str(detail["stage"])}):
            for metric, counted in counts.items():
                if counted or metric.endswith("Error"):
                    self._put(event, "AWS/ApiGateway", metric, float(counted), "Count", **names)
            if detail["asked"]:
                taken = detail["integration_ms"]
                self._put(event, "AWS/ApiGateway", "IntegrationLatency", taken, "Milliseconds", **names)

    def _api_request(self, event: TimelineEvent, api_id: str) -> None:
        if "event_type" in event.detail:
            self._websocket(event, api_id)
            return
        detail, status = event.detail, int(event.detail["status"])
        is_rest = bool(detail.get("api_name"))
        names = {"ApiName": str(detail["api_name"])} if is_rest else {"ApiId": api_id}
        errors = ("4XXError", "5XXError") if is_rest else ("4xx", "5xx")
        for names_of in (names, names | {"Stage": str(detail["stage"])}):
            self._put(event, "AWS/ApiGateway", "Count", 1, "Count", **names_of)
            self._put(event, "AWS/ApiGateway", errors[0], float(400 <= status < 500), "Count", **names_of)
            self._put(event, "AWS/ApiGateway", errors[1], float(status >= 500), "Count", **names_of)
            for metric, name in (("Latency", "latency_ms"), ("IntegrationLatency", "integration_ms")):
                if name in detail:
                    self._put(event, "AWS/ApiGateway", metric, detail[name], "Milliseconds", **names_of)

    def sample(self, account_id: str, region: str) -> None:
        """The lengths of queues and the age of what waits in them, at most once a second."""
        now = self._core.clock.time()
        if now - self._sampled.get((account_id, region), 0.0) < 1.0:
            return
        self._sampled[account_id, region] = now
        with self._core.dispatch_lock:
            queues = list(sqs_backends[account_id][region].queues.values())
        for queue in queues:
            counts = self._mailroom.counts(queue)
            values = {
                "ApproximateNumberOfMessagesVisible": (counts[State.READY], "Count"),
                "ApproximateNumberOfMessagesNotVisible": (counts[State.IN_FLIGHT], "Count"),
                "ApproximateNumberOfMessagesDelayed": (counts[State.DELAYED], "Count"),
                "ApproximateAgeOfOldestMessage": (self._mailroom.oldest_age_s(queue), "Seconds"),
            }
            for name, (value, unit) in values.items():
                key = MetricKey(account_id, region, "AWS/SQS", name, dimensions({"QueueName": queue.name}))
                self._store.put(key, now, float(value), unit)

    def queued(self, name: FunctionName, metric: str, value: float) -> None:
        """An asynchronous event of a function was received, handed over or dropped."""
        unit = "Milliseconds" if metric == "AsyncEventAge" else "Count"
        key = MetricKey(
            name.account_id, name.region, "AWS/Lambda", metric, dimensions({"FunctionName": name.name})
        )
        self._store.put(key, self._core.clock.time(), value, unit)

    def _record_put(self, arn: str, size_bytes: int) -> None:
        """A record came into a Kinesis stream.

        Source: https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html
        """
        _, _, _, region, account_id, stream = arn.split(":", 5)
        names = dimensions({"StreamName": stream.removeprefix("stream/")})
        for metric, value, unit in (("IncomingRecords", 1, "Count"), ("IncomingBytes", size_bytes, "Bytes")):
            key = MetricKey(account_id, region, "AWS/Kinesis", metric, names)
            self._store.put(key, self._core.clock.time(), float(value), unit)

    def _consumed(self, arn: str, index: str, kind: str, units: float) -> None:
        """Capacity of a table, or of a global index.

        Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
        """
        _, _, _, region, account_id, table = arn.split(":", 5)
        names = {"TableName": table.removeprefix("table/")}
        names |= {"GlobalSecondaryIndexName": index} if index else {}
        metric = f"Consumed{kind}CapacityUnits"
        key = MetricKey(account_id, region, "AWS/DynamoDB", metric, dimensions(names))
        self._store.put(key, self._core.clock.time(), units, "Count")

    def _moved(self, queue: Any, what: str, count: int) -> None:
        """Messages were sent to, received from or deleted from a queue."""
        names = dimensions({"QueueName": queue.name})
        name = f"NumberOfMessages{what}" if count else "NumberOfEmptyReceives"
        key = MetricKey(queue.account_id, queue.region, "AWS/SQS", name, names)
        self._store.put(key, self._core.clock.time(), float(count or 1), "Count")
