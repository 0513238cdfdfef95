"""The account as rows use it: short ways to make things, to let time pass, and to see what came of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import itertools
import json
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Services that rows let into functions, queues and topics.
_SERVICES = (
    *("s3", "sns", "events", "apigateway", "logs", "cloudwatch", "lambda.alarms.cloudwatch"),
    *("cognito-idp", "secretsmanager"),
)
_TRUSTED = ("lambda", "states", "events", "scheduler", "pipes", "apigateway", "logs", "codedeploy")

# Tells the ledger what it was given, then fails or answers whoever it was invoked by.
_CODE = """
import json, os, urllib.request
import boto3

sqs = boto3.client("sqs")
states = boto3.client("stepfunctions")

def rotate(event):
    secrets, which = boto3.client("secretsmanager"), {"SecretId": event["SecretId"]}
    token = event["ClientRequestToken"]
    if event["Step"] == "createSecret":
        secrets.put_secret_value(
            **which, ClientRequestToken=token, SecretString="rotated", VersionStages=["AWSPENDING"]
        )
    if event["Step"] == "finishSecret":
        current = secrets.get_secret_value(**which)["VersionId"]
        secrets.update_secret_version_stage(
            **which, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )

def handler(event, context):
    sqs.send_message(QueueUrl=os.environ["LEDGER"], MessageBody=json.dumps(event))
    if "FAILS" in os.environ:
        raise RuntimeError("as it was told")
    if isinstance(event, list):
        return [{"enriched": each} for each in event]
    if "ResponseURL" in event:
        answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
        refused = event["RequestType"] == "Create" and "Refuse" in event["ResourceProperties"]
        answer |= {
            "Status": "FAILED" if refused else "SUCCESS",
            "Reason": "the function said no",
            "PhysicalResourceId": "made",
        }
        request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
        urllib.request.urlopen(request)
        return
    if "triggerSource" in event:
        return event
    if "Step" in event:
        return rotate(event)
    if "LifecycleEventHookExecutionId" in event:
        boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
            deploymentId=event["DeploymentId"],
            lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
            status="Succeeded",
        )
        return
    if "methodArn" in event:
        allow = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}
        policy = {"Version": "2012-10-17", "Statement": [allow]}
        return {"principalId": "ann", "policyDocument": policy}
    if "token" in event:
        states.send_task_success(taskToken=event["token"], output=json.dumps({"called": "back"}))
    return {"statusCode": 200, "body": json.dumps({"answered": True})}
"""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of a row's."""

    sqs: Any
    url: str
    arn: str

    def send(self, body: str, **more: Any) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **more)

    def messages(self) -> list[Any]:
        """Everything that can be received; it is deleted."""
        found: list[Any] = []
        while received := self.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages"):
            for message in received:
                found.append(message)
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def bodies(self) -> list[Any]:
        """The same, only their bodies, parsed where they are JSON."""
        return [parsed(message["Body"]) for message in self.messages()]

    def close(self) -> None:
        """Let no service in any more."""
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": ""})


class World:
    """One account for all rows. What is made between :meth:`begin` and :meth:`end` is a row's own."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.client = account.client
        self.role = self._make_role()
        self._numbers = itertools.count(1)
        self._undo: list[Callable[[], Any]] = []
        self._ledger = self.queue()
        self.dead = self.queue()
        self.works = self.function("works", {})
        self.takes = self.function("takes", {})
        self.fails = self.function("fails", {"FAILS": "1"}, DeadLetterConfig={"TargetArn": self.dead.arn})
        self._undo.clear()
        self._began = 0

    def begin(self) -> None:
        """A row begins: nothing of another one is left."""
        self.settle()
        self._ledger.messages()
        self.dead.messages()
        self._began = self._last()

    def end(self) -> None:
        """Undo what the row made, the last first."""
        while self._undo:
            with contextlib.suppress(self.client("sts").exceptions.ClientError):
                self._undo.pop()()
        self.settle()

    def undo(self, action: Callable[[], Any]) -> None:
        """Do this when the row is over."""
        self._undo.append(action)

    def name(self, kind: str) -> str:
        """A name that nothing else has."""
        return f"{kind}-{next(self._numbers)}"

    # What a row makes.

    def queue(self, *, dead: Queue | None = None, is_open: bool = True, **attributes: Any) -> Queue:
        """A queue that services may send to; with ``dead`` after three receives."""
        sqs = self.client("sqs")
        name = self.name("queue") + (".fifo" if attributes.get("FifoQueue") else "")
        if dead is not None:
            attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3})
        given = {key: str(value) for key, value in attributes.items()}
        url = sqs.create_queue(QueueName=name, Attributes=given)["QueueUrl"]
        arn = f"arn:aws:sqs:{self.account.region}:{self.account.account_id}:{name}"
        if is_open:
            policy = document({"Service": services(*_SERVICES)}, "sqs:SendMessage", arn)
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self.undo(lambda: sqs.delete_queue(QueueUrl=url))
        return Queue(sqs, url, arn)

    def topic(self) -> str:
        """A topic that services may publish to; its ARN."""
        sns = self.client("sns")
        arn = str(sns.create_topic(Name=self.name("topic"))["TopicArn"])
        policy = document({"Service": services(*_SERVICES)}, "sns:Publish", arn)
        sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
        self.undo(lambda: sns.delete_topic(TopicArn=arn))
        return arn

    def subscribe(self, topic: str, protocol: str, endpoint: str, **attributes: str) -> str:
        """A subscription; its ARN."""
        made = self.client("sns").subscribe(
            TopicArn=topic,
            Protocol=protocol,
            Endpoint=endpoint,
            Attributes=attributes,
            ReturnSubscriptionArn=True,
        )
        return str(made["SubscriptionArn"])

    def bucket(self) -> str:
        """A bucket; its name."""
        name = f"{self.name('bucket')}-{self.account.account_id}"
        self.client("s3").create_bucket(Bucket=name)
        return name

    def table(self) -> tuple[str, str]:
        """A table with a stream: its name and the stream's ARN."""
        dynamodb, name = self.client("dynamodb"), self.name("table")
        made = dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]
        self.undo(lambda: dynamodb.delete_table(TableName=name))
        return name, str(made["LatestStreamArn"])

    def stream(self) -> tuple[str, str]:
        """A Kinesis stream of one shard: its name and ARN."""
        kinesis, name = self.client("kinesis"), self.name("stream")
        kinesis.create_stream(StreamName=name, ShardCount=1)
        self.undo(lambda: kinesis.delete_stream(StreamName=name))
        summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        return name, str(summary["StreamARN"])

    def machine(self, states: Mapping[str, Any], **more: Any) -> str:
        """A state machine of these states, beginning with the first; its ARN."""
        machines = self.client("stepfunctions")
        definition = {"StartAt": next(iter(states)), "States": states}
        made = machines.create_state_machine(
            name=self.name("machine"), definition=json.dumps(definition), roleArn=self.role, **more
        )
        arn = str(made["stateMachineArn"])
        self.undo(lambda: machines.delete_state_machine(stateMachineArn=arn))
        return arn

    def executions(self, machine: str) -> list[Any]:
        """The executions of a machine, described, oldest first."""
        machines = self.client("stepfunctions")
        found = machines.list_executions(stateMachineArn=machine)["executions"]
        return [machines.describe_execution(executionArn=each["executionArn"]) for each in reversed(found)]

    def function_url(self, name: str) -> str:
        """An address of a function that everybody may use."""
        api = self.client("lambda")
        url = str(api.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"])
        self.undo(lambda: api.delete_function_url_config(FunctionName=name))
        conditions = {
            "InvokeFunctionUrl": {"FunctionUrlAuthType": "NONE"},
            "InvokeFunction": {"InvokedViaFunctionUrl": True},
        }
        for action, condition in conditions.items():
            api.add_permission(
                FunctionName=name,
                StatementId=action,
                Action=f"lambda:{action}",
                Principal="*",
                **condition,
            )
            self.undo(
                lambda action=action: api.remove_permission(  # type: ignore[misc]
                    FunctionName=name, StatementId=action
                )
            )
        return url

    @contextlib.contextmanager
    def mapping(self, source: str, function: str, **settings: Any) -> Iterator[None]:
        """An event source mapping, for as long as the block lasts."""
        api = self.client("lambda")
        made = api.create_event_source_mapping(EventSourceArn=source, FunctionName=function, **settings)
        self.settle()
        try:
            yield
        finally:
            self.settle()
            api.delete_event_source_mapping(UUID=made["UUID"])
            self.settle()

    def rule(self, target: Mapping[str, Any], *, bus: str = "default", **settings: Any) -> str:
        """A rule of a bus with one target, by default for events of the source ``shop``; its name."""
        events, name = self.client("events"), self.name("rule")
        if "ScheduleExpression" not in settings:
            settings.setdefault("EventPattern", '{"source": ["shop"]}')
        events.put_rule(Name=name, EventBusName=bus, **settings)
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "target", **target}])

        def undo() -> None:
            events.remove_targets(Rule=name, EventBusName=bus, Ids=["target"])
            events.delete_rule(Name=name, EventBusName=bus)

        self.undo(undo)
        return name

    def put_event(self, **detail: Any) -> None:
        """An event of the source ``shop`` on the default bus."""
        entry = {"Source": "shop", "DetailType": "order", "Detail": json.dumps(detail)}
        assert not self.client("events").put_events(Entries=[entry])["FailedEntryCount"]

    # Time, and what came of it.

    def settle(self) -> None:
        """Everything that is due has happened."""
        quiet = self.account.settle()
        assert quiet.settled, quiet

    def advance(self, seconds: float) -> None:
        """So much account time passes."""
        quiet = self.account.advance(seconds)
        assert quiet.settled, quiet

    def wait_for(self, holds: Callable[[], bool], timeout_s: float = 20.0) -> bool:
        """Whether something holds within so many seconds."""
        until = time.monotonic() + timeout_s
        while not (found := holds()) and time.monotonic() < until:
            time.sleep(0.02)
        return found

    def ledger(self) -> list[Any]:
        """The events that functions were given since the last look, in order."""
        self.settle()
        return self._ledger.bodies()

    def tries(self, function: str = "fails") -> list[float]:
        """When the row's invocations of a function ended, in account time."""
        return [moment(event) for event in self.events("invocation") if event["subject"] == function]

    def refused(self, function: str) -> list[float]:
        """When an invocation of a function was refused."""
        return [
            moment(event)
            for event in self.events("invocation")
            if event["subject"] == function and "duration_ms" not in event["detail"]
        ]

    def events(self, kind: str) -> list[Any]:
        """What the timeline holds of one kind since the row began."""
        return [event for event in self.account.timeline(self._began) if event["kind"] == kind]

    def deliveries(self, *outcomes: str, to: str = "") -> list[Any]:
        """Deliveries of the row with one of these outcomes, of those whose target ends like ``to``."""
        return [
            event
            for event in self.events("delivery")
            if event["outcome"] in outcomes and str(event["detail"].get("target", "")).endswith(to)
        ]

    def told(self, *outcomes: str, to: str = "") -> list[str]:
        """Why deliveries ended like this, as the timeline says."""
        return [str(event["detail"].get("reason", "")) for event in self.deliveries(*outcomes, to=to)]

    @contextlib.contextmanager
    def closed(self, function: str = "works") -> Iterator[None]:
        """Nobody else may invoke a function, for as long as the block lasts."""
        api = self.client("lambda")
        api.remove_permission(FunctionName=function, StatementId="events")
        try:
            yield
            self.settle()
        finally:
            self._permit(function, "events")

    def get(self, url: str, **headers: str) -> tuple[int, str]:
        """Status and body of an address of AWS."""
        return self.post(url, None, **headers)

    def post(self, url: str, body: str | None, **headers: str) -> tuple[int, str]:
        """The same with a body."""
        request = urllib.request.Request(
            self.account.url(url), None if body is None else body.encode(), headers=headers
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def _last(self) -> int:
        return int(self.account.timeline()[-1]["sequence"])

    def _make_role(self) -> str:
        iam = self.client("iam")
        trust = document({"Service": services(*_TRUSTED)}, "sts:AssumeRole", "")
        made = iam.create_role(RoleName="triggers", AssumeRolePolicyDocument=trust)
        iam.attach_role_policy(RoleName="triggers", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        return str(made["Role"]["Arn"])

    def function(self, name: str, variables: dict[str, str], *, code: str = _CODE, **settings: Any) -> str:
        """A function that services may invoke; its ARN."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("app.py", code)
        api = self.client("lambda")
        made = api.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Handler="app.handler",
            Role=self.role,
            Code={"ZipFile": archive.getvalue()},
            Timeout=20,
            MemorySize=256,
            Environment={"Variables": {"LEDGER": self._ledger.url, **variables}},
            **settings,
        )
        for service in _SERVICES:
            self._permit(name, service)
        return str(made["FunctionArn"])

    def _permit(self, function: str, service: str) -> None:
        self.client("lambda").add_permission(
            FunctionName=function,
            StatementId=service.replace(".", "-"),
            Action="lambda:InvokeFunction",
            Principal=f"{service}.amazonaws.com",
        )


def services(*names: str) -> list[str]:
    """Service principals by the first part of their names."""
    return [f"{name}.amazonaws.com" for name in names]


def document(principal: Any, action: str, resource: str) -> str:
    """A policy of one statement that allows."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": action}
    if resource:
        statement["Resource"] = resource
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def moment(event: Mapping[str, Any]) -> float:
    """When an event of the timeline happened, in seconds."""
    return dt.datetime.fromisoformat(event["at"]).timestamp()


def parsed(text: str) -> Any:
    """JSON, or the text as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text
