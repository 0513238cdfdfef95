"""Returns service: do logs, numbers, traces and alarms tell what happened, and nothing of customers?"""

import concurrent.futures
import json
import random as randomness
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from graders.api import (
    COST,
    FUN,
    IAC,
    OBS,
    SEC,
    AlarmView,
    Correlation,
    Finding,
    FunctionView,
    H,
    LogLine,
    Mark,
    N,
    ResourceNotFound,
    Right,
    Sandbox,
    V,
    WebAnswer,
    bytes_per,
    check,
    failed,
    find_leaks,
    overlay,
    parameters,
    passed,
    right,
    rights,
    rings,
    stack_parameters,
)

REASONS = {
    "daysSinceDelivery": ("too-late", "window-over", "expired", "out-of-time"),
    "category": ("final-sale", "hygiene", "not-returnable", "excluded"),
    "amountCents": ("too-valuable", "needs-clerk", "above-limit", "by-hand"),
}
CATEGORIES = ("books", "gift cards", "lamps", "make-up", "rugs", "shoes", "swimwear", "tea", "tools", "toys")
NAMES = ("Aino", "Jürgen", "Kadri", "Liis", "Māra", "Oskar", "Piret", "Tõnu", "Žanete")
FIRMS = ("kuusk", "lumi", "meri", "saar", "tamm")
# Where personal data stands in a request beside the top; the names are nobody's to know.
NESTS = (
    ("customer", "contact"),
    ("customer", "addresses", 0),
    ("delivery", "recipient"),
    ("items", 0, "giftFor"),
    ("payment", "holder"),
)
HEADER = "x-correlation-id"
METRICS = ("ReturnsAccepted", "ReturnsRejected", "RefundAmount")
QUIET_LEVELS = frozenset({"DEBUG", "INFO", "TRACE"})

AT_ONCE = 20
STRUCTURED_SHARE = 0.99
DIMENSION_SETS = 6
CALLS_A_MINUTE, FAILING, SLOW = 20, 6, 1
PERIODS = 3
IDLE_S = 600
# How much longer than the objective a slow call takes: p99 of 20 calls lies between the slowest two.
SLOWER_S = 0.6
RETENTION_DAYS = range(1, 31)
BYTES_PER_RETURN = 3_000
MEASURED = 8


# --- the seed


@parameters
def draw(random: randomness.Random) -> dict[str, Any]:
    """Reasons, limits and costs of the policy, the service's objective, and where personal data stands."""
    reasons = {name: random.choice(choices) for name, choices in REASONS.items()}
    rules = [
        {
            "reason": reasons["daysSinceDelivery"],
            "field": "daysSinceDelivery",
            "above": random.randrange(10, 60),
        },
        {"reason": reasons["category"], "field": "category", "oneOf": random.sample(CATEGORIES, 2)},
        {
            "reason": reasons["amountCents"],
            "field": "amountCents",
            "above": random.randrange(40_000, 200_000, 50),
        },
    ]
    return {
        "policy": {"feeCents": random.randrange(90, 500), "rules": random.sample(rules, len(rules))},
        "errorPercent": random.choice([5, 8, 10, 12, 15]),
        "latencyMs": random.randrange(600, 1_001, 50),
        "nests": [random.sample(NESTS, 2), random.sample(NESTS, 2)],
        "separator": random.choice([" ", "-", ""]),
    }


@stack_parameters
def as_stack_parameters(parameters: dict[str, Any]) -> dict[str, str]:
    """The service's objective."""
    return {"ErrorPercent": str(parameters["errorPercent"]), "LatencyMs": str(parameters["latencyMs"])}


@overlay
def files(parameters: dict[str, Any]) -> dict[str, bytes]:
    """The policy of this seed."""
    return {"src/policy.json": json.dumps(parameters["policy"], indent=2).encode()}


# --- customers, and what they must be answered


@dataclass(frozen=True, slots=True)
class Customers:
    """Send returns as this seed's customers do."""

    sandbox: Sandbox
    url: str

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Customers":
        """The customers of this run."""
        return cls(sandbox, sandbox.output("ApiUrl").rstrip("/"))

    @property
    def rules(self) -> list[dict[str, Any]]:
        """The rules of the policy."""
        return list(self.sandbox.parameters["policy"]["rules"])

    def limit(self, name: str) -> Any:
        """What the policy says of a field."""
        rule = next(rule for rule in self.rules if rule["field"] == name)
        return rule.get("above", rule.get("oneOf"))

    def good(self, **changed: Any) -> dict[str, Any]:
        """A return that no rule rejects."""
        random = self.sandbox.random
        mail = f"{random.getrandbits(40):010x}@{random.choice(FIRMS)}.example"
        allowed = [name for name in CATEGORIES if name not in self.limit("category")]
        return {
            "orderId": f"{random.choice('ABCDEFGH')}-{random.getrandbits(40):010x}",
            "category": random.choice(allowed),
            "amountCents": random.randrange(1_000, self.limit("amountCents")),
            "daysSinceDelivery": random.randrange(0, self.limit("daysSinceDelivery")),
            "email": mail,
            **changed,
        }

    def bad(self, name: str) -> dict[str, Any]:
        """A return that only the rule for a field rejects."""
        random, limit = self.sandbox.random, self.limit(name)
        value = random.choice(limit) if name == "category" else limit + random.randrange(1, 20)
        return self.good(**{name: value})

    def refund(self, body: Mapping[str, Any]) -> int:
        """What a return is worth."""
        return max(int(body["amountCents"]) - int(self.sandbox.parameters["policy"]["feeCents"]), 0)

    def post(self, body: Any, **headers: str) -> WebAnswer:
        """Ask for a return; ``headers`` have ``_`` for ``-``."""
        told = {"content-type": "application/json"}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return self.sandbox.http("POST", f"{self.url}/returns", headers=told, body=raw)

    def read(self, return_id: str, email: str, **headers: str) -> WebAnswer:
        """Ask what became of a return."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/returns/{return_id}?email={in_a_query(email)}"
        return self.sandbox.http("GET", self.url + path, headers=told)

    def registered(self) -> tuple[str, str]:
        """The id and the address of a return that can be read."""
        body = self.good()
        return_id = id_of(self.post(body))
        self.sandbox.eventually(lambda: self.read(return_id, body["email"]).status == 200, 60)
        return return_id, str(body["email"])

    def at_once(self, calls: Sequence[Callable[[], WebAnswer]], workers: int = AT_ONCE) -> list[WebAnswer]:
        """Several requests at the same time."""
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]


def in_a_query(text: str) -> str:
    """A text as the value of a query."""
    return "".join(
        chr(byte) if byte < 128 and chr(byte).isalnum() else f"%{byte:02X}" for byte in text.encode()
    )


def id_of(answer: WebAnswer) -> str:
    """The id of the return that was accepted; empty when none was."""
    body = answer.json
    found = body.get("returnId") if isinstance(body, dict) and answer.status == 202 else ""
    return found if isinstance(found, str) else ""


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions of the stack: those behind the API, and those that take from the queue."""

    front: list[str]
    consumers: list[str]
    queue_arns: list[str]

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Functions":
        """Told apart by the mappings."""
        client = sandbox.client("lambda")
        names = list(sandbox.stack.functions)
        mappings = [
            item
            for name in names
            for item in client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
            if ":sqs:" in item.get("EventSourceArn", "")
        ]
        consumers = [name for name in names if any(f":{name}" in item["FunctionArn"] for item in mappings)]
        if not consumers:
            raise ResourceNotFound(
                "No function of the stack takes messages from a queue.",
                look=("Events of the functions in template.yaml",),
            )
        arns = list(dict.fromkeys(item["EventSourceArn"] for item in mappings))
        return cls([name for name in names if name not in consumers], consumers, arns)


@contextmanager
def refused(sandbox: Sandbox) -> Iterator[None]:
    """No function behind the API may send to the queue."""
    with ExitStack() as faults:
        for name in Functions.of(sandbox).front:
            faults.enter_context(sandbox.fault("deny", function=name, actions=["sqs:SendMessage"]))
        yield


def saw_lines(sandbox: Sandbox, wrong: Sequence[tuple[LogLine, str]], most: int = 3) -> None:
    """Some lines as evidence, one for each thing that is wrong."""
    for line, what in list({what: (line, what) for line, what in wrong}.values())[:most]:
        sandbox.saw(f"log of {line.function}", f"a line {what}: {line.quoted()}")


def counted(number: int, thing: str) -> str:
    """``1 line``, ``2 lines``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


# --- what must be observed


@check(id="f1", points=8, dimension=FUN, visibility=V, needs={"AH", "LX"})
def customers_notice_nothing(sandbox: Sandbox) -> Finding:
    """Requests are answered as the starter answers them."""
    customers = Customers.of(sandbox)
    wrong: list[str] = []

    def expect(what: str, answer: WebAnswer, status: int, wanted: Any) -> None:
        sandbox.did(what, answer.describe())
        if answer.status != status or not fits(answer.json, wanted):
            told = json.dumps(wanted, default=lambda kind: f"a {kind.__name__}") if wanted else "an error"
            wrong.append(f"{what}: {answer.describe()}, expected {status} with {told}")

    edge = customers.good(
        amountCents=customers.limit("amountCents"), daysSinceDelivery=customers.limit("daysSinceDelivery")
    )
    for body in (customers.good(), edge, customers.good(amountCents=40)):
        answer, refund = customers.post(body), customers.refund(body)
        expect("POST /returns", answer, 202, {"returnId": str, "status": "ACCEPTED", "refundCents": refund})
        if not id_of(answer):
            break
        return_id = id_of(answer)
        sandbox.eventually(lambda: customers.read(return_id, body["email"]).status == 200, 60)  # noqa: B023
        item = {"returnId": return_id, "orderId": body["orderId"], "status": "REGISTERED"}
        item["refundCents"] = refund
        expect("GET /returns/{id}", customers.read(return_id, body["email"]), 200, item)
    else:
        expect("GET with another address", customers.read(return_id, f"x{body['email']}"), 404, {})
    for rule in customers.rules:
        rejected = {"status": "REJECTED", "reason": rule["reason"]}
        expect(f"POST against {rule['reason']}", customers.post(customers.bad(rule["field"])), 422, rejected)
    for what, raw in no_returns(customers):
        expect(f"POST, {what}", customers.post(raw), 400, {})
    expect(
        "GET of nothing", customers.read(str(uuid.UUID(int=sandbox.random.getrandbits(128))), "x"), 404, {}
    )
    for fault in wrong[:3]:
        sandbox.saw("answer", fault)
    if wrong:
        return failed(
            f"{counted(len(wrong), 'request')} had another answer than the starter gives.",
            expected="the starter's answers: status and fields",
            look="what your functions answer, and the starter's tests",
            hint="What operations are told may change; what customers are told may not.",
        )
    return passed("Returns were accepted, registered, rejected and refused as by the starter.")


def fits(found: Any, wanted: Mapping[str, Any]) -> bool:
    """Whether an answer is what is wanted: a type stands for any value of it, nothing at all for an error."""
    if not isinstance(found, dict):
        return False
    if not wanted:
        return found.keys() == {"error"} and isinstance(found["error"], str)
    return found.keys() == wanted.keys() and all(
        isinstance(found[name], value) if isinstance(value, type) else found[name] == value
        for name, value in wanted.items()
    )


def no_returns(customers: Customers) -> Iterator[tuple[str, Any]]:
    """Requests that ask for no return: what is wrong, and the body."""
    random = customers.sandbox.random
    yield "not JSON", json.dumps(customers.good()).encode()[: -random.randrange(2, 9)]
    missing = customers.good()
    del missing[random.choice(["orderId", "amountCents", "email"])]
    yield "a field is missing", missing
    yield "a number as text", customers.good(amountCents="4990")


@check(id="o1", points=10, dimension=OBS, visibility=V, needs={"LG"}, after=customers_notice_nothing)
def lines_can_be_searched(sandbox: Sandbox) -> Finding:
    """Lines of the log are JSON with level, message, request, correlation id and cold start."""
    customers, functions = Customers.of(sandbox), Functions.of(sandbox)
    for body in (customers.good(), customers.bad("category"), b"{"):
        customers.post(body)
    sandbox.settle()
    lines = [line for line in sandbox.lines() if not line.counts]
    sandbox.did("HTTP", "all requests so far")
    wrong = [(line, what) for line in lines if (what := structure_fault(line))]
    silent = [name for name in functions.front + functions.consumers if not has_line(lines, name)]
    sandbox.saw(
        "logs:FilterLogEvents", f"{len(lines)} lines of functions, {len(wrong)} of them not as agreed"
    )
    if silent:
        return failed(
            f"{silent[0]} wrote nothing about its requests.",
            expected="a line in each function that a request passes",
            look="where your functions write their log, and LOG_LEVEL",
        )
    if len(wrong) > (1 - STRUCTURED_SHARE) * len(lines):
        saw_lines(sandbox, wrong)
        line, what = wrong[0]
        return failed(
            f"{len(wrong)} of {counted(len(lines), 'line')} not as agreed: one of {line.function} {what}.",
            expected="at least 99 % with level, message, requestId, correlationId and coldStart",
            look="how lines are written, also those of libraries and of the runtime",
            hint="A line is what ends with a line break; print and console.log write text, not fields.",
        )
    return passed(
        f"{len(lines) - len(wrong)} of {counted(len(lines), 'line')} are JSON with all five fields."
    )


def has_line(lines: Sequence[LogLine], function: str) -> bool:
    """Whether a function wrote anything in an invocation."""
    return any(line.function == function and line.request_id for line in lines)


def structure_fault(line: LogLine) -> str:
    """What a line lacks; before the first invocation there is nothing it could be about."""
    if not line.request_id:
        return line.fault("level", "message")
    return line.fault("level", "message", "correlationId", requestId=line.request_id, coldStart=line.cold)


@check(id="o2", points=10, dimension=OBS, visibility=N, needs={"LG", "QE"}, after=customers_notice_nothing)
def one_id_leads_through_all(sandbox: Sandbox) -> Finding:
    """Each line, those of the queue's consumer included, carries the correlation id of its own request."""
    customers, functions = Customers.of(sandbox), Functions.of(sandbox)
    random = sandbox.random
    mark = sandbox.mark()
    sent = [f"{random.choice(FIRMS)}-{random.getrandbits(48):012x}" for _ in range(AT_ONCE)]
    bodies = [(told, customers.good()) for told in sent]
    calls = [partial(customers.post, body, x_correlation_id=told) for told, body in bodies]
    # Each one at the same time starts an environment, so the emulator's share is smaller.
    answers = customers.at_once(calls, sandbox.budget(emulated=4, real=AT_ONCE))
    bare = [customers.post(customers.good()) for _ in range(2)]
    refusal = f"{random.choice(FIRMS)}-{random.getrandbits(48):012x}"
    answers.append(customers.post(customers.bad("category"), x_correlation_id=refusal))
    sandbox.did("HTTP", f"{AT_ONCE + 1} requests with an {HEADER} of their own, 2 without")
    sandbox.eventually(lambda: drained(sandbox, functions), 120)
    wrong = [
        f"{told} came back as {answer.headers.get(HEADER)}"
        for told, answer in zip([*sent, refusal], answers, strict=True)
        if answer.headers.get(HEADER) != told
    ]
    made_up = [answer.headers.get(HEADER, "") for answer in bare]
    if not all(made_up) or len({*made_up, *sent, refusal}) < len(made_up) + len(sent) + 1:
        wrong.append(f"requests without the header were answered with {made_up}")
    if wrong:
        sandbox.saw("answer", wrong[0])
        return failed(
            f"{counted(len(wrong), 'answer')} had another {HEADER} than its request: {wrong[0]}.",
            expected="the request's own id, or a new one where it has none",
            look="where the id is read, and where it is kept between requests",
            hint="A variable outside the handler lives as long as its environment.",
        )
    truth = {id_of(answer): told for answer, told in zip(answers[:-1], sent, strict=True)}
    truth |= {id_of(answer): told for answer, told in zip(bare, made_up, strict=True)}
    lines = [line for line in sandbox.lines(since=mark) if not line.counts and line.request_id]
    return told_of_ids(sandbox, lines, truth, refusal, functions)


def told_of_ids(
    sandbox: Sandbox, lines: Sequence[LogLine], truth: Mapping[str, str], refusal: str, functions: Functions
) -> Finding:
    """What lines say of the ids that requests had."""
    known = Correlation({**truth, "": refusal}, subject="returnId")
    wrong = list(known.wrong(lines))
    sandbox.saw("logs:FilterLogEvents", f"{len(lines)} lines, {len(wrong)} of them with another id or none")
    queued = Correlation(truth, subject="returnId")
    silent = (
        {name: known.silent(lines, name) for name in functions.front} if len(functions.front) == 1 else {}
    )
    silent |= {name: queued.silent(lines, name) for name in functions.consumers}
    name, lost = max(silent.items(), key=lambda each: len(each[1]))
    if wrong:
        saw_lines(sandbox, wrong)
        line, what = wrong[0]
        return failed(
            f"{len(wrong)} of {counted(len(lines), 'line')} carry another id than their request: "
            f"one of {line.function} {what}.",
            expected="the id of the request that the line is about",
            look="how the id gets into the queue's message, and where it is kept while a request is served",
            hint="A batch holds messages of many requests; what is set once belongs to the first.",
        )
    if lost:
        return failed(
            f"{name} wrote no line under the ids of {len(lost)} of {len(truth)} requests.",
            expected="a line in each function that a request passes",
            look="what the consumer of the queue knows of the request that a message came from",
        )
    return passed(
        f"{len(lines)} lines carry the ids of {len(truth) + 1} requests, through the queue as well."
    )


def drained(sandbox: Sandbox, functions: Functions) -> bool:
    """Nothing waits in the queues any more."""
    client = sandbox.client("sqs")
    for arn in functions.queue_arns:
        url = client.get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        if any(int(value) for value in found.values()):
            return False
    return True


@check(id="o3", points=10, dimension=OBS, visibility=N, needs={"CM"}, after=customers_notice_nothing)
def numbers_are_true(sandbox: Sandbox) -> Finding:
    """Metrics add up to what customers were answered, in the right units, under few dimensions."""
    customers, functions = Customers.of(sandbox), Functions.of(sandbox)
    namespace = sandbox.output("MetricsNamespace")
    if namespace.startswith("AWS/"):
        return failed(f"`{namespace}` is a name of AWS's.", look="MetricsNamespace in Outputs")
    sandbox.settle()
    before = sandbox.counted(namespace)
    accepted = [customers.good() for _ in range(sandbox.random.randrange(4, 8))]
    rejected = [rule for rule in customers.rules for _ in range(sandbox.random.randrange(1, 4))]
    bodies: list[Any] = [*accepted, *(customers.bad(rule["field"]) for rule in rejected), b"[]"]
    for body in sandbox.random.sample(bodies, len(bodies)):
        customers.post(body)
    sandbox.eventually(lambda: drained(sandbox, functions), 120)
    after = sandbox.counted(namespace)
    found = after.since(before)
    reasons = Counter(str(rule["reason"]) for rule in rejected)
    sandbox.did(
        "HTTP", f"{len(accepted)} returns accepted, {len(rejected)} rejected, 1 request that is no return"
    )
    truths = (
        ("ReturnsAccepted", {"": float(len(accepted))}, "Count", ""),
        ("ReturnsRejected", {reason: float(count) for reason, count in reasons.items()}, "Count", "Reason"),
        ("RefundAmount", {"": float(sum(map(customers.refund, accepted)))}, "None", ""),
    )
    wrong = [fault for truth in truths if (fault := found.fault(*truth))]
    for fault in wrong:
        sandbox.saw("cloudwatch:GetMetricStatistics", fault)
    sets = after.dimension_sets
    sandbox.saw("cloudwatch:ListMetrics", f"{namespace}: {counted(len(sets), 'set')} of dimensions")
    if wrong:
        return failed(
            f"{counted(len(wrong), 'metric')} not as it was: {wrong[0]}.",
            expected="sums equal to what customers were answered, in Count, Count and None",
            look="where each number is counted, its unit, and its dimensions",
            hint="A metric without a unit, or with one too much, is another metric.",
        )
    if len(sets) > DIMENSION_SETS:
        names = Counter(name for dimensions in sets for name, _ in dimensions)
        return failed(
            f"{len(sets)} distinct sets of dimensions, most of them by `{names.most_common(1)[0][0]}`.",
            expected=f"at most {DIMENSION_SETS}",
            look="the dimensions of your metrics",
            hint="Each set of dimensions is a metric of its own, and is paid for. Ids belong into logs.",
        )
    return passed(f"All sums are true, under {counted(len(sets), 'set')} of dimensions.")


# --- personal data


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody's data, by what it is."""

    email: str
    values: Mapping[str, str]
    extra: Mapping[str, Any]


def person(sandbox: Sandbox) -> Person:
    """Somebody new, with data at the top of a request, deeper, and in a free text."""
    random, separator = sandbox.random, sandbox.parameters["separator"]

    def mail() -> str:
        token = f"{random.choice(NAMES).lower()}.{random.getrandbits(32):08x}"
        return f"{token}+{random.choice(FIRMS)}@{random.choice(FIRMS)}.example"

    def digits(*groups: int) -> str:
        found = (str(random.randrange(10 ** (count - 1), 10**count)) for count in groups)
        return separator.join(found)

    top, deep = mail(), mail()
    phones = [f"+372 {digits(4, 4)}" for _ in range(2)]
    card, noted = digits(4, 4, 4, 4), f"+371 {digits(4, 4)}"
    extra: dict[str, Any] = {"phone": phones[0], "note": f"Ring {noted}, or write to {deep}."}
    first, second = sandbox.parameters["nests"][random.randrange(2)]
    nest(extra, first, {"mail": deep, "mobile": phones[1]})
    nest(extra, second, {"cardNumber": card})
    values = {
        "the e-mail address at the top": top,
        "an e-mail address further down": deep,
        "the phone number at the top": phones[0],
        "a phone number further down": phones[1],
        "a card number further down": card,
        "a phone number in the note": noted,
    }
    return Person(top, values, extra)


def nest(into: dict[str, Any], path: Sequence[str | int], values: Mapping[str, str]) -> None:
    """Put values at a path, making objects and lists on the way."""
    place: Any = into
    for step, following in zip(path, [*path[1:], None], strict=True):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(step, int):
            if len(place) <= step:
                place.append(empty)
            place = place[step]
        else:
            place = place.setdefault(step, empty)
    place.update(values)


@check(
    id="s1", points=8, dimension=SEC, visibility=N, needs={"LG", "XR", "IE"}, after=customers_notice_nothing
)
def nobody_is_named(sandbox: Sandbox) -> Finding:
    """Addresses, phone and card numbers of requests are in no log, metric or trace."""
    customers, functions = Customers.of(sandbox), Functions.of(sandbox)
    mark = sandbox.mark()
    values: dict[str, str] = {}

    def somebody() -> Person:
        found = person(sandbox)
        values.update({f"{what} ({len(values)})": value for what, value in found.values.items()})
        return found

    def traced() -> str:
        return sandbox.new_trace()[1]

    one, two, three, four = (somebody() for _ in range(4))
    answer = customers.post(customers.good(email=one.email, **one.extra), x_amzn_trace_id=traced())
    customers.post({**customers.bad("category"), "email": two.email, **two.extra}, x_amzn_trace_id=traced())
    customers.post({**customers.good(amountCents="1"), "email": three.email, **three.extra})
    sandbox.eventually(lambda: drained(sandbox, functions), 120)
    customers.read(id_of(answer), one.email, x_amzn_trace_id=traced())
    customers.read(id_of(answer), two.email)
    with refused(sandbox):
        customers.post({**customers.good(email=four.email), **four.extra}, x_amzn_trace_id=traced())
    sandbox.did("HTTP", f"7 requests with {len(values)} addresses and numbers of 4 people")
    sandbox.settle()
    leaks = find_leaks(values, told_places(sandbox, mark))
    for leak in leaks[:3]:
        sandbox.saw(leak.where, f"{leak.what.rpartition(' (')[0]}, {leak.how}")
    if leaks:
        places = ", ".join(dict.fromkeys(leak.where for leak in leaks))
        return failed(
            f"{len({leak.what for leak in leaks})} of {len(values)} addresses and numbers are in: {places}.",
            expected="none, however deep they stood in the request, in no encoding",
            look="what of a request gets into lines, metrics and traces, error paths included",
            hint="A list of what may be written is complete; a list of what may not never is.",
        )
    return passed(f"None of {len(values)} addresses and numbers is in a log, metric or trace.")


def told_places(sandbox: Sandbox, since: Mark) -> Iterator[tuple[str, str]]:
    """Everything that was logged, counted and traced since a moment, with where."""
    groups = {sandbox.function(name).log_group for name in sandbox.stack.functions}
    groups |= {stage.log_group for stage in sandbox.stages() if stage.log_group}
    for group in sorted(groups):
        yield f"log {group}", "\n".join(event.message for event in sandbox.logs(group, since))
    for page in sandbox.client("cloudwatch").get_paginator("list_metrics").paginate():
        for item in page["Metrics"]:
            if not item["Namespace"].startswith("AWS/"):
                yield f"metric {item['Namespace']}", json.dumps(item, ensure_ascii=False)
    for trace in sandbox.traces(since):
        yield "trace", trace.text


@check(id="o6", points=8, dimension=OBS, visibility=N, needs={"XR"}, after=customers_notice_nothing)
def a_request_can_be_followed(sandbox: Sandbox) -> Finding:
    """A request's trace has the API, the function and what it called, and names the return."""
    customers = Customers.of(sandbox)
    trace_id, header = sandbox.new_trace()
    answer = customers.post(customers.good(), x_amzn_trace_id=header)
    return_id = id_of(answer)
    sandbox.did("POST /returns", f"X-Amzn-Trace-Id: {header} → {answer.describe()}")
    sandbox.eventually(lambda: sandbox.find_trace(trace_id) is not None, 10)
    sandbox.settle()
    trace = sandbox.find_trace(trace_id)
    if trace is None:
        sandbox.saw("xray:BatchGetTraces", f"{trace_id}: nothing")
        return failed(
            "Nobody told X-Ray of a request that came with a sampled trace header.",
            expected="segments of the API's stage and of the function",
            look="TracingEnabled of the API, Tracing of the functions, and the rights of their roles",
        )
    missing = trace.missing("AWS::ApiGateway::Stage", "AWS::Lambda::Function")
    calls, named = trace.calls(), trace.annotations("returnId")
    sandbox.saw("xray:BatchGetTraces", f"{', '.join(trace.origins)}; calls: {', '.join(calls) or 'none'}")
    sandbox.saw("xray:BatchGetTraces", f"annotation returnId: {', '.join(map(str, named)) or 'none'}")
    if missing:
        return failed(
            f"The trace lacks the segment of {' and '.join(missing)}.",
            expected="AWS::ApiGateway::Stage and AWS::Lambda::Function",
            look="TracingEnabled of the API, Tracing of the functions, xray:PutTraceSegments of their roles",
            hint="A function sends its segments with its own role.",
        )
    if not calls:
        return failed(
            "The trace ends in the function: it shows nothing of what the function called.",
            expected="a subsegment for the call of the queue",
            look="whether the AWS SDK is instrumented, before its clients are made",
        )
    if return_id not in named:
        return failed(
            f"No segment is annotated with `returnId` {return_id}.",
            expected="the annotation returnId, by which traces can be searched",
            look="where annotations are put: on a subsegment, as the function's own segment is Lambda's",
            hint="Metadata is shown and never searched; annotations are indexed.",
        )
    return passed(
        f"API, function and {', '.join(dict.fromkeys(calls))} in one trace, annotated with returnId."
    )


@rights
def work_of_the_contract(sandbox: Sandbox, function: FunctionView) -> list[Right]:
    """The starter's rights, its logs, traces, and metrics."""
    functions = Functions.of(sandbox)
    here = f"{sandbox.region}:{sandbox.account_id}"
    group = f"arn:aws:logs:{here}:log-group:{function.log_group}"
    tables = [
        f"arn:aws:dynamodb:{here}:table/{name}" for name in sandbox.stack.of_type("AWS::DynamoDB::Table")
    ]
    take = [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ChangeMessageVisibility",
    ]
    if function.name in functions.consumers:
        own = [right(take, functions.queue_arns), right("dynamodb:PutItem", tables)]
    else:
        own = [right("sqs:SendMessage", functions.queue_arns), right("dynamodb:GetItem", tables)]
    traces = ["PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets"]
    traces.append("GetSamplingStatisticSummaries")
    return [
        *own,
        right([f"xray:{name}" for name in traces], "*"),
        right("cloudwatch:PutMetricData", "*"),
        right(["logs:CreateLogStream", "logs:PutLogEvents"], f"{group}:*", needed=True),
        right("logs:CreateLogGroup", [group, f"{group}:*"]),
    ]


@check(id="s2", points=6, dimension=SEC, visibility=V, needs={"IS"}, static=True)
def only_traces_were_added(sandbox: Sandbox) -> Finding:
    """Roles may do what the starter's may, and write traces and metrics."""
    return sandbox.judge_rights(*sandbox.stack.functions, points=6, each=2)


@check(id="c1", points=6, dimension=COST, visibility=V, needs={"LG"}, after=customers_notice_nothing)
def logs_cost_little(sandbox: Sandbox) -> Finding:
    """Logs expire within 30 days, and a return leaves few bytes in them."""
    customers, functions = Customers.of(sandbox), Functions.of(sandbox)
    faults = sandbox.log_group_faults(sandbox.stack.functions)
    days = sandbox.log_groups()
    groups = {sandbox.function(name).log_group for name in sandbox.stack.functions}
    groups |= {stage.log_group for stage in sandbox.stages() if stage.log_group}
    for group in sorted(groups & days.keys()):
        if days[group] not in RETENTION_DAYS and not any(group in fault for fault in faults):
            faults.append(f"{group} keeps events {days[group] or 'for ever, no'} days")
    mark = sandbox.mark()
    for _ in range(MEASURED):
        somebody = person(sandbox)
        customers.post({**customers.good(email=somebody.email), **somebody.extra})
    sandbox.eventually(lambda: drained(sandbox, functions), 120)
    sandbox.did("HTTP", f"{MEASURED} returns, accepted")
    lines = sandbox.lines(since=mark)
    mean = bytes_per(lines, MEASURED)
    sandbox.saw("logs:FilterLogEvents", f"{len(lines)} lines of functions, {mean:,.0f} bytes a return")
    for fault in faults[:3]:
        sandbox.saw("logs:DescribeLogGroups", fault)
    if faults:
        return failed(
            f"{counted(len(faults), 'log group')} not as agreed: {faults[0]}.",
            expected="declared in the template, kept 1 to 30 days",
            look="RetentionInDays of AWS::Logs::LogGroup",
            hint="A group without a retention keeps everything for ever.",
        )
    if mean > BYTES_PER_RETURN:
        longest = max(lines, key=lambda line: line.size_bytes)
        sandbox.saw(f"log of {longest.function}", f"{longest.size_bytes} bytes: {longest.quoted()}")
        return failed(
            f"A return leaves {mean:,.0f} bytes in the logs.",
            expected=f"at most {BYTES_PER_RETURN:,}",
            look="LOG_LEVEL in the template, and what is written at INFO",
            hint="What is ingested is paid for by the byte, also what nobody reads.",
        )
    return passed(f"A return leaves {mean:,.0f} bytes in the logs, which expire.")


@check(id="i1", points=6, dimension=IAC, visibility=V, needs={"CF"}, static=True)
def the_template_has_it_all(sandbox: Sandbox) -> Finding:
    """Alarms, topic and dashboard are resources of the template, and no name in it is fixed."""
    faults = [*not_in_the_stack(sandbox), *fixed_names(sandbox), *dashboard_faults(sandbox)]
    for fault in faults[:3]:
        sandbox.saw("template", fault)
    if faults:
        return failed(
            f"{counted(len(faults), 'thing')} of the contract missing in the template: {faults[0]}.",
            expected="both alarms, the topic and a dashboard as resources, names made by or from the stack",
            look="Resources and Outputs in template.yaml, and dashboard.json",
            hint="What was clicked together once is not there in the next account.",
        )
    return passed("Both alarms, the topic and the dashboard are resources of the template.")


def not_in_the_stack(sandbox: Sandbox) -> Iterator[str]:
    """What outputs name that is no resource of the stack."""
    stack = sandbox.stack
    alarms = {*stack.of_type("AWS::CloudWatch::Alarm"), *stack.of_type("AWS::CloudWatch::CompositeAlarm")}
    for name in ("ErrorAlarmName", "LatencyAlarmName"):
        if sandbox.output(name) not in alarms:
            yield f"{name} ({sandbox.output(name)}) is no alarm of the stack"
    if sandbox.output("AlarmTopicArn") not in stack.of_type("AWS::SNS::Topic"):
        yield "AlarmTopicArn is no topic of the stack"


NAMES_OF = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::CompositeAlarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::IAM::Role": "RoleName",
}


def fixed_names(sandbox: Sandbox) -> Iterator[str]:
    """Names that are a text in the template, so that a second stack would need the same."""
    for kind, name in NAMES_OF.items():
        for resource in sandbox.template.resources(kind):
            value = resource.get(name)
            if isinstance(value, str) or (
                isinstance(value, dict) and list(value) == ["Fn::Sub"] and "${" not in str(value)
            ):
                yield f"{resource.logical_id} has the fixed name {value}"


def dashboard_faults(sandbox: Sandbox) -> Iterator[str]:
    """What the template's dashboard and dashboard.json lack."""
    names = sandbox.stack.of_type("AWS::CloudWatch::Dashboard")
    if not names:
        yield "there is no AWS::CloudWatch::Dashboard"
        return
    client = sandbox.client("cloudwatch")
    bodies = [client.get_dashboard(DashboardName=name)["DashboardBody"] for name in names]
    shown = [widgets for body in bodies if (widgets := widgets_of(body)) is not None]
    written = sandbox.files.get("dashboard.json")
    told = widgets_of(written.decode("utf-8", "replace")) if written is not None else None
    if told is None:
        yield "dashboard.json is missing" if written is None else "dashboard.json is no dashboard's body"
    elif len(told) not in {len(widgets) for widgets in shown}:
        yield f"dashboard.json has {counted(len(told), 'widget')}, the template's dashboard has not"
    every = json.dumps(shown)
    for metric in METRICS:
        if metric not in every:
            yield f"the dashboard does not show {metric}"


def widgets_of(body: str) -> list[Any] | None:
    """The widgets of a dashboard's body; None when it is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    widgets = found.get("widgets") if isinstance(found, dict) else None
    return widgets if isinstance(widgets, list) else None


# --- alarms


@dataclass(slots=True)
class Minutes:
    """Customers' calls, minute by minute, and what came of them."""

    customers: Customers
    known: tuple[str, str]
    calls: int = 0
    failures: int = 0
    slowest_s: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Minutes":
        """Nothing yet; one return is registered that can be read."""
        customers = Customers.of(sandbox)
        return cls(customers, customers.registered())

    def read(self, count: int) -> None:
        """So many calls that are answered at once."""
        for _ in range(count):
            self._note(partial(self.customers.read, *self.known))

    def post(self, count: int) -> None:
        """So many calls that need the queue."""
        for _ in range(count):
            self._note(partial(self.customers.post, self.customers.good()))

    def _note(self, call: Callable[[], WebAnswer]) -> None:
        began = time.monotonic()
        answer = call()
        self.calls += 1
        self.failures += answer.status >= 500
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        self.statuses[answer.status] += 1


@check(
    id="o4", points=10, dimension=OBS, visibility=N, needs={"CA", "VC", "IE"}, after=customers_notice_nothing
)
def errors_ring(sandbox: Sandbox) -> Finding:
    """When 30 % of calls fail the alarm rings and the topic is told; for one lone failure it does not."""
    name = sandbox.output("ErrorAlarmName")
    watched = sandbox.alarm(name)
    minutes = Minutes.of(sandbox)
    sandbox.saw("cloudwatch:DescribeAlarms", f"{name} watches {watched.watches}")
    with sandbox.subscriber(sandbox.output("AlarmTopicArn")) as team:
        idle = sandbox.mark()
        sandbox.advance(IDLE_S)
        if rang(sandbox, name, idle):
            return no_reason(sandbox, name, idle, f"{IDLE_S // 60} minutes without calls", watched)
        lone = sandbox.mark()
        with refused(sandbox):
            for _ in sandbox.whole_periods(1):
                minutes.post(1)
        sandbox.advance(IDLE_S)
        sandbox.did("POST /returns", f"one, while the queue refuses: {dict(minutes.statuses)}")
        if rang(sandbox, name, lone):
            return no_reason(sandbox, name, lone, "one lone failed call", watched)
        heard = rings(team.listen(), name)
        begun, minutes = sandbox.mark(), Minutes(minutes.customers, minutes.known)
        with refused(sandbox):
            for _ in sandbox.whole_periods(PERIODS):
                minutes.read(CALLS_A_MINUTE - FAILING)
                minutes.post(FAILING)
        sandbox.did("HTTP", f"{minutes.failures} of {minutes.calls} calls failed in {PERIODS} minutes")
        alarm = sandbox.alarm(name)
        sandbox.saw("cloudwatch:DescribeAlarmHistory", f"{name}: {alarm.timeline(begun)}", since=begun)
        sandbox.settle()
        notices = rings(team.listen(), name) - heard
        sandbox.saw("sns → our queue", f"{counted(notices, 'notification')} that {name} rings")
    sandbox.advance(IDLE_S)
    if not minutes.failures:
        return failed(
            "No call failed while the queue refused messages: customers were told that all is well.",
            expected="a status of 500 or more",
            look="what is answered when the message could not be sent",
        )
    failures = f"{minutes.failures} of {minutes.calls} calls failed"
    if not rang(sandbox, name, begun):
        return failed(
            f"{failures} in {PERIODS} minutes. {name} stayed {alarm.state}: it watches {watched.watches}.",
            expected=f"ALARM, as more than {sandbox.parameters['errorPercent']} % failed in each minute",
            look="metric, dimensions, threshold and number of periods of the alarm",
            hint="An error that the function catches is none of Lambda's Errors; the API still counts it.",
        )
    if not notices:
        return failed(
            f"{failures}. {name} rang, and nobody was told.",
            expected="a notification at the topic AlarmTopicArn",
            ruled_out="The alarm does not ring: its history has ALARM",
            look="AlarmActions of the alarm, and the topic's policy",
        )
    return passed(f"{failures}: {name} rang and the topic was told. One failure and silence did not ring it.")


def rang(sandbox: Sandbox, name: str, since: Mark) -> bool:
    """Whether an alarm went to ALARM since a moment, or is there."""
    alarm = sandbox.alarm(name)
    return alarm.state == "ALARM" or any(change.state == "ALARM" for change in alarm.changes(since))


def no_reason(sandbox: Sandbox, name: str, since: Mark, what: str, watched: AlarmView) -> Finding:
    """The alarm rang for nothing."""
    sandbox.saw(
        "cloudwatch:DescribeAlarmHistory", f"{name}: {sandbox.alarm(name).timeline(since)}", since=since
    )
    return failed(
        f"{name} rang for {what}: it watches {watched.watches}.",
        expected="no alarm",
        look="threshold, periods, DatapointsToAlarm and TreatMissingData of the alarm",
        hint="Who is woken up for nothing soon sleeps through the real thing.",
    )


@check(id="o5", points=8, dimension=OBS, visibility=H, needs={"CA", "VC"}, after=customers_notice_nothing)
def slow_calls_ring(sandbox: Sandbox) -> Finding:
    """When one call of twenty is too slow the alarm rings, and while all are fast it does not."""
    name = sandbox.output("LatencyAlarmName")
    objective_s = sandbox.parameters["latencyMs"] / 1_000
    watched = sandbox.alarm(name)
    minutes = Minutes.of(sandbox)
    sandbox.saw("cloudwatch:DescribeAlarms", f"{name} watches {watched.watches}")
    sandbox.advance(IDLE_S)
    calm = sandbox.mark()
    for _ in sandbox.whole_periods(1):
        minutes.read(CALLS_A_MINUTE // 2)
    if rang(sandbox, name, calm) and minutes.slowest_s < objective_s:
        what = f"{minutes.calls} calls that took {minutes.slowest_s * 1_000:.0f} ms at most"
        return no_reason(sandbox, name, calm, what, watched)
    begun = sandbox.mark()
    with sandbox.fault("latency", service="sqs", seconds=objective_s + SLOWER_S):
        for _ in sandbox.whole_periods(PERIODS):
            minutes.read(CALLS_A_MINUTE - SLOW)
            minutes.post(SLOW)
    alarm = sandbox.alarm(name)
    slow = f"{SLOW * PERIODS} of {CALLS_A_MINUTE * PERIODS} calls took {minutes.slowest_s * 1_000:,.0f} ms"
    sandbox.did("HTTP", f"{slow}, one in twenty of each minute")
    sandbox.saw("cloudwatch:DescribeAlarmHistory", f"{name}: {alarm.timeline(begun)}", since=begun)
    if not rang(sandbox, name, begun):
        return failed(
            f"{slow}. {name} stayed {alarm.state}: it watches {watched.watches}.",
            expected=f"ALARM, as the 99th percentile was above {objective_s * 1_000:.0f} ms in each minute",
            look="statistic, metric and threshold of the alarm",
            hint="Nineteen fast calls and a slow one are fast on average.",
        )
    return passed(f"{slow}, and {name} rang.")


@check(id="o7", points=6, dimension=OBS, visibility=H, needs={"LG", "IE"}, after=customers_notice_nothing)
def levels_and_exceptions(sandbox: Sandbox) -> Finding:
    """LOG_LEVEL=WARN silences what happens every day, and an exception is one line with type and stack."""
    customers, functions = Customers.of(sandbox), Functions.of(sandbox)
    names = functions.front + functions.consumers
    mark = sandbox.mark()
    customers.post(customers.good())
    sandbox.eventually(lambda: drained(sandbox, functions), 120)
    daily = [line for line in sandbox.lines(since=mark) if not line.counts]
    with ExitStack() as changed:
        for name in names:
            changed.enter_context(sandbox.update_environment(name, LOG_LEVEL="WARN"))
        sandbox.did("lambda:UpdateFunctionConfiguration", "LOG_LEVEL=WARN")
        mark = sandbox.mark()
        customers.post(customers.good())
        sandbox.eventually(lambda: drained(sandbox, functions), 120)
        # What libraries say while they are loaded, once in an environment's life, is not of every day.
        lines = [line for line in sandbox.lines(since=mark) if not line.counts and line.request_id]
        loud = [(line, "is written") for line in lines if line.fields is None or line.level in QUIET_LEVELS]
        sandbox.saw(
            "logs:FilterLogEvents", f"an accepted return: {len(daily)} lines by default, {len(lines)} now"
        )
        mark = sandbox.mark()
        with refused(sandbox):
            answer = customers.post(customers.good())
            sandbox.did("POST /returns", f"while the queue refuses: {answer.describe()}")
            sandbox.settle()
        lines = [line for line in sandbox.lines(since=mark) if not line.counts]
    if not daily:
        return failed("Nothing is written by default.", expected="a line in each function", look="LOG_LEVEL")
    if loud:
        saw_lines(sandbox, loud)
        return failed(
            f"{counted(len(loud), 'line')} of every day written at LOG_LEVEL=WARN.",
            expected="none",
            look="where your functions read LOG_LEVEL",
        )
    return told_of_exception(sandbox, lines)


def told_of_exception(sandbox: Sandbox, lines: Sequence[LogLine]) -> Finding:
    """Whether one request's exception is one line."""
    whole = [line for line in lines if line.level in ("ERROR", "CRITICAL", "FATAL") and has_exception(line)]
    broken = [(line, "is no JSON object") for line in lines if line.fields is None]
    sandbox.saw("logs:FilterLogEvents", f"{len(lines)} lines about it, {len(whole)} with type and stack")
    saw_lines(sandbox, broken or [(line, "is about it") for line in lines])
    if broken:
        return failed(
            f"The exception is spread over {counted(len(lines), 'line')}, {len(broken)} of them no JSON.",
            expected="one line with errorType and stack",
            look="how exceptions are written, and whether they leave the handler",
            hint="A stack that is printed becomes one event for each of its lines.",
        )
    if len(whole) != 1:
        return failed(
            f"{counted(len(whole), 'line')} with errorType and stack tell of the exception.",
            expected="exactly one, of level ERROR",
            look="what is written where exceptions are caught",
        )
    return passed("LOG_LEVEL=WARN silences lines of every day, and the exception is one line.")


def has_exception(line: LogLine) -> bool:
    """Whether a line has an exception's type and its stack."""
    kind, stack = line.get("errorType"), line.get("stack")
    text = "\n".join(map(str, stack)) if isinstance(stack, list) else stack
    return isinstance(kind, str) and bool(kind) and isinstance(text, str) and text.count("\n") >= 1
