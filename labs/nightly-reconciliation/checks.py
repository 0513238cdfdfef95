"""Nightly payment reconciliation: the right day, every payment, one report, and somebody notices."""

import datetime as dt
import json
import random as randomness
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

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
    ResourceNotFound,
    Right,
    Sandbox,
    V,
    check,
    failed,
    parameters,
    passed,
    right,
    rights,
    stack_parameters,
)

# None is west of UTC, so that f1 finds a moment at which every clock agrees on the day that is over.
ZONES = ("Europe/Tallinn", "Europe/Athens", "Europe/Lisbon", "Europe/Madrid")
DAY_STARTS = ("00:00", "05:00", "06:00")
RUN_HOURS = (9, 10, 11)
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)

# The contract's long day. Where each write costs our own time there are fewer, and calls are counted.
CONTRACT_PAYMENTS, EMULATED_PAYMENTS = 25_000, 1_000
# What DynamoDB takes for a call at best; it promises "single-digit millisecond" answers.
# Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Introduction.html
CALL_S = 0.005
READS = ("GetItem", "BatchGetItem", "Query", "Scan")
# More than a page of a listing has; pages of a few keys ask the same of fewer files.
CONTRACT_FILES, EMULATED_FILES, SHORT_PAGE = 1_030, 60, 25
# More than a page of a query has.
WIDE_CHARACTERS, WIDE_ITEMS = 9_000, 130
SMALL_AMOUNTS = 10_000
RETRIES_S = 5_400
RETRIES_LIMIT, AGE_LIMIT_S = 5, 3_600
# A night when clocks are put back lies 25 hours behind the night before. An alarm over 26 hours may ring some
# three hours later: where data are missing CloudWatch looks at a few periods more than it is told.
# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
OK_HOURS, ALARM_HOURS = 25, 30
RUN_S = 300
# Where calls can be made to meet, one day is proof enough; elsewhere it needs some luck.
RUNS_AT_ONCE, REAL_DAYS_AT_ONCE = 4, 3
# What waits for another run to end is tried again within this time.
TURNS_S = 1_800


# --- the seed


@parameters
def draw(random: randomness.Random) -> dict[str, Any]:
    """Where the head office is, when its day begins, and which days are short and long there."""
    zone, day_start = random.choice(ZONES), random.choice(DAY_STARTS)
    year = random.randrange(2028, 2036)
    start = dt.time.fromisoformat(day_start)
    days = [dt.date(year, 1, 2) + DAY * number for number in range(360)]
    hours = {day: (beginning(zone, start, day + DAY) - beginning(zone, start, day)) / HOUR for day in days}
    return {
        "zone": zone,
        "day_start": day_start,
        "short": next(str(day) for day in days if hours[day] < 24),
        "long": next(str(day) for day in days if hours[day] > 24),
        "first": str(dt.date(2027, 1, 10) + DAY * random.randrange(20)),
        "run_hour": random.choice(RUN_HOURS),
        "run_minute": random.randrange(60),
        "currency": random.choice(["EUR", "NOK", "SEK", "USD"]),
    }


@stack_parameters
def as_stack_parameters(parameters: dict[str, Any]) -> dict[str, str]:
    """What the contract lets the grader choose."""
    return {
        "TimeZone": parameters["zone"],
        "DayStart": parameters["day_start"],
        "RunAt": f"cron({parameters['run_minute']} {parameters['run_hour']} * * ? *)",
        "Currency": parameters["currency"],
    }


def beginning(zone: str, start: dt.time, day: dt.date) -> dt.datetime:
    """The moment at which a business day begins, in UTC."""
    return dt.datetime.combine(day, start, ZoneInfo(zone)).astimezone(dt.UTC)


def begun(moment: dt.datetime, start: dt.time) -> dt.date:
    """The day that has begun by a moment's own clock."""
    return moment.date() if moment.time() >= start else moment.date() - DAY


# --- the truth: payments and what must be reported of them


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment, as the ledger or the table has it."""

    id: str
    amount: Decimal
    paid_at: str

    @property
    def date(self) -> str:
        """Its date in UTC."""
        return self.paid_at[:10]


@dataclass(slots=True)
class Office:
    """The head office: knows its days, writes payments, starts runs, reads what they report."""

    sandbox: Sandbox
    ledger: dict[str, Payment] = field(default_factory=dict)
    table: dict[str, Payment] = field(default_factory=dict)

    def moment(self, day: dt.date) -> dt.datetime:
        """When a business day begins."""
        drawn = self.sandbox.parameters
        return beginning(drawn["zone"], dt.time.fromisoformat(drawn["day_start"]), day)

    def scheduled(self, day: dt.date) -> dt.datetime:
        """When the run for a business day is scheduled."""
        drawn = self.sandbox.parameters
        at = dt.time(drawn["run_hour"], drawn["run_minute"])
        return beginning(drawn["zone"], at, day + DAY)

    def day_that_is_over(self) -> tuple[dt.date, dt.datetime]:
        """The last business day that is over, and a moment soon for its run.

        A day that began by UTC and one that began here are the same day then: which of them counts is
        what another check asks.
        """
        drawn = self.sandbox.parameters
        start, zone = dt.time.fromisoformat(drawn["day_start"]), ZoneInfo(drawn["zone"])
        due = (self.sandbox.now() + dt.timedelta(seconds=90)).replace(microsecond=0)
        while begun(due.astimezone(zone), start) != begun(due, start):
            due += dt.timedelta(minutes=15)
        return begun(due, start) - DAY, due

    def another_day(self) -> dt.date:
        """A day that no other check of this seed uses."""
        first = dt.date.fromisoformat(self.sandbox.parameters["first"])
        number = int(re.sub(r"\D", "", self.sandbox.check_id) or 0) + 10 * "for".find(
            self.sandbox.check_id[0]
        )
        return first + DAY * 3 * number

    def make(self, paid_at: dt.datetime, amount: Decimal | None = None) -> Payment:
        """A payment at a moment."""
        random = self.sandbox.random
        amount = amount if amount is not None else Decimal(random.randrange(100, 900_000)) / 100
        return Payment(f"P{random.getrandbits(44):011x}", amount, f"{paid_at:%Y-%m-%dT%H:%M:%SZ}")

    def within(self, start: dt.datetime, end: dt.datetime) -> dt.datetime:
        """A moment in a span of time."""
        seconds = int((end - start).total_seconds())
        return start + dt.timedelta(seconds=self.sandbox.random.randrange(seconds))

    def midday(self, day: dt.date) -> dt.datetime:
        """A moment in the middle of a business day, so that no rule about its ends matters."""
        start = self.moment(day)
        return self.within(start + 9 * HOUR, start + 15 * HOUR)

    def enter(self, payments: Iterable[Payment], *, files: int = 2) -> None:
        """Put payments into the ledger, spread over some files for each date."""
        by_date: dict[str, list[Payment]] = {}
        for payment in payments:
            self.ledger[payment.id] = payment
            by_date.setdefault(payment.date, []).append(payment)
        client, bucket = self.sandbox.client("s3"), self.sandbox.output("LedgerBucketName")
        for date, found in by_date.items():
            for number in range(min(files, len(found))):
                lines = [
                    json.dumps({"paymentId": each.id, "amount": f"{each.amount:.2f}", "paidAt": each.paid_at})
                    for each in found[number::files]
                ]
                name = f"{self.sandbox.random.getrandbits(48):012x}"
                client.put_object(
                    Bucket=bucket, Key=f"ledger/{date}/{name}.jsonl", Body="\n".join([*lines, ""]).encode()
                )

    def record(self, payments: Sequence[Payment], *, characters: int = 0) -> None:
        """Put payments into the table, each with a note of some length."""
        client, name = self.sandbox.client("dynamodb"), self.sandbox.output("PaymentsTableName")
        for start in range(0, len(payments), 25):
            items = [
                {
                    "utcDate": {"S": each.date},
                    "paidAtAndId": {"S": f"{each.paid_at}#{each.id}"},
                    "paymentId": {"S": each.id},
                    "amount": {"N": str(each.amount)},
                    "note": {"S": "n" * (characters or 1)},
                }
                for each in payments[start : start + 25]
            ]
            requests = {name: [{"PutRequest": {"Item": item}} for item in items]}
            while requests:
                requests = client.batch_write_item(RequestItems=requests).get("UnprocessedItems") or {}
        self.table |= {each.id: each for each in payments}

    def truth(self, day: dt.date) -> dict[str, Any]:
        """The report of a business day."""
        start, end = (f"{self.moment(each):%Y-%m-%dT%H:%M:%SZ}" for each in (day, day + DAY))
        ledger, table = (
            {name: each.amount for name, each in held.items() if start <= each.paid_at < end}
            for held in (self.ledger, self.table)
        )
        return {
            "businessDate": str(day),
            "currency": self.sandbox.parameters["currency"],
            "ledger": summary(ledger),
            "table": summary(table),
            "missingInTable": sorted(ledger.keys() - table.keys()),
            "missingInLedger": sorted(table.keys() - ledger.keys()),
            "differing": sorted(name for name in ledger.keys() & table.keys() if ledger[name] != table[name]),
        }

    def report(self, day: dt.date) -> dict[str, Any] | None:
        """A report as it is; None when there is none."""
        client = self.sandbox.client("s3")
        try:
            found = client.get_object(
                Bucket=self.sandbox.output("ReportsBucketName"), Key=f"reports/{day}.json"
            )
        except client.exceptions.NoSuchKey:
            return None
        body = found["Body"].read().decode("utf-8", "replace")
        try:
            told = json.loads(body)
        except ValueError:
            return {"not JSON": body[-200:]}
        return told if isinstance(told, dict) else {"not an object": told}

    def reported(self, day: dt.date, budget_s: float = RUN_S) -> list[str]:
        """How a report differs from the truth once it is there in time; says what is in the evidence."""
        truth = self.truth(day)
        told = self.sandbox.eventually(lambda: self.report(day), budget_s)
        if told and told != truth:
            self.sandbox.settle()
            told = self.report(day)
        if told is None:
            self.sandbox.saw("s3:GetObject", f"reports/{day}.json is not there")
            return [f"there is no reports/{day}.json"]
        wrong = [
            f"`{name}` is {json.dumps(told.get(name))[:120]}, expected {json.dumps(value)[:120]}"
            for name, value in truth.items()
            if told.get(name) != value
        ]
        for fault in wrong[:3] or ["as it must be"]:
            self.sandbox.saw(f"reports/{day}.json", fault)
        return wrong


def summary(amounts: Mapping[str, Decimal]) -> dict[str, Any]:
    """Count and total as a report has them."""
    return {"count": len(amounts), "total": f"{sum(amounts.values(), Decimal(0)):.2f}"}


# --- the schedule and what hears of runs


@dataclass(frozen=True, slots=True)
class Schedule:
    """The schedule that starts runs."""

    sandbox: Sandbox
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Schedule":
        """The schedule of this stack."""
        client = sandbox.client("scheduler")
        name = sandbox.output("ScheduleName")
        try:
            return cls(sandbox, client.get_schedule(Name=name))
        except client.exceptions.ResourceNotFoundException:
            raise ResourceNotFound(
                f"There is no schedule `{name}`.", look=("Outputs in template.yaml",)
            ) from None

    @property
    def target(self) -> Mapping[str, Any]:
        """What it starts."""
        found: Mapping[str, Any] = self.settings["Target"]
        return found

    def fire(self, scheduled: dt.datetime) -> None:
        """Start the target as Scheduler does, for a scheduled time."""
        text = str(self.target.get("Input") or "{}")
        values = {
            "scheduled-time": f"{scheduled:%Y-%m-%dT%H:%M:%SZ}",
            "schedule-arn": self.settings["Arn"],
            "execution-id": f"{self.sandbox.random.getrandbits(64):016x}",
            "attempt-number": "1",
        }
        for name, value in values.items():
            text = text.replace(f"<aws.scheduler.{name}>", value)
        arn = str(self.target["Arn"])
        if ":states:" in arn:
            self.sandbox.client("stepfunctions").start_execution(stateMachineArn=arn, input=text)
        else:
            self.sandbox.invoke(arn, text.encode(), asynchronous=True)
        self.sandbox.did("start of the schedule's target", f"scheduled time {values['scheduled-time']}")

    def disabled(self) -> AbstractContextManager[None]:
        """The schedule does not fire."""
        return self._changed(State="DISABLED")

    def due_at(self, moment: dt.datetime) -> AbstractContextManager[None]:
        """The schedule fires once, at a moment, and not by its own expression."""
        return self._changed(
            ScheduleExpression=f"at({moment:%Y-%m-%dT%H:%M:%S})",
            ScheduleExpressionTimezone="UTC",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="NONE",
            State="ENABLED",
        )

    @contextmanager
    def _changed(self, **changes: Any) -> Iterator[None]:
        client = self.sandbox.client("scheduler")
        told = ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata")
        kept = {name: value for name, value in self.settings.items() if name not in told}
        client.update_schedule(**{**kept, **changes})
        self.sandbox.did(
            "scheduler:UpdateSchedule", str(changes.get("ScheduleExpression") or changes["State"])
        )
        try:
            yield
        finally:
            client.update_schedule(**kept)


@dataclass(slots=True)
class Listener:
    """A queue of our own that hears of completed runs."""

    sandbox: Sandbox
    url: str
    heard: list[str] = field(default_factory=list)

    def of(self, day: dt.date) -> int:
        """How many events there were for a business day."""
        client = self.sandbox.client("sqs")
        while messages := client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                detail = json.loads(message["Body"]).get("detail") or {}
                if detail.get("reportKey") == f"reports/{detail.get('businessDate')}.json":
                    self.heard.append(str(detail["businessDate"]))
                client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return self.heard.count(str(day))


@contextmanager
def listener(sandbox: Sandbox) -> Iterator[Listener]:
    """A rule of our own for the contract's event, gone at the end."""
    sqs, events = sandbox.client("sqs"), sandbox.client("events")
    name = f"accounting-{sandbox.random.getrandbits(48):012x}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sandbox.queue_arn(url)
    pattern = {"source": ["payments.reconciliation"], "detail-type": ["ReconciliationCompleted"]}
    rule = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    try:
        yield Listener(sandbox, url)
    finally:
        events.remove_targets(Rule=name, Ids=["queue"])
        events.delete_rule(Name=name)
        sqs.delete_queue(QueueUrl=url)


def quiet(sandbox: Sandbox, *, retries: bool = True) -> None:
    """Let what runs come to its end, and retries run out."""
    sandbox.settle(timeout_s=60.0)
    if retries:
        sandbox.advance(RETRIES_S)


# --- what must be observed


@check(id="f1", points=12, dimension=FUN, visibility=V, needs={"SCH", "LX"})
def the_nightly_run_reports_the_day(sandbox: Sandbox) -> Finding:
    """When the schedule fires, the report of the day before has exact totals and every mismatch."""
    office, schedule = Office(sandbox), Schedule.of(sandbox)
    day, due = office.day_that_is_over()
    payments = [office.make(office.midday(day)) for _ in range(sandbox.random.randrange(14, 22))]
    payments += [
        office.make(office.midday(day), -Decimal(sandbox.random.randrange(100, 9_000)) / 100)
        for _ in range(2)
    ]
    only_table = [office.make(office.midday(day)) for _ in range(2)]
    off = payments[4]
    office.enter(payments)
    office.record([*payments[2:4], *payments[5:], *only_table])
    office.record([Payment(off.id, off.amount + Decimal("0.10"), off.paid_at)])
    sandbox.did(
        "s3:PutObject, dynamodb:BatchWriteItem",
        f"{len(payments)} payments of {day}, 2 of them refunds; 2 only in the ledger, 2 only in the table,"
        " 1 with another amount",
    )
    mark = sandbox.mark()
    with schedule.due_at(due):
        sandbox.advance((due - sandbox.now()).total_seconds() + 1)
        wrong = office.reported(day)
    if not wrong:
        return passed(f"The report of {day} has {len(payments)} payments and 5 mismatches.")
    runs = [run for name in sandbox.stack.functions for run in sandbox.invocations(name, mark)]
    outcomes = ", ".join(run.outcome for run in runs[:3])
    sandbox.saw("invocations", f"{len(runs)}: {outcomes}" if runs else "none", since=mark)
    quiet(sandbox)
    schedule.fire(due)
    ruled_out = [] if office.reported(day) else ["The report is right when the target is started by hand."]
    quiet(sandbox)
    return failed(
        f"The report of {day} is not right after the schedule's time: {wrong[0]}.",
        expected="exact counts, totals and lists of ids",
        ruled_out=ruled_out,
        look="role, target and input of the schedule" if ruled_out else "the function's log",
    )


@check(
    id="f5", points=6, dimension=FUN, visibility=H, needs={"SCH", "EB"}, after=the_nightly_run_reports_the_day
)
def a_day_without_payments_is_reported(sandbox: Sandbox) -> Finding:
    """A day without payments has a report with zeros, and its event."""
    office, day = Office(sandbox), Office(sandbox).another_day()
    with listener(sandbox) as accounting:
        Schedule.of(sandbox).fire(office.scheduled(day))
        wrong = office.reported(day)
        heard = sandbox.eventually(lambda: accounting.of(day), RUN_S)
    sandbox.saw("our rule", f"{heard} events for {day}")
    if not wrong and heard:
        return passed(f"{day} has a report with zeros and an event.")
    quiet(sandbox)
    return failed(
        f"A day without payments: {wrong[0] if wrong else 'no event'}.",
        expected="a report with zeros and one event",
        look="what your function does when there are no files",
    )


@check(
    id="f4",
    points=10,
    dimension=FUN,
    visibility=N,
    needs={"SCH", "EB"},
    after=the_nightly_run_reports_the_day,
)
def runs_can_be_repeated(sandbox: Sandbox) -> Finding:
    """Three runs for one day leave one report and one event; a payment more, one event more."""
    office, day = Office(sandbox), Office(sandbox).another_day()
    schedule = Schedule.of(sandbox)
    payments = [office.make(office.midday(day)) for _ in range(5)]
    office.enter(payments)
    office.record(payments[1:])
    sandbox.did("s3:PutObject, dynamodb:BatchWriteItem", f"5 payments of {day}, 1 of them not in the table")
    wrong: list[str] = []
    with listener(sandbox) as accounting:
        for _ in range(3):
            schedule.fire(office.scheduled(day))
            sandbox.settle(timeout_s=60.0)
            sandbox.advance(RUN_S)
            wrong = wrong or office.reported(day)
        same = accounting.of(day)
        sandbox.saw("our rule", f"{same} events after 3 runs for {day}")
        office.record(payments[:1])
        schedule.fire(office.scheduled(day))
        sandbox.did("dynamodb:BatchWriteItem", "a payment that was missing, then another run")
        sandbox.settle(timeout_s=60.0)
        sandbox.advance(RUN_S)
        wrong = wrong or office.reported(day)
        changed = accounting.of(day) - same
        sandbox.saw("our rule", f"{changed} events more")
    if not wrong and (same, changed) == (1, 1):
        return passed(f"3 runs for {day}: one report, one event; another event for another content.")
    quiet(sandbox)
    what = wrong[0] if wrong else f"{same} events for the same content, {changed} for a changed one"
    return failed(
        f"Runs for {day} were repeated: {what}.",
        expected="one report and one event for each content",
        look="where your function takes the date from, and what it does when the report is there",
        hint="The scheduled time says which day a run is for, whenever it runs.",
    )


@check(
    id="f3",
    points=10,
    dimension=FUN,
    visibility=H,
    needs={"SCH", "VC"},
    after=the_nightly_run_reports_the_day,
)
def days_follow_the_head_offices_clock(sandbox: Sandbox) -> Finding:
    """Days of 23 and 25 hours are reported whole, and a payment at midnight counts once."""
    office, schedule = Office(sandbox), Schedule.of(sandbox)
    days = [dt.date.fromisoformat(sandbox.parameters[name]) for name in ("short", "long")]
    zone = sandbox.parameters["zone"]
    second = dt.timedelta(seconds=1)
    for day in days:
        start, end = office.moment(day), office.moment(day + DAY)
        moments = [start - second, start, start + second, end - second, end, end + second]
        moments += [office.within(start, start + HOUR), office.within(end - HOUR, end)]
        moments += [office.within(start - HOUR, start), office.within(end, end + HOUR), office.midday(day)]
        payments = [office.make(moment) for moment in moments]
        office.enter(payments)
        office.record(payments)
        sandbox.did(
            "s3:PutObject, dynamodb:BatchWriteItem",
            f"{len(payments)} payments about {day}, a day of {(end - start) / HOUR:.0f} hours in {zone}:"
            " at its beginning and its end, a second and an hour on either side",
        )
    wrong = {}
    for day in days:
        hours = (office.moment(day + DAY) - office.moment(day)) / HOUR
        for each in (day, day + DAY):
            schedule.fire(office.scheduled(each))
            if faults := office.reported(each):
                wrong[each] = f"{each}{f' ({hours:.0f} hours)' if each == day else ''}: {faults[0]}"
    if not wrong:
        return passed(f"{' and '.join(map(str, days))} were reported whole, and so were the days after.")
    quiet(sandbox)
    return failed(
        f"{len(wrong)} of 4 days were reported wrongly. {next(iter(wrong.values()))}.",
        expected="payments from the beginning of the day up to, and without, the beginning of the next",
        look="how your function turns a business date into two moments",
        hint="A day lasts 24 hours only where nobody changes clocks.",
    )


@check(id="f2", points=10, dimension=FUN, visibility=N, needs={"DD"}, after=the_nightly_run_reports_the_day)
def many_files_and_long_answers_are_read_whole(sandbox: Sandbox) -> Finding:
    """More files than a listing has on a page, and more than 1 MB of items, are all counted."""
    office, day = Office(sandbox), Office(sandbox).another_day()
    start = office.moment(day)
    # All on one date in UTC, so that one listing and one query have them all.
    noon = dt.datetime.combine((start + 12 * HOUR).date(), dt.time(12), dt.UTC)
    files = sandbox.budget(emulated=EMULATED_FILES, real=CONTRACT_FILES)
    payments = [office.make(office.within(noon - HOUR, noon + HOUR)) for _ in range(max(files, WIDE_ITEMS))]
    office.enter(payments, files=files)
    office.record(payments[:WIDE_ITEMS], characters=WIDE_CHARACTERS)
    sandbox.did(
        "s3:PutObject, dynamodb:BatchWriteItem",
        f"{files:,} files; {WIDE_ITEMS} items of {WIDE_CHARACTERS:,} characters",
    )
    with short_pages(sandbox):
        Schedule.of(sandbox).fire(office.scheduled(day))
        wrong = office.reported(day)
        quiet(sandbox, retries=bool(wrong))
    if not wrong:
        return passed(
            f"{files:,} files and {WIDE_ITEMS * WIDE_CHARACTERS / 1e6:.1f} MB of items were counted."
        )
    return failed(
        f"Not everything was counted: {wrong[0]}.",
        expected=f"{len(payments):,} payments of the ledger, {WIDE_ITEMS} of the table",
        look="NextContinuationToken of the listing, LastEvaluatedKey of the query",
        hint="A listing has at most 1,000 keys a page, a query at most 1 MB.",
    )


@contextmanager
def short_pages(sandbox: Sandbox) -> Iterator[None]:
    """Listings come in short pages where a backend can have them; elsewhere there are files enough."""
    if not sandbox.budget(emulated=SHORT_PAGE, real=0):
        yield
        return
    with sandbox.fault("s3.short_pages", keys=SHORT_PAGE):
        sandbox.did("fault s3.short_pages", f"a page of a listing has {SHORT_PAGE} keys")
        yield


@check(id="f6", points=6, dimension=FUN, visibility=H, needs={"LX"}, after=the_nightly_run_reports_the_day)
def sums_are_exact(sandbox: Sandbox) -> Finding:
    """Ten thousand small amounts beside a few large ones are summed to the last cent."""
    office, day = Office(sandbox), Office(sandbox).another_day()
    random = sandbox.random
    payments = [
        office.make(office.midday(day), Decimal(random.randrange(1, 100)) / 100) for _ in range(SMALL_AMOUNTS)
    ]
    payments += [
        office.make(office.midday(day), Decimal(random.randrange(10**16, 10**17)) / 100) for _ in range(3)
    ]
    office.enter(payments)
    sandbox.did("s3:PutObject", f"{SMALL_AMOUNTS:,} amounts below 1.00 and 3 of 15 digits, all of {day}")
    Schedule.of(sandbox).fire(office.scheduled(day))
    wrong = office.reported(day)
    if not wrong:
        return passed(f"{len(payments):,} amounts were summed to the last cent.")
    quiet(sandbox)
    return failed(
        f"{len(payments):,} amounts: {wrong[0]}.",
        expected=office.truth(day)["ledger"]["total"],
        look="the type that amounts and totals have in your code",
        hint="A binary float holds about 16 digits.",
    )


@check(
    id="r1", points=8, dimension=RES, visibility=N, needs={"LX", "DD"}, after=the_nightly_run_reports_the_day
)
def a_long_day_fits(sandbox: Sandbox) -> Finding:
    """A day of 25,000 payments is done within the function's own time and memory."""
    office, day = Office(sandbox), Office(sandbox).another_day()
    count = sandbox.budget(emulated=EMULATED_PAYMENTS, real=CONTRACT_PAYMENTS)
    payments = [office.make(office.midday(day)) for _ in range(count)]
    office.enter(payments)
    office.record(payments)
    sandbox.did("s3:PutObject, dynamodb:BatchWriteItem", f"{count:,} payments of {day}")
    mark = sandbox.mark()
    Schedule.of(sandbox).fire(office.scheduled(day))
    wrong = office.reported(day, 900)
    needed_s = slowness_s(sandbox, count, mark)
    limit_s = max((sandbox.function(name).timeout_s for name in sandbox.stack.functions), default=0)
    if wrong:
        quiet(sandbox)
        return failed(
            f"{count:,} payments: {wrong[0]}.",
            expected="the whole day within the function's limits",
            look="memory and time of the REPORT line",
        )
    if needed_s > limit_s:
        return failed(
            f"At this rate {CONTRACT_PAYMENTS:,} payments take {needed_s:.0f} s of waiting for the"
            f" table alone; your function may run {limit_s} s.",
            expected="the whole day within the function's own time limit",
            look="how many payments a call to DynamoDB brings",
            hint="A query brings up to 1 MB of items.",
        )
    return passed(f"{count:,} payments were reported; {CONTRACT_PAYMENTS:,} fit as well.")


def slowness_s(sandbox: Sandbox, count: int, mark: Mark) -> float:
    """How long the contract's day would wait for AWS's table, judged by the calls for a smaller one."""
    calls = [
        event
        for event in sandbox.timeline(mark)
        if event["kind"] == "api"
        and event["subject"].removeprefix("dynamodb:") in READS
        and event["detail"].get("environment_id")
    ]
    sandbox.saw("calls that read the table", f"{len(calls):,} for {count:,} payments")
    ends = sorted(
        (dt.datetime.fromisoformat(text), change)
        for event in calls
        for text, change in ((event["detail"]["started"], 1), (event["at"], -1))
    )
    at_a_time = most = 0
    for _moment, change in ends:
        at_a_time += change
        most = max(most, at_a_time)
    return len(calls) * CONTRACT_PAYMENTS / count * CALL_S / max(most, 1)


@check(
    id="r3", points=6, dimension=RES, visibility=H, needs={"SCH", "EB"}, after=the_nightly_run_reports_the_day
)
def runs_at_once_do_not_collide(sandbox: Sandbox) -> Finding:
    """Runs for one day at the same time leave one whole report and one event."""
    office, schedule = Office(sandbox), Schedule.of(sandbox)
    first = office.another_day()
    count = sandbox.budget(emulated=1, real=REAL_DAYS_AT_ONCE)
    days = [first + DAY * number for number in range(count)]
    with listener(sandbox) as accounting, meeting(sandbox):
        for day in days:
            payments = [office.make(office.midday(day)) for _ in range(40)]
            office.enter(payments, files=10)
            office.record(payments[1:])
            for _ in range(RUNS_AT_ONCE):
                schedule.fire(office.scheduled(day))
            sandbox.settle(timeout_s=60.0)
            sandbox.advance(TURNS_S)
        wrong = {day: faults[0] for day in days if (faults := office.reported(day))}
        heard = {day: accounting.of(day) for day in days}
    sandbox.saw("our rule", ", ".join(f"{day}: {count} events" for day, count in heard.items()))
    if not wrong and set(heard.values()) == {1}:
        return passed("Runs at the same time left one report and one event for each day.")
    quiet(sandbox)
    day = next(iter(wrong), None) or max(heard, key=lambda each: abs(heard[each] - 1))
    what = wrong.get(day) or f"{heard[day]} events for one report"
    return failed(
        f"{RUNS_AT_ONCE} runs for {day} were started at the same time: {what}.",
        expected="one whole report and one event",
        look="what keeps a run from writing what another one is writing",
        hint="Between reading that nothing is there and writing it, somebody else may write.",
    )


@contextmanager
def meeting(sandbox: Sandbox) -> Iterator[None]:
    """Functions that are about to write an object wait for each other, where a backend can have them."""
    if not sandbox.budget(emulated=True, real=False):
        yield
        return
    with sandbox.fault("calls.meet", operation="s3:PutObject"):
        sandbox.did("fault calls.meet", "no run writes while another one has not come as far")
        yield


@check(
    id="r2", points=8, dimension=RES, visibility=N, needs={"IE", "SCH"}, after=the_nightly_run_reports_the_day
)
def a_run_that_fails_ends_in_the_queue(sandbox: Sandbox) -> Finding:
    """When the table can't be read a run is tried a few times, and the dead-letter queue names its date."""
    office, schedule = Office(sandbox), Schedule.of(sandbox)
    day = office.another_day()
    payments = [office.make(office.midday(day))]
    office.enter(payments)
    office.record(payments)
    policy = schedule.target.get("RetryPolicy") or {}
    faults = []
    if not 0 <= policy.get("MaximumRetryAttempts", 185) <= RETRIES_LIMIT:
        faults.append(f"the schedule retries {policy.get('MaximumRetryAttempts', 185)} times")
    if policy.get("MaximumEventAgeInSeconds", 86_400) > AGE_LIMIT_S:
        faults.append(f"the schedule retries for {policy.get('MaximumEventAgeInSeconds', 86_400):,} s")
    if not (schedule.target.get("DeadLetterConfig") or {}).get("Arn"):
        faults.append("the schedule has no dead-letter queue")
    for fault in faults:
        sandbox.saw("scheduler:GetSchedule", fault)
    names = (str(day), f"{office.scheduled(day):%Y-%m-%dT%H:%M}")
    mark = sandbox.mark()
    with denied_reads(sandbox):
        schedule.fire(office.scheduled(day))
        sandbox.did("iam:PutRolePolicy", "reading the table denied")
        told = sandbox.eventually(lambda: named(sandbox, names), RETRIES_S)
        runs = max((len(sandbox.invocations(name, mark)) for name in sandbox.stack.functions), default=0)
        claimed = office.report(day)
    quiet(sandbox)
    sandbox.saw("sqs:ReceiveMessage", "a message with the date" if told else "no message with the date")
    sandbox.saw("invocations", f"{runs}", since=mark)
    if claimed is not None:
        faults.append("there is a report of a day that could not be read")
    if not told:
        faults.append("no message in the dead-letter queue names the date")
    if runs > RETRIES_LIMIT + 1:
        faults.append(f"the function was invoked {runs} times")
    if faults:
        return failed(
            f"A run that fails for good: {faults[0]}.",
            expected=f"at most {RETRIES_LIMIT} retries, then a message with {names[0]} or the scheduled time",
            look="RetryPolicy and DeadLetterConfig of the schedule, on-failure destination of the function",
            hint="Scheduler invokes a function asynchronously: what fails there is Lambda's to retry.",
        )
    return passed(f"{runs} attempts, then a message that names {day}.")


@contextmanager
def denied_reads(sandbox: Sandbox) -> Iterator[None]:
    """No function of the stack may read a table."""
    actions = ["dynamodb:Query", "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Scan"]
    with ExitStack() as faults:
        for name in sandbox.stack.functions:
            faults.enter_context(sandbox.fault("deny", function=name, actions=actions))
        yield


def named(sandbox: Sandbox, names: Sequence[str]) -> bool:
    """Whether a message in the dead-letter queue has one of these texts."""
    client, url = sandbox.client("sqs"), sandbox.output("DeadLetterQueueUrl")
    while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        texts = [message["Body"] for message in messages]
        if any(name in text for name in names for text in texts):
            return True
    return False


@rights
def work_of_the_contract(sandbox: Sandbox, function: FunctionView) -> list[Right]:
    """What the contract lists; a failure's message may be sent though nothing fails for good."""
    here = f"{sandbox.region}:{sandbox.account_id}"
    group = f"arn:aws:logs:{here}:log-group:{function.log_group}"
    ledger, reports = (
        f"arn:aws:s3:::{sandbox.output(name)}" for name in ("LedgerBucketName", "ReportsBucketName")
    )
    payments = sandbox.output("PaymentsTableName")
    locks = [
        f"arn:aws:dynamodb:{here}:table/{name}"
        for name in sandbox.stack.of_type("AWS::DynamoDB::Table")
        if name != payments
    ]
    return [
        right("s3:ListBucket", [ledger, reports]),
        right("s3:GetObject", [f"{ledger}/ledger/*", f"{reports}/reports/*"]),
        right("s3:PutObject", f"{reports}/reports/*"),
        right(
            ["dynamodb:Query", "dynamodb:GetItem", "dynamodb:BatchGetItem"],
            f"arn:aws:dynamodb:{here}:table/{payments}",
        ),
        *(
            right(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"], arn)
            for arn in locks
        ),
        right("events:PutEvents", f"arn:aws:events:{here}:event-bus/default"),
        right("sqs:SendMessage", sandbox.queue_arn(sandbox.output("DeadLetterQueueUrl")), needed=True),
        right(["logs:CreateLogStream", "logs:PutLogEvents"], f"{group}:*", needed=True),
        right("logs:CreateLogGroup", [group, f"{group}:*"]),
    ]


def starting_rights(sandbox: Sandbox) -> dict[str, list[Right]]:
    """What the roles of the schedule and of state machines may have, by their ARNs."""
    target = Schedule.of(sandbox).target
    started = str(target["Arn"])
    dead = sandbox.queue_arn(sandbox.output("DeadLetterQueueUrl"))
    of_schedule = str((target.get("DeadLetterConfig") or {}).get("Arn") or dead)
    found = {
        str(target["RoleArn"]): [
            right("states:StartExecution", started)
            if ":states:" in started
            else right("lambda:InvokeFunction", [started, f"{started}:*"]),
            right("sqs:SendMessage", [dead, of_schedule]),
        ]
    }
    for machine in sandbox.stack.of_type("AWS::StepFunctions::StateMachine"):
        told = sandbox.client("stepfunctions").describe_state_machine(stateMachineArn=machine)
        arns = [sandbox.function(name).arn for name in sandbox.stack.functions]
        found[str(told["roleArn"])] = [
            right("lambda:InvokeFunction", [each for arn in arns for each in (arn, f"{arn}:*")]),
            right("sqs:SendMessage", dead),
        ]
    return found


@check(id="s1", points=8, dimension=SEC, visibility=V, needs={"IS"}, static=True)
def roles_may_do_their_work(sandbox: Sandbox) -> Finding:
    """The roles of function and schedule allow what the contract lists, and nothing else."""
    return sandbox.judge_rights(*sandbox.stack.functions, points=8, each=2, roles=starting_rights(sandbox))


@check(id="i1", points=4, dimension=IAC, visibility=V, needs={"CF"}, static=True)
def the_schedule_has_a_time_zone(sandbox: Sandbox) -> Finding:
    """The schedule runs at the given time by the head office's clock, and logs expire."""
    settings = Schedule.of(sandbox).settings
    given = as_stack_parameters(dict(sandbox.parameters))
    zone = settings.get("ScheduleExpressionTimezone") or "UTC"
    faults = []
    if zone != given["TimeZone"]:
        faults.append(f"the schedule's time zone is {zone}, not {given['TimeZone']}")
    if settings["ScheduleExpression"] != given["RunAt"]:
        faults.append(f"the schedule's expression is {settings['ScheduleExpression']}, not {given['RunAt']}")
    if settings.get("State") == "DISABLED":
        faults.append("the schedule is disabled")
    faults += sandbox.log_group_faults(sandbox.stack.functions)
    for fault in faults:
        sandbox.saw("configuration", fault)
    if faults:
        return failed(
            f"{len(faults)} settings are not as the contract has them: {faults[0]}.",
            expected="RunAt and TimeZone as expression and time zone, logs kept 1 to 90 days",
            look="AWS::Scheduler::Schedule and AWS::Logs::LogGroup in template.yaml",
        )
    return passed(f"The schedule runs by the clock of {zone}, and logs expire.")


@check(
    id="o1", points=8, dimension=OBS, visibility=N, needs={"CA", "VC"}, after=the_nightly_run_reports_the_day
)
def a_night_without_a_run_is_noticed(sandbox: Sandbox) -> Finding:
    """The alarm is OK after a run that succeeded, and rings when none has succeeded since the last night."""
    office, schedule = Office(sandbox), Schedule.of(sandbox)
    quiet(sandbox)
    day = office.another_day()
    fault = alarm_fault(office, day, "no run was started", schedule.disabled) or alarm_fault(
        office, day + DAY, "every run failed", lambda: denied_reads(sandbox)
    )
    if fault is not None:
        return fault
    return passed(
        f"The alarm is OK {OK_HOURS} hours after a run, and rings within {ALARM_HOURS} when no run was"
        " started and when every run failed."
    )


def alarm_fault(
    office: Office, day: dt.date, what: str, outage: Callable[[], AbstractContextManager[None]]
) -> Finding | None:
    """What is wrong with the alarm in the hours after a day's run that succeeded; None when nothing is."""
    sandbox, name = office.sandbox, office.sandbox.output("NotRunAlarmName")
    payments = [office.make(office.midday(day))]
    office.enter(payments)
    office.record(payments)
    Schedule.of(sandbox).fire(office.scheduled(day))
    if wrong := office.reported(day):
        return failed(f"The run before the outage did not succeed: {wrong[0]}.", look="the function's log")
    sandbox.settle(timeout_s=60.0)
    states = []
    with outage():
        for _ in range(ALARM_HOURS):
            sandbox.advance(3_600)
            states.append(sandbox.alarm_state(name))
    quiet(sandbox)
    changes = [
        f"{state} after {hour} h"
        for hour, (before, state) in enumerate(zip(["", *states], states, strict=False), start=1)
        if state != before
    ]
    sandbox.saw("cloudwatch:DescribeAlarms", f"{name}: {', '.join(changes)}; {what}")
    calm = states[1:OK_HOURS]
    if set(calm) != {"OK"}:
        hour = next(hour for hour, state in enumerate(calm, start=2) if state != "OK")
        return failed(
            f"The alarm was {calm[hour - 2]} {hour} hours after a run that succeeded.",
            expected=f"OK until the next night's run, up to {OK_HOURS} hours later",
            look="metric, dimensions, period and number of periods of the alarm",
        )
    if states[-1] != "ALARM":
        return failed(
            f"{ALARM_HOURS} hours after the last run that succeeded the alarm was {states[-1]}:"
            f" {what} since.",
            expected="ALARM",
            look="which runs the metric counts, and TreatMissingData of the alarm",
            hint="A job that does not run reports nothing at all.",
        )
    return None
