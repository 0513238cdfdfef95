"""Campaign e-mail dispatch: every message once, at a provider that is slow, fails and takes few calls."""

import json
import random as randomness
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
    Mark,
    N,
    PartnerCall,
    ResourceNotFound,
    Right,
    Sandbox,
    V,
    check,
    control,
    failed,
    most_at_once,
    parameters,
    partners,
    passed,
    right,
    rights,
    stack_parameters,
)

PLACEHOLDERS = (("<<", ">>"), ("[[", "]]"), ("#{", "}"), ("%(", ")"), ("<%", "%>"))
POISONS = ("not JSON", "a field is missing", "a placeholder has no value")
WORDS = ("Aiand", "Kevad", "Lumi", "Mets", "Pidu", "Rand", "Suvi", "Tuli", "Vihm")
NAMES = ("firstName", "town", "points", "code", "offer", "shop")
OPENINGS = ("Dear", "Hello", "Good news,", "Tere,", "Hi")

# Sent in groups, each awaited: what a burst does is another question.
GROUPS, GROUP = 5, 20
# The contract's burst. Where each call costs our own time a third of it asks the same.
CONTRACT_BURST, SMALL_BURST = 300, 100
BIG_CHARACTERS = 190_000
# How long calls take in a burst, so that they overlap wherever something lets them; at most they take this.
BURST_LATENCY_MS = 40
SLOWEST_S = 5
# While a call of this length is under way, a twin has all the time it needs to overtake.
SLOW_MS = 3_000
# What fails for good is in the dead-letter queue within an hour; a minute's grace is ours.
RETRIES_S = 3_660
# FIFO queues forget what they deduplicate after five minutes.
DEDUPLICATED_S = 300
ALARM_S = 600
SETTLE_S = 8
VISIBILITY_FACTOR = 6
RECEIVES = range(3, 11)
AGE_S = (60, 3_600)


# --- the seed


@parameters
def draw(random: randomness.Random) -> dict[str, Any]:
    """How placeholders are written, how many calls the provider takes, and who writes to whom."""
    return {
        "placeholder": random.choice(PLACEHOLDERS),
        "limit": random.randrange(2, 4),
        "campaign": f"{random.choice(WORDS)} {random.randrange(100, 1000)}",
        "names": random.sample(NAMES, 3),
        "poisons": random.sample(POISONS, len(POISONS)),
        "twins": random.randrange(1, 3),
    }


@stack_parameters
def as_stack_parameters(parameters: dict[str, Any]) -> dict[str, str]:
    """What the contract lets the grader choose."""
    opening, closing = parameters["placeholder"]
    return {
        "MailProviderLimit": str(parameters["limit"]),
        "PlaceholderOpen": opening,
        "PlaceholderClose": closing,
    }


@partners
def provider(_parameters: dict[str, Any]) -> dict[str, str]:
    """The mail provider."""
    return {"MailProviderArn": "mail"}


# --- the truth: messages and what the provider must hear


@dataclass(frozen=True, slots=True)
class Message:
    """A message to one customer, and the text it stands for."""

    key: str
    to: str
    template: str
    values: Mapping[str, str]
    text: str

    @property
    def body(self) -> str:
        """As marketing writes it."""
        document = {"messageKey": self.key, "to": self.to, "template": self.template, "vars": self.values}
        return json.dumps(document, ensure_ascii=False)

    def heard_in(self, call: PartnerCall) -> bool:
        """Whether a call says exactly this message."""
        return call.says("to", self.to) and call.says("text", self.text)


@dataclass(frozen=True, slots=True)
class Marketing:
    """Writes messages as this seed's marketing does."""

    parameters: Mapping[str, Any]
    random: randomness.Random

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Marketing":
        """Marketing with the check's own randomness."""
        return cls(sandbox.parameters, sandbox.random)

    def placeholder(self, name: str) -> str:
        """A placeholder as this seed writes it."""
        opening, closing = self.parameters["placeholder"]
        return f"{opening}{name}{closing}"

    def key(self) -> str:
        """A key that nobody has used."""
        return f"{self.random.choice('bcdfghkm')}{self.random.getrandbits(52):013x}"

    def message(self, *, values: Mapping[str, str] | None = None, after: str = "") -> Message:
        """A message that merges; ``values`` replaces what it would have drawn."""
        random, key = self.random, self.key()
        if values is None:
            values = {name: self._word() for name in self.parameters["names"]}
        parts = [random.choice(OPENINGS), *values, f"{self.parameters['campaign']}.{after}"]
        template = " ".join(self.placeholder(part) if part in values else part for part in parts)
        text = " ".join(values.get(part, part) for part in parts)
        to = f"{random.getrandbits(32):08x}@{random.choice(WORDS).lower()}.example"
        return Message(key, to, template, values, text)

    def messages(self, count: int) -> list[Message]:
        """Several messages."""
        return [self.message() for _ in range(count)]

    def poison(self, kind: str) -> str:
        """The body of a message that can't be merged."""
        message = self.message()
        if kind == "not JSON":
            return message.body[: -self.random.randrange(3, 9)]
        document = json.loads(message.body)
        if kind == "a field is missing":
            del document[self.random.choice(["to", "template", "vars"])]
        else:
            del document["vars"][self.random.choice(list(message.values))]
        return json.dumps(document, ensure_ascii=False)

    def _word(self) -> str:
        return f"{self.random.choice(WORDS)}{self.random.randrange(10, 10_000)}"


# --- the stack, through its outputs


@dataclass(frozen=True, slots=True)
class Mapped:
    """The event source mapping of the dispatch queue."""

    uuid: str
    function: str
    batch_size: int
    window_s: int


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of the learner's."""

    sandbox: Sandbox
    url: str

    @property
    def name(self) -> str:
        """Its name."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def is_fifo(self) -> bool:
        """It keeps order and forgets repetitions."""
        return self.name.endswith(".fifo")

    def attributes(self) -> dict[str, str]:
        """Its attributes.

        Raises:
            ResourceNotFound: there is no such queue.
        """
        client = self.sandbox.client("sqs")
        try:
            page = client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
        except client.exceptions.QueueDoesNotExist as error:
            raise ResourceNotFound(f"There is no queue `{self.url}`.") from error
        return dict(page["Attributes"])

    def arn(self) -> str:
        """Its ARN."""
        return self.attributes()["QueueArn"]

    def policy(self, name: str) -> dict[str, Any]:
        """An attribute that is a JSON document; empty when it is not set."""
        found = json.loads(self.attributes().get(name) or "{}")
        return found if isinstance(found, dict) else {}

    def waiting(self) -> int:
        """How many messages could be received now."""
        return int(self.attributes()["ApproximateNumberOfMessages"])

    def holds(self) -> int:
        """How many messages there are, received or not."""
        found = self.attributes()
        states = ("", "NotVisible", "Delayed")
        return sum(int(found.get(f"ApproximateNumberOfMessages{state}", 0)) for state in states)

    def send(self, bodies: Iterable[tuple[str, str]]) -> list[str]:
        """Send bodies, each with its key, ten at a time and within the size of a call; returns their ids."""
        ids: list[str] = []
        for chunk in chunks(list(bodies)):
            entries = [
                {"Id": str(place), "MessageBody": body, **self._fifo(key)}
                for place, (body, key) in enumerate(chunk)
            ]
            page = self.sandbox.client("sqs").send_message_batch(QueueUrl=self.url, Entries=entries)
            control(len(page.get("Successful", ())) == len(chunk), "our messages were taken by the queue")
            ids += [item["MessageId"] for item in page["Successful"]]
        return ids

    def _fifo(self, key: str) -> dict[str, str]:
        return {"MessageGroupId": key, "MessageDeduplicationId": key} if self.is_fifo else {}

    def take_all(self) -> list[str]:
        """Receive and delete everything that can be received; returns the bodies."""
        client = self.sandbox.client("sqs")
        bodies: list[str] = []
        while True:
            page = client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
            found = page.get("Messages", ())
            if not found:
                return bodies
            for message in found:
                client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                bodies.append(message["Body"])

    def purge(self) -> None:
        """Delete everything, also what is being worked on."""
        client = self.sandbox.client("sqs")
        try:
            client.purge_queue(QueueUrl=self.url)
        except client.exceptions.PurgeQueueInProgress:
            # One purge a minute.
            self.sandbox.never(lambda: False, 61)
            client.purge_queue(QueueUrl=self.url)


def chunks(bodies: Sequence[tuple[str, str]], limit: int = 200_000) -> Iterator[list[tuple[str, str]]]:
    """Groups of at most ten bodies with their keys, and of about ``limit`` bytes together."""
    group: list[tuple[str, str]] = []
    size = 0
    for body, key in bodies:
        length = len(body.encode())
        if group and (len(group) == 10 or size + length > limit):
            yield group
            group, size = [], 0
        group.append((body, key))
        size += length
    if group:
        yield group


@dataclass(frozen=True, slots=True)
class Dispatch:
    """The learner's dispatch as the contract names it, and the provider it calls."""

    sandbox: Sandbox
    queue: Queue
    dead: Queue

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Dispatch":
        """The dispatch of this stack."""
        urls = sandbox.output("DispatchQueueUrl"), sandbox.output("DeadLetterQueueUrl")
        return cls(sandbox, *(Queue(sandbox, url) for url in urls))

    def mapped(self) -> Mapped:
        """The event source mapping of the dispatch queue.

        Raises:
            ResourceNotFound: nothing takes messages from it.
        """
        page = self.sandbox.client("lambda").list_event_source_mappings(EventSourceArn=self.queue.arn())
        for item in page["EventSourceMappings"]:
            return Mapped(
                item["UUID"],
                item["FunctionArn"],
                item.get("BatchSize", 10),
                item.get("MaximumBatchingWindowInSeconds", 0),
            )
        raise ResourceNotFound(
            "No event source mapping takes messages from the dispatch queue.",
            hint="A queue does not invoke anything by itself: a mapping polls it for the function.",
            look=("Events of the function in template.yaml",),
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing takes messages from the queue within the block."""
        uuid = self.mapped().uuid
        self._enable(uuid, False)
        try:
            yield
        finally:
            self._enable(uuid, True)

    def _enable(self, uuid: str, enabled: bool) -> None:
        client = self.sandbox.client("lambda")
        wanted = "Enabled" if enabled else "Disabled"
        client.update_event_source_mapping(UUID=uuid, Enabled=enabled)
        changed = self.sandbox.eventually(
            lambda: client.get_event_source_mapping(UUID=uuid)["State"] == wanted, 90
        )
        control(changed, f"the mapping became {wanted}")

    # --- what marketing does

    def send(self, messages: Sequence[Message], poisons: Mapping[int, str] | None = None) -> list[str]:
        """Send messages; before the one at a place of ``poisons`` goes that body. Returns the ids."""
        broken = poisons or {}
        bodies: list[tuple[str, str]] = []
        for place, message in enumerate(messages):
            if place in broken:
                bodies.append((broken[place], f"broken-{place}"))
            bodies.append((message.body, message.key))
        ids = self.queue.send(bodies)
        more = f", {len(broken)} of them broken" if broken else ""
        self.sandbox.did("sqs:SendMessageBatch", f"{len(bodies)} messages{more} to {self.queue.name}")
        return ids

    # --- what the provider heard

    def calls(self, keys: Iterable[str], since: Mark) -> list[PartnerCall]:
        """The provider's calls for some keys."""
        wanted = set(keys)
        found = self.sandbox.partner("mail").calls(since)
        return [call for call in found if str(call.said.get("messageKey")) in wanted]

    def sent(self, messages: Iterable[Message], since: Mark) -> Counter[str]:
        """How often each key was accepted."""
        calls = self.calls((message.key for message in messages), since)
        return Counter(str(call.said["messageKey"]) for call in calls if call.accepted)

    def delivered(self, messages: Sequence[Message], since: Mark, budget_s: float = 60.0) -> Counter[str]:
        """Wait until every message was accepted and nothing waits any more; how often each key was."""
        found: Counter[str] = Counter()

        def arrived() -> bool:
            if self.queue.waiting():
                return False
            found.clear()
            found.update(self.sent(messages, since))
            return len(found) == len(messages)

        self.sandbox.eventually(arrived, budget_s)
        return found

    def receives(self) -> int:
        """How often a message is received before it is given up; without a redrive policy never."""
        return int(self.queue.policy("RedrivePolicy").get("maxReceiveCount", 1_000_000))

    def empty(self, budget_s: float = RETRIES_S) -> bool:
        """Wait until nothing is left in the dispatch queue."""
        return bool(self.sandbox.eventually(lambda: self.queue.holds() == 0, budget_s))

    def saw_calls(self, calls: Sequence[PartnerCall], since: Mark) -> None:
        """Say in the evidence what the provider's ledger has."""
        accepted = [call for call in calls if call.accepted]
        keys = len({call.said.get("messageKey") for call in accepted})
        self.sandbox.saw(
            "provider's ledger",
            f"{len(calls)} calls, {len(accepted)} of them accepted, {keys} different keys",
            since=since,
        )

    def saw_queues(self) -> tuple[int, int]:
        """Say in the evidence what the queues hold; returns dispatch, dead letters."""
        counts = self.queue.holds(), self.dead.holds()
        self.sandbox.saw(
            "sqs:GetQueueAttributes",
            f"{counts[0]} messages in {self.queue.name}, {counts[1]} in {self.dead.name}",
        )
        return counts

    def quiet(self) -> None:
        """Leave nothing behind for the next check: queues empty, nothing under way."""
        self.sandbox.settle()
        for queue in (self.queue, self.dead):
            if queue.holds():
                queue.purge()
        self.sandbox.settle()


# --- what must be observed


@check(id="f1", points=10, dimension=FUN, visibility=V, needs={"QE", "LX"})
def every_message_is_sent(sandbox: Sandbox) -> Finding:
    """Every message reaches the provider once, with the right text, and the queue is empty afterwards."""
    dispatch, marketing = Dispatch.of(sandbox), Marketing.of(sandbox)
    groups = [marketing.messages(GROUP) for _ in range(GROUPS)]
    messages = [message for group in groups for message in group]
    mark = sandbox.mark()
    for group in groups:
        dispatch.send(group)
        if len(dispatch.delivered(group, mark)) < len(group):
            break
    left = not dispatch.empty(60)
    sent = dispatch.sent(messages, mark)
    by_key = {message.key: message for message in messages}
    calls = dispatch.calls(by_key, mark)
    dispatch.saw_calls(calls, mark)
    wrong = [call for call in calls if not by_key[str(call.said["messageKey"])].heard_in(call)]
    for call in wrong[:1]:
        message = by_key[str(call.said["messageKey"])]
        sandbox.saw("provider's ledger", f"to {call.said.get('to')}: {str(call.said.get('text'))[:150]!r}")
        sandbox.saw("the text it stands for", f"to {message.to}: {message.text[:150]!r}")
    waiting, dead = dispatch.saw_queues()
    dispatch.quiet()
    if not calls:
        return failed(
            f"{len(messages)} messages led to no call of the provider.",
            expected=f"{len(messages)} calls",
            look="the function's log; the mapping of the queue; the right to invoke the provider",
        )
    if wrong:
        return failed(
            f"{len(wrong)} of {len(calls)} calls had another text or recipient than the message.",
            expected="every placeholder replaced by its value",
            look="how placeholders are found: PlaceholderOpen and PlaceholderClose say how they are written",
        )
    if len(sent) != len(messages) or len(calls) != len(messages):
        return failed(
            f"{len(messages)} messages led to {len(calls)} calls; {len(sent)} keys were accepted.",
            expected=f"{len(messages)} calls, one for each key",
            look="the function's log",
        )
    if left:
        return failed(
            f"{waiting} messages stayed in the queue and {dead} went to the dead-letter queue.",
            expected="an empty queue",
            look="what the handler returns when all went well",
        )
    return passed(f"{len(messages)} messages, {len(messages)} calls, each with its text.")


@check(id="f2", points=14, dimension=FUN, visibility=N, needs={"QE"}, after=every_message_is_sent)
def broken_messages_go_alone(sandbox: Sandbox) -> Finding:
    """Broken messages end in the dead-letter queue, alone; all others are sent exactly once."""
    dispatch, marketing = Dispatch.of(sandbox), Marketing.of(sandbox)
    messages = marketing.messages(17)
    # Between two good ones each, and no ten in a row without one.
    places = [marketing.random.randrange(start, start + 4) for start in (1, 7, 13)]
    kinds = [*marketing.parameters["poisons"]]
    poisons = {place: marketing.poison(kind) for place, kind in zip(places, kinds, strict=True)}
    mark = sandbox.mark()
    with dispatch.held():
        dispatch.send(messages, poisons)
    dispatch.delivered(messages, mark)
    emptied = dispatch.empty()
    calls = dispatch.calls((message.key for message in messages), mark)
    sent = dispatch.sent(messages, mark)
    dispatch.saw_calls(calls, mark)
    dispatch.saw_queues()
    dead = dispatch.dead.take_all()
    buried = [body for body in poisons.values() if body in dead]
    good_dead = [body for body in dead if body not in poisons.values()]
    sandbox.saw(
        "sqs:ReceiveMessage",
        f"{len(buried)} broken and {len(good_dead)} other messages in {dispatch.dead.name}",
    )
    dispatch.quiet()
    expected = "17 sent once, 3 in the dead-letter queue"
    if good_dead:
        return failed(
            f"{len(good_dead)} good messages ended in the dead-letter queue beside broken ones.",
            expected=expected,
            look="FunctionResponseTypes of the mapping, and what the handler returns for a batch",
            hint="itemIdentifier is the messageId; anything else makes the whole batch count as failed.",
        )
    if len(buried) < len(poisons):
        where = "are gone" if emptied else "still go round in the queue"
        return failed(
            f"{len(poisons) - len(buried)} of {len(poisons)} broken messages {where};"
            f" {len(buried)} are in the dead-letter queue.",
            expected=expected,
            look="how a failed message leaves your handler, FunctionResponseTypes, and the RedrivePolicy",
            hint="Lambda deletes every message of a batch that is not reported as failed.",
        )
    repeated = [key for key, count in sent.items() if count > 1]
    if len(sent) < len(messages) or repeated:
        return failed(
            f"{len(sent)} of {len(messages)} good messages were sent, {len(repeated)} more than once.",
            expected=expected,
            look="what happens to a batch in which one message is broken",
        )
    return passed("17 good messages were sent once, 3 broken ones are in the dead-letter queue.")


@check(id="r1", points=10, dimension=RES, visibility=N, needs={"QE"}, after=every_message_is_sent)
def an_outage_loses_nothing(sandbox: Sandbox) -> Finding:
    """What the provider refused for a while is sent when it has recovered, once; nothing is given up."""
    dispatch = Dispatch.of(sandbox)
    messages = Marketing.of(sandbox).messages(12)
    mark = sandbox.mark()
    with sandbox.partner("mail").behaving(failure="ProviderUnavailable"):
        sandbox.did("provider", "answers every call with the error ProviderUnavailable")
        dispatch.send(messages)
        sandbox.eventually(lambda: dispatch.queue.waiting() == 0, 60)
        sandbox.settle()
    refused = dispatch.calls((message.key for message in messages), mark)
    sandbox.did("provider", f"works again; it has refused {len(refused)} calls")
    dispatch.delivered(messages, mark, RETRIES_S)
    dispatch.empty()
    sent = dispatch.sent(messages, mark)
    dispatch.saw_calls(dispatch.calls((message.key for message in messages), mark), mark)
    _waiting, dead = dispatch.saw_queues()
    dispatch.quiet()
    if dead:
        return failed(
            f"{dead} of {len(messages)} messages were given up after an outage of a few seconds.",
            expected="0 in the dead-letter queue",
            look="maxReceiveCount of the RedrivePolicy",
        )
    if len(sent) < len(messages):
        return failed(
            f"{len(messages) - len(sent)} of {len(messages)} messages were never sent though the provider"
            " came back.",
            expected=f"{len(messages)} sent",
            look="what is remembered of a key before the provider has answered",
            hint="A key that is remembered as sent before it was is lost when sending fails."
            " An answer with FunctionError raises nothing in the SDK.",
        )
    repeated = [key for key, count in sent.items() if count > 1]
    if repeated:
        return failed(
            f"{len(repeated)} of {len(messages)} messages were sent more than once after the outage.",
            expected="each once",
            look="what is remembered of a key after the provider has answered",
        )
    return passed(f"{len(refused)} calls were refused; all {len(messages)} messages were sent afterwards.")


@check(id="r4", points=6, dimension=RES, visibility=H, needs={"LC", "QE"}, after=every_message_is_sent)
def a_burst_stays_within_the_limit(sandbox: Sandbox) -> Finding:
    """In a burst the provider never has more calls at once than it takes, and no message is given up."""
    dispatch = Dispatch.of(sandbox)
    messages = Marketing.of(sandbox).messages(sandbox.budget(emulated=SMALL_BURST, real=CONTRACT_BURST))
    limit = sandbox.parameters["limit"]
    before = throttles(sandbox, dispatch)
    mark = sandbox.mark()
    with sandbox.partner("mail").behaving(latency_ms=BURST_LATENCY_MS):
        dispatch.send(messages)
        sandbox.eventually(lambda: dispatch.queue.waiting() == 0, 60)
        dispatch.empty()
    calls = dispatch.calls((message.key for message in messages), mark)
    most = most_at_once(calls)
    dispatch.saw_calls(calls, mark)
    sandbox.saw("provider's ledger", f"at most {most} calls at the same time; it takes {limit}")
    throttled = throttles(sandbox, dispatch) - before
    sandbox.saw("AWS/Lambda Throttles", f"{throttled:g} batches came while the function was throttled")
    _waiting, dead = dispatch.saw_queues()
    given_up_s = int(dispatch.queue.attributes()["VisibilityTimeout"]) * dispatch.receives()
    dispatch.quiet()
    if most > limit:
        return failed(
            f"The provider had {most} calls at the same time and takes {limit}.",
            expected=f"at most {limit}",
            look="ScalingConfig of the mapping, or the function's reserved concurrency",
            hint="Lambda runs as many batches at a time as there are messages for, unless something caps it.",
        )
    if dead:
        return failed(
            f"{dead} of {len(messages)} good messages ended in the dead-letter queue during a burst.",
            expected="0",
            look="reserved concurrency against MaximumConcurrency of the mapping; maxReceiveCount",
            hint="A message that is received while the function is throttled has used up a receive.",
        )
    needed_s = CONTRACT_BURST * SLOWEST_S / max(most, 1)
    if throttled and needed_s > given_up_s:
        return failed(
            f"{throttled:g} batches were received while the function was throttled, which uses up receives:"
            f" {CONTRACT_BURST} messages at {SLOWEST_S} s each, {most} at a time, take {needed_s:.0f} s, and"
            f" a message is given up after {given_up_s} s.",
            expected="no good message in the dead-letter queue, however slow the provider is",
            look="reserved concurrency against MaximumConcurrency of the mapping; maxReceiveCount",
            hint="MaximumConcurrency leaves messages in the queue until there is room for them.",
        )
    return passed(f"{len(messages)} messages in a burst: at most {most} calls at once, none given up.")


def throttles(sandbox: Sandbox, dispatch: Dispatch) -> float:
    """How many invocations of the worker were refused for want of concurrency."""
    name = sandbox.function(dispatch.mapped().function).name
    sums = sandbox.metric_sums("AWS/Lambda", "Throttles")
    return sums.get(json.dumps([{"Name": "FunctionName", "Value": name}]), 0.0)


@check(id="r3", points=8, dimension=RES, visibility=N, needs={"QE", "VC"}, after=every_message_is_sent)
def twins_never_overtake(sandbox: Sandbox) -> Finding:
    """While a slow call is under way, the same message again makes no second call."""
    dispatch = Dispatch.of(sandbox)
    message = Marketing.of(sandbox).message()
    mark = sandbox.mark()

    def calls() -> list[PartnerCall]:
        return dispatch.calls([message.key], mark)

    with sandbox.partner("mail").behaving(latency_ms=SLOW_MS):
        dispatch.send([message])
        began = sandbox.eventually(calls, 60)
        first = [call for call in calls() if call.ended is None]
        if began:
            for _ in range(sandbox.parameters["twins"]):
                dispatch.send([message])
        sandbox.settle()
        dispatch.empty()
    found = calls()
    dispatch.saw_calls(found, mark)
    accepted = [call for call in found if call.accepted]
    together = most_at_once(found)
    sandbox.saw("provider's ledger", f"at most {together} calls for the key at the same time")
    dispatch.quiet()
    if not found:
        return failed("The message never reached the provider.", look="the function's log")
    control(first, "the twin was sent while the first call was under way")
    if together > 1:
        return failed(
            f"One key was in {together} calls of the provider at the same time.",
            expected="1",
            look="when a key is remembered: before or after the provider is called",
            hint="Claim the key with a conditional write before you call; looking first leaves a gap.",
        )
    if len(accepted) != 1:
        return failed(
            f"A message and its twins were sent {len(accepted)} times.",
            expected="once",
            look="what happens to a message whose key is being sent by another worker",
        )
    return passed("The twins waited: one call, one send.")


@check(id="f3", points=10, dimension=FUN, visibility=H, needs={"QE", "LE"}, after=every_message_is_sent)
def a_key_is_sent_once(sandbox: Sandbox) -> Finding:
    """A key that comes again, as a new message or as the same batch, is not sent again."""
    dispatch, marketing = Dispatch.of(sandbox), Marketing.of(sandbox)
    messages = marketing.messages(4)
    mark = sandbox.mark()
    ids = dispatch.send(messages)
    sent = dispatch.delivered(messages, mark)
    sandbox.settle()
    function = dispatch.mapped().function
    with sandbox.new_environments(function):
        sandbox.advance(DEDUPLICATED_S + 1)
        twins = messages[: 2 + sandbox.parameters["twins"] - 1]
        again = dispatch.send(twins)
        sandbox.did("the same keys", f"{len(again)} messages with new message ids, in new environments")
        sandbox.eventually(lambda: dispatch.queue.waiting() == 0, 60)
        sandbox.settle()
        event = redelivered(dispatch, messages, ids)
        answer = sandbox.invoke(function, event)
        sandbox.did("lambda:Invoke", f"the first batch of {len(messages)} messages delivered again")
        sandbox.settle()
    dispatch.empty()
    calls = dispatch.calls((message.key for message in messages), mark)
    counts = Counter(str(call.said["messageKey"]) for call in calls if call.accepted)
    dispatch.saw_calls(calls, mark)
    dispatch.quiet()
    if len(sent) < len(messages):
        return failed("The messages were not sent the first time.", look="the function's log")
    repeated = {key: count for key, count in counts.items() if count > 1}
    if repeated:
        key, count = max(repeated.items(), key=lambda item: item[1])
        return failed(
            f"{len(repeated)} of {len(messages)} keys were sent again; `{key}` {count} times.",
            expected="one call for each key",
            look="what identifies a message, and where it is remembered",
            hint="Message ids belong to a delivery, and a module's variables to one environment.",
        )
    left = answer.payload.get("batchItemFailures") if isinstance(answer.payload, dict) else None
    if not answer.succeeded or left:
        return failed(
            f"The batch delivered again did not end well: {answer.describe()}",
            expected="a message whose key was sent is done",
            look="what happens to a message whose key was sent already",
        )
    return passed(f"{len(messages)} keys came three times and were sent once.")


def redelivered(dispatch: Dispatch, messages: Sequence[Message], ids: Sequence[str]) -> dict[str, Any]:
    """The event of a batch that SQS delivers once more.

    Its form: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event
    """
    stamp = str(int(dispatch.sandbox.now().timestamp() * 1000))
    arn = dispatch.queue.arn()
    return {
        "Records": [
            {
                "messageId": message_id,
                "receiptHandle": f"AQEB{message_id}",
                "body": message.body,
                "attributes": {
                    "ApproximateReceiveCount": "2",
                    "SentTimestamp": stamp,
                    "SenderId": dispatch.sandbox.account_id,
                    "ApproximateFirstReceiveTimestamp": stamp,
                    **({"MessageGroupId": message.key} if dispatch.queue.is_fifo else {}),
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "awsRegion": dispatch.sandbox.region,
            }
            for message, message_id in zip(messages, ids, strict=True)
        ]
    }


@check(id="f4", points=6, dimension=FUN, visibility=H, needs={"QE"}, after=every_message_is_sent)
def any_text_arrives_whole(sandbox: Sandbox) -> Finding:
    """Texts of any script, empty values and long bodies arrive as they are."""
    dispatch, marketing = Dispatch.of(sandbox), Marketing.of(sandbox)
    name = marketing.parameters["names"][0]
    filler = " ".join(marketing.random.choices(WORDS, k=BIG_CHARACTERS // 4))[:BIG_CHARACTERS]
    cases = {
        "other scripts": marketing.message(
            values={name: "Õie Ļiepa 李雷 Ωmega"}, after=" 🎉 Tšau, žürii! €5"
        ),
        "no values": marketing.message(values={}),
        "an empty value": marketing.message(values={name: ""}),
        "a long body": marketing.message(after=f" {filler}"),
    }
    mark = sandbox.mark()
    messages = list(cases.values())
    dispatch.send(messages)
    sent = dispatch.delivered(messages, mark)
    calls = dispatch.calls((message.key for message in messages), mark)
    dispatch.saw_calls(calls, mark)
    wrong = [
        what
        for what, message in cases.items()
        if not any(message.heard_in(call) for call in calls if call.said["messageKey"] == message.key)
    ]
    for what in wrong[:2]:
        found = [call for call in calls if call.said["messageKey"] == cases[what].key]
        told = str(found[0].said.get("text"))[:120] if found else "no call"
        sandbox.saw("provider's ledger", f"{what}: {told}")
    dispatch.quiet()
    if wrong or len(sent) < len(messages):
        return failed(
            f"{len(wrong)} of {len(messages)} messages did not arrive as they were: {', '.join(wrong)}.",
            expected="the text, character by character",
            look="how the payload for the provider is encoded, and what an empty value counts as",
            hint="JSON travels as UTF-8.",
        )
    return passed(f"{len(messages)} of {len(messages)} unusual messages arrived as they were.")


@check(id="r2", points=8, dimension=RES, visibility=V, needs={"CF"}, static=True)
def timings_fit_each_other(sandbox: Sandbox) -> Finding:
    """Visibility, receives and retention leave room for retries."""
    dispatch = Dispatch.of(sandbox)
    mapped = dispatch.mapped()
    source, dead = dispatch.queue.attributes(), dispatch.dead.attributes()
    redrive = dispatch.queue.policy("RedrivePolicy")
    timeout_s = sandbox.function(mapped.function).timeout_s
    least_s = VISIBILITY_FACTOR * timeout_s + mapped.window_s
    faults = []
    if int(source["VisibilityTimeout"]) < least_s:
        faults.append(
            f"the visibility timeout is {source['VisibilityTimeout']} s; {VISIBILITY_FACTOR} × {timeout_s} s"
            f" and a window of {mapped.window_s} s are {least_s} s"
        )
    receives = redrive.get("maxReceiveCount")
    if receives is not None and int(receives) not in RECEIVES:
        faults.append(f"maxReceiveCount is {receives}, expected {RECEIVES.start} to {RECEIVES.stop - 1}")
    if int(dead["MessageRetentionPeriod"]) <= int(source["MessageRetentionPeriod"]):
        faults.append(
            f"dead letters are kept {dead['MessageRetentionPeriod']} s,"
            f" messages {source['MessageRetentionPeriod']} s"
        )
    for fault in faults:
        sandbox.saw("sqs:GetQueueAttributes", fault)
    if faults:
        return failed(
            f"{len(faults)} timings leave too little room: {faults[0]}.",
            expected="visibility ≥ 6 × time limit + window, 3 to 10 receives, dead letters kept longer",
            look="VisibilityTimeout, RedrivePolicy and MessageRetentionPeriod of the queues",
            hint="A message keeps the age it has when it is moved to a dead-letter queue.",
        )
    return passed("Visibility, receives and retention leave room for retries.")


@rights
def work_of_the_contract(sandbox: Sandbox, function: FunctionView) -> list[Right]:
    """What the contract lists."""
    dispatch = Dispatch.of(sandbox)
    here = f"{sandbox.region}:{sandbox.account_id}"
    group = f"arn:aws:logs:{here}:log-group:{function.log_group}"
    tables = sandbox.stack.of_type("AWS::DynamoDB::Table")
    queue_keys = [arn for arn in (key_of(queue) for queue in (dispatch.queue, dispatch.dead)) if arn]
    provider_arn = sandbox.partner("mail").arn
    return [
        right(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], dispatch.queue.arn()),
        right("sqs:ChangeMessageVisibility", dispatch.queue.arn()),
        right("lambda:InvokeFunction", provider_arn),
        *(
            right(
                ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
                f"arn:aws:dynamodb:{here}:table/{name}",
            )
            for name in tables
        ),
        *(right("kms:Decrypt", arn) for arn in queue_keys),
        right(["logs:CreateLogStream", "logs:PutLogEvents"], f"{group}:*", needed=True),
        right("logs:CreateLogGroup", [group, f"{group}:*"]),
    ]


def key_of(queue: Queue) -> str:
    """The ARN of the KMS key that a queue is encrypted with; empty when it has none."""
    key = queue.attributes().get("KmsMasterKeyId")
    if not key:
        return ""
    return str(queue.sandbox.client("kms").describe_key(KeyId=key)["KeyMetadata"]["Arn"])


@check(id="s1", points=8, dimension=SEC, visibility=V, needs={"IS"}, static=True)
def the_worker_may_do_its_work(sandbox: Sandbox) -> Finding:
    """The worker's role allows what the contract lists, and nothing else."""
    return sandbox.judge_rights(*sandbox.stack.functions, points=8, each=2)


@check(id="s2", points=4, dimension=SEC, visibility=N, needs={"CF"}, static=True)
def queues_are_closed(sandbox: Sandbox) -> Finding:
    """Both queues are encrypted, and no policy opens them to anybody."""
    dispatch = Dispatch.of(sandbox)
    faults = []
    for queue in (dispatch.queue, dispatch.dead):
        attributes = queue.attributes()
        if attributes.get("SqsManagedSseEnabled") != "true" and not attributes.get("KmsMasterKeyId"):
            faults.append(f"{queue.name} is not encrypted")
        faults += [f"{queue.name}: {what}" for what in openings(queue.policy("Policy"))]
    for fault in faults:
        sandbox.saw("sqs:GetQueueAttributes", fault)
    if faults:
        return failed(
            f"{len(faults)} protections are missing: {faults[0]}.",
            expected="both queues encrypted, no policy open to everybody",
            look="SqsManagedSseEnabled or KmsMasterKeyId of the queues, and AWS::SQS::QueuePolicy",
        )
    return passed("Both queues are encrypted and closed.")


def openings(policy: Mapping[str, Any]) -> list[str]:
    """The statements of a queue's policy that let anybody in."""
    return [
        f"a policy allows {statement.get('Action')} to any principal"
        for statement in as_list(policy.get("Statement"))
        if statement.get("Effect") == "Allow"
        and "*" in principals(statement.get("Principal"))
        and not statement.get("Condition")
    ]


def principals(value: Any) -> list[str]:
    """The principals of a statement, whatever their kind."""
    if isinstance(value, Mapping):
        return [str(each) for kind in value.values() for each in as_list(kind)]
    return [str(each) for each in as_list(value)]


def as_list(value: Any) -> list[Any]:
    """What policies write as one or as several."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


@check(id="o1", points=8, dimension=OBS, visibility=N, needs={"CA", "CM"}, after=every_message_is_sent)
def somebody_is_woken_up(sandbox: Sandbox) -> Finding:
    """A dead letter raises the alarm, an empty queue does not, and old messages are watched."""
    dispatch, marketing = Dispatch.of(sandbox), Marketing.of(sandbox)
    name = sandbox.output("DlqAlarmName")
    dispatch.quiet()
    calm = sandbox.eventually(lambda: sandbox.alarm_state(name) != "ALARM", ALARM_S)
    sandbox.advance(ALARM_S)
    before = sandbox.alarm_state(name)
    sandbox.saw("cloudwatch:DescribeAlarms", f"{name}: {before} while {dispatch.dead.name} is empty")
    dispatch.queue.send([(marketing.poison("a field is missing"), marketing.key())])
    sandbox.did("sqs:SendMessage", "1 broken message")
    buried = sandbox.eventually(lambda: dispatch.dead.holds() > 0, RETRIES_S)
    rang = sandbox.eventually(lambda: sandbox.alarm_state(name) == "ALARM", ALARM_S) if buried else False
    dispatch.saw_queues()
    sandbox.saw("cloudwatch:DescribeAlarms", f"{name}: {sandbox.alarm_state(name)}")
    faults = age_alarm_faults(sandbox, dispatch.queue.name)
    for fault in faults:
        sandbox.saw("cloudwatch:DescribeAlarms", fault)
    dispatch.quiet()
    if not calm or before == "ALARM":
        return failed(
            "The alarm rings though the dead-letter queue is empty.",
            expected="OK",
            look="metric, statistic and threshold of the alarm",
        )
    if not buried:
        return failed(
            "A broken message never arrived in the dead-letter queue, so that nothing could ring.",
            expected="1 message in the dead-letter queue within an hour",
            look="RedrivePolicy of the dispatch queue",
        )
    if not rang:
        return failed(
            f"A message lay in the dead-letter queue for {ALARM_S // 60} minutes and the alarm did not ring.",
            expected="ALARM",
            look="which metric the alarm watches, and of which queue",
            hint="NumberOfMessagesSent does not count messages that SQS itself moves.",
        )
    if faults:
        return failed(
            f"Nobody watches how long messages wait: {faults[0]}.",
            expected="an alarm on ApproximateAgeOfOldestMessage of the dispatch queue",
            look="AWS::CloudWatch::Alarm",
        )
    return passed("A dead letter raised the alarm, and the age of messages is watched.")


def age_alarm_faults(sandbox: Sandbox, queue: str) -> list[str]:
    """What is wrong with the alarm on the age of a queue's oldest message."""
    pages = sandbox.client("cloudwatch").get_paginator("describe_alarms").paginate()
    found = [
        item
        for page in pages
        for item in page["MetricAlarms"]
        if item.get("MetricName") == "ApproximateAgeOfOldestMessage" and item.get("Namespace") == "AWS/SQS"
    ]
    if not found:
        return ["no alarm watches ApproximateAgeOfOldestMessage"]
    wrong = []
    for item in found:
        dimensions = {pair["Name"]: pair["Value"] for pair in item.get("Dimensions", ())}
        faults = []
        if dimensions != {"QueueName": queue}:
            faults.append(f"{item['AlarmName']} watches {dimensions or 'no queue'}")
        if item.get("Statistic") != "Maximum":
            faults.append(f"{item['AlarmName']} looks at {item.get('Statistic')}")
        if not str(item.get("ComparisonOperator")).startswith("GreaterThan"):
            faults.append(f"{item['AlarmName']} rings by {item.get('ComparisonOperator')}")
        if not AGE_S[0] <= float(item.get("Threshold", 0)) <= AGE_S[1]:
            faults.append(f"{item['AlarmName']} has the threshold {item.get('Threshold'):g} s")
        if not faults:
            return []
        wrong += faults
    return wrong


@check(id="i1", points=4, dimension=IAC, visibility=V, needs={"CF"}, static=True)
def only_this_queue_buries_here(sandbox: Sandbox) -> Finding:
    """The dead-letter queue is for this queue alone, and logs expire."""
    dispatch = Dispatch.of(sandbox)
    allowed = dispatch.dead.policy("RedriveAllowPolicy")
    faults = []
    if allowed.get("redrivePermission") != "byQueue":
        faults.append(f"{dispatch.dead.name} may be the dead-letter queue of any queue")
    elif allowed.get("sourceQueueArns") != [dispatch.queue.arn()]:
        faults.append(f"{dispatch.dead.name} takes dead letters of {allowed.get('sourceQueueArns')}")
    faults += sandbox.log_group_faults(sandbox.stack.functions)
    for fault in faults:
        sandbox.saw("configuration", fault)
    if faults:
        return failed(
            f"{len(faults)} settings keep, or let in, more than they should: {faults[0]}.",
            look="RedriveAllowPolicy of the dead-letter queue, and AWS::Logs::LogGroup",
        )
    return passed("Only the dispatch queue has its dead letters here, and logs expire.")
