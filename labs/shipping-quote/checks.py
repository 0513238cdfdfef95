"""Shipping quote function: exact prices, whoever calls and in whichever order."""

import datetime as dt
import json
import random as randomness
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from graders.api import (
    ACCEPTED_RUNTIMES,
    FUN,
    IAC,
    OBS,
    RES,
    SEC,
    Finding,
    FunctionView,
    H,
    Invocation,
    N,
    Right,
    Sandbox,
    V,
    check,
    failed,
    overlay,
    parameters,
    passed,
    right,
    rights,
)

# Zones that turn their clocks twice a year, so that a day there is not always 24 hours long.
TIME_ZONES = (
    "America/Denver",
    "America/Halifax",
    "America/St_Johns",
    "Australia/Adelaide",
    "Europe/Lisbon",
    "Europe/Riga",
    "Pacific/Auckland",
)
ZONES = ("ALPINE", "BALTIC", "COAST", "HIGHLAND", "ISLES", "METRO", "NORDIC", "RURAL")
EDGES = (25, 50, 100, 200, 250, 500, 1000, 1500, 2000, 3150)  # hundredths of a kilogram
PERCENTS = ("5", "7.5", "10", "12.5", "15", "25")
# In rounding units. Further away from the middle, every way of rounding to the nearest agrees.
FAR_FROM_A_TIE = Decimal("0.1")
# So many that reading the tariff once for every parcel of a large basket takes longer than a call may.
DISCOUNT_CUSTOMERS = 16_000
EXAMPLES = 3
LARGE_BASKET = 5_000
LARGE_BASKET_LIMIT_S = 3.0


# --- the seed


@parameters
def draw(random: randomness.Random) -> dict[str, Any]:
    """A tariff: versions around both clock changes of a year, and thousands of discount customers."""
    time_zone = random.choice(TIME_ZONES)
    year = random.randrange(2028, 2033)
    first, second = clock_changes(time_zone, year)
    day = dt.timedelta(days=1)
    # A version begins the day after each change: the midnight that a fixed offset puts an hour off.
    starts = [dt.date(year, 1, 1), first + day, first + random.randrange(30, 90) * day, second + day]
    zones = random.sample(ZONES, 4)
    edges = {zone: sorted(random.sample(EDGES, random.randrange(3, 6))) for zone in zones}
    base = {zone: [random.randrange(20, 60) * 10 + 190 * tier for tier in range(5)] for zone in zones}
    raises = [0, *(random.randrange(2, 9) * 10 for _ in starts[1:])]
    tariffs = [
        {
            "from": start.isoformat(),
            "zones": {
                zone: [
                    {"upToKg": edge / 100, "price": money(base[zone][tier] + sum(raises[: number + 1]))}
                    for tier, edge in enumerate(edges[zone])
                ]
                for zone in zones
            },
        }
        for number, start in enumerate(starts)
    ]
    customers = [
        f"K-{number}" for number in random.sample(range(10_000, 100_000), DISCOUNT_CUSTOMERS + 1_000)
    ]
    return {
        "tariff": {
            "timeZone": time_zone,
            "currency": random.choice(["CHF", "DKK", "EUR", "NOK", "NZD", "SEK"]),
            "roundingUnit": random.choice(["0.01", "0.05", "0.10"]),
            "discounts": {name: random.choice(PERCENTS) for name in customers[:DISCOUNT_CUSTOMERS]},
            "tariffs": tariffs,
        },
        "others": customers[DISCOUNT_CUSTOMERS:],
    }


@overlay
def seeded_files(parameters: dict[str, Any]) -> dict[str, bytes]:
    """The tariff of this seed in place of the provided one."""
    return {"src/tariff.json": json.dumps(parameters["tariff"]).encode()}


def clock_changes(time_zone: str, year: int) -> list[dt.date]:
    """The days of a year on which clocks are turned."""
    zone = ZoneInfo(time_zone)
    days = [dt.date(year, 1, 2) + dt.timedelta(days=number) for number in range(360)]
    return [day for day in days if offset(zone, day) != offset(zone, day + dt.timedelta(days=1))]


def offset(zone: ZoneInfo, day: dt.date) -> dt.timedelta | None:
    """The offset from UTC at the beginning of a day."""
    return dt.datetime(day.year, day.month, day.day, tzinfo=zone).utcoffset()


def money(cents: int) -> str:
    """An amount as the tariff writes it."""
    return f"{cents // 100}.{cents % 100:02d}"


# --- the truth: what a request costs


@dataclass(frozen=True, slots=True)
class Quote:
    """A request and what its answer must be."""

    request: dict[str, Any]
    price: str
    currency: str
    breakdown: tuple[tuple[float, str], ...]

    def faults(self, answer: Invocation) -> str:
        """How an answer differs, in a few words; empty when it does not."""
        if not answer.succeeded or not isinstance(answer.payload, dict):
            return answer.describe()
        found = answer.payload
        if found.get("ok") is not True:
            return f"answered {json.dumps(found)[:160]}, expected price {self.price}"
        expected = {"quoteId": self.request["quoteId"], "price": self.price, "currency": self.currency}
        wrong = [
            f"{key} {found.get(key)!r}, expected {value!r}"
            for key, value in expected.items()
            if found.get(key) != value
        ]
        if not wrong and lines(found.get("breakdown")) != list(self.breakdown):
            wrong.append(f"breakdown {json.dumps(found.get('breakdown'))[:120]}, expected {self.breakdown}")
        return "; ".join(wrong)


def lines(breakdown: Any) -> list[tuple[float, str]] | None:
    """A breakdown as pairs of weight and amount, if it is one."""
    try:
        return [(float(item["weightKg"]), item["amount"]) for item in breakdown]
    except (KeyError, TypeError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Book:
    """The seed's tariff, and requests drawn for it."""

    tariff: Mapping[str, Any]
    others: Sequence[str]
    random: randomness.Random

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Book":
        """The book of this run, with the check's own randomness."""
        return cls(sandbox.parameters["tariff"], sandbox.parameters["others"], sandbox.random)

    @property
    def zone(self) -> ZoneInfo:
        """The carrier's time zone."""
        return ZoneInfo(self.tariff["timeZone"])

    def midday(self, version: int | None = None) -> str:
        """A time of day at which every clock agrees on the date, on a day of some version."""
        starts = [dt.date.fromisoformat(item["from"]) for item in self.tariff["tariffs"]]
        start = starts[version] if version is not None else self.random.choice(starts)
        day = start + dt.timedelta(days=self.random.randrange(3, 25))
        hour, minute = self.random.choice([11, 12, 13]), self.random.randrange(60)
        return dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone).isoformat()

    def customer(self, *, discount: bool) -> str:
        """A customer with or without a discount."""
        return self.random.choice(list(self.tariff["discounts"]) if discount else self.others)

    def request(self, *, discount: bool = True, pickup_at: str = "", parcels: int = 0) -> dict[str, Any]:
        """A good request whose weights lie inside their tiers."""
        name = self.random.choice(["aare.kuusk", "inga.berzina", "jonas.petraitis", "liis.tamm", "ola.dahl"])
        zone = self.random.choice(list(self.tariff["tariffs"][0]["zones"]))
        count = parcels or self.random.randrange(1, 6)
        return {
            "quoteId": f"Q-{self.random.randrange(10**9):09d}",
            "customerId": self.customer(discount=discount),
            "customerEmail": f"{name}.{self.random.randrange(10**6):06d}@example.com",
            "zone": zone,
            "pickupAt": pickup_at or self.midday(),
            "parcels": [{"weightKg": self.weight(zone)} for _ in range(count)],
        }

    def weight(self, zone: str) -> float:
        """A weight inside a tier, never at its edge."""
        edges = [round(tier["upToKg"] * 100) for tier in self.tariff["tariffs"][0]["zones"][zone]]
        tier = self.random.randrange(len(edges))
        return self.random.randrange((edges[tier - 1] if tier else 0) + 1, edges[tier]) / 100

    def quote(self, request: dict[str, Any]) -> Quote:
        """What a good request's answer must be."""
        total, breakdown = self._total(request)
        unit = Decimal(self.tariff["roundingUnit"])
        steps = (total / unit + Decimal("0.5")).to_integral_value(ROUND_FLOOR)
        return Quote(request, f"{steps * unit:.2f}", self.tariff["currency"], breakdown)

    def from_a_tie(self, request: dict[str, Any]) -> Decimal:
        """How far a request's exact amount is from the middle between two prices, in rounding units."""
        steps = self._total(request)[0] / Decimal(self.tariff["roundingUnit"])
        return abs(steps - steps.to_integral_value(ROUND_FLOOR) - Decimal("0.5"))

    def plain(self, **wanted: Any) -> Quote:
        """A quote that every way of rounding to the nearest gets right."""
        while True:
            request = self.request(**wanted)
            if self.from_a_tie(request) >= FAR_FROM_A_TIE:
                return self.quote(request)

    def tie(self) -> Quote:
        """A quote exactly between two prices, that binary floats with `round` get wrong."""
        while True:
            request = self.request(parcels=self.random.randrange(2, 5))
            if self.from_a_tie(request) == 0:
                quote = self.quote(request)
                if self._in_floats(request) != quote.price:
                    return quote

    def tiers(self, pickup_at: str, zone: str) -> list[dict[str, Any]]:
        """The tiers that hold at a moment."""
        day = dt.datetime.fromisoformat(pickup_at).astimezone(self.zone).date().isoformat()
        return [item["zones"][zone] for item in self.tariff["tariffs"] if item["from"] <= day][-1]

    def _total(self, request: dict[str, Any]) -> tuple[Decimal, tuple[tuple[float, str], ...]]:
        tiers = self.tiers(request["pickupAt"], request["zone"])
        weights = [parcel["weightKg"] for parcel in request["parcels"]]
        breakdown = tuple(
            (weight, next(tier["price"] for tier in tiers if weight <= tier["upToKg"])) for weight in weights
        )
        percent = Decimal(self.tariff["discounts"].get(request["customerId"], "0"))
        return sum(Decimal(amount) for _, amount in breakdown) * (100 - percent) / 100, breakdown

    def _in_floats(self, request: dict[str, Any]) -> str:
        amounts = [float(amount) for _, amount in self._total(request)[1]]
        percent = float(self.tariff["discounts"].get(request["customerId"], 0))
        unit = float(self.tariff["roundingUnit"])
        return f"{round(sum(amounts) * (100 - percent) / 100 / unit) * unit:.2f}"


def ask(sandbox: Sandbox, quotes: Sequence[Quote]) -> Iterator[tuple[Quote, str]]:
    """Invoke with each request, and say what is wrong with each answer; the first few are evidence."""
    function = sandbox.output("QuoteFunctionArn")
    shown_already = 0
    for quote in quotes:
        wrong = quote.faults(sandbox.invoke(function, quote.request))
        if wrong and shown_already < EXAMPLES:
            shown_already += 1
            sandbox.did("lambda:Invoke", shown(quote.request))
            sandbox.saw("answer", f"{quote.request['quoteId']}: {wrong}")
        yield quote, wrong


def shown(request: Mapping[str, Any]) -> str:
    """A request in a few words."""
    parcels = request.get("parcels") or []
    weights = ", ".join(str(parcel.get("weightKg")) for parcel in parcels[:4])
    more = f", … ({len(parcels)} parcels)" if len(parcels) > 4 else ""
    return (
        f"{request.get('quoteId')}: customer {request.get('customerId')}, zone {request.get('zone')}, "
        f"pickup {request.get('pickupAt')}, {weights}{more} kg"
    )


def all_right(sandbox: Sandbox, quotes: Sequence[Quote], *, look: str, hint: str = "") -> Finding:
    """Whether every one of these quotes is answered exactly."""
    wrong = [quote for quote, fault in ask(sandbox, quotes) if fault]
    if wrong:
        return failed(
            f"{len(wrong)} of {len(quotes)} quotes were wrong.",
            expected="every price, currency and breakdown exact",
            look=look,
            hint=hint,
        )
    return passed(f"{len(quotes)} of {len(quotes)} quotes were exact.")


# --- what must be observed


@check(id="f1", points=15, dimension=FUN, visibility=V, needs={"LX"})
def prices_are_exact(sandbox: Sandbox) -> Finding:
    """Every basket gets its exact price, currency and breakdown."""
    book = Book.of(sandbox)
    quotes = [book.plain(discount=number >= 6, pickup_at=book.midday(number % 4)) for number in range(12)]
    return all_right(
        sandbox,
        quotes,
        look="the tariff.json beside the handler: the grader's has other values than yours",
        hint="Read zones, tiers, currency, unit and discounts from the file; nothing of it is fixed.",
    )


@check(id="f2", points=10, dimension=FUN, visibility=H, needs={"LX"}, after=prices_are_exact)
def bad_requests_are_answered(sandbox: Sandbox) -> Finding:
    """A tier ends with its edge, and what can't be priced is answered with its code."""
    book = Book.of(sandbox)
    function = sandbox.output("QuoteFunctionArn")
    edges = [at_the_edge(book, tier) for tier in (0, 1, -1)]
    bad = bad_requests(book)
    wrong = [quote.price for quote, fault in ask(sandbox, edges) if fault]
    for code, request in bad:
        answer = sandbox.invoke(function, request)
        found = answer.payload if isinstance(answer.payload, dict) else {}
        error = found.get("error") if isinstance(found.get("error"), dict) else {}
        right = answer.succeeded and found.get("ok") is False and error.get("code") == code
        if not (right and isinstance(error.get("message"), str)):
            sandbox.did("lambda:Invoke", shown(request))
            sandbox.saw("answer", f"{answer.describe()}, expected {code}")
            wrong.append(code)
    asked = len(edges) + len(bad)
    if wrong:
        return failed(
            f"{len(wrong)} of {asked} requests at or beyond the limits were answered wrongly.",
            expected="the tier up to and including its edge; beyond it `ok: false` with the contract's code",
            look="comparisons with upToKg, and how the handler answers what it can't price",
            hint="A caller's error is a result. An exception tells the caller that the function is broken.",
        )
    return passed(f"{asked} requests at and beyond the limits were answered as the contract says.")


def at_the_edge(book: Book, tier: int) -> Quote:
    """A quote for one parcel that weighs as much as a tier holds."""
    while True:
        request = book.request(parcels=1)
        weight = book.tiers(request["pickupAt"], request["zone"])[tier]["upToKg"]
        request = {**request, "parcels": [{"weightKg": weight}]}
        if book.from_a_tie(request) >= FAR_FROM_A_TIE:
            return book.quote(request)


def bad_requests(book: Book) -> list[tuple[str, dict[str, Any]]]:
    """Requests that break one rule each, with the code of the rule."""

    def but(**changed: Any) -> dict[str, Any]:
        return {**book.request(), **changed}

    without_zone = {key: value for key, value in book.request().items() if key != "zone"}
    without_offset = book.midday()[:19]
    return [
        ("INVALID_WEIGHT", but(parcels=[{"weightKg": 0}])),
        ("INVALID_WEIGHT", but(parcels=[{"weightKg": 1}, {"weightKg": -0.5}])),
        ("INVALID_WEIGHT", but(parcels=[{"weightKg": f"{book.random.randrange(1, 9) / 10}"}])),
        ("PARCEL_TOO_HEAVY", but(parcels=[{"weightKg": 31.51}])),
        ("MISSING_FIELD", without_zone),
        ("MISSING_FIELD", but(customerId=None)),
        ("UNKNOWN_ZONE", but(zone=book.random.choice(["LUNAR", "SUBSEA", "ORBIT"]))),
        ("EMPTY_BASKET", but(parcels=[])),
        ("INVALID_PICKUP", but(pickupAt=without_offset)),
        ("INVALID_PICKUP", but(pickupAt="next Tuesday")),
    ]


@check(id="f3", points=10, dimension=FUN, visibility=H, needs={"LX"}, after=prices_are_exact)
def the_carriers_day_decides(sandbox: Sandbox) -> Finding:
    """The tariff is that of the carrier's local date, whatever offset the caller writes."""
    book = Book.of(sandbox)
    quotes = [book.plain(pickup_at=moment) for moment in around_midnight(book)]
    wrong = [quote for quote, fault in ask(sandbox, quotes) if fault]
    if not wrong:
        return passed(f"{len(quotes)} pickups around midnight had the tariff of the carrier's date.")
    moment = wrong[0].request["pickupAt"]
    day = dt.datetime.fromisoformat(moment).astimezone(book.zone).date()
    return failed(
        f"{len(wrong)} of {len(quotes)} pickups around midnight had the tariff of another day.",
        expected=f"pickupAt {moment} is {day} in {book.tariff['timeZone']}",
        look="how pickupAt becomes a date",
        hint="A time with an offset is a moment; only in a time zone does it have a date.",
    )


def around_midnight(book: Book) -> list[str]:
    """Moments shortly before and after tariffs change, written with offsets from all over the world."""
    moments = []
    offsets = [dt.timedelta(hours=-5), dt.timedelta(hours=13, minutes=45), dt.timedelta(0)]
    for version in book.tariff["tariffs"][1:]:
        start = dt.date.fromisoformat(version["from"])
        midnight = dt.datetime(start.year, start.month, start.day, tzinfo=book.zone)
        for shift in offsets:
            before = midnight.astimezone(dt.UTC) - dt.timedelta(minutes=book.random.randrange(2, 59))
            after = midnight.astimezone(dt.UTC) + dt.timedelta(minutes=book.random.randrange(2, 59))
            for moment in (before, after):
                written = moment.astimezone(dt.timezone(shift)).isoformat()
                moments.append(written.replace("+00:00", "Z"))
    book.random.shuffle(moments)
    return moments


@check(id="f4", points=10, dimension=FUN, visibility=H, needs={"LE"}, after=prices_are_exact)
def prices_do_not_depend_on_order(sandbox: Sandbox) -> Finding:
    """A price does not depend on who was quoted before in the same environment."""
    book = Book.of(sandbox)
    quotes = [book.plain(discount=number % 2 == 0) for number in range(60)]
    book.random.shuffle(quotes)
    return all_right(
        sandbox,
        quotes,
        look="variables outside the handler that a call writes to",
        hint="An environment serves one call after the other; what a call leaves behind, the next one finds.",
    )


@check(id="f5", points=5, dimension=FUN, visibility=N, needs={"LX"}, after=prices_are_exact)
def money_is_exact(sandbox: Sandbox) -> Finding:
    """Amounts that binary floats get wrong are exact to the rounding unit, half up."""
    book = Book.of(sandbox)
    quotes = [book.tie() for _ in range(20)]
    return all_right(
        sandbox,
        quotes,
        look="the type that holds money, and the rounding it uses",
        hint="Binary floats can't hold 0.1, and many round functions send halves to the even neighbour.",
    )


@check(id="i1", points=8, dimension=IAC, visibility=V, needs={"CF"}, static=True)
def the_template_says_what_runs(sandbox: Sandbox) -> Finding:
    """Runtime, time limit, memory and alias are in the template."""
    function = sandbox.function(sandbox.output("QuoteFunctionArn"))
    logical_id = next(
        (item.logical_id for item in sandbox.stack.resources if item.physical_id == function.name), ""
    )
    declared = sandbox.template.resource(logical_id)
    aliases = sandbox.template.resources("AWS::Lambda::Alias")
    wrong = []
    if declared is None:
        wrong.append("the function is not a resource of the stack")
    else:
        if declared.get("Timeout") is None or not 2 <= function.timeout_s <= 10:
            wrong.append(f"Timeout: {declared.get('Timeout', 'not written')}, expected 2 to 10 seconds")
        if declared.get("MemorySize") is None:
            wrong.append("MemorySize: not written")
    if function.runtime not in ACCEPTED_RUNTIMES:
        wrong.append(f"Runtime: {function.runtime or 'none'}, expected one of the contract's")
    if not function.is_alias:
        wrong.append("QuoteFunctionArn: the ARN of a function, expected that of an alias")
    elif not aliases:
        wrong.append("Alias: not published by the template")
    for fault in wrong:
        sandbox.saw("template after transform", fault)
    if wrong:
        return failed(
            f"{len(wrong)} of the contract's settings are missing or out of bounds.",
            look="the function in template.yaml, and Outputs",
            hint="AutoPublishAlias publishes a version and points an alias at it at each deployment.",
        )
    return passed(f"Alias `{function.qualifier}`, {function.timeout_s} s, {function.memory_mb} MB.")


@check(id="i2", points=7, dimension=IAC, visibility=N, needs={"CF"}, after=prices_are_exact)
def two_stacks_live_side_by_side(sandbox: Sandbox) -> Finding:
    """A second stack of the same artefact works beside the first."""
    book = Book.of(sandbox)
    sandbox.did("cloudformation:CreateChangeSet", "the same artefact under a second stack name")
    with sandbox.second_stack() as twin:
        if twin.output("QuoteFunctionArn") == sandbox.output("QuoteFunctionArn"):
            return failed(
                "Both stacks name the same function.", look="Outputs and physical names in template.yaml"
            )
        for stack in (sandbox, twin):
            if any(fault for _, fault in list(ask(stack, [book.plain(), book.plain()]))):
                return failed(
                    f"Stack {stack.stack.name} no longer prices baskets when both exist.",
                    look="names of functions, roles and log groups in template.yaml",
                )
    return passed("Two stacks of the same artefact priced baskets side by side.")


@rights
def own_logs(sandbox: Sandbox, function: FunctionView) -> list[Right]:
    """Log writes to the function's own group; what an error path does is the same."""
    group = f"arn:aws:logs:{sandbox.region}:{sandbox.account_id}:log-group:{function.log_group}"
    return [
        right(["logs:CreateLogStream", "logs:PutLogEvents"], f"{group}:*", needed=True),
        right("logs:CreateLogGroup", [group, f"{group}:*"]),
    ]


@check(id="s1", points=10, dimension=SEC, visibility=V, needs={"IS"}, static=True, after=prices_are_exact)
def the_role_only_writes_its_logs(sandbox: Sandbox) -> Finding:
    """The role may write to its own log group, and nothing else."""
    return sandbox.judge_rights(sandbox.output("QuoteFunctionArn"), points=10, each=2)


@check(id="o1", points=8, dimension=OBS, visibility=V, needs={"LG"})
def logs_expire(sandbox: Sandbox) -> Finding:
    """The function writes to a log group of the template that is kept 1 to 90 days."""
    arn = sandbox.output("QuoteFunctionArn")
    group = sandbox.function(arn).log_group
    mark = sandbox.mark()
    sandbox.invoke(arn, Book.of(sandbox).request())
    sandbox.did("lambda:Invoke", "one quote")
    written = sandbox.eventually(lambda: sandbox.logs(group, since=mark), budget_s=10)
    declared = sandbox.stack.of_type("AWS::Logs::LogGroup")
    days = sandbox.log_groups().get(group, 0)
    sandbox.saw("logs:FilterLogEvents", f"{len(written)} events in {group}")
    sandbox.saw("logs:DescribeLogGroups", f"{group}: retention {days or 'for ever'}")
    sandbox.saw("cloudformation:ListStackResources", f"log groups: {', '.join(declared) or 'none'}")
    if group not in declared:
        return failed(
            "The group that the function writes to is not in the template.",
            look="AWS::Logs::LogGroup and LoggingConfig in template.yaml",
            hint="Lambda makes a missing group by itself: it never expires and outlives the stack.",
        )
    if not written:
        return failed("The function wrote nothing to its log group.", look=f"log group {group}")
    if not 1 <= days <= 90:
        return failed(
            f"The log group keeps its events {f'{days} days' if days else 'for ever'}.",
            expected="1 to 90 days",
            look="RetentionInDays in template.yaml",
        )
    return passed(f"`{group}` is the template's and keeps {days} days.")


@check(id="o2", points=7, dimension=OBS, visibility=N, needs={"LG"})
def every_call_leaves_one_line(sandbox: Sandbox) -> Finding:
    """Every call leaves one line of JSON, and no customer's address."""
    book = Book.of(sandbox)
    arn = sandbox.output("QuoteFunctionArn")
    group = sandbox.function(arn).log_group
    mark = sandbox.mark()
    calls = [("ok", book.plain().request) for _ in range(4)]
    calls += [("INVALID_WEIGHT", {**book.request(), "parcels": [{"weightKg": 0}]})]
    calls += [("UNKNOWN_ZONE", {**book.request(), "zone": "SUBSEA"})]
    book.random.shuffle(calls)
    wanted = {}
    for outcome, request in calls:
        answer = sandbox.invoke(arn, request)
        wanted[request["quoteId"]] = (answer.request_id, outcome)
    sandbox.did("lambda:Invoke", f"{len(calls)} quotes, two of them bad")

    def found() -> dict[str, list[dict[str, Any]]]:
        all_lines = sandbox.json_lines(sandbox.logs(group, since=mark))
        return {key: [line for line in all_lines if line.get("quoteId") == key] for key in wanted}

    sandbox.eventually(lambda: all(found().values()), budget_s=5)
    wrong = [fault for key, logged in found().items() if (fault := line_fault(logged, *wanted[key]))]
    text = "\n".join(event.message for event in sandbox.logs(group, since=mark))
    for _, request in calls:
        address = request["customerEmail"]
        if address in text or address.partition("@")[0] in text:
            wrong.append("a customer's e-mail address stands in the log")
            break
    for fault in wrong[:3]:
        sandbox.saw(f"log group {group}", fault)
    if wrong:
        return failed(
            f"{len(wrong)} faults in the log of {len(calls)} calls.",
            expected="one line of JSON a call: requestId, quoteId, outcome, durationMs; no address",
            look=f"log group {group}",
            hint="Build the line from the fields you mean to log instead of printing the event.",
        )
    return passed(f"{len(calls)} calls left {len(calls)} lines and no address.")


def line_fault(logged: Sequence[Mapping[str, Any]], request_id: str, outcome: str) -> str:
    """What is wrong with the lines of one call; empty when nothing is."""
    if len(logged) != 1:
        return f"{len(logged)} lines of JSON with the quoteId of one call, expected 1"
    line = logged[0]
    duration = line.get("durationMs")
    if line.get("requestId") != request_id:
        return f"requestId {line.get('requestId')!r}, expected {request_id!r}"
    if line.get("outcome") != outcome:
        return f"outcome {line.get('outcome')!r}, expected {outcome!r}"
    if isinstance(duration, bool) or not isinstance(duration, (int, float)) or duration < 0:
        return f"durationMs {duration!r}, expected a number"
    return ""


@check(id="r1", points=5, dimension=RES, visibility=N, needs={"LX"}, after=prices_are_exact)
def a_huge_basket_is_answered(sandbox: Sandbox) -> Finding:
    """A basket of 5,000 parcels is answered in under 3 seconds."""
    book = Book.of(sandbox)
    quote = book.plain(parcels=LARGE_BASKET)
    answer = sandbox.invoke(sandbox.output("QuoteFunctionArn"), quote.request)
    took_s = answer.report.get("Duration", 0.0) / 1000
    sandbox.did("lambda:Invoke", shown(quote.request))
    sandbox.saw("REPORT line", f"Duration {took_s:.2f} s; {answer.describe()[:160]}")
    found = answer.payload if isinstance(answer.payload, dict) else {}
    error = found.get("error")
    refused = isinstance(error, dict) and error.get("code") == "BASKET_TOO_LARGE" and found.get("ok") is False
    wrong = "" if answer.succeeded and refused else quote.faults(answer)
    if wrong or took_s >= LARGE_BASKET_LIMIT_S:
        return failed(
            f"{LARGE_BASKET:,} parcels took {took_s:.2f} s: {wrong[:160] or 'too long'}.",
            expected=f"an exact price or BASKET_TOO_LARGE in under {LARGE_BASKET_LIMIT_S:g} s",
            look="work that is repeated for every parcel",
            hint="What is the same for every parcel, and for every call, needs to be done once.",
        )
    return passed(f"{LARGE_BASKET:,} parcels were {'refused' if refused else 'priced'} in {took_s:.2f} s.")
