"""Supplier invoice intake: every valid row once, whatever suppliers and services do."""

import datetime as dt
import json
import random as randomness
from collections.abc import Iterator, Mapping
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
    Mark,
    N,
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

ITEM = ("supplierId", "invoiceNo", "lineNo", "description", "quantity", "unitPrice", "amount")
COLUMNS = ("supplierId", "invoiceNo", "lineNo", "description", "quantity", "unitPrice")
GOODS = ("Angle plate", "Bolts M8", "Cable ties", "Ducts", "Gaskets", "Hinges", "Lamp oil", "Washers")
NAMES = ("aas", "hobeda", "kuusk", "leppik", "mägi", "õunapuu", "rebane", "tamm", "võsa")
# The contract's long file. Where each write costs our own time the file is as heavy, with fewer, wider rows.
CONTRACT_ROWS = 20_000
WIDE_ROWS, WIDE_CHARACTERS = 800, 10_000
# What DynamoDB takes for a write at best; it promises "single-digit millisecond" answers.
# Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Introduction.html
WRITE_S = 0.005
WRITES = ("BatchWriteItem", "PutItem", "UpdateItem", "TransactWriteItems", "ExecuteStatement")
# Of every BatchWriteItem, so that each large batch comes back with something to send again.
UNPROCESSED_SHARE = 0.04
# Retries of asynchronous invocations take 3 minutes; a queue's take its visibility timeout each.
RETRIES_S = 1_800
SETTLE_S = 8
WATCH_S = 30


# --- the seed


@parameters
def draw(random: randomness.Random) -> dict[str, Any]:
    """How files are written, and who writes them."""
    return {
        "delimiter": random.choice([";", "|"]),
        "decimal": random.choice([",", "."]),
        "columns": random.sample(COLUMNS, len(COLUMNS)),
        "suppliers": [f"S-{number}" for number in random.sample(range(100, 1_000), 4)],
    }


@stack_parameters
def as_stack_parameters(parameters: dict[str, Any]) -> dict[str, str]:
    """How files are written goes in as the stack's parameters."""
    return {"Delimiter": parameters["delimiter"], "DecimalSeparator": parameters["decimal"]}


# --- the truth: files and what is in them


@dataclass(frozen=True, slots=True)
class Row:
    """A valid row."""

    supplier: str
    invoice: str
    line: int
    description: str
    quantity: int
    price: Decimal

    @property
    def amount(self) -> Decimal:
        """What it costs."""
        return self.quantity * self.price

    def as_item(self) -> tuple[Any, ...]:
        """What its item must say, in the order of :func:`as_told`."""
        key = (self.supplier, self.invoice, self.line)
        return (*key, self.description, self.quantity, self.price, self.amount)


@dataclass(slots=True)
class File:
    """An invoice file: its valid rows, its bad ones by line number, and its text."""

    key: str
    rows: list[Row] = field(default_factory=list)
    bad: dict[int, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def name(self) -> str:
        """The key without the prefix, as results carry it."""
        return self.key.removeprefix("incoming/")

    @property
    def total(self) -> str:
        """The sum of the valid rows."""
        return f"{sum((row.amount for row in self.rows), Decimal(0)):.2f}"

    def __str__(self) -> str:
        bad = f", {len(self.bad)} of them bad" if self.bad else ""
        return f"{self.key} ({len(self.rows) + len(self.bad):,} rows{bad})"


@dataclass(frozen=True, slots=True)
class Clerk:
    """Writes files as this seed's suppliers do."""

    parameters: Mapping[str, Any]
    random: randomness.Random

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Clerk":
        """A clerk with the check's own randomness."""
        return cls(sandbox.parameters, sandbox.random)

    def key(self, prefix: str = "incoming/", suffix: str = ".csv") -> str:
        """A key that nobody has used."""
        return (
            f"{prefix}{self.random.choice('abdeghiklmnoprstuv')}-{self.random.getrandbits(40):010x}{suffix}"
        )

    def file(self, key: str = "", *, rows: int = 0, bad: int = 0, characters: int = 0) -> File:
        """A file with some rows, in which ``bad`` further rows break a rule each.

        Each description goes on for ``characters`` more.
        """
        found = File(key or self.key())
        count = rows or self.random.randrange(6, 12)
        marks = [False] * count + [True] * bad
        self.random.shuffle(marks)
        lines = [self.parameters["columns"]]
        invoice = f"I{self.random.getrandbits(48):012x}"
        supplier = self.random.choice(self.parameters["suppliers"])
        more = " ".join(self.random.choices(GOODS, k=characters // 4))
        for line, broken in enumerate(marks, 2):
            start = self.random.randrange(characters or 1)
            wider = more[start : start + characters].strip()
            row = self._row(supplier, f"{invoice}-{line // 500}", line % 500 + 1, wider)
            cells = self._cells(row)
            if broken:
                cells, found.bad[line] = self._broken(cells)
            else:
                found.rows.append(row)
            lines.append(cells)
        found.body = "".join(map(self._written, lines)).encode()
        return found

    def _row(self, supplier: str, invoice: str, line: int, more: str) -> Row:
        random = self.random
        description = f"{random.choice(GOODS)} {more}".strip()
        if random.random() < 0.2:
            description += f"{self.parameters['delimiter']} {random.choice(['black', 'zinc', 'õli'])}"
        price = Decimal(random.randrange(1, 90_000)) / 100
        return Row(supplier, invoice, line, description, random.randrange(1, 400), price)

    def _cells(self, row: Row) -> list[str]:
        written = {
            "supplierId": row.supplier,
            "invoiceNo": row.invoice,
            "lineNo": str(row.line),
            "description": row.description,
            "quantity": str(row.quantity),
            "unitPrice": f"{row.price:.2f}".replace(".", self.parameters["decimal"]),
        }
        return [written[column] for column in self.parameters["columns"]]

    def _written(self, cells: list[str]) -> str:
        """A line as RFC 4180 has it: cells are quoted where they have to be."""
        delimiter = self.parameters["delimiter"]
        return delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in cells) + "\n"

    def _broken(self, cells: list[str]) -> tuple[list[str], str]:
        random = self.random
        reason = random.choice(["WRONG_COLUMN_COUNT", "MISSING_FIELD", "BAD_NUMBER"])
        place = random.randrange(len(cells))
        if reason == "WRONG_COLUMN_COUNT":
            return (cells[:-1] if random.random() < 0.5 else [*cells, "copy"]), reason
        if reason == "BAD_NUMBER":
            column, text = random.choice(
                [("quantity", "many"), ("quantity", "0"), ("unitPrice", "n/a"), ("lineNo", "-3")]
            )
            place = self.parameters["columns"].index(column)
            return [*cells[:place], text, *cells[place + 1 :]], reason
        return [*cells[:place], "", *cells[place + 1 :]], reason


# --- the stack, through its outputs


@dataclass(frozen=True, slots=True)
class Intake:
    """The learner's intake as the contract names it."""

    sandbox: Sandbox
    bucket: str
    results: str
    table: str

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Intake":
        """The intake of this stack."""
        bucket = sandbox.output("IntakeBucketName")
        results = sandbox.outputs.get("ResultsBucketName") or bucket
        return cls(sandbox, bucket, results, sandbox.output("InvoicesTableName"))

    def upload(self, file: File) -> None:
        """Put a file into the bucket, as a supplier does."""
        self.sandbox.client("s3").put_object(Bucket=self.bucket, Key=file.key, Body=file.body)
        self.sandbox.did("s3:PutObject", f"s3://{self.bucket}/{file}")

    def items(self, file: File) -> list[tuple[Any, ...]]:
        """The items of a file's invoices, sorted."""
        numbers = sorted({row.invoice for row in file.rows})
        names = {f":v{place}": {"S": number} for place, number in enumerate(numbers)}
        pages = (
            self.sandbox.client("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=self.table,
                ConsistentRead=True,
                FilterExpression=f"invoiceNo IN ({', '.join(names)})",
                ExpressionAttributeValues=names,
            )
        )
        return sorted((as_told(item) for page in pages for item in page["Items"]), key=str)

    def count(self) -> int:
        """How many items the table has."""
        pages = self.sandbox.client("dynamodb").get_paginator("scan")
        return sum(
            page["Count"]
            for page in pages.paginate(TableName=self.table, Select="COUNT", ConsistentRead=True)
        )

    def result(self, folder: str, file: File) -> dict[str, Any] | None:
        """A result object of a file, decoded; None when there is none."""
        key = f"{folder}/{file.name}.json"
        client = self.sandbox.client("s3")
        try:
            body = client.get_object(Bucket=self.results, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
        try:
            found = json.loads(body)
        except ValueError:
            found = {"not JSON": body[:80].decode("utf-8", "replace")}
        return found if isinstance(found, dict) else {"not an object": found}

    def invocations(self, since: Mark) -> int:
        """How often the most invoked function of the stack ran since a moment."""
        return max(
            (len(self.sandbox.invocations(name, since)) for name in self.sandbox.stack.functions), default=0
        )

    def stored(self, file: File, budget_s: float = 10.0) -> bool:
        """Whether a file's items and summary are there in time; says what is in the evidence."""
        summary = self.sandbox.eventually(lambda: self.result("processed", file), budget_s)
        found: list[tuple[Any, ...]] = []

        def arrived() -> bool:
            found[:] = self.items(file)
            return len(found) >= len(file.rows)

        self.sandbox.eventually(arrived, budget_s)
        self.sandbox.saw("dynamodb:Scan", f"{len(found)} items of {file.name}")
        self.sandbox.saw("s3:GetObject", f"processed/{file.name}.json: {summary or 'not there'}")
        return not self.faults(file, found, summary)

    def faults(
        self, file: File, found: list[tuple[Any, ...]], summary: Mapping[str, Any] | None
    ) -> list[str]:
        """How items and summary of a file differ from the truth."""
        expected = sorted((row.as_item() for row in file.rows), key=str)
        faults = []
        if len(found) != len(expected):
            faults.append(f"{len(found)} items, expected {len(expected)}")
        elif found != expected:
            pair = next(pair for pair in zip(found, expected, strict=True) if pair[0] != pair[1])
            faults += [
                f"an item says {name} {told}, expected {true}"
                for name, told, true in zip(ITEM, *pair, strict=True)
                if told != true
            ][:2]
        wanted = {
            "file": file.key,
            "rowsIngested": len(file.rows),
            "rowsRejected": len(file.bad),
            "total": file.total,
        }
        told = summary or {}
        faults += [
            f"processed/{file.name}.json: {key} {told.get(key)!r}, expected {value!r}"
            for key, value in wanted.items()
            if summary is not None and told.get(key) != value
        ]
        return faults + ([] if summary is not None else [f"no processed/{file.name}.json"])

    def quiet(self) -> None:
        """Let everything run out: retries, and a function that goes on triggering itself."""
        if not self.sandbox.settle(timeout_s=2.0).settled:
            with self.sandbox.bucket(self.bucket).unplugged():
                self.sandbox.settle(timeout_s=20.0)
        due_s = self.sandbox.settle(timeout_s=5.0).next_due_s
        if due_s is not None and due_s < RETRIES_S:
            self.sandbox.advance(RETRIES_S)


def as_told(item: Mapping[str, Any]) -> tuple[Any, ...]:
    """What an item says: numbers as numbers, whatever the table's key is."""
    texts = [item.get(name, {}).get("S") for name in ("supplierId", "invoiceNo")]
    numbers = [number(item.get(name, {}).get("N")) for name in ("lineNo", "quantity", "unitPrice", "amount")]
    return (*texts, numbers[0], item.get("description", {}).get("S"), *numbers[1:])


def number(text: Any) -> Decimal | None:
    """A DynamoDB number."""
    try:
        return Decimal(text)
    except (InvalidOperation, TypeError, ValueError):
        return None


# --- what must be observed


@check(id="f1", points=12, dimension=FUN, visibility=V, needs={"S3N", "LX"})
def rows_become_items(sandbox: Sandbox) -> Finding:
    """Every row of an uploaded invoice becomes one item, and the summary is right."""
    intake = Intake.of(sandbox)
    file = Clerk.of(sandbox).file()
    mark = sandbox.mark()
    intake.upload(file)
    if intake.stored(file):
        return passed(f"{len(file.rows)} rows became {len(file.rows)} items, total {file.total}.")
    count = intake.invocations(mark)
    sandbox.saw(
        "invocations", f"{count} of {', '.join(sandbox.stack.functions) or 'no function'}", since=mark
    )
    faults = intake.faults(file, intake.items(file), intake.result("processed", file))
    intake.quiet()
    if not count:
        return failed(
            "The uploaded invoice never reached your function.",
            expected=f"{len(file.rows)} items",
            look="NotificationConfiguration of the bucket, and who may invoke the function",
        )
    return failed(
        f"{len(file.rows)} rows were taken in wrongly: {faults[0] if faults else 'too late'}.",
        expected=f"{len(file.rows)} items with exact fields, total {file.total}",
        look="the function's log; Delimiter, DecimalSeparator and the header say how the file is written",
    )


@check(id="f2", points=8, dimension=FUN, visibility=N, needs={"S3N"}, after=rows_become_items)
def names_people_write_are_fine(sandbox: Sandbox) -> Finding:
    """Files whose names have spaces, plus signs, percent signs and accents are taken in."""
    intake, clerk = Intake.of(sandbox), Clerk.of(sandbox)
    names = [
        f"{clerk.random.choice(NAMES)}{middle}{clerk.random.choice(NAMES)} {clerk.random.getrandbits(24):06x}"
        for middle in (" ", "+", " 50% ", " & ", "%2B")
    ]
    files = [clerk.file(f"incoming/{name}.csv", rows=3) for name in [*names, f"mägi é {names[0]}"]]

    def taken_in(file: File) -> bool:
        intake.upload(file)
        return intake.stored(file)

    lost = [file for file in files if not taken_in(file)]
    if not lost:
        return passed(f"{len(files)} of {len(files)} files were taken in.")
    intake.quiet()
    names_lost = ", ".join(f"`{file.key}`" for file in lost)
    return failed(
        f"{len(lost)} of {len(files)} files were not taken in: {names_lost}.",
        expected="items and a summary for each",
        look="what the event has as object key, and what you ask S3 for",
        hint="S3 notifications carry keys encoded as in a web form.",
        docs="https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html",
    )


@check(id="f5", points=8, dimension=FUN, visibility=N, needs={"LX"}, after=rows_become_items)
def bad_rows_are_handed_back(sandbox: Sandbox) -> Finding:
    """Good rows are stored, and bad ones handed back with line number and reason."""
    intake = Intake.of(sandbox)
    file = Clerk.of(sandbox).file(rows=11, bad=7)
    intake.upload(file)
    stored = intake.stored(file)
    rejected = sandbox.eventually(lambda: intake.result("rejected", file), 5)
    rows = (rejected or {}).get("rows", ())
    told = {row.get("line"): row.get("reason") for row in rows if isinstance(row, Mapping)}
    sandbox.saw("s3:GetObject", f"rejected/{file.name}.json: {json.dumps(rejected)[:300]}")
    right = told == file.bad and len(rows) == len(file.bad) and (rejected or {}).get("file") == file.key
    intake.quiet()
    if stored and right:
        return passed(f"{len(file.rows)} rows were stored and {len(file.bad)} handed back.")
    problem = "the bad rows were handed back wrongly" if stored else "the good rows were not all stored"
    return failed(
        f"Of {len(file.rows)} good and {len(file.bad)} bad rows, {problem}.",
        expected=f"lines and reasons {json.dumps(file.bad)}",
        look=f"rejected/{file.name}.json and the function's log",
        hint="One bad row is one entry in the list, not the end of the file.",
    )


@check(id="f6", points=7, dimension=FUN, visibility=H, needs={"LX"}, after=rows_become_items)
def again_changes_nothing(sandbox: Sandbox) -> Finding:
    """An event delivered again changes nothing, and an event with two records is handled whole."""
    intake, clerk = Intake.of(sandbox), Clerk.of(sandbox)
    once = clerk.file()
    intake.upload(once)
    if not intake.stored(once):
        intake.quiet()
        return failed("A file was not taken in the first time.", look="the function's log")
    bucket = sandbox.bucket(intake.bucket)
    bucket.announce([once.key])
    sandbox.did("the same S3 event again", once.key)
    sandbox.settle()
    found = intake.items(once)
    sandbox.saw("dynamodb:Scan", f"{len(found)} items of {once.name} after the repeated event")
    again = intake.faults(once, found, intake.result("processed", once))
    pair = [clerk.file(), clerk.file()]
    with bucket.unplugged():
        for file in pair:
            intake.upload(file)
    bucket.announce([file.key for file in pair])
    sandbox.did("one S3 event with two records", " and ".join(file.key for file in pair))
    halves = [file for file in pair if not intake.stored(file)]
    intake.quiet()
    if again:
        return failed(
            f"The same event again changed the ledger: {again[0]}.",
            expected=f"{len(once.rows)} items, total {once.total}",
            look="what an item's key is made of",
            hint="A key made of the row's own identity turns a repeated write into the same write.",
        )
    if halves:
        return failed(
            f"{len(halves)} of 2 files announced together were not taken in.",
            expected="every record of an event handled",
            look="how the handler walks event['Records']",
        )
    return passed("A repeated event changed nothing, and both records of one event were handled.")


@check(id="f3", points=8, dimension=FUN, visibility=N, needs={"S3N"}, after=rows_become_items)
def other_objects_invoke_nothing(sandbox: Sandbox) -> Finding:
    """Objects outside the prefix or with another suffix invoke nothing and become nothing."""
    intake, clerk = Intake.of(sandbox), Clerk.of(sandbox)
    intake.quiet()
    first = clerk.file()

    def alive() -> bool:
        intake.upload(first)
        found = intake.stored(first)
        intake.quiet()
        return found

    others = [
        clerk.file(clerk.key("archive/")),
        clerk.file(clerk.key("")),
        clerk.file(clerk.key("incoming/", ".csv.tmp")),
        clerk.file(clerk.key("incoming/", ".tmp")),
    ]
    marks: list[Mark] = []

    def something() -> bool:
        if not marks:
            marks.append(sandbox.mark())
            for file in others:
                intake.upload(file)
        return bool(intake.invocations(marks[0]))

    silent = sandbox.never(something, SETTLE_S, control=alive)
    count = intake.invocations(marks[0])
    items = sum(len(intake.items(file)) for file in others)
    sandbox.saw("invocations", f"{count} in {SETTLE_S} s", since=marks[0])
    sandbox.saw("dynamodb:Scan", f"{items} items of these files")
    if silent and not items:
        return passed(f"{len(others)} other objects invoked nothing in {SETTLE_S} s.")
    return failed(
        f"{len(others)} objects that are no invoices caused {count} invocations and {items} items.",
        expected="0 and 0",
        look="Filter of the NotificationConfiguration, or the pattern of the rule",
        hint="Returning early in code still costs an invocation for every object.",
    )


@check(id="r1", points=10, dimension=RES, visibility=N, needs={"S3N", "LG"}, after=rows_become_items)
def one_upload_one_invocation(sandbox: Sandbox) -> Finding:
    """One upload invokes a function once, though its results go to the same bucket."""
    intake = Intake.of(sandbox)
    intake.quiet()
    file = Clerk.of(sandbox).file(rows=5, bad=3)
    mark = sandbox.mark()
    intake.upload(file)
    written = sandbox.eventually(
        lambda: intake.result("processed", file) or intake.result("rejected", file), 10
    )
    stays = sandbox.never(lambda: intake.invocations(mark) > 1, WATCH_S)
    count = intake.invocations(mark)
    by_itself = itself(intake, file)
    sandbox.saw("invocations", f"{count} in {WATCH_S} s", since=mark)
    if by_itself:
        sandbox.saw("s3:ListObjectsV2", f"written under incoming/: {', '.join(by_itself[:3])}")
    intake.quiet()
    if count == 0 or (count == 1 and not written):
        return failed(
            f"1 upload caused {count} invocations and no result.",
            expected="1 invocation and its results",
            look="the function's log",
        )
    if stays and count == 1:
        return passed(f"1 upload, 1 invocation in {WATCH_S} s.")
    cause = f"; your function wrote `{by_itself[0]}`" if by_itself else ""
    return failed(
        f"1 upload caused {count} invocations in {WATCH_S} s{cause}.",
        expected="1 invocation",
        look="what your function writes, and which keys the notification lets through",
        hint="A function that writes where it listens calls itself.",
    )


def itself(intake: Intake, file: File) -> list[str]:
    """Objects beside an upload that the function made."""
    stem = file.key.removesuffix(".csv")
    page = intake.sandbox.client("s3").list_objects_v2(Bucket=intake.bucket, Prefix=stem)
    written = (item["Key"] for item in page.get("Contents", ()) if item["Key"] != file.key)
    return sorted(written, key=len)


@check(id="r2", points=8, dimension=RES, visibility=H, needs={"LA", "IE"}, after=rows_become_items)
def what_fails_is_tried_again(sandbox: Sandbox) -> Finding:
    """A write that fails once is repeated; one that fails for good is reported and not called processed."""
    intake, clerk = Intake.of(sandbox), Clerk.of(sandbox)
    once, forever = clerk.file(), clerk.file()
    with denied_writes(intake):
        mark = sandbox.mark()
        intake.upload(once)
        sandbox.eventually(lambda: intake.invocations(mark) >= 1, 10)
        sandbox.settle()
    retried = intake.stored(once, RETRIES_S)
    with denied_writes(intake):
        intake.upload(forever)
        sandbox.did("iam:PutRolePolicy", "table writes denied")
        told = sandbox.eventually(lambda: failure_of(intake, forever), RETRIES_S)
        claimed = intake.result("processed", forever)
    sandbox.saw("sqs:ReceiveMessage", "a message with the key" if told else "no message with the key")
    sandbox.saw("s3:GetObject", f"processed/{forever.name}.json: {claimed or 'not there'}")
    intake.quiet()
    if not retried:
        return failed(
            "Rows whose first write was denied never arrived, though the right came back.",
            expected="the rows after a retry",
            look="what your handler does with an exception",
            hint="An exception that is caught and logged looks like success to Lambda.",
        )
    if claimed is not None:
        return failed(
            "A file whose rows could not be written is marked as processed.",
            expected="no object under processed/",
            look="the order of writes and summary",
        )
    if not told:
        return failed(
            "A file that failed for good left no message in the failure queue.",
            expected=f"a message that contains `{forever.key}`",
            look="on-failure destination, dead-letter queue, and the right to send to it",
        )
    return passed("The denied write was repeated, and the hopeless one ended in the failure queue.")


@contextmanager
def denied_writes(intake: Intake) -> Iterator[None]:
    """No function of the stack may write to a table."""
    actions = ["dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:PartiQL*"]
    with ExitStack() as faults:
        for name in intake.sandbox.stack.functions:
            faults.enter_context(intake.sandbox.fault("deny", function=name, actions=actions))
        yield


def failure_of(intake: Intake, file: File) -> bool:
    """Whether a message in the failure queue names a file."""
    client = intake.sandbox.client("sqs")
    url = intake.sandbox.output("FailureQueueUrl")
    while True:
        page = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        messages = page.get("Messages", ())
        if not messages:
            return False
        for message in messages:
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        if any(file.name in message["Body"] for message in messages):
            return True


@rights
def work_of_the_contract(sandbox: Sandbox, function: FunctionView) -> list[Right]:
    """What the contract lists; a failure's message may be sent though nothing fails for good."""
    intake = Intake.of(sandbox)
    bucket, results = f"arn:aws:s3:::{intake.bucket}", f"arn:aws:s3:::{intake.results}"
    here = f"{sandbox.region}:{sandbox.account_id}"
    group = f"arn:aws:logs:{here}:log-group:{function.log_group}"
    failures = sandbox.queue_arn(sandbox.output("FailureQueueUrl"))
    sources = mapped_queues(sandbox, function)
    return [
        right("s3:GetObject", f"{bucket}/incoming/*"),
        right("s3:PutObject", [f"{results}/processed/*", f"{results}/rejected/*"]),
        right(
            ["dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            f"arn:aws:dynamodb:{here}:table/{intake.table}",
        ),
        right("sqs:SendMessage", failures, needed=not sources),
        *(
            right(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], arn)
            for arn in sources
        ),
        right(["logs:CreateLogStream", "logs:PutLogEvents"], f"{group}:*", needed=True),
        right("logs:CreateLogGroup", [group, f"{group}:*"]),
    ]


def mapped_queues(sandbox: Sandbox, function: FunctionView) -> list[str]:
    """The queues that Lambda polls for a function."""
    page = sandbox.client("lambda").list_event_source_mappings(FunctionName=function.name)
    return [str(item["EventSourceArn"]) for item in page["EventSourceMappings"]]


@check(id="s1", points=10, dimension=SEC, visibility=V, needs={"IS"}, static=True, after=rows_become_items)
def the_function_may_do_its_work(sandbox: Sandbox) -> Finding:
    """The function's role allows what the contract lists, and nothing else."""
    return sandbox.judge_rights(*sandbox.stack.functions, points=10, each=2)


@check(id="s2", points=5, dimension=SEC, visibility=N, needs={"CF"}, static=True)
def buckets_are_closed(sandbox: Sandbox) -> Finding:
    """Buckets block public access, encrypt by default and refuse requests without TLS."""
    intake = Intake.of(sandbox)
    faults = [
        f"{bucket}: {fault}"
        for bucket in dict.fromkeys((intake.bucket, intake.results))
        for fault in sandbox.bucket(bucket).openings()
    ]
    for fault in faults:
        sandbox.saw("settings of the bucket", fault)
    if faults:
        return failed(
            f"{len(faults)} protections are missing.",
            look="PublicAccessBlockConfiguration, BucketEncryption and the bucket policy",
            expected="public access blocked, default encryption, TLS only",
        )
    return passed("Public access is blocked, data encrypted by default, and TLS required.")


@check(id="o1", points=6, dimension=OBS, visibility=N, needs={"CM"}, after=rows_become_items)
def metrics_count_rows(sandbox: Sandbox) -> Finding:
    """RowsIngested and RowsRejected count rows."""
    intake, clerk = Intake.of(sandbox), Clerk.of(sandbox)
    intake.quiet()
    names = ("RowsIngested", "RowsRejected")
    namespace = sandbox.output("MetricsNamespace")
    before = {name: sandbox.metric_sums(namespace, name) for name in names}
    files = [clerk.file(bad=clerk.random.randrange(1, 4)) for _ in range(5)]
    for file in files:
        intake.upload(file)
    truth = {
        "RowsIngested": sum(len(file.rows) for file in files),
        "RowsRejected": sum(len(file.bad) for file in files),
    }

    def told() -> dict[str, list[float]]:
        return {
            name: [
                total - before[name].get(key, 0.0)
                for key, total in sandbox.metric_sums(namespace, name).items()
            ]
            for name in names
        }

    sandbox.eventually(lambda: all(truth[name] in found for name, found in told().items()), 10)
    wrong = [name for name, found in told().items() if truth[name] not in found]
    for name, found in told().items():
        seen = ", ".join(f"{value:g}" for value in found) or "no data"
        sandbox.saw("cloudwatch:GetMetricStatistics", f"{name}: {seen}; truth {truth[name]}")
    if wrong:
        return failed(
            f"{' and '.join(wrong)} differ from the truth after 5 files.",
            expected=", ".join(f"{name} {value}" for name, value in truth.items()),
            look="the value that is counted for each file",
        )
    return passed(f"RowsIngested {truth['RowsIngested']}, RowsRejected {truth['RowsRejected']}.")


@check(id="i1", points=6, dimension=IAC, visibility=V, needs={"CF"}, static=True)
def only_this_bucket_may_call(sandbox: Sandbox) -> Finding:
    """Keys are filtered before the function, only this bucket may call it, and logs expire."""
    intake = Intake.of(sandbox)
    bucket = sandbox.bucket(intake.bucket)
    subscriptions = bucket.subscriptions()
    faults = [] if subscriptions else ["nobody hears of uploads to the bucket"]
    for target in subscriptions:
        if (target.prefix, target.suffix) != ("incoming/", ".csv"):
            told = f"`{target.prefix}*{target.suffix}`"
            faults.append(f"{target.name} hears of {told}, expected `incoming/*.csv`")
        if not bucket.admits_only_this_bucket(target):
            faults.append(f"{target.name}: what lets S3 call it names no bucket and account")
    faults += sandbox.log_group_faults(sandbox.stack.functions)
    for fault in faults:
        sandbox.saw("configuration", fault)
    if faults:
        return failed(
            f"{len(faults)} settings let in, or keep, more than they should.",
            look="NotificationConfiguration, AWS::Lambda::Permission or queue policy, AWS::Logs::LogGroup",
            hint="A bucket's ARN names no account: without SourceAccount anybody's bucket would do.",
        )
    return passed("Keys are filtered, only this bucket may call, and logs expire.")


@check(id="f4", points=8, dimension=FUN, visibility=H, needs={"LX", "DD"}, after=rows_become_items)
def a_long_file_arrives_whole(sandbox: Sandbox) -> Finding:
    """A long file becomes exactly as many items as it has rows, though DynamoDB refuses some writes."""
    intake, clerk = Intake.of(sandbox), Clerk.of(sandbox)
    rows = sandbox.budget(emulated=WIDE_ROWS, real=CONTRACT_ROWS)
    file = clerk.file(rows=rows, characters=sandbox.budget(emulated=WIDE_CHARACTERS, real=0))
    before = intake.count()
    mark = sandbox.mark()
    with sandbox.fault("dynamodb.unprocessed", share=UNPROCESSED_SHARE):
        sandbox.did(
            "fault dynamodb.unprocessed",
            f"every BatchWriteItem leaves {UNPROCESSED_SHARE:.0%} of its items unprocessed, at least one",
        )
        intake.upload(file)
        sandbox.eventually(lambda: intake.result("processed", file), 55)
        sandbox.settle(timeout_s=60.0)
    count = intake.count() - before
    summary = intake.result("processed", file)
    runs = [run for name in sandbox.stack.functions for run in sandbox.invocations(name, mark)]
    needed_s = slowness_s(sandbox, rows, mark)
    limit_s = max((sandbox.function(name).timeout_s for name in sandbox.stack.functions), default=0)
    sandbox.saw("dynamodb:Scan", f"{count:,} items more than before")
    sandbox.saw("s3:GetObject", f"processed/{file.name}.json: {summary or 'not there'}")
    sandbox.saw(
        "invocations", ", ".join(f"{run.outcome} ({run.duration_ms or 0:.0f} ms)" for run in runs[:5])
    )
    intake.quiet()
    if count != rows or (summary or {}).get("rowsIngested") != rows:
        return failed(
            f"{rows:,} rows ({len(file.body) / 1e6:.0f} MB) became {count:,} items.",
            expected=f"exactly {rows:,}",
            look="UnprocessedItems in the answer of BatchWriteItem, and memory and time of the REPORT line",
            hint="BatchWriteItem succeeds even when it leaves some of the items undone; it says which.",
        )
    if needed_s > limit_s:
        return failed(
            f"At this rate {CONTRACT_ROWS:,} rows take {needed_s:.0f} s of waiting for the table alone;"
            f" your function may run {limit_s} s.",
            expected=f"{CONTRACT_ROWS:,} rows within the function's own time limit",
            look="how many rows a call to DynamoDB carries, and how many calls wait at the same time",
            hint="BatchWriteItem carries 25 items.",
        )
    return passed(f"{rows:,} rows ({len(file.body) / 1e6:.0f} MB) became {count:,} items.")


def slowness_s(sandbox: Sandbox, rows: int, mark: Mark) -> float:
    """How long the contract's file would wait for AWS's table, judged by how a smaller one was written.

    The answer is on the learner's side: as many calls at a time as there ever were, and no time of the
    function's own. 0 where the file had all the rows, as then the time limit has judged by itself.
    """
    calls = [
        event
        for event in sandbox.timeline(mark)
        if event["kind"] == "api"
        and event["subject"].removeprefix("dynamodb:") in WRITES
        and event["detail"].get("environment_id")
    ]
    ends = sorted((moment, change) for event in calls for moment, change in span(event))
    at_a_time = most = 0
    for _moment, change in ends:
        at_a_time += change
        most = max(most, at_a_time)
    calls_needed = len(calls) * CONTRACT_ROWS / rows
    if calls:
        sandbox.saw("calls that write", f"{len(calls):,} for {rows:,} rows, at most {most} at a time")
    return 0.0 if rows == CONTRACT_ROWS else calls_needed * WRITE_S / max(most, 1)


def span(call: Mapping[str, Any]) -> tuple[tuple[dt.datetime, int], tuple[dt.datetime, int]]:
    """When a call began (one more is under way) and ended (one less; sorts first at the same moment)."""
    began, ended = (dt.datetime.fromisoformat(text) for text in (call["detail"]["started"], call["at"]))
    return (began, 1), (ended, -1)
