"""Loyalty members API: an HTTP API over a table, right for whoever calls, also at the same moment."""

import concurrent.futures
import json
import random as randomness
import re
import statistics
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from graders.api import (
    FUN,
    IAC,
    OBS,
    PERF,
    RES,
    SEC,
    AccessKeys,
    Finding,
    FunctionView,
    H,
    N,
    Right,
    Sandbox,
    V,
    WebAnswer,
    check,
    failed,
    overlay,
    parameters,
    passed,
    right,
    rights,
    stack_parameters,
)

# Each field under one of several names, so that no code can know them beforehand.
NAMES = {
    "mail": ("email", "emailAddress", "mailbox"),
    "phone": ("phone", "mobile", "telephone"),
    "card": ("cardNumber", "membershipCard", "cardId"),
    "name": ("name", "fullName", "displayName"),
    "balance": ("points", "balance", "credit"),
    "consent": ("newsletter", "consent", "mayContact"),
    "notes": ("notes", "remarks", "comment"),
}
SHOPS = ("berg", "fjord", "kuusk", "lumi", "meri", "saar")
AT_ONCE = 20
RIVALS = 10
READS = 60
SLOWER_AT_MOST = 2
RATE_AT_LEAST = 500
HUGE_BODY_BYTES = 2_000_000
NOBODY = "0d9f6c1e-5b7a-4b0e-9a52-6c1f3e8d7a40"
MUST_ALLOW_HEADERS = frozenset({"content-type", "authorization", "x-amz-date", "x-amz-security-token"})
# Exceptions as the runtimes write them, and what only AWS's own messages say.
_INSIDES = re.compile(
    r"arn:aws|Traceback|\bat \S+ \(\S+:\d+|\.(py|js|mjs|java|go)\W+(line )?\d+"
    r"|AccessDenied|not authorized|\w+Exception\b"
)


# --- the seed


@parameters
def draw(random: randomness.Random) -> dict[str, Any]:
    """The fields' names, limits and order, which of them is unique, the allowed origin, how many members."""
    names = {role: random.choice(choices) for role, choices in NAMES.items()}
    texts = {
        "mail": random.randrange(60, 160),
        "phone": random.randrange(18, 40),
        "card": random.randrange(20, 40),
        "name": random.randrange(40, 120),
        "notes": random.randrange(24_000, 32_000),
    }
    fields: dict[str, dict[str, Any]] = {
        role: {"type": "string", "maxLength": most, "required": role != "notes"}
        for role, most in texts.items()
    }
    fields["balance"] = {
        "type": "number",
        "minimum": random.randrange(0, 5),
        "maximum": random.randrange(100_000, 2_000_000),
        "required": True,
    }
    fields["consent"] = {"type": "boolean", "required": False}
    order = random.sample(sorted(fields), len(fields))
    return {
        "names": names,
        "unique": random.choice(["mail", "phone", "card"]),
        "fields": {role: fields[role] for role in order},
        "pageSize": random.randrange(12, 30),
        "members": random.randrange(120, 150),
        "origin": f"https://{random.choice(['app', 'shop', 'club'])}.{random.choice(SHOPS)}.example",
    }


@stack_parameters
def as_stack_parameters(parameters: dict[str, Any]) -> dict[str, str]:
    """The origin that browsers may call from."""
    return {"AllowedOrigin": parameters["origin"]}


@overlay
def files(parameters: dict[str, Any]) -> dict[str, bytes]:
    """The rules for members, under this seed's names."""
    names = parameters["names"]
    rules = {
        "fields": {names[role]: rule for role, rule in parameters["fields"].items()},
        "unique": names[parameters["unique"]],
        "pageSize": parameters["pageSize"],
    }
    return {"src/members.json": json.dumps(rules, indent=2).encode()}


# --- the shop that calls


@dataclass(frozen=True, slots=True)
class Shop:
    """Calls the API as an internal service does: signed, in JSON."""

    sandbox: Sandbox
    url: str
    keys: AccessKeys

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Shop":
        """The shop of this run, with the account's own keys."""
        return cls(sandbox, sandbox.output("ApiUrl").rstrip("/"), sandbox.account.keys)

    def name(self, role: str) -> str:
        """A field's name in this run."""
        return str(self.sandbox.parameters["names"][role])

    @property
    def unique(self) -> str:
        """The name of the field that no two members share."""
        return self.name(self.sandbox.parameters["unique"])

    def limit(self, role: str, bound: str) -> int:
        """A bound of a field."""
        return int(self.sandbox.parameters["fields"][role][bound])

    def person(self, *without: str, notes: int = 0) -> dict[str, Any]:
        """The fields of somebody nobody has registered; ``without`` roles that may be left out."""
        random = self.sandbox.random
        token = "".join(random.choices(string.ascii_lowercase, k=10))
        found = {
            "mail": f"{token}.{random.choice(SHOPS)}@example.test",
            "phone": f"+{random.randrange(10**11, 10**12)}",
            "card": f"LC-{random.randrange(10**12):012d}",
            "name": f"{token.title()} Õ. {random.choice(SHOPS).title()}",
            "balance": random.randrange(1_000, 9_999_999) / 100,
            "consent": random.random() < 0.5,
            "notes": (token + " ") * (notes // 11) or f"Came by {token}.",
        }
        return {self.name(role): value for role, value in found.items() if role not in without}

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        keys: AccessKeys | None = None,
        signed: bool = True,
        **headers: str,
    ) -> WebAnswer:
        """One request; a body that is bytes goes as it is. ``headers`` have ``_`` for ``-``."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if raw:
            told.setdefault("content-type", "application/json")
        signing = (keys or self.keys) if signed else None
        return self.sandbox.http(method, self.url + path, headers=told, body=raw, keys=signing)

    def create(self, person: Mapping[str, Any], **headers: str) -> WebAnswer:
        """Register somebody."""
        return self.ask("POST", "/members", person, **headers)

    def member(self, person: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A new member, as the API answered."""
        answer = self.create(person or self.person())
        found = answer.json
        return found if answer.status == 201 and isinstance(found, dict) else {}

    def at_once(self, calls: Sequence[Callable[[], WebAnswer]]) -> list[WebAnswer]:
        """Several requests at the same time, with the table as far away as it is on AWS."""
        with (
            self.sandbox.at_a_distance("dynamodb"),
            concurrent.futures.ThreadPoolExecutor(len(calls)) as pool,
        ):
            return [future.result() for future in [pool.submit(call) for call in calls]]


@dataclass(frozen=True, slots=True)
class Table:
    """What is in the table, whatever its keys are."""

    sandbox: Sandbox
    name: str

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Table":
        """The table of this stack."""
        return cls(sandbox, sandbox.output("MembersTableName"))

    def members(self, attribute: str, value: str) -> int:
        """How many members have this text in an attribute."""
        pages = (
            self.sandbox.client("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=self.name,
                ConsistentRead=True,
                FilterExpression="attribute_exists(#id) AND #a = :v",
                ExpressionAttributeNames={"#a": attribute, "#id": "id"},
                ExpressionAttributeValues={":v": {"S": value}},
            )
        )
        return sum(len(page["Items"]) for page in pages)

    def everything(self) -> list[str]:
        """All items, as text, in order."""
        pages = self.sandbox.client("dynamodb").get_paginator("scan")
        found = pages.paginate(TableName=self.name, ConsistentRead=True)
        return sorted(json.dumps(item, sort_keys=True) for page in found for item in page["Items"])


def problem_fault(answer: WebAnswer, *statuses: int) -> str:
    """What an answer lacks of being a problem with one of these statuses; empty when nothing."""
    if answer.status not in statuses:
        return f"answered {answer.describe()}, expected {' or '.join(map(str, statuses))}"
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return f"{answer.status} as {answer.headers.get('content-type')}, expected application/problem+json"
    found = answer.json
    if not isinstance(found, dict) or found.get("status") != answer.status or not found.get("title"):
        return f"{answer.describe()}: a problem has a title and its status"
    return ""


def same(found: Any, wanted: Mapping[str, Any], version: int) -> bool:
    """Whether a member has these fields and this version, an id, and nothing else; numbers as numbers."""
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        return False
    expected = {"id": found["id"], "version": version, **wanted}
    return found.keys() == expected.keys() and all(
        found[name] == value and isinstance(found[name], bool) == isinstance(value, bool)
        for name, value in expected.items()
    )


def verdict(sandbox: Sandbox, wrong: Sequence[str], good: str, *, of: str, rest: str, **told: Any) -> Finding:
    """Passed when nothing went wrong; else how many ``of`` what did, three of them as evidence."""
    if not wrong:
        return passed(good)
    for fault in wrong[:3]:
        sandbox.saw(told.get("source", "answer"), fault)
    told.pop("source", None)
    return failed(f"{len(wrong)} {of}{'' if len(wrong) == 1 else 's'} {rest}", **told)


# --- what must be observed


@check(id="f1", points=12, dimension=FUN, visibility=V, needs={"AH", "LX"})
def members_live_and_die(sandbox: Sandbox) -> Finding:
    """A member is created, read, changed and deleted, and numbers come back as they were sent."""
    shop, table = Shop.of(sandbox), Table.of(sandbox)
    balance = shop.name("balance")
    wrong: list[str] = []

    def expect(what: str, right: bool, answer: WebAnswer) -> None:
        sandbox.did(what, answer.describe())
        if not right:
            wrong.append(f"{what}: {answer.describe()}")

    for amount in (19.99, 250, 1234.5):
        person = {**shop.person(), balance: amount}
        answer = shop.create(person)
        member = answer.json if isinstance(answer.json, dict) else {}
        path = f"/members/{member.get('id')}"
        placed = answer.headers.get("location", "").endswith(path)
        expect("POST /members", answer.status == 201 and placed and same(member, person, 1), answer)
        if answer.status != 201:
            break
        if table.members("id", str(member.get("id"))) != 1:
            wrong.append(f"the table has no item with the id {member.get('id')}")
        answer = shop.ask("GET", path)
        expect(f"GET {path}", answer.status == 200 and same(answer.json, person, 1), answer)
        # All that can be changed, so that whether the rest stays is another check's question.
        changed = {**shop.person(), balance: round(amount + 0.25, 2)}
        del changed[shop.unique]
        answer = shop.ask("PATCH", path, {"version": 1, **changed})
        expect(f"PATCH {path}", answer.status == 200 and same(answer.json, {**person, **changed}, 2), answer)
        answer = shop.ask("DELETE", path)
        expect(f"DELETE {path}", answer.status == 204, answer)
        answer = shop.ask("GET", path)
        expect(f"GET {path} afterwards", not problem_fault(answer, 404), answer)
        answer = shop.create(person)
        expect("POST /members of the same person afterwards", answer.status == 201, answer)
    return verdict(
        sandbox,
        wrong,
        "3 members were created, read, changed, deleted and created again; their numbers are what was sent.",
        of="step",
        rest="of a member's life went wrong.",
        expected="201 with Location and the member, 200, 200, 204, 404 as a problem, 201",
        look="the function's log, and how numbers of the table become JSON",
        hint="The SDK for Python gives numbers of a table as Decimal, which JSON knows nothing of.",
    )


@check(id="f2", points=8, dimension=FUN, visibility=N, needs={"AH"}, after=members_live_and_die)
def invalid_requests_write_nothing(sandbox: Sandbox) -> Finding:
    """What is missing, mistyped, unknown, too long or unreadable is refused, and nothing is written."""
    shop, table = Shop.of(sandbox), Table.of(sandbox)
    member = shop.member()
    path = f"/members/{member.get('id')}"
    before = table.everything()
    wrong = []
    requests = list(invalid(shop))
    for what, method, body, kind in requests:
        answer = shop.ask(method, "/members" if method == "POST" else path, body, content_type=kind)
        sandbox.did(f"{method} {what}", answer.describe())
        statuses = (400, 415) if kind != "application/json" else (400,)
        if fault := problem_fault(answer, *statuses):
            wrong.append(f"{method}, {what}: {fault}")
    if (after := table.everything()) != before:
        changed = len(set(after) ^ set(before))
        wrong.append(f"items before and after differ in {changed} places")
    return verdict(
        sandbox,
        wrong,
        f"{len(requests)} invalid requests were refused as problems, and nothing was written.",
        of="thing",
        rest=f"went wrong with {len(requests)} invalid requests.",
        expected="400 (415 for another content type) as application/problem+json, and a table as it was",
        look="what is checked of a body before it is written: presence, type, bounds, and unknown fields",
    )


def invalid(shop: Shop) -> Iterator[tuple[str, str, Any, str]]:
    """14 requests that break one rule each: what, method, body and content type."""
    good = "application/json"
    random = shop.sandbox.random
    missing = random.choice(["name", "balance"])
    balance, text, consent = shop.name("balance"), shop.name("name"), shop.name("consent")
    version = {"version": 1}
    yield "a field is missing", "POST", shop.person(missing), good
    yield "the unique field is missing", "POST", shop.person(shop.sandbox.parameters["unique"]), good
    yield "a number as text", "POST", {**shop.person(), balance: "12.50"}, good
    yield "a text as number", "POST", {**shop.person(), text: 42}, good
    yield "yes as text", "POST", {**shop.person(), consent: "true"}, good
    yield "null", "POST", {**shop.person(), text: None}, good
    yield "an unknown field", "POST", {**shop.person(), "isAdmin": True}, good
    longer = "x" * (shop.limit("name", "maxLength") + 1)
    yield "a text that is too long", "POST", {**shop.person(), text: longer}, good
    more = shop.limit("balance", "maximum") + 1
    yield "a number beyond its bounds", "POST", {**shop.person(), balance: more}, good
    yield "broken JSON", "POST", json.dumps(shop.person()).encode()[:-1], good
    yield "a list", "POST", [shop.person()], good
    yield "another content type", "POST", json.dumps(shop.person()).encode(), "text/csv"
    yield "an unknown field", "PATCH", {**version, "isAdmin": True}, good
    yield "no version", "PATCH", {text: "Nobody"}, good


@check(id="f3", points=8, dimension=FUN, visibility=H, needs={"DD"}, after=members_live_and_die)
def nobody_is_registered_twice(sandbox: Sandbox) -> Finding:
    """Of 20 requests at once with the same unique value one is successful, and one member is there."""
    shop, table = Shop.of(sandbox), Table.of(sandbox)
    unique = shop.unique
    wrong = []
    # Others first, so that none of the rivals waits for an environment of its own.
    shop.at_once([lambda person=person: shop.create(person) for person in crowd(shop)])  # type: ignore[misc]
    for _ in range(sandbox.budget(emulated=1, real=3)):
        value = shop.person()[unique]
        people = [{**person, unique: value} for person in crowd(shop)]
        mark = sandbox.mark()
        answers = shop.at_once([lambda person=person: shop.create(person) for person in people])  # type: ignore[misc]
        statuses = sorted(answer.status for answer in answers)
        there = table.members(unique, value)
        told = " · ".join(f"{statuses.count(each)} × {each}" for each in sorted(set(statuses)))
        sandbox.did("POST /members", f"{AT_ONCE} at once with {unique} {value}")
        sandbox.saw("answers and table", f"{told}; {there} members with that {unique}", since=mark)
        if statuses != [201] + [409] * (AT_ONCE - 1) or there != 1:
            wrong.append(f"{told}; the table holds {there} members with that {unique}")
    if not wrong:
        return passed(f"Of {AT_ONCE} requests at once one was successful, and one member was there.")
    return failed(
        f"{AT_ONCE} parallel POSTs with the same {unique}: {wrong[0]}.",
        expected=f"1 × 201 · {AT_ONCE - 1} × 409; one member",
        look="the write that creates a member, and its condition",
        hint="Reading first and writing later leaves a gap; only a condition in the write itself closes it.",
    )


def crowd(shop: Shop) -> list[dict[str, Any]]:
    """As many people as come at once."""
    return [shop.person() for _ in range(AT_ONCE)]


@check(id="f4", points=8, dimension=FUN, visibility=H, needs={"DD"}, after=members_live_and_die)
def a_stale_change_is_refused(sandbox: Sandbox) -> Finding:
    """A change of a stale version is refused, the newer value survives, and unnamed fields stay."""
    shop = Shop.of(sandbox)
    text, consent = shop.name("name"), shop.name("consent")
    person = shop.person()
    path = f"/members/{shop.member(person).get('id')}"
    wrong = []
    first, second = shop.person()[text], shop.person()[text]
    answers = [shop.ask("PATCH", path, {"version": 1, text: each}) for each in (first, second)]
    sandbox.did(f"PATCH {path}", f"version 1: {answers[0].describe()}")
    sandbox.did(f"PATCH {path}", f"version 1 again: {answers[1].describe()}")
    if fault := problem_fault(answers[1], 409, 412):
        wrong.append(f"a stale version: {fault}")
    found = shop.ask("GET", path)
    if not same(found.json, {**person, text: first}, 2):
        wrong.append(
            f"after both the member is {found.describe()}, expected {text} {first!r}, the rest as sent"
        )
    agreed = not person[consent]
    shop.ask("PATCH", path, {"version": 2, consent: agreed})
    found = shop.ask("GET", path)
    kept = {**person, text: first, consent: agreed}
    if not wrong and not same(found.json, kept, 3):
        wrong.append(f"after a change of {consent} alone the member is {found.describe()}")
    rivals = [shop.person()[text] for _ in range(RIVALS)]
    raced = shop.at_once(
        [lambda each=each: shop.ask("PATCH", path, {"version": 3, text: each}) for each in rivals]  # type: ignore[misc]
    )
    won = [value for value, answer in zip(rivals, raced, strict=True) if answer.status == 200]
    statuses = sorted(answer.status for answer in raced)
    sandbox.did(f"PATCH {path}", f"{RIVALS} at once with version 3: {statuses}")
    found = shop.ask("GET", path)
    told = found.json if isinstance(found.json, dict) else {}
    if len(won) != 1 or told.get(text) != won[0]:
        wrong.append(f"{RIVALS} changes at once of the same version: {statuses}, then {found.describe()}")
    return verdict(
        sandbox,
        wrong,
        "Stale changes were refused, newer values survived, and unnamed fields stayed.",
        of="change",
        rest="went wrong.",
        expected="409 or 412 for a version that is no longer the member's; only named fields change",
        look="the write of a change: its condition, and which attributes it sets",
        hint="An item that is put replaces the whole old one; an update sets what it names.",
    )


@check(id="f5", points=8, dimension=FUN, visibility=N, needs={"DD"}, after=members_live_and_die)
def every_member_is_listed_once(sandbox: Sandbox) -> Finding:
    """Following next returns each member exactly once, while others come and go."""
    shop = Shop.of(sandbox)
    random = sandbox.random
    count = sandbox.parameters["members"]
    large = shop.limit("notes", "maxLength") - 1
    people = [shop.person(notes=large if place % 3 == 0 else 0) for place in range(count)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        ids = [member.get("id") for member in pool.map(shop.member, people)]
    sandbox.did("POST /members", f"{count} members, every third with {large:,} characters")
    if not all(ids):
        return failed(f"{ids.count(None)} of {count} members could not be created.")
    passing = set(random.sample(ids, 4))
    found: list[str] = []
    token, wrong, limit = "", [], random.randrange(15, 26)
    for page in range(count):
        # The first page goes without a limit.
        asked = f"?limit={limit}&next={token}" if token else ""
        answer = shop.ask("GET", f"/members{asked}")
        body = answer.json if isinstance(answer.json, dict) else {}
        members = body.get("members")
        if answer.status != 200 or not isinstance(members, list):
            wrong.append(f"page {page + 1}: {answer.describe()}")
            break
        most = limit if token else sandbox.parameters["pageSize"]
        if len(members) > most:
            wrong.append(f"page {page + 1} has {len(members)} members, at most {most} were asked for")
        found += [str(member.get("id")) for member in members if isinstance(member, dict)]
        if page == 1:
            for each in passing:
                shop.ask("DELETE", f"/members/{each}")
            for _ in range(3):
                shop.member()
        token = quoted(body.get("next"))
        if not token:
            break
    stayed = set(ids) - passing
    missing = len(stayed - set(found))
    again = sorted({each for each in stayed if found.count(each) > 1})
    sandbox.did("GET /members", f"{page + 1} pages with limit {limit}; 4 members left and 3 came meanwhile")
    sandbox.saw("pages", f"{len(stayed)} members stayed: {missing} missing, {len(again)} more than once")
    if missing:
        wrong.append(f"{missing} of {len(stayed)} members are on no page")
    if again:
        wrong.append(
            f"{len(again)} members are listed more than once, {again[0]} {found.count(again[0])} times"
        )
    for query in ("next=" + "".join(random.choices(string.ascii_letters, k=9)), "next=bm8tc3VjaC1wbGFjZQ"):
        answer = shop.ask("GET", f"/members?{query}")
        if fault := problem_fault(answer, 400):
            wrong.append(f"{query}: {fault}")
    return verdict(
        sandbox,
        wrong,
        f"{count} members were listed once each over {page + 1} pages; what is no token was refused.",
        of="thing",
        rest="went wrong with the list.",
        expected="each member that is there all the time once; 400 for what is no token",
        look="what next stands for, and where a page of the table ends",
        hint="The table ends a page after 1 MB as well; LastEvaluatedKey says where to go on.",
    )


def quoted(token: Any) -> str:
    """A token as a query has it."""
    text = token if isinstance(token, str) else ""
    return "".join(
        each
        if each.isascii() and (each.isalnum() or each in "-_.~")
        else "".join(f"%{byte:02X}" for byte in each.encode())
        for each in text
    )


@check(id="f6", points=6, dimension=FUN, visibility=N, needs={"AH"}, after=members_live_and_die)
def one_origin_may_call(sandbox: Sandbox) -> Finding:
    """Browsers of the allowed origin may call and read errors; no other origin may."""
    shop = Shop.of(sandbox)
    origin = sandbox.parameters["origin"]
    path = f"/members/{shop.member().get('id')}"
    wrong = []
    for method, where in (("POST", "/members"), ("GET", "/members"), ("PATCH", path), ("DELETE", path)):
        answer = preflight(shop, where, method, origin)
        sandbox.did(f"OPTIONS {where}", f"from {origin} for {method}, unsigned: {answer.describe()}")
        if fault := preflight_fault(answer, method, origin):
            wrong.append(f"preflight of {method} {where}: {fault}")
    answers = {
        "200": shop.ask("GET", path, origin=origin),
        "404": shop.ask("GET", f"/members/{NOBODY}", origin=origin),
        "400": shop.create({"nothing": "known"}, origin=origin),
    }
    for status, answer in answers.items():
        if answer.headers.get("access-control-allow-origin") != origin:
            wrong.append(f"an answer of {status} has no Access-Control-Allow-Origin for {origin}")
    for other in (f"{origin}.attacker.example", "https://attacker.example", "null"):
        asked = [preflight(shop, "/members", "POST", other), shop.ask("GET", path, origin=other)]
        shown = {answer.headers.get("access-control-allow-origin") for answer in asked}
        if allowed := shown & {"*", other}:
            wrong.append(f"the origin {other} is allowed by Access-Control-Allow-Origin: {allowed.pop()}")
    sandbox.did("GET and OPTIONS /members", "from three other origins")
    return verdict(
        sandbox,
        wrong,
        f"{origin} may call and read errors; three other origins may not.",
        of="answer",
        rest="went wrong for browsers.",
        expected="2xx and the headers for the allowed origin, without a signature; none for others",
        look="CorsConfiguration of the API, or the OPTIONS routes and the headers of every answer",
        hint="A browser never signs a preflight, and shows an error to the app only with CORS headers.",
    )


def preflight(shop: Shop, path: str, method: str, origin: str) -> WebAnswer:
    """What a browser asks before it sends a signed request."""
    return shop.ask(
        "OPTIONS",
        path,
        signed=False,
        origin=origin,
        access_control_request_method=method,
        access_control_request_headers=",".join(sorted(MUST_ALLOW_HEADERS)),
    )


def preflight_fault(answer: WebAnswer, method: str, origin: str) -> str:
    """What keeps a browser from going on; empty when nothing does."""
    told = {
        name: {
            item.strip().lower() for item in answer.headers.get(f"access-control-allow-{name}", "").split(",")
        }
        for name in ("methods", "headers")
    }
    if not 200 <= answer.status < 300:
        return f"answered {answer.describe()}"
    if answer.headers.get("access-control-allow-origin") != origin:
        return f"Access-Control-Allow-Origin is {answer.headers.get('access-control-allow-origin')}"
    if method.lower() not in told["methods"] and "*" not in told["methods"]:
        return f"{method} is not in Access-Control-Allow-Methods"
    if missing := MUST_ALLOW_HEADERS - told["headers"]:
        return f"Access-Control-Allow-Headers lacks {', '.join(sorted(missing))}"
    return ""


# --- who may call, and what a function may do


@check(id="s1", points=8, dimension=SEC, visibility=V, needs={"IE", "AH"}, after=members_live_and_die)
def only_who_may_invoke_gets_in(sandbox: Sandbox) -> Finding:
    """Unsigned, or signed by a role that may not invoke, a request is answered 403 and runs no function."""
    shop = Shop.of(sandbox)
    person, text = shop.person(), shop.name("name")
    path = f"/members/{shop.member().get('id')}"
    routes: list[tuple[str, str, Any]] = [
        ("POST", "/members", person),
        ("GET", "/members", None),
        ("GET", path, None),
        ("PATCH", path, {"version": 1, text: "Nobody"}),
        ("DELETE", path, None),
    ]
    wrong = []
    sandbox.settle()
    mark = sandbox.mark()
    # A role may do much and still not call the API.
    with sandbox.caller({"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}) as keys:
        for method, where, body in routes:
            for who, answer in (
                ("nobody", shop.ask(method, where, body, signed=False)),
                ("a role without the right", shop.ask(method, where, body, keys=keys)),
            ):
                sandbox.did(f"{method} {where}", f"signed by {who}: {answer.describe()}")
                if answer.status != 403:
                    wrong.append(f"{method} {where}, signed by {who}: {answer.describe()}")
    sandbox.settle()
    ran = sum(len(sandbox.invocations(name, since=mark)) for name in sandbox.stack.functions)
    if ran:
        wrong.append(f"functions ran {ran} times for callers who may not invoke")
    return verdict(
        sandbox,
        wrong,
        f"{2 * len(routes)} requests without a signature or the right were answered 403; no function ran.",
        of="answer",
        rest="let in whom the routes should not.",
        expected="403 on each route, and no invocation",
        look="Auth of the API in template.yaml: the default authorizer and what single routes say",
        hint="A route without AWS_IAM is open to the world, whatever the function checks.",
    )


@rights
def work_of_the_contract(sandbox: Sandbox, function: FunctionView) -> list[Right]:
    """Items of the stack's tables, and the function's own log."""
    here = f"{sandbox.region}:{sandbox.account_id}"
    tables = [
        f"arn:aws:dynamodb:{here}:table/{name}" for name in sandbox.stack.of_type("AWS::DynamoDB::Table")
    ]
    group = f"arn:aws:logs:{here}:log-group:{function.log_group}"
    names = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem", "Query", "Scan")
    return [
        right([f"dynamodb:{name}" for name in names], [*tables, *(f"{each}/index/*" for each in tables)]),
        right(["logs:CreateLogStream", "logs:PutLogEvents"], [group, f"{group}:*"], needed=True),
    ]


@check(id="s2", points=8, dimension=SEC, visibility=V, needs={"IS"}, static=True)
def functions_may_use_the_table(sandbox: Sandbox) -> Finding:
    """The functions' roles allow the contract's actions on the table and its index, and nothing else."""
    return sandbox.judge_rights(*sandbox.stack.functions, points=8, each=2)


# --- what the logs tell


@check(id="o1", points=6, dimension=OBS, visibility=N, needs={"LG"}, after=members_live_and_die)
def every_request_leaves_one_line(sandbox: Sandbox) -> Finding:
    """Every request leaves one line of JSON, and nobody's address or number."""
    shop = Shop.of(sandbox)
    person = shop.person()
    mark = sandbox.mark()
    text = shop.name("name")
    created = shop.create(person)
    path = f"/members/{(created.json or {}).get('id')}"
    one = "/members/{id}"
    calls = [
        ("POST /members", created),
        (f"GET {one}", shop.ask("GET", path)),
        (f"PATCH {one}", shop.ask("PATCH", path, {"version": 1, text: "Renamed"})),
        ("POST /members", shop.create(person)),
        (
            "POST /members",
            shop.create({**shop.person(), shop.name("mail"): person[shop.name("mail")], text: 1}),
        ),
        (f"GET {one}", shop.ask("GET", f"/members/{NOBODY}")),
        ("GET /members", shop.ask("GET", "/members?limit=2")),
        (f"DELETE {one}", shop.ask("DELETE", path)),
    ]
    sandbox.did("POST, GET, PATCH, DELETE", f"{len(calls)} requests, three of them refused")
    ids = [request_id(answer) for _, answer in calls]

    def lines() -> dict[str, dict[str, list[dict[str, Any]]]]:
        """The lines with a requestId by log group and request."""
        found = {}
        for group in sandbox.log_groups():
            told = sandbox.json_lines(sandbox.logs(group, since=mark))
            found[group] = {each: [line for line in told if line.get("requestId") == each] for each in ids}
        return found

    sandbox.eventually(lambda: any(all(logged.values()) for logged in lines().values()), budget_s=5)
    faults = {group: line_faults(calls, logged) for group, logged in lines().items() if any(logged.values())}
    best = min(faults, key=lambda group: len(faults[group]), default="")
    wrong = faults[best] if best else ["no line of JSON has the requestId of a request"]
    for group in sandbox.log_groups():
        wrong += [f"{group}: {what}" for what in told_of(shop, person, sandbox, group)]
    return verdict(
        sandbox,
        wrong,
        f"{len(calls)} requests left {len(calls)} lines in {best}, and nothing of the person.",
        of="fault",
        rest=f"in the logs of {len(calls)} requests.",
        source="logs:FilterLogEvents",
        expected="one line of JSON a request: requestId, route, status, latencyMs; no address or number",
        look="what the functions print, and the format of the access log",
        hint="Build the line from what you mean to log instead of printing the event or its body.",
    )


def request_id(answer: WebAnswer) -> str:
    """API Gateway's id of a request."""
    return answer.headers.get("apigw-requestid") or answer.headers.get("x-amzn-requestid", "")


def line_faults(
    calls: Sequence[tuple[str, WebAnswer]], logged: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[str]:
    """What is wrong with the lines that one log group has of the requests."""
    wrong = []
    for route, answer in calls:
        found = logged[request_id(answer)]
        if len(found) != 1:
            wrong.append(f"{route}: {len(found)} lines of JSON with its requestId, expected 1")
            continue
        line = found[0]
        latency = line.get("latencyMs")
        if line.get("route") != route:
            wrong.append(f"route {line.get('route')!r}, expected {route!r}")
        if line.get("status") != answer.status:
            wrong.append(f"{route}: status {line.get('status')!r}, expected {answer.status}")
        if isinstance(latency, bool) or not isinstance(latency, int | float) or latency < 0:
            wrong.append(f"{route}: latencyMs {latency!r}, expected a number")
    return wrong


def told_of(shop: Shop, person: Mapping[str, Any], sandbox: Sandbox, group: str) -> Iterator[str]:
    """What a log tells of a person."""
    text = "\n".join(event.message for event in sandbox.logs(group))
    mail = person[shop.name("mail")]
    if mail in text or mail.replace("@", "%40") in text:
        yield "an e-mail address stands in the log"
    if person[shop.name("phone")].lstrip("+") in text:
        yield "a telephone number stands in the log"


# --- when things go wrong


@check(id="r1", points=7, dimension=RES, visibility=N, needs={"IE"}, after=members_live_and_die)
def without_a_table_callers_are_told_so(sandbox: Sandbox) -> Finding:
    """While the table is denied the answer is a problem of 503 without insides; afterwards all is well."""
    shop = Shop.of(sandbox)
    text = shop.name("name")
    path = f"/members/{shop.member().get('id')}"
    roles = {sandbox.function(name).role_arn: name for name in sandbox.stack.functions}
    wrong = []
    with ExitStack() as faults:
        for name in roles.values():
            faults.enter_context(sandbox.fault("deny", function=name, actions=["dynamodb:*"]))
        sandbox.did("iam:PutRolePolicy", "denied dynamodb:* to the functions")
        answers = {
            "POST /members": shop.create(shop.person()),
            "GET /members": shop.ask("GET", "/members"),
            f"GET {path}": shop.ask("GET", path),
            f"PATCH {path}": shop.ask("PATCH", path, {"version": 1, text: "Renamed"}),
            f"DELETE {path}": shop.ask("DELETE", path),
        }
    for what, answer in answers.items():
        if fault := problem_fault(answer, 503):
            wrong.append(f"{what}: {fault}")
        elif inside := _INSIDES.search(answer.body.decode("utf-8", "replace")):
            wrong.append(f"{what}: the problem tells of {inside[0]!r}: {answer.describe()}")
    back = sandbox.eventually(lambda: shop.ask("GET", path).status == 200, 30)
    if not back:
        wrong.append(f"allowed again, GET {path} is still not 200")
    return verdict(
        sandbox,
        wrong,
        "503 as a problem without insides while the table was denied, and 200 afterwards.",
        of="answer",
        rest="went wrong while, or after, the table was denied.",
        expected="503 as application/problem+json; no exception text, stack trace or ARN",
        look="what becomes of an error of the SDK",
        hint="An exception's text is for your log. Callers need to know whether to try again.",
    )


@check(id="r2", points=5, dimension=RES, visibility=H, needs={"AH"}, after=members_live_and_die)
def strange_requests_are_the_callers_fault(sandbox: Sandbox) -> Finding:
    """Unknown paths, wrong methods and huge bodies are answered 4xx, never 5xx."""
    shop = Shop.of(sandbox)
    path = f"/members/{shop.member().get('id')}"
    huge = {**shop.person(), shop.name("notes"): "x" * HUGE_BODY_BYTES}
    asked: list[tuple[str, str, Any, tuple[int, ...]]] = [
        ("GET", "/member", None, (404,)),
        ("GET", f"{path}/purchases", None, (404,)),
        ("POST", "/people", shop.person(), (404,)),
        ("PUT", path, shop.person(), (404, 405)),
        ("DELETE", "/members", None, (404, 405)),
        ("POST", "/members", huge, (400, 413)),
    ]
    wrong = []
    for method, where, body, statuses in asked:
        answer = shop.ask(method, where, body)
        sandbox.did(f"{method} {where}", answer.describe())
        if answer.status not in statuses:
            expected = " or ".join(map(str, statuses))
            wrong.append(f"{method} {where}: {answer.describe()}, expected {expected}")
    return verdict(
        sandbox,
        wrong,
        f"{len(asked)} strange requests were answered 4xx.",
        of="answer",
        rest=f"to {len(asked)} strange requests went wrong.",
        expected="404, 404 or 405, 413 or 400",
        look="what becomes of a path or method that has no route",
        hint="A 5xx says that the fault is yours: callers try again, and alarms ring.",
    )


# --- the stage, and speed


@check(id="i1", points=6, dimension=IAC, visibility=V, needs={"CF"})
def the_stage_has_limits_and_logs_expire(sandbox: Sandbox) -> Finding:
    """The stage has limits of its own, and the logs of functions and of access expire."""
    kept, declared = sandbox.log_groups(), sandbox.stack.of_type("AWS::Logs::LogGroup")
    wrong = sandbox.log_group_faults(sandbox.stack.functions)
    stages = sandbox.stages()
    if not stages:
        wrong.append("the stack has no stage of an API")
    for stage in stages:
        limits = f"{stage.rate:g} a second, burst {stage.burst}" if stage.rate and stage.burst else "none"
        sandbox.saw(
            "apigateway:GetStages", f"{stage.label}: limits {limits}; access log {stage.log_group or 'none'}"
        )
        if (stage.rate or 0) < RATE_AT_LEAST or (stage.burst or 0) < RATE_AT_LEAST:
            wrong.append(f"{stage.label}: limits of the stage: {limits}")
        if not stage.log_group:
            wrong.append(f"{stage.label}: no access log")
        elif stage.log_group not in declared or not 1 <= kept.get(stage.log_group, 0) <= 90:
            wrong.append(f"{stage.log_group}: not in the template, or not kept 1 to 90 days")
    return verdict(
        sandbox,
        wrong,
        "The stage has limits of its own and an access log, and all logs expire.",
        of="fault",
        rest="in the settings of stage and logs.",
        source="stage and log groups",
        expected=f"at least {RATE_AT_LEAST} a second and a burst of {RATE_AT_LEAST}; logs kept 1 to 90 days",
        look="DefaultRouteSettings or MethodSettings, access log settings, and AWS::Logs::LogGroup",
        hint="Without limits of its own, one API can use up what all APIs of the account share.",
    )


@check(id="p1", points=6, dimension=PERF, visibility=N, needs={"LE"}, after=members_live_and_die)
def reads_are_as_fast_as_can_be(sandbox: Sandbox) -> Finding:
    """The median of 60 warm reads is at most twice that of a function that does nothing but read."""
    shop = Shop.of(sandbox)
    person = shop.person()
    path = f"/members/{shop.member(person).get('id')}"
    mark = sandbox.mark()
    shop.ask("GET", path)
    sandbox.settle()
    functions = (name for name in sandbox.stack.functions if sandbox.invocations(name, since=mark))
    if not (reader := next(functions, "")):
        return failed(f"GET {path} invoked no function of the stack.", look="the route's integration")
    memory_mb = sandbox.function(reader).memory_mb
    baseline = sandbox.single_read_baseline({**person, "version": 1}, memory_mb=memory_mb)
    for _ in range(5):
        shop.ask("GET", path)
    sandbox.settle()
    mark = sandbox.mark()
    direct = []
    for _ in range(READS):
        shop.ask("GET", path)
        direct.append(baseline.duration_ms())
    sandbox.settle()
    took = [
        record.duration_ms
        for record in sandbox.invocations(reader, since=mark)
        if record.duration_ms is not None
    ]
    sandbox.did(
        f"GET {path}", f"{READS} times, warm, with as many of a direct read in between, {memory_mb} MB each"
    )
    if len(took) < READS:
        return failed(f"Only {len(took)} of {READS} reads reached `{reader}`.", look=f"log of {reader}")
    median, at_best = statistics.median(took), statistics.median(direct)
    sandbox.saw("Duration", f"median {median:.2f} ms; of a direct read {at_best:.2f} ms", since=mark)
    if median <= SLOWER_AT_MOST * at_best:
        return passed(f"A read takes {median / at_best:.2f} times as long as a direct one.")
    return failed(
        f"A read takes {median / at_best:.1f} times as long as a direct one ({at_best:.1f} ms).",
        expected=f"at most {SLOWER_AT_MOST} times",
        look="what the handler does again in every call",
        hint="Clients made outside the handler live as long as the environment, and so do their connections.",
    )
