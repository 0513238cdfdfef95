"""Order status notifier: every change that matters, once, in order, whatever else the stream carries."""

import base64
import datetime as dt
import json
import random as randomness
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from graders.api import (
    FUN,
    IAC,
    OBS,
    RES,
    SEC,
    Finding,
    FunctionView,
    H,
    N,
    ResourceNotFound,
    Right,
    Sandbox,
    V,
    check,
    control,
    failed,
    parameters,
    passed,
    right,
    rights,
    stack_parameters,
)

STATUSES = (
    "BACKORDERED",
    "BOOKED",
    "HELD",
    "LOST",
    "PACKED",
    "PICKED",
    "RECALLED",
    "REFUSED",
    "RETURNED",
)
KEYS = ("orderNo", "orderRef", "purchaseId", "salesOrder")
STATUS_NAMES = ("lifecycle", "orderState", "phase", "progress")
TOWNS = ("Elva", "Haapsalu", "Keila", "Põlva", "Rakvere", "Tõrva", "Viljandi", "Võru")
POISONS = ("missing", "text", "null", "list")
STREAM_READS = ("dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream")

SETTLE_S = 8
# What Lambda discards is gone after this long, and what FIFO queues deduplicate is forgotten after that.
RETRIES_S = 1_200
DEDUPLICATED_S = 300
REFUSED_S = 25
ALARM_S = 900
RETRIES_LIMIT = 20
AGE_S = (3_600, 21_600)
CHANGED_WITHIN_S = 10


# --- the seed


@parameters
def draw(random: randomness.Random) -> dict[str, Any]:
    """Which statuses matter, what attributes are called, and how a corrupt order looks."""
    statuses = random.sample(STATUSES, 6)
    return {
        "notify": statuses[:3],
        "others": statuses[3:],
        "key": random.choice(KEYS),
        "status": random.choice(STATUS_NAMES),
        "poison": random.choice(POISONS),
        "burst": random.randrange(2, 5),
    }


@stack_parameters
def as_stack_parameters(parameters: dict[str, Any]) -> dict[str, str]:
    """What the contract lets the grader choose."""
    return {
        "NotifyStatuses": ",".join(parameters["notify"]),
        "OrderIdAttribute": parameters["key"],
        "StatusAttribute": parameters["status"],
    }


# --- the truth: orders and their changes


@dataclass(frozen=True, slots=True)
class Change:
    """An order got another status."""

    order_id: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.order_id}: {self.old} → {self.new}"


@dataclass(slots=True)
class Desk:
    """Writes orders as the other systems do, and knows what subscribers have to hear."""

    sandbox: Sandbox
    table: str
    statuses: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Desk":
        """A desk with the check's own randomness."""
        return cls(sandbox, sandbox.output("OrdersTableName"))

    @property
    def notify(self) -> list[str]:
        """The statuses that must be announced."""
        return list(self.sandbox.parameters["notify"])

    @property
    def others(self) -> list[str]:
        """The statuses that must not."""
        return list(self.sandbox.parameters["others"])

    def status(self, *, but: str, notifying: bool | None = None) -> str:
        """A status that is another one than ``but``."""
        wanted = {True: self.notify, False: self.others, None: self.notify + self.others}[notifying]
        return self.sandbox.random.choice([each for each in wanted if each != but])

    def place(self, status: str = "", more: Mapping[str, Any] | None = None) -> str:
        """A new order; returns its id. It has a status that is not announced unless one is given."""
        random = self.sandbox.random
        order_id = f"{random.choice('ABCDEFGHK')}{random.getrandbits(44):011x}"
        self.statuses[order_id] = status or random.choice(self.others)
        item = {
            self.sandbox.parameters["key"]: order_id,
            self.sandbox.parameters["status"]: self.statuses[order_id],
            "total": Decimal(random.randrange(100, 900_000)) / 100,
            "town": random.choice(TOWNS),
        }
        written = {
            name: attribute(value) for name, value in {**item, **(more or {})}.items() if value is not ...
        }
        self.sandbox.client("dynamodb").put_item(TableName=self.table, Item=written)
        return order_id

    def change(self, order_id: str, status: str) -> Change:
        """Give an order another status."""
        change = Change(order_id, self.statuses[order_id], status)
        self.statuses[order_id] = status
        self.update(order_id, **{self.sandbox.parameters["status"]: status})
        return change

    def announce(self, order_id: str = "") -> Change:
        """Give an order, or a new one, a status that must be announced."""
        order_id = order_id or self.place()
        return self.change(order_id, self.status(but=self.statuses[order_id], notifying=True))

    def update(self, order_id: str, **values: Any) -> None:
        """Set attributes of an order."""
        names = {f"#n{place}": name for place, name in enumerate(values)}
        settings = ", ".join(f"#n{place} = :v{place}" for place in range(len(values)))
        self.sandbox.client("dynamodb").update_item(
            TableName=self.table,
            Key=self.key(order_id),
            UpdateExpression=f"SET {settings}",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={
                f":v{place}": attribute(value) for place, value in enumerate(values.values())
            },
        )

    def key(self, order_id: str) -> dict[str, Any]:
        """An order's key."""
        return {self.sandbox.parameters["key"]: {"S": order_id}}

    def item(self, order_id: str) -> Mapping[str, Any] | None:
        """An order as the table has it."""
        client = self.sandbox.client("dynamodb")
        found = client.get_item(TableName=self.table, Key=self.key(order_id), ConsistentRead=True)
        item: Mapping[str, Any] | None = found.get("Item")
        return item


def attribute(value: Any) -> dict[str, Any]:
    """A value as DynamoDB takes it."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, (int, Decimal)):
        return {"N": str(value)}
    if isinstance(value, list):
        return {"L": [attribute(each) for each in value]}
    if isinstance(value, dict):
        return {"M": {name: attribute(each) for name, each in value.items()}}
    return {"S": str(value)}


# --- what can be seen from outside


@dataclass(slots=True)
class Subscriber:
    """A FIFO queue of our own that hears what is published; each is another subscriber."""

    sandbox: Sandbox
    url: str
    arn: str
    heard: list[dict[str, Any]] = field(default_factory=list)

    def listen(self) -> list[dict[str, Any]]:
        """Everything heard so far, in order. What is no JSON object is under ``not JSON``."""
        client = self.sandbox.client("sqs")
        while True:
            page = client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
            messages = page.get("Messages", ())
            if not messages:
                return self.heard
            self.heard += [decoded(message["Body"]) for message in messages]
            client.delete_message_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
                    for place, message in enumerate(messages)
                ],
            )

    def of(self, *order_ids: str) -> list[dict[str, Any]]:
        """What was heard of some orders."""
        return [message for message in self.listen() if message.get("orderId") in order_ids]

    def missing(self, changes: Iterable[Change]) -> list[Change]:
        """The changes that were not heard of."""
        found = {as_change(message) for message in self.listen()}
        return [change for change in changes if change not in found]

    def hears(self, changes: Sequence[Change], budget_s: float = 10.0) -> list[Change]:
        """The changes that are not heard of in time."""
        self.sandbox.eventually(lambda: not self.missing(changes), budget_s)
        return self.missing(changes)


def as_change(message: Mapping[str, Any]) -> Change:
    """The change that a message tells of."""
    return Change(*(str(message.get(name)) for name in ("orderId", "oldStatus", "newStatus")))


def decoded(body: str) -> dict[str, Any]:
    """A message; numbers keep all their digits."""
    try:
        found = json.loads(body, parse_float=Decimal)
    except ValueError:
        return {"not JSON": body[:200]}
    return found if isinstance(found, dict) else {"not an object": found}


@contextmanager
def subscriber(sandbox: Sandbox) -> Iterator[Subscriber]:
    """A new subscriber of the topic, gone at the end."""
    topic = sandbox.output("NotificationsTopicArn")
    sqs, sns = sandbox.client("sqs"), sandbox.client("sns")
    name = f"team-{sandbox.random.getrandbits(48):012x}.fifo"
    url = sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})["QueueUrl"]
    arn = sandbox.queue_arn(url)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    subscription = sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": "true"},
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    try:
        yield Subscriber(sandbox, url, arn)
    finally:
        sns.unsubscribe(SubscriptionArn=subscription)
        sqs.delete_queue(QueueUrl=url)


@dataclass(frozen=True, slots=True)
class Consumer:
    """What reads the table's stream."""

    sandbox: Sandbox
    stream_arn: str
    view_type: str
    mappings: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Consumer":
        """The consumer of this stack."""
        table = sandbox.client("dynamodb").describe_table(TableName=sandbox.output("OrdersTableName"))[
            "Table"
        ]
        arn = table.get("LatestStreamArn", "")
        if not arn or not table.get("StreamSpecification", {}).get("StreamEnabled"):
            raise ResourceNotFound("The table has no stream.", look=("StreamSpecification of the table",))
        client = sandbox.client("lambda")
        found = client.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
        return cls(sandbox, arn, table["StreamSpecification"]["StreamViewType"], tuple(found))

    @property
    def functions(self) -> list[str]:
        """The functions that read the stream, as the mappings name them."""
        return list(dict.fromkeys(mapping["FunctionArn"] for mapping in self.mappings))

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The functions that read the stream can't run."""
        with ExitStack() as faults:
            for name in self.functions:
                faults.enter_context(self.sandbox.fault("throttle", function=name, concurrency=0))
            yield

    @contextmanager
    def refused(self) -> Iterator[None]:
        """No function of the stack may publish."""
        with ExitStack() as faults:
            for name in self.sandbox.stack.functions:
                faults.enter_context(self.sandbox.fault("deny", function=name, actions=["sns:Publish"]))
            yield

    def records(self, *order_ids: str) -> list[dict[str, Any]]:
        """The stream's records of some orders, as a function gets them, oldest first."""
        client = self.sandbox.client("dynamodbstreams")
        key = self.sandbox.parameters["key"]
        found = []
        for shard in client.describe_stream(StreamArn=self.stream_arn)["StreamDescription"]["Shards"]:
            iterator = client.get_shard_iterator(
                StreamArn=self.stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator:
                page = client.get_records(ShardIterator=iterator)
                found += [
                    as_event(record, self.stream_arn)
                    for record in page["Records"]
                    if record["dynamodb"]["Keys"][key]["S"] in order_ids
                ]
                iterator = page.get("NextShardIterator") if page["Records"] else None
        return found

    def quiet(self) -> None:
        """Let retries run out."""
        self.sandbox.settle(timeout_s=5.0)
        self.sandbox.advance(RETRIES_S)


def as_event(record: Mapping[str, Any], stream_arn: str) -> dict[str, Any]:
    """A record of the stream as Lambda hands it to a function."""
    moment = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
    change = {**record["dynamodb"], "ApproximateCreationDateTime": float(int(moment))}
    found: dict[str, Any] = json.loads(
        json.dumps(
            {**record, "dynamodb": change, "eventSourceARN": stream_arn},
            default=lambda held: base64.b64encode(held).decode(),
        )
    )
    return found


def listed(changes: Sequence[Any], most: int = 3) -> str:
    """Some of them, in words."""
    more = f" and {len(changes) - most} more" if len(changes) > most else ""
    return ", ".join(str(each) for each in changes[:most]) + more


# --- what must be observed


@check(id="f1", points=12, dimension=FUN, visibility=V, needs={"SE", "LX", "SNS"})
def a_change_is_announced_once(sandbox: Sandbox) -> Finding:
    """A new order that then gets a status to announce leads to one message that tells both."""
    desk, consumer = Desk.of(sandbox), Consumer.of(sandbox)
    with subscriber(sandbox) as team:
        mark = sandbox.mark()
        change = desk.announce()
        moment = sandbox.now()
        sandbox.did("dynamodb:PutItem, UpdateItem", f"{change}")
        count = sandbox.exactly(1, lambda: len(team.of(change.order_id)), settle_s=SETTLE_S)
        messages = team.of(change.order_id)
        strays = [message for message in team.listen() if message not in messages]
    sandbox.saw("sns → our queue", f"{count.seen} messages of {change.order_id}")
    for message in (messages + strays)[:2]:
        sandbox.saw("message", json.dumps(message, default=str, ensure_ascii=False)[:300])
    if not count:
        runs = [run for name in consumer.functions for run in sandbox.invocations(name, mark)]
        sandbox.saw(
            "invocations", f"{len(runs)}; {listed([run.outcome for run in runs]) or 'none'}", since=mark
        )
        consumer.quiet()
        return failed(
            f"One change led to {count.seen} messages with its order's id.",
            expected="exactly one message",
            look="the mapping of the stream, its filter, and the function's log",
        )
    faults = wrong_fields(messages[0], change, moment)
    if faults:
        return failed(
            f"The message is not as the contract has it: {faults[0]}.",
            expected="orderId, oldStatus, newStatus, changedAt and eventId of the change",
            look="OldImage and NewImage of the record",
        )
    return passed(f"{change}: one message.")


def wrong_fields(message: Mapping[str, Any], change: Change, moment: dt.datetime) -> list[str]:
    """How a message differs from the truth."""
    wanted = {"orderId": change.order_id, "oldStatus": change.old, "newStatus": change.new}
    faults = [
        f"`{name}` is {message.get(name)!r}, expected {value!r}"
        for name, value in wanted.items()
        if message.get(name) != value
    ]
    try:
        told = dt.datetime.fromisoformat(str(message.get("changedAt")))
        near = abs((told - moment).total_seconds()) <= CHANGED_WITHIN_S
    except (ValueError, TypeError):  # no moment at all, or one without an offset
        near = False
    if not near:
        faults.append(f"`changedAt` is {message.get('changedAt')!r}, the change was at {moment.isoformat()}")
    if not isinstance(message.get("eventId"), str) or not message["eventId"]:
        faults.append(f"`eventId` is {message.get('eventId')!r}")
    return faults


@check(id="f2", points=10, dimension=FUN, visibility=N, needs={"SE"})
def what_is_no_change_is_not_announced(sandbox: Sandbox) -> Finding:
    """Inserts, updates of other attributes, the same status again and other statuses are not announced."""
    desk, consumer = Desk.of(sandbox), Consumer.of(sandbox)
    with subscriber(sandbox) as team:

        def alive() -> bool:
            return not team.hears([desk.announce()])

        def noise() -> dict[str, str]:
            placed = desk.place(desk.status(but="", notifying=True))
            moved = desk.place(desk.status(but="", notifying=True))
            desk.update(moved, town=sandbox.random.choice(TOWNS), note="ring twice")
            same = desk.place(desk.status(but="", notifying=True))
            desk.update(same, **{sandbox.parameters["status"]: desk.statuses[same], "gate": 4})
            other = desk.place()
            desk.change(other, desk.status(but=desk.statuses[other], notifying=False))
            return {
                placed: "insert with a status to announce",
                moved: "update of another attribute",
                same: "update with the same status",
                other: "change to a status that is not to be announced",
            }

        sent: dict[str, str] = {}

        def heard() -> list[str]:
            if not sent:
                sent.update(noise())
                for order_id, what in sent.items():
                    sandbox.did("dynamodb", f"{order_id}: {what}")
            return [message["orderId"] for message in team.of(*sent)]

        silent = sandbox.never(heard, SETTLE_S, control=alive)
        loud = [sent[order_id] for order_id in dict.fromkeys(heard())]
    sandbox.saw("sns → our queue", f"{len(loud)} messages: {listed(loud)}" if loud else "0 messages")
    if silent:
        return passed(f"{len(sent)} writes that change no status to announce: no message.")
    consumer.quiet()
    return failed(
        f"Announced though it is no change to announce: {listed(loud)}.",
        expected="no message",
        look="what your function compares: OldImage and NewImage, and eventName",
        hint="A record says what an item was and what it is now. Only the two together say what changed.",
    )


@check(id="f5", points=6, dimension=FUN, visibility=N, needs={"SE"}, after=a_change_is_announced_once)
def orders_arrive_as_plain_json(sandbox: Sandbox) -> Finding:
    """Amounts, lists, nulls and nested maps arrive as plain JSON, to the last digit."""
    desk, random = Desk.of(sandbox), sandbox.random
    lines = [
        {
            "sku": f"K-{random.randrange(1000)}",
            "price": Decimal(random.randrange(1, 90_000)) / 100,
            "gift": flag,
        }
        for flag in (True, False)
    ]
    values = {
        "total": Decimal(f"{random.randrange(10**19, 10**20)}.{random.randrange(10, 100)}7"),
        "paid": Decimal(random.randrange(1, 10)) / 10,
        "lines": lines,
        "labels": [],
        "coupon": None,
        "address": {"town": random.choice(TOWNS), "floor": -1, "door": {"code": f"0{random.randrange(999)}"}},
    }
    with subscriber(sandbox) as team:
        order_id = desk.place(more=values)
        change = desk.announce(order_id)
        sandbox.did("dynamodb:UpdateItem", f"{change}, an order with {', '.join(values)}")
        team.hears([change])
        messages = team.of(order_id)
    told = messages[0].get("order") if messages else None
    truth = {
        **values,
        sandbox.parameters["key"]: order_id,
        sandbox.parameters["status"]: change.new,
    }
    wrong = differences(told, truth, "order") if isinstance(told, dict) else ["no `order` in the message"]
    sandbox.saw("message", json.dumps(told, default=str, ensure_ascii=False)[:600])
    if wrong:
        return failed(
            f"The order is not as the table has it: {wrong[0]}.",
            expected="plain JSON with exact numbers",
            look="how your function turns an image into JSON",
            hint='A record carries attributes as {"S": "…"} and {"N": "…"}; numbers have up to 38 digits.',
        )
    return passed(f"`order` is plain JSON, total {values['total']} to the last digit.")


def differences(told: Any, truth: Any, path: str) -> list[str]:
    """Where JSON differs from the truth; numbers may be text."""
    if isinstance(truth, dict) and isinstance(told, dict):
        return [
            fault
            for name, value in truth.items()
            for fault in differences(told.get(name, "missing"), value, f"{path}.{name}")
        ]
    if isinstance(truth, list) and isinstance(told, list) and len(told) == len(truth):
        return [
            fault
            for place, (mine, value) in enumerate(zip(told, truth, strict=True))
            for fault in differences(mine, value, f"{path}[{place}]")
        ]
    if isinstance(truth, (int, Decimal)) and not isinstance(truth, bool):
        same = not isinstance(told, bool) and number(told) == truth
    else:
        same = type(told) is type(truth) and told == truth
    return [] if same else [f"`{path}` is {json.dumps(told, default=str)[:80]}, expected {truth!s:.80}"]


def number(told: Any) -> Decimal | None:
    """A number of a message."""
    try:
        return Decimal(told) if isinstance(told, (int, str, Decimal)) else None
    except InvalidOperation:
        return None


@check(id="f4", points=8, dimension=FUN, visibility=H, needs={"SE"}, after=a_change_is_announced_once)
def deletions_are_not_announced(sandbox: Sandbox) -> Finding:
    """Orders that users or time to live delete lead to no message and no function error."""
    desk, consumer = Desk.of(sandbox), Consumer.of(sandbox)
    client = sandbox.client("dynamodb")
    with subscriber(sandbox) as team, time_to_live(desk) as expires:
        changes = [desk.announce(desk.place()) for _ in range(3)]
        if expires:
            moment = int(sandbox.now().timestamp()) + 30
            changes.append(desk.announce(desk.place(more={expires: moment})))
        control(not team.hears(changes), "orders that are changed before they are deleted are announced")
        mark = sandbox.mark()
        heard = len(team.listen())
        for change in changes[:3]:
            client.delete_item(TableName=desk.table, Key=desk.key(change.order_id))
        sandbox.did("dynamodb:DeleteItem", listed([change.order_id for change in changes[:3]]))
        if expires:
            gone = sandbox.eventually(lambda: desk.item(changes[3].order_id) is None, 200)
            control(gone, "an order past its time to live is deleted")
            sandbox.did("time to live", f"{changes[3].order_id} has expired and is deleted")
        silent = sandbox.never(lambda: len(team.listen()) > heard, SETTLE_S)
        errors = [
            run
            for name in consumer.functions
            for run in sandbox.invocations(name, mark)
            if run.outcome not in ("", "ok")
        ]
        count = len(team.listen()) - heard
    sandbox.saw("sns → our queue", f"{count} messages after {len(changes)} deletions")
    sandbox.saw("invocations", f"{len(errors)} errors", since=mark)
    if silent and not errors:
        return passed(f"{len(changes)} deletions: no message, no error.")
    consumer.quiet()
    return failed(
        f"{len(changes)} deletions led to {count} messages and {len(errors)} function errors.",
        expected="no message, no error",
        look="the mapping's filter, and what your function reads of a record",
        hint="A record of a deletion has no new image.",
    )


@contextmanager
def time_to_live(desk: Desk) -> Iterator[str]:
    """The table's attribute for time to live, switched on while the block runs.

    Empty on a real account: there deletion takes up to days.
    """
    if not desk.sandbox.budget(emulated=True, real=False):
        yield ""
        return
    client = desk.sandbox.client("dynamodb")
    found = client.describe_time_to_live(TableName=desk.table)["TimeToLiveDescription"]
    if found["TimeToLiveStatus"] == "ENABLED":
        yield found["AttributeName"]
        return
    wanted = {"AttributeName": "expiresAt", "Enabled": True}
    client.update_time_to_live(TableName=desk.table, TimeToLiveSpecification=wanted)
    try:
        yield "expiresAt"
    finally:
        off = {**wanted, "Enabled": False}
        client.update_time_to_live(TableName=desk.table, TimeToLiveSpecification=off)


@check(
    id="f3",
    points=10,
    dimension=FUN,
    visibility=H,
    needs={"SE", "SNS", "LC"},
    after=a_change_is_announced_once,
)
def each_order_is_told_in_order(sandbox: Sandbox) -> Finding:
    """Thirty orders that change in quick succession are each told in the order of their changes."""
    desk, consumer = Desk.of(sandbox), Consumer.of(sandbox)
    with subscriber(sandbox) as team:
        order_ids = [desk.place() for _ in range(30)]
        changes: list[Change] = []
        # While the function can't run the stream fills, so that batches hold many changes of an order.
        with consumer.stopped():
            for start in range(0, len(order_ids), sandbox.parameters["burst"]):
                some = order_ids[start : start + sandbox.parameters["burst"]]
                for turn in range(4):
                    for order_id in some:
                        notifying = None if turn % 2 else True
                        status = desk.status(but=desk.statuses[order_id], notifying=notifying)
                        changes.append(desk.change(order_id, status))
        sandbox.did("dynamodb:UpdateItem", f"{len(changes)} changes of {len(order_ids)} orders, interleaved")
        wanted = [change for change in changes if change.new in desk.notify]
        sandbox.eventually(lambda: len(team.of(*order_ids)) >= len(wanted), 180)
        sandbox.settle()
        told: dict[str, list[str]] = {order_id: [] for order_id in order_ids}
        seen: set[str] = set()
        for message in team.of(*order_ids):
            if message.get("eventId") not in seen:
                told[message["orderId"]].append(str(message.get("newStatus")))
            seen.add(str(message.get("eventId")))
    truth = {
        order_id: [change.new for change in wanted if change.order_id == order_id] for order_id in order_ids
    }
    wrong = [order_id for order_id in order_ids if told[order_id] != truth[order_id]]
    sandbox.saw("sns → our queue", f"{len(seen)} messages of {len(wanted)} changes to announce")
    for order_id in wrong[:3]:
        sandbox.saw(
            f"order {order_id}", f"told {' → '.join(told[order_id])}; truth {' → '.join(truth[order_id])}"
        )
    if not wrong:
        return passed(f"{len(wanted)} changes of {len(order_ids)} orders were told in order.")
    consumer.quiet()
    return failed(
        f"{len(wrong)} of {len(order_ids)} orders were told out of order or incompletely.",
        expected="the changes of an order in the order in which they were made",
        look="whether your function waits for one publication before the next, and the message group",
        hint="A FIFO topic keeps the order in which it is given messages, within a group.",
    )


@check(id="r3", points=5, dimension=RES, visibility=V, needs={"CF"}, static=True)
def retries_are_bounded(sandbox: Sandbox) -> Finding:
    """Retries and record age are bounded, and one record does not take its batch along."""
    consumer = Consumer.of(sandbox)
    faults = [] if consumer.mappings else ["nothing reads the stream"]
    for mapping in consumer.mappings:
        retries = mapping.get("MaximumRetryAttempts")
        age_s = mapping.get("MaximumRecordAgeInSeconds")
        splits = mapping.get("BisectBatchOnFunctionError") or (
            "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ())
        )
        if retries is None or not 0 <= retries <= RETRIES_LIMIT:
            faults.append(f"MaximumRetryAttempts is {retries}, expected 0 to {RETRIES_LIMIT}")
        if age_s is None or not AGE_S[0] <= age_s <= AGE_S[1]:
            faults.append(f"MaximumRecordAgeInSeconds is {age_s}, expected {AGE_S[0]:,} to {AGE_S[1]:,}")
        if not splits:
            faults.append("neither BisectBatchOnFunctionError nor ReportBatchItemFailures is on")
    for fault in faults:
        sandbox.saw("lambda:ListEventSourceMappings", fault)
    if faults:
        return failed(
            f"{len(faults)} settings let a record hold back the stream: {faults[0]}.",
            expected="bounded retries and age, bisecting or partial batch responses",
            look="Events of the function in template.yaml",
            hint="Without bounds Lambda tries a batch until its records leave the stream, after 24 hours.",
        )
    return passed("Retries and record age are bounded, and a batch can be split.")


@rights
def work_of_the_contract(sandbox: Sandbox, function: FunctionView) -> list[Right]:
    """What the contract lists; a failure's message may be sent though nothing fails for good."""
    here = f"{sandbox.region}:{sandbox.account_id}"
    table_arn = f"arn:aws:dynamodb:{here}:table/{sandbox.output('OrdersTableName')}"
    group = f"arn:aws:logs:{here}:log-group:{function.log_group}"
    return [
        right(STREAM_READS, f"{table_arn}/stream/*", needed=True),
        right("dynamodb:ListStreams", ["*", f"{table_arn}/stream/*"]),
        right("sns:Publish", sandbox.output("NotificationsTopicArn")),
        right("sqs:SendMessage", sandbox.queue_arn(sandbox.output("FailureQueueUrl")), needed=True),
        right(["logs:CreateLogStream", "logs:PutLogEvents"], f"{group}:*", needed=True),
        right("logs:CreateLogGroup", [group, f"{group}:*"]),
    ]


@check(id="s1", points=10, dimension=SEC, visibility=V, needs={"IS"}, static=True)
def the_function_may_do_its_work(sandbox: Sandbox) -> Finding:
    """The function's role allows what the contract lists, and nothing else."""
    return sandbox.judge_rights(*sandbox.stack.functions, points=10, each=10)


@check(id="i1", points=7, dimension=IAC, visibility=V, needs={"CF", "SE"}, after=a_change_is_announced_once)
def inserts_do_not_invoke(sandbox: Sandbox) -> Finding:
    """The stream has both images, new orders do not invoke the function, and logs expire."""
    desk, consumer = Desk.of(sandbox), Consumer.of(sandbox)
    faults = []
    if consumer.view_type != "NEW_AND_OLD_IMAGES":
        faults.append(f"the stream has {consumer.view_type}, expected NEW_AND_OLD_IMAGES")
    sandbox.settle()
    mark = sandbox.mark()
    placed = [desk.place(status) for status in (*desk.notify, *desk.others)]
    sandbox.did("dynamodb:PutItem", f"{len(placed)} new orders")
    sandbox.never(lambda: False, SETTLE_S)
    for name in consumer.functions:
        if count := len(sandbox.invocations(name, mark)):
            faults.append(f"{len(placed)} new orders led to {count} invocations of {name.rsplit(':', 1)[-1]}")
    faults += sandbox.log_group_faults(sandbox.stack.functions)
    for fault in faults:
        sandbox.saw("configuration", fault)
    if faults:
        return failed(
            f"{len(faults)} settings are not as the contract has them: {faults[0]}.",
            expected="both images, no invocation by new orders, logs kept 1 to 90 days",
            look="StreamSpecification, FilterCriteria of the mapping, AWS::Logs::LogGroup",
            hint="What a filter drops costs no invocation.",
        )
    return passed("Both images, no invocation by new orders, and logs expire.")


@check(id="o1", points=8, dimension=OBS, visibility=N, needs={"CA", "LC"}, after=a_change_is_announced_once)
def the_alarm_tells_of_waiting_changes(sandbox: Sandbox) -> Finding:
    """The alarm rings when changes wait, and is OK while all is well or nothing happens."""
    desk, consumer = Desk.of(sandbox), Consumer.of(sandbox)
    name = sandbox.output("LagAlarmName")
    with subscriber(sandbox) as team:
        team.hears([desk.announce()])
        sandbox.advance(ALARM_S)
        idle = sandbox.alarm_state(name)
        sandbox.saw("cloudwatch:DescribeAlarms", f"{idle} after {ALARM_S // 60} minutes without changes")
        with consumer.stopped():
            changes = [desk.announce() for _ in range(3)]
            sandbox.did("lambda:PutFunctionConcurrency", f"0, then {len(changes)} changes")
            rang = sandbox.eventually(lambda: sandbox.alarm_state(name) == "ALARM", ALARM_S)
            state = sandbox.alarm_state(name)
            sandbox.saw("cloudwatch:DescribeAlarms", f"{state} while the function can't run")
        team.hears(changes, RETRIES_S)
    if idle != "OK":
        return failed(
            f"The alarm is {idle} while nothing happens.",
            expected="OK",
            look="TreatMissingData and the threshold of the alarm",
            hint="A function that is not invoked reports no data.",
        )
    if not rang:
        return failed(
            f"The alarm is {state} {ALARM_S // 60} minutes after the function came to a standstill.",
            expected="ALARM",
            look="which metric the alarm watches, and whether the dimensions name your function",
            hint="A function that does not run has no errors; its stream grows older.",
        )
    return passed("The alarm is OK while idle and rings when changes wait.")


@check(id="r2", points=8, dimension=RES, visibility=H, needs={"IE", "SE"}, after=a_change_is_announced_once)
def what_was_refused_is_announced_later(sandbox: Sandbox) -> Finding:
    """What can't be published for a while is announced afterwards, and repetitions have the same event id."""
    desk, consumer = Desk.of(sandbox), Consumer.of(sandbox)
    with subscriber(sandbox) as team:
        order_ids = [desk.place() for _ in range(5)]
        mark = sandbox.mark()
        with consumer.refused():
            changes = [desk.announce(order_id) for _ in range(2) for order_id in order_ids]
            sandbox.did("iam:PutRolePolicy", f"publishing denied for {REFUSED_S} s; {len(changes)} changes")
            sandbox.advance(REFUSED_S)
            early = team.of(*order_ids)
        lost = team.hears(changes, RETRIES_S)
        runs = [run for name in consumer.functions for run in sandbox.invocations(name, mark)]
        sandbox.saw("sns → our queue", f"{len(changes) - len(lost)} of {len(changes)} changes afterwards")
        sandbox.saw("invocations", f"{len(runs)}; {listed([run.outcome for run in runs])}", since=mark)
        consumer.quiet()
        if lost:
            return failed(
                f"{len(lost)} of {len(changes)} changes that could not be published were never announced:"
                f" {listed(lost)}.",
                expected=f"all {len(changes)} after publishing was allowed again",
                look="what your function answers when a publication fails, and the mapping's retries",
                hint="A handler that returns normally, or with no failures listed, says that all went well.",
            )
        control(not early, "publishing is denied while the fault is on")
        sandbox.advance(DEDUPLICATED_S + 60)
        records = [record for record in consumer.records(*order_ids) if record["eventName"] == "MODIFY"]
        for name in consumer.functions:
            sandbox.invoke(name, {"Records": records})
        sandbox.did("lambda:Invoke", f"the same {len(records)} records again")
        sandbox.settle()
        ids: dict[Change, set[str]] = {}
        for message in team.of(*order_ids):
            ids.setdefault(as_change(message), set()).add(str(message.get("eventId")))
    unstable = [change for change, names in ids.items() if len(names) > 1]
    shared = len({name for names in ids.values() for name in names}) < len(ids)
    sandbox.saw("event ids", f"{sum(map(len, ids.values()))} of {len(ids)} changes")
    if unstable or shared:
        what = f"{len(unstable)} changes came again with another `eventId`: {listed(unstable)}."
        return failed(
            what if unstable else "Different changes have the same `eventId`.",
            expected="one id for each change, the same each time",
            look="what `eventId` is made of",
            hint="Lambda hands a record over at least once, and each time with the same eventID.",
        )
    return passed(f"{len(changes)} changes arrived after the refusal; repetitions have the same ids.")


@check(id="r1", points=12, dimension=RES, visibility=N, needs={"SE", "LC"}, after=a_change_is_announced_once)
def a_corrupt_order_holds_nobody_back(sandbox: Sandbox) -> Finding:
    """One corrupt order among ten: the others are announced, and it is named in the failure queue."""
    desk, consumer = Desk.of(sandbox), Consumer.of(sandbox)
    total = {"missing": ..., "text": "n/a", "null": None, "list": []}[sandbox.parameters["poison"]]
    place = sandbox.random.randrange(2, 8)
    with subscriber(sandbox) as team:
        order_ids = [desk.place(more={"total": total} if turn == place else None) for turn in range(10)]
        mark = sandbox.mark()
        # The stream fills while the function can't run, so that all ten come in one batch.
        with consumer.stopped():
            changes = [desk.announce(order_id) for order_id in order_ids]
        poison = changes.pop(place)
        sandbox.did(
            "dynamodb:UpdateItem", f"10 changes; number {place + 1}, {poison.order_id}, has a corrupt total"
        )
        later = [desk.announce() for _ in range(3)]
        failures = Failures.of(sandbox, consumer.records(poison.order_id))
        sandbox.eventually(lambda: not team.missing(changes + later) and failures.named(), RETRIES_S)
        lost, late, named = team.missing(changes), team.missing(later), failures.named()
        told = team.of(poison.order_id)
    runs = [run for name in consumer.functions for run in sandbox.invocations(name, mark)]
    sandbox.saw("sns → our queue", f"{9 - len(lost)} of 9 beside it, {3 - len(late)} of 3 later ones")
    sandbox.saw("sqs:ReceiveMessage", f"{poison.order_id} is {'named' if named else 'not named'}")
    sandbox.saw("invocations", f"{len(runs)}", since=mark)
    if lost or late:
        return failed(
            f"One corrupt order kept {len(lost)} of 9 others and {len(late)} of 3 later changes from being"
            f" announced; your function was invoked {len(runs)} times.",
            expected=f"all of them within {RETRIES_S // 60} minutes",
            look="the mapping's retries, bisecting and partial batch responses",
            hint="Lambda tries a failed batch again and again, and nothing behind it in the shard moves.",
        )
    if told:
        return failed(
            "A change of a corrupt order was announced.",
            expected="no message of it, and its name in the failure queue",
            look="whether your function looks at `total`",
        )
    if not named:
        return failed(
            "Nothing in the failure queue names the corrupt order.",
            expected=f"a message with `{poison.order_id}`, its event id or its sequence number",
            look="what your function does with a record it can't announce, and the on-failure destination",
            hint="An exception that is caught and logged is seen by nobody.",
        )
    return passed("The other changes were announced, and the failure queue names the corrupt one.")


@dataclass(slots=True)
class Failures:
    """The failure queue, and whether it names some records."""

    sandbox: Sandbox
    url: str
    names: list[str]
    sequences: list[int]
    bodies: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, sandbox: Sandbox, records: Sequence[Mapping[str, Any]]) -> "Failures":
        """The queue, asked about changes that are these records."""
        key = sandbox.parameters["key"]
        changes = [record for record in records if record["eventName"] == "MODIFY"]
        names = [record["eventID"] for record in changes]
        names += [record["dynamodb"]["Keys"][key]["S"] for record in changes]
        sequences = [int(record["dynamodb"]["SequenceNumber"]) for record in changes]
        return cls(sandbox, sandbox.output("FailureQueueUrl"), names, sequences)

    def named(self) -> bool:
        """Whether a message names one of the records, by a name of it or as a discarded batch."""
        client = self.sandbox.client("sqs")
        while messages := client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.bodies.append(message["Body"])
                client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return any(self._names(body) for body in self.bodies)

    def _names(self, body: str) -> bool:
        told = decoded(body)
        batch = told.get("DDBStreamBatchInfo")
        if isinstance(batch, dict):
            first, last = (int(batch.get(name, -1)) for name in ("startSequenceNumber", "endSequenceNumber"))
            return any(first <= sequence <= last for sequence in self.sequences)
        return any(name in body for name in [*self.names, *map(str, self.sequences)])
