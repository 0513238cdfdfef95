"""Lock down the payment webhook: it goes on working, and may and tells no more than it must."""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import random as randomness
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
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
    Outcome,
    Right,
    Sandbox,
    V,
    WebAnswer,
    check,
    failed,
    parameters,
    passed,
    right,
    rights,
    stack_parameters,
)

SUBJECTS = ("Acme", "Hooli", "Initech", "Pay", "Soylent", "Umbrella", "Vandelay")
TYPES = ("payment.authorised", "payment.failed", "payment.refunded", "payment.succeeded")
# Neither is the template's default, and no fixed window suits both kinds.
WINDOWS_S = (120, 180, 480, 600)
# Further from the edge of the window than any request is on its way.
MARGIN_S = 40
# Short, because it is really waited for: a function may measure age by a clock that no date moves.
SECRET_MAX_AGE_S = 2
SLACK_S = 4
TOGETHER = 5
ROLES_POINTS = 16
LOST_PER_PAIR = 2
LOST_IF_SHARED = 6
REASONS = ("BAD_SIGNATURE", "MISSING_HEADER", "REPLAYED", "STALE")
# What the starter has of the contract's list of risks. The others are not in it.
RISKS = frozenset(
    {
        "ATTACKS_NOT_COUNTED",
        "LOGS_KEPT_FOREVER",
        "NO_KEY_OF_OUR_OWN",
        "PAYLOAD_IN_LOGS",
        "ROLE_ALLOWS_EVERYTHING",
        "ROLE_CAN_BE_PASSED_ON",
        "ROLE_IS_SHARED",
        "SECRET_CANNOT_ROTATE",
        "SECRET_IN_ENVIRONMENT",
        "SECRET_SHOWN_IN_PARAMETER",
    }
)


# --- the seed


@parameters
def draw(random: randomness.Random) -> dict[str, Any]:
    """The provider's secret, its header names, the replay window, and a card that nobody may write down."""
    name = random.choice(SUBJECTS)
    letters = string.ascii_letters + string.digits
    return {
        "secret": "whs" + "".join(random.choices(letters, k=37)),
        "signature": f"X-{name}-{random.choice(['Signature', 'Digest', 'Hmac'])}",
        "timestamp": f"X-{name}-{random.choice(['Timestamp', 'Sent-At', 'Time'])}",
        "window_s": random.choice(WINDOWS_S),
        "card": card_number(random),
        "others": f"{random.choice(['payroll', 'ledger', 'hr'])}-{random.getrandbits(24):06x}",
    }


@stack_parameters
def as_stack_parameters(parameters: dict[str, Any]) -> dict[str, str]:
    """How requests are signed, and how old a secret may be."""
    return {
        "SigningSecret": parameters["secret"],
        "SignatureHeader": parameters["signature"],
        "TimestampHeader": parameters["timestamp"],
        "ReplayWindowSeconds": str(parameters["window_s"]),
        "SecretMaxAgeSeconds": str(SECRET_MAX_AGE_S),
    }


def card_number(random: randomness.Random) -> str:
    """Sixteen digits that pass the check of card numbers."""
    digits = [4, *(random.randrange(10) for _ in range(14))]
    doubled = [digit * 2 - 9 * (digit > 4) if place % 2 == 0 else digit for place, digit in enumerate(digits)]
    return "".join(map(str, digits)) + str(-sum(doubled) % 10)


# --- the payment provider, and the stack as the contract names it


@dataclass(frozen=True, slots=True)
class Provider:
    """Sends events as this seed's payment provider does, signed with the secret that is in force."""

    sandbox: Sandbox
    url: str
    secret: str

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Provider":
        """The provider of this run."""
        return cls(sandbox, sandbox.output("WebhookUrl"), Store.of(sandbox).secret())

    def event(self, **changed: Any) -> dict[str, Any]:
        """An event that nobody has seen."""
        random = self.sandbox.random
        return {
            "id": f"evt_{random.getrandbits(60):015x}",
            "type": random.choice(TYPES),
            "orderId": f"O-{random.randrange(10**8):08d}",
            "amount": random.randrange(100, 900_000),
            "currency": random.choice(["CHF", "EUR", "NOK", "SEK"]),
            "card": {"number": self.sandbox.parameters["card"], "expires": "2031-08"},
            **changed,
        }

    def send(
        self,
        body: bytes | Mapping[str, Any],
        *,
        ahead_s: float = 0,
        secret: str = "",
        signed: bytes | None = None,
        without: str = "",
    ) -> WebAnswer:
        """Sign and send a body.

        ``ahead_s`` is how far its timestamp is in the future; ``signed`` the body that was signed if it was
        another one; ``without`` leaves out a header.
        """
        drawn = self.sandbox.parameters
        raw = body if isinstance(body, bytes) else compact(body)
        at = str(int(self.sandbox.functions_now().timestamp() + ahead_s))
        text = at.encode() + b"." + (raw if signed is None else signed)
        digest = hmac.new((secret or self.secret).encode(), text, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            drawn["signature"]: digest,
            drawn["timestamp"]: at,
        }
        headers.pop(without, None)
        return self.sandbox.http("POST", self.url, headers=headers, body=raw)


def compact(event: Mapping[str, Any]) -> bytes:
    """JSON as short as it gets."""
    return json.dumps(event, separators=(",", ":")).encode()


def accepted(answer: WebAnswer) -> bool:
    """Whether an answer says that the event was taken."""
    return 200 <= answer.status < 300


@dataclass(frozen=True, slots=True)
class Store:
    """Where the secret is: Secrets Manager, or a SecureString of Parameter Store."""

    sandbox: Sandbox
    arn: str

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Store":
        """The store that the stack's output names; without it there is only the secret of the first day."""
        return cls(sandbox, sandbox.outputs.get("SigningSecretArn", ""))

    @property
    def is_parameter(self) -> bool:
        """Whether it is Parameter Store's."""
        return self.arn.startswith("arn:aws:ssm:")

    @property
    def name(self) -> str:
        """A parameter's name, as its calls want it."""
        name = self.arn.partition(":parameter/")[2]
        return f"/{name}" if "/" in name else name

    def secret(self) -> str:
        """The secret in force. Puts the first one there where the template could or did not."""
        if not self.arn:
            return str(self.sandbox.parameters["secret"])
        found = self._read()
        if found is None:
            found = str(self.sandbox.parameters["secret"])
            self.put(found)
        return found

    def put(self, secret: str) -> None:
        """Put another secret there, as the provider's rotation does."""
        if self.is_parameter:
            key = self.sandbox.output("SigningKeyArn")
            self.sandbox.client("ssm").put_parameter(
                Name=self.name, Type="SecureString", KeyId=key, Value=secret, Overwrite=True
            )
        else:
            self.sandbox.client("secretsmanager").put_secret_value(SecretId=self.arn, SecretString=secret)

    def key_id(self) -> str:
        """The key it is encrypted with, as its service tells; empty for the service's own key."""
        if not self.arn:
            return ""
        if self.is_parameter:
            wanted = [{"Key": "Name", "Option": "Equals", "Values": [self.name]}]
            page = self.sandbox.client("ssm").describe_parameters(ParameterFilters=wanted)
            return str(page["Parameters"][0].get("KeyId", "")) if page["Parameters"] else ""
        found = self.sandbox.client("secretsmanager").describe_secret(SecretId=self.arn)
        return str(found.get("KmsKeyId", ""))

    def _read(self) -> str | None:
        if self.is_parameter:
            client = self.sandbox.client("ssm")
            try:
                found = client.get_parameter(Name=self.name, WithDecryption=True)
            except client.exceptions.ParameterNotFound:
                return None
            return str(found["Parameter"]["Value"])
        client = self.sandbox.client("secretsmanager")
        try:
            text = client.get_secret_value(SecretId=self.arn).get("SecretString")
        except client.exceptions.ResourceNotFoundException:
            if client.describe_secret(SecretId=self.arn):
                return None
        return None if text is None else str(text)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The table of events, and the function that tells what is in it."""

    sandbox: Sandbox
    table: str

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Ledger":
        """The ledger of this stack."""
        return cls(sandbox, sandbox.output("EventsTableName"))

    def items(self, event_id: str) -> list[tuple[Any, ...]]:
        """What is kept of an event, as :func:`as_kept` has it."""
        pages = (
            self.sandbox.client("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=self.table,
                ConsistentRead=True,
                FilterExpression="eventId = :id",
                ExpressionAttributeValues={":id": {"S": event_id}},
            )
        )
        texts = ("eventId", "type", "orderId", "currency")
        return [
            (*(item.get(name, {}).get("S") for name in texts), item.get("amount", {}).get("N"))
            for page in pages
            for item in page["Items"]
        ]

    def keeps(self, event: Mapping[str, Any]) -> bool:
        """Whether an event is there once and as it was sent."""
        return self.items(event["id"]) == [as_kept(event)]


def as_kept(event: Mapping[str, Any]) -> tuple[Any, ...]:
    """What an item must say."""
    return (event["id"], event["type"], event["orderId"], event["currency"], str(event["amount"]))


def worked(sandbox: Sandbox, count: int) -> list[str]:
    """Send good events; what went wrong with them."""
    provider, ledger = Provider.of(sandbox), Ledger.of(sandbox)
    faults = []
    for _ in range(count):
        event = provider.event()
        answer = provider.send(event)
        sandbox.did("POST webhook", f"{event['id']}, well signed: {answer.describe()}")
        if not accepted(answer):
            faults.append(f"{event['id']} was answered {answer.describe()}")
        elif not ledger.keeps(event):
            faults.append(f"{event['id']} was accepted, and the table has {ledger.items(event['id'])}")
    known = sandbox.invoke(sandbox.output("LookupFunctionArn"), {"eventId": event["id"]})
    wanted = {key: event[key] for key in ("type", "orderId", "amount", "currency")}
    told = known.payload if isinstance(known.payload, dict) else {}
    if not faults and {key: told.get(key) for key in wanted} != wanted:
        faults.append(f"the lookup of {event['id']} said {known.describe()}")
    return faults


# --- what must be observed


@check(id="f1", points=10, dimension=FUN, visibility=V, needs={"AH", "LX"})
def good_events_are_kept(sandbox: Sandbox) -> Finding:
    """A well-signed event is accepted, kept once, and found by support."""
    faults = worked(sandbox, 4)
    nobody = sandbox.invoke(sandbox.output("LookupFunctionArn"), {"eventId": "evt_of_nobody"})
    if not (isinstance(nobody.payload, dict) and nobody.payload.get("found") is False):
        faults.append(f"the lookup of an unknown event said {nobody.describe()}")
    for fault in faults[:3]:
        sandbox.saw("answer and table", fault)
    if faults:
        return failed(
            f"{len(faults)} of 5 good requests went wrong.",
            expected="2xx, one item with the event's fields, and the lookup's answer",
            look="the function's log: a right that was taken away with too much else shows there",
        )
    return passed("4 events were accepted, kept once and found.")


@check(id="f2", points=10, dimension=FUN, visibility=N, needs={"AH"}, after=good_events_are_kept)
def bad_requests_are_refused(sandbox: Sandbox) -> Finding:
    """What is forged, stale, incomplete or repeated is refused, and nothing of it is kept."""
    provider, ledger = Provider.of(sandbox), Ledger.of(sandbox)
    drawn = sandbox.parameters
    window_s = drawn["window_s"]
    wrong: list[str] = []

    def tell(what: str, event: Mapping[str, Any], answer: WebAnswer, right: bool) -> None:
        sandbox.did("POST webhook", f"{event['id']}, {what}: {answer.describe()}")
        if not right:
            wrong.append(f"{what}: answered {answer.describe()}")

    refused: list[tuple[str, dict[str, Any]]] = [
        ("signed with another secret", {"secret": drawn["secret"][::-1]}),
        ("another body than was signed", {"signed": compact(provider.event())}),
        ("too old", {"ahead_s": -window_s - MARGIN_S}),
        ("from the future", {"ahead_s": window_s + MARGIN_S}),
        ("without signature", {"without": drawn["signature"]}),
        ("without timestamp", {"without": drawn["timestamp"]}),
    ]
    for what, how in refused:
        event = provider.event()
        answer = provider.send(event, **how)
        tell(what, event, answer, answer.status == 401)
        if ledger.items(event["id"]):
            wrong.append(f"{what}: kept in the table")
    for ahead_s in (MARGIN_S - window_s, window_s - MARGIN_S):
        event = provider.event()
        answer = provider.send(event, ahead_s=ahead_s)
        tell("inside the window", event, answer, accepted(answer) and ledger.keeps(event))
    event = provider.event()
    provider.send(event, secret=drawn["secret"][::-1])
    answer = provider.send(event)
    tell("well signed after a forgery with its id", event, answer, accepted(answer) and ledger.keeps(event))
    for ahead_s in (0, 7):
        answer = provider.send({**event, "amount": event["amount"] + 1}, ahead_s=ahead_s)
        tell("an id that was accepted", event, answer, answer.status == 409 and ledger.keeps(event))
    event = provider.event()
    with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
        answers = list(pool.map(lambda _: provider.send(event), range(TOGETHER)))
    found = sorted(answer.status for answer in answers)
    right = sum(map(accepted, answers)) == 1 and found.count(409) == TOGETHER - 1
    sandbox.did("POST webhook", f"{event['id']}, {TOGETHER} times at once: {found}")
    if not right or not ledger.keeps(event):
        wrong.append(
            f"{TOGETHER} times at once: answered {found}, kept {len(ledger.items(event['id']))} times"
        )
    for fault in wrong[:4]:
        sandbox.saw("answer and table", fault)
    if wrong:
        return failed(
            f"{len(wrong)} of 12 requests at or beyond the rules went wrong.",
            expected="401 for what is forged, stale or incomplete, 409 for a repeated id, nothing kept",
            look="what is compared with the signature and the clock, and what remembers event ids",
            hint="Only a conditional write can tell which of two equal events came first.",
        )
    return passed("Forged, stale, incomplete and repeated requests were refused; nothing of them was kept.")


@check(id="f3", points=6, dimension=FUN, visibility=H, needs={"AH"}, after=good_events_are_kept)
def bodies_are_verified_as_sent(sandbox: Sandbox) -> Finding:
    """A body is verified byte by byte as it was sent, however it is written."""
    provider, ledger = Provider.of(sandbox), Ledger.of(sandbox)
    spaced, accented, twice, escaped = (provider.event() for _ in range(4))
    accented["orderId"] += " Mägi & Õun €"
    escaped["orderId"] += "/Öö"
    doubled = compact(twice).replace(b'{"id"', b'{"amount":1,"id"', 1)
    odd = b"\r\n" + json.dumps(spaced, indent=3, separators=(" ,", " :\t")).encode() + b" \n\n"
    slashes = compact(escaped).replace(b"/", b"\\/").replace(b"evt_", b"\\u0065vt_")
    sent = [
        ("odd whitespace", spaced, odd),
        ("characters beyond ASCII", accented, json.dumps(accented, ensure_ascii=False).encode()),
        ("a key that stands there twice", twice, doubled),
        ("escaped characters", escaped, slashes),
    ]
    wrong = []
    for what, event, body in sent:
        answer = provider.send(body)
        sandbox.did("POST webhook", f"{event['id']}, {what}: {answer.describe()}")
        if not (accepted(answer) and ledger.keeps(event)):
            wrong.append(f"{what}: {answer.describe()}, kept {ledger.items(event['id'])}")
    for fault in wrong:
        sandbox.saw("answer and table", fault)
    if wrong:
        return failed(
            f"{len(wrong)} of {len(sent)} well-signed bodies went wrong.",
            expected="2xx, and the event as it was sent",
            look="what the signature is computed over",
            hint="Parsing and writing JSON again gives other bytes than those that were signed.",
        )
    return passed(f"{len(sent)} bodies were verified as they were sent.")


@check(id="o1", points=6, dimension=OBS, visibility=N, needs={"CM"}, after=good_events_are_kept)
def rejections_are_counted(sandbox: Sandbox) -> Finding:
    """RejectedWebhooks counts every rejection under its reason, and nothing else."""
    provider = Provider.of(sandbox)
    drawn = sandbox.parameters
    namespace = sandbox.output("MetricsNamespace")
    known = provider.event()
    provider.send(known)
    how: dict[str, Callable[[], WebAnswer]] = {
        "BAD_SIGNATURE": lambda: provider.send(provider.event(), secret=drawn["secret"][::-1]),
        "MISSING_HEADER": lambda: provider.send(provider.event(), without=drawn["signature"]),
        "REPLAYED": lambda: provider.send(known),
        "STALE": lambda: provider.send(provider.event(), ahead_s=-drawn["window_s"] - MARGIN_S),
    }
    before = counted(sandbox, namespace)
    calls = [reason for reason in REASONS for _ in range(sandbox.random.randrange(1, 5))]
    sandbox.random.shuffle(calls)
    # Whether the right requests are refused is another check's question: those that were have to be counted.
    truth = dict.fromkeys(REASONS, 0)
    for reason in calls:
        truth[reason] += how[reason]().status in (401, 409)
        provider.send(provider.event())
    told_no = sum(truth.values())
    sandbox.did(
        "POST webhook", f"{len(calls)} bad requests between {len(calls)} good ones, {told_no} refused"
    )
    if not told_no:
        return failed("None of the bad requests was refused, so that nothing could be counted.")

    def told() -> dict[str, float]:
        after = counted(sandbox, namespace)
        changed = {reason: total - before.get(reason, 0.0) for reason, total in after.items()}
        return {**dict.fromkeys(truth, 0), **{reason: total for reason, total in changed.items() if total}}

    sandbox.eventually(lambda: told() == truth, 10)
    found = told()
    for reason in sorted({*truth, *found}):
        seen = f"{found[reason]:g}" if found[reason] else "no data"
        sandbox.saw("cloudwatch:GetMetricStatistics", f"{reason}: {seen}; truth {truth.get(reason, 0)}")
    if found == truth:
        return passed(f"RejectedWebhooks counted {told_no} rejections, each under its reason.")
    return failed(
        "RejectedWebhooks differs from the truth.",
        expected=", ".join(f"{reason} {times}" for reason, times in truth.items()),
        look="the metric's name, namespace and its one dimension, Reason",
        hint="A line in the log is no metric unless something turns it into one.",
    )


def counted(sandbox: Sandbox, namespace: str) -> dict[str, float]:
    """Rejections by reason, of the metric whose only dimension is the reason."""
    found = {}
    for key, total in sandbox.metric_sums(namespace, "RejectedWebhooks").items():
        dimensions = json.loads(key)
        if [item["Name"] for item in dimensions] == ["Reason"]:
            found[dimensions[0]["Value"]] = total
    return found


# --- rights


@rights
def work_of_the_contract(sandbox: Sandbox, function: FunctionView) -> list[Right]:
    """What the contract lets a function do; support's has other work than the webhook's."""
    ledger, store = Ledger.of(sandbox), Store.of(sandbox)
    here = f"{sandbox.region}:{sandbox.account_id}"
    table = f"arn:aws:dynamodb:{here}:table/{ledger.table}"
    group = f"arn:aws:logs:{here}:log-group:{function.log_group}"
    keys = sorted({arn for arn in (table_key(sandbox), key_arn(sandbox, store.key_id())) if arn})
    found = [
        right(["logs:CreateLogStream", "logs:PutLogEvents"], [group, f"{group}:*"], needed=True),
        right("cloudwatch:PutMetricData", "*"),
    ]
    if keys:
        found.append(right("kms:Decrypt", keys, needed=True))
    if function.name == lookup_function(sandbox):
        return [*found, right(["dynamodb:GetItem", "dynamodb:Query"], table)]
    found.append(right(["dynamodb:GetItem", "dynamodb:PutItem"], table))
    if store.is_parameter:
        found.append(right(["ssm:GetParameter", "ssm:GetParameters"], store.arn))
    elif store.arn:
        found.append(right(["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], store.arn))
    return found


def lookup_function(sandbox: Sandbox) -> str:
    """The name of the function that support asks."""
    return sandbox.function(sandbox.output("LookupFunctionArn")).name


def role_of(sandbox: Sandbox, function: str) -> str:
    """The name of a function's role."""
    return sandbox.function(function).role_arn.rsplit("/", 1)[-1]


def one_for_each_role(sandbox: Sandbox) -> list[str]:
    """A function of each role: what is done to a role is done once, however many have it."""
    return list({role_of(sandbox, name): name for name in sandbox.stack.functions}.values())


def table_key(sandbox: Sandbox) -> str:
    """The ARN of the key that a table is encrypted with; empty for DynamoDB's own."""
    found = sandbox.client("dynamodb").describe_table(TableName=Ledger.of(sandbox).table)["Table"]
    return str(found.get("SSEDescription", {}).get("KMSMasterKeyArn", ""))


def key_arn(sandbox: Sandbox, key_id: str) -> str:
    """A key's ARN, whatever names it."""
    if not key_id or key_id.startswith("alias/aws/"):
        return ""
    return str(sandbox.client("kms").describe_key(KeyId=key_id)["KeyMetadata"]["Arn"])


@check(id="s1", points=ROLES_POINTS, dimension=SEC, visibility=V, needs={"IS"}, static=True)
def roles_keep_to_the_budget(sandbox: Sandbox) -> Finding:
    """Each function has a role of its own, which allows what the contract lists and nothing else."""
    names = sandbox.stack.functions
    judged = sandbox.judge_rights(*names, points=ROLES_POINTS, each=LOST_PER_PAIR)
    roles = [role_of(sandbox, name) for name in names]
    shared = sorted({role for role in roles if roles.count(role) > 1})
    if not shared:
        return judged
    for role in shared:
        sandbox.saw("lambda:GetFunctionConfiguration", f"{roles.count(role)} functions have the role {role}")
    left = (ROLES_POINTS if judged.outcome == Outcome.PASSED else judged.points or 0) - LOST_IF_SHARED
    told = "" if judged.outcome == Outcome.PASSED else f" {judged.headline}"
    finding = failed(
        f"Functions with different work share the role `{shared[0]}`.{told}",
        expected="a role of its own for each function, with the rights of its own work",
        look=["Role of the functions in template.yaml", *judged.look],
        hint=f"A shared role costs {LOST_IF_SHARED} of {ROLES_POINTS} points: each has the rights of both.",
    )
    return replace(finding, outcome=Outcome.PARTIAL, points=left) if left > 0 else finding


@check(id="s2", points=10, dimension=SEC, visibility=N, needs={"IS", "IE"}, after=good_events_are_kept)
def the_budget_is_enough(sandbox: Sandbox) -> Finding:
    """Under a boundary of just the contract's rights everything works, and what is forbidden is denied."""
    with bounded(sandbox), renewed(sandbox):
        faults = worked(sandbox, 2)
    for fault in faults[:2]:
        sandbox.saw("under the boundary", fault)
    allowed = list(probes(sandbox))
    for role, action, resource in allowed[:3]:
        sandbox.saw("iam:SimulatePrincipalPolicy", f"{role}: {action} on {resource} is allowed")
    if allowed:
        return failed(
            f"{len(allowed)} of the forbidden things are allowed.",
            expected="none",
            look="Policies of the roles: NotAction, and what is left over from the starter",
            hint="A NotAction allows everything that it does not name, also what AWS will add tomorrow.",
        )
    if faults:
        return failed(
            "With the contract's rights alone the webhook stopped working.",
            expected="the same answers as before",
            look="the function's log: a call that is refused there is not in the contract",
        )
    return passed("The contract's rights are enough, and 14 forbidden things are denied to each role.")


@contextmanager
def bounded(sandbox: Sandbox) -> Iterator[None]:
    """Every role of a function may do what the budget of its functions says, and nothing else."""
    iam = sandbox.client("iam")
    allowed: dict[str, list[Right]] = {}
    for name in sandbox.stack.functions:
        allowed.setdefault(role_of(sandbox, name), []).extend(
            work_of_the_contract(sandbox, sandbox.function(name))
        )
    with ExitStack() as undo:
        for role, listed in allowed.items():
            statements = [
                {"Effect": "Allow", "Action": list(each.actions), "Resource": list(each.resources)}
                for each in listed
            ]
            document = json.dumps({"Version": "2012-10-17", "Statement": statements})
            name = f"budget-{sandbox.random.getrandbits(40):010x}"
            arn = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
            undo.callback(iam.delete_policy, PolicyArn=arn)
            before = iam.get_role(RoleName=role)["Role"].get("PermissionsBoundary", {})
            iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=arn)
            if before:
                kept = before["PermissionsBoundaryArn"]
                undo.callback(iam.put_role_permissions_boundary, RoleName=role, PermissionsBoundary=kept)
            else:
                undo.callback(iam.delete_role_permissions_boundary, RoleName=role)
        sandbox.did("iam:PutRolePermissionsBoundary", f"the contract's rights, on {', '.join(allowed)}")
        yield


@contextmanager
def renewed(sandbox: Sandbox) -> Iterator[None]:
    """Every function starts anew, and remembers nothing."""
    with ExitStack() as undo:
        for name in sandbox.stack.functions:
            undo.enter_context(sandbox.new_environments(name))
        yield


def probes(sandbox: Sandbox) -> Iterator[tuple[str, str, str]]:
    """What no function may do: role, action and resource of each of the 14 that some role may."""
    iam = sandbox.client("iam")
    here = f"{sandbox.region}:{sandbox.account_id}"
    other = sandbox.parameters["others"]
    own = f"arn:aws:dynamodb:{here}:table/{Ledger.of(sandbox).table}"
    for name in one_for_each_role(sandbox):
        view = sandbox.function(name)
        forbidden = (
            ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{here}:secret:{other}/db-Ab12Cd"),
            ("ssm:GetParameter", f"arn:aws:ssm:{here}:parameter/{other}/password"),
            ("secretsmanager:PutSecretValue", Store.of(sandbox).arn or "*"),
            ("dynamodb:DeleteTable", own),
            ("dynamodb:DeleteItem", own),
            ("dynamodb:Scan", own),
            ("dynamodb:PutItem", f"arn:aws:dynamodb:{here}:table/{other}"),
            ("iam:PassRole", f"arn:aws:iam::{sandbox.account_id}:role/{other}"),
            ("iam:PutRolePolicy", view.role_arn),
            ("s3:ListAllMyBuckets", "*"),
            ("s3:GetObject", f"arn:aws:s3:::{other}/salaries.csv"),
            ("kms:Decrypt", f"arn:aws:kms:{here}:key/{other}"),
            ("kms:PutKeyPolicy", table_key(sandbox) or f"arn:aws:kms:{here}:key/{other}"),
            ("lambda:UpdateFunctionCode", view.arn),
        )
        for action, resource in forbidden:
            answer = iam.simulate_principal_policy(
                PolicySourceArn=view.role_arn, ActionNames=[action], ResourceArns=[resource]
            )
            if answer["EvaluationResults"][0]["EvalDecision"] == "allowed":
                yield role_of(sandbox, name), action, resource


# --- the secret, and what else nobody may see


@check(id="r1", points=6, dimension=RES, visibility=H, needs={"IE"}, after=good_events_are_kept)
def without_the_secret_nobody_is_judged(sandbox: Sandbox) -> Finding:
    """While the secret can't be read every event is answered 503, and all is well again afterwards."""
    provider = Provider.of(sandbox)
    actions = ["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue", "ssm:GetParameter*"]
    event, forged = provider.event(), provider.event()
    with ExitStack() as renewals:
        with ExitStack() as faults:
            for name in one_for_each_role(sandbox):
                faults.enter_context(sandbox.fault("deny", function=name, actions=actions))
            renewals.enter_context(renewed(sandbox))
            sandbox.did("iam:PutRolePolicy", f"denied {', '.join(actions)}; functions started anew")
            answers = {
                "well signed": provider.send(event),
                "forged": provider.send(forged, secret=provider.secret[::-1]),
                "well signed, again": provider.send(event),
            }
        back = sandbox.while_functions_wait(
            lambda: accepted(provider.send(event)), SECRET_MAX_AGE_S + SLACK_S
        )
    for what, answer in answers.items():
        sandbox.saw("answer", f"{what}: {answer.describe()}")
    wrong = [what for what, answer in answers.items() if answer.status != 503]
    if wrong:
        return failed(
            f"While the secret could not be read, {len(wrong)} of {len(answers)} requests were judged.",
            expected="503 for each, so that the provider sends it again",
            look="what happens when the call that reads the secret fails",
            hint="Accepting lets forgeries in; 401 tells the provider that an honest event is bad.",
        )
    if not back:
        return failed(
            "The secret could be read again, and its event was still not accepted.",
            expected=f"2xx within {SECRET_MAX_AGE_S} s",
            look="what the function remembers of a failed read",
        )
    return passed("503 while the secret could not be read; accepted once it could.")


@check(id="s4", points=8, dimension=SEC, visibility=H, needs={"LE", "VC"}, after=good_events_are_kept)
def a_new_secret_is_used_soon(sandbox: Sandbox) -> Finding:
    """After a rotation the new secret is in use within its age, without a deployment."""
    store = Store(sandbox, sandbox.output("SigningSecretArn"))
    provider = Provider.of(sandbox)
    warm = provider.send(provider.event())
    renewed_secret = "whs" + "".join(sandbox.random.choices(string.ascii_letters + string.digits, k=37))
    store.put(renewed_secret)
    sandbox.did("rotation", f"another secret in {store.arn}; the last answer before was {warm.describe()}")
    began = sandbox.functions_now()
    answers: list[WebAnswer] = []

    def taken() -> bool:
        answers.append(provider.send(provider.event(), secret=renewed_secret))
        return accepted(answers[-1])

    soon = sandbox.while_functions_wait(taken, SECRET_MAX_AGE_S + SLACK_S)
    took_s = (sandbox.functions_now() - began).total_seconds()
    sandbox.saw("answer", f"{len(answers)} events with the new secret: {answers[-1].describe()}", since=began)
    if soon:
        return passed(f"The new secret was in use after {took_s:.1f} s.")
    return failed(
        f"{took_s:.1f} s after the rotation the new secret was still refused.",
        expected=f"accepted after {SECRET_MAX_AGE_S} s (SecretMaxAgeSeconds)",
        look="where the function keeps the secret, and for how long",
        hint="An environment may live for hours: what is read once there is read once for hours.",
    )


@check(id="s3", points=10, dimension=SEC, visibility=V, needs={"CF", "LG"})
def the_secret_is_in_its_store_alone(sandbox: Sandbox) -> Finding:
    """The secret is in no template, parameter, environment, code, layer or log."""
    secrets = {sandbox.parameters["secret"], Store.of(sandbox).secret()}
    forms = [form for secret in secrets for form in written(secret)]
    found = [place for place, text in places(sandbox) if any(form in text for form in forms)]
    for place in found[:4]:
        sandbox.saw("search", f"the secret is in {place}")
    if found:
        return failed(
            f"The secret can be read in {len(found)} places besides its store.",
            expected="in the store that SigningSecretArn names, and nowhere else",
            look=found[0],
            hint="What is resolved when the stack is deployed is stored wherever it was resolved to.",
        )
    return passed("The secret was found nowhere but in its store.")


def written(secret: str) -> tuple[str, ...]:
    """A secret as it may be written down."""
    raw = secret.encode()
    return (secret, base64.b64encode(raw).decode().rstrip("=")[:-1], raw.hex())


def places(sandbox: Sandbox) -> Iterator[tuple[str, str]]:
    """Where a secret may lie about, and what stands there."""
    cloudformation = sandbox.client("cloudformation")
    stack = cloudformation.describe_stacks(StackName=sandbox.stack.name)["Stacks"][0]
    for item in stack.get("Parameters", ()):
        yield f"the stack's parameter {item['ParameterKey']}", str(item.get("ParameterValue", ""))
    for item in stack.get("Outputs", ()):
        yield f"the stack's output {item['OutputKey']}", str(item.get("OutputValue", ""))
    yield "the template", sandbox.template.text() + sandbox.template.text(original=False)
    for name in sandbox.stack.functions:
        view = sandbox.function(name)
        for variable, value in view.variables.items():
            yield f"the environment variable {variable} of {name}", value
    for path, body in sandbox.files.items():
        yield f"the file {path}", body.decode("utf-8", "replace")
    yield from plain_parameters(sandbox)
    for group in sandbox.log_groups():
        yield f"the log group {group}", "\n".join(event.message for event in sandbox.logs(group))


def plain_parameters(sandbox: Sandbox) -> Iterator[tuple[str, str]]:
    """Parameter Store's parameters that are not encrypted."""
    client = sandbox.client("ssm")
    for page in client.get_paginator("describe_parameters").paginate():
        for item in page["Parameters"]:
            if item["Type"] != "SecureString":
                value = client.get_parameter(Name=item["Name"])["Parameter"]["Value"]
                yield f"the parameter {item['Name']}", value


@check(id="s5", points=8, dimension=SEC, visibility=N, needs={"LG", "CF"}, after=good_events_are_kept)
def data_has_a_key_and_no_witness(sandbox: Sandbox) -> Finding:
    """Table and secret have a key of the account's own, and no log holds a card number."""
    store = Store(sandbox, sandbox.output("SigningSecretArn"))
    keys = {"the table": table_key(sandbox), "the secret": key_arn(sandbox, store.key_id())}
    faults = []
    for owner, arn in keys.items():
        if fault := key_fault(sandbox, arn):
            faults.append(f"{owner}: {fault}")
    card = sandbox.parameters["card"]
    for group in sandbox.log_groups():
        told = [
            event for event in sandbox.logs(group) if card in re.sub(r"(?<=\d)[ -](?=\d)", "", event.message)
        ]
        if told:
            faults.append(f"{group}: the card number stands in {len(told)} events")
    for fault in faults[:4]:
        sandbox.saw("kms:GetKeyPolicy and logs:FilterLogEvents", fault)
    if faults:
        return failed(
            f"{len(faults)} things can be read by more than need to.",
            expected="a customer-managed key whose policy names principals; no card number in a log",
            look="SSESpecification, KmsKeyId and KeyPolicy in template.yaml; what the functions print",
        )
    return passed("Table and secret have a key that names who may use it, and no log holds the card number.")


def key_fault(sandbox: Sandbox, arn: str) -> str:
    """What is wrong with a key; empty when nothing is."""
    kms = sandbox.client("kms")
    if not arn or kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyManager"] != "CUSTOMER":
        return "no customer-managed key"
    policy = json.loads(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    for statement in statements:
        if statement.get("Effect") == "Allow" and names_everybody(statement):
            return f"its policy allows everybody: {json.dumps(statement)[:120]}"
    return ""


def names_everybody(statement: Mapping[str, Any]) -> bool:
    """Whether a statement is for any principal."""
    if "NotPrincipal" in statement:
        return True
    principal = statement.get("Principal")
    values: Sequence[Any] = list(principal.values()) if isinstance(principal, dict) else [principal]
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return "*" in flat


# --- the template

_ARN = re.compile(r"arn:(?:aws[a-z-]*|\$\{[^}]*\}):[a-z0-9-]+:(?P<region>[^:\s]*):(?P<account>[^:\s]*):")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_ACCOUNT = re.compile(r"\d{12}")


@check(id="i1", points=6, dimension=IAC, visibility=V, needs={"CF"}, static=True)
def the_template_fits_any_account(sandbox: Sandbox) -> Finding:
    """ARNs name no account or region, logs expire, and THREATS.json tells what was removed."""
    faults = [f"`{arn}` names an account or a region" for arn in sorted(set(pinned(sandbox)))]
    faults += sandbox.log_group_faults(sandbox.stack.functions)
    faults += threats(sandbox)
    for fault in faults[:4]:
        sandbox.saw("template.yaml and THREATS.json", fault)
    if faults:
        return failed(
            f"{len(faults)} things tie the stack down, stay for ever or are told wrongly.",
            expected="pseudo parameters in ARNs, 1 to 90 days, and the risks that were removed",
            look="ARNs and RetentionInDays in template.yaml, and THREATS.json",
        )
    return passed("ARNs fit any account and region, logs expire, and the removed risks are listed.")


def pinned(sandbox: Sandbox) -> Iterator[str]:
    """ARNs of the template, as far as they go, that hold a literal region or account."""
    for text in texts(sandbox.template.original):
        for found in _ARN.finditer(text):
            if _REGION.fullmatch(found["region"]) or _ACCOUNT.fullmatch(found["account"]):
                yield found[0]


def texts(value: Any) -> Iterator[str]:
    """Every text in a template; the parts of a join as one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        join = value.get("Fn::Join")
        if isinstance(join, list) and len(join) == 2 and isinstance(join[1], list):
            yield str(join[0]).join(item if isinstance(item, str) else "${}" for item in join[1])
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def threats(sandbox: Sandbox) -> Iterator[str]:
    """What is wrong with the list of removed risks."""
    try:
        told = json.loads(sandbox.files.get("THREATS.json", b""))
        named = {str(item) for item in told} if isinstance(told, list) else None
    except ValueError:
        named = None
    if named is None:
        yield "THREATS.json: not there, or not a JSON list"
        return
    if extra := sorted(named - RISKS):
        yield f"THREATS.json names what the starter does not have: {', '.join(extra)[:80]}"
    if left := RISKS - named:
        yield f"THREATS.json leaves out {len(left)} risks that the starter has"
