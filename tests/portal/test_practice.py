"""Practice accounts over a real supervisor: opened, deployed to, used, kept apart, and put in order."""

from __future__ import annotations

import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from botocore.exceptions import ClientError
from flask import Flask

from app import Portal
from graders.skeleton import skeleton
from portal.sandboxes.accounts import PracticeAccounts
from portal.sandboxes.errands import Errands
from portal.sandboxes.streams import Watch, follow
from portal.sandboxes.views import is_this_machine
from records.errors import Deploying, NoRoom
from records.people import People, User
from records.practice import Practice
from sandbox.console.refusals import Refused
from sandbox.console.stacks import Stack, find_stack
from settings import Settings
from tests.portal.conftest import Visitor
from tests.portal.practising import FILES, furnish

BASE = "/labs/say-hello/sandbox"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="practice-") as made:
        folder = Path(made)
        for path, body in skeleton("say-hello", "X01").items():
            target = folder / "labs" / "say-hello" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(body, "utf-8")
        furnish(folder / "home")
        yield Settings(
            home=folder / "home", labs_folder=folder / "labs", secret_key="for tests only", practice_limit=3
        )


@pytest.fixture(scope="module")
def portal(settings: Settings) -> Iterator[Portal]:
    portal = Portal(settings)
    portal.database.upgrade()
    portal.practice.accounts.prepare()
    yield portal
    for record in portal.practice.practice.accounts():
        portal.practice.accounts.close(record.user_id)
    portal.practice.close()
    portal.database.close()


@pytest.fixture(scope="module")
def app(portal: Portal) -> Flask:
    return portal.flask


@pytest.fixture(scope="module")
def come(portal: Portal) -> Callable[[str], tuple[User, Visitor]]:
    """Somebody of this name, signed in."""
    people = People(portal.database)

    def come(login: str) -> tuple[User, Visitor]:
        now = datetime.now(UTC)
        user = people.find(login) or people.add(login, login.title(), None, now)
        visitor = Visitor(portal.flask.test_client())
        visitor.get(f"/sign-in/link/{people.make_link(user.id, now)}")
        return user, visitor

    return come


class Bench:
    """Ada, with the stack deployed."""

    def __init__(self, portal: Portal, user: User, visitor: Visitor) -> None:
        self.portal, self.user, self.visitor = portal, user, visitor

    @property
    def account(self) -> Any:
        found = self.portal.practice.accounts.find(self.user.id)
        assert found is not None
        return found

    @property
    def stack(self) -> Stack:
        found = find_stack(self.account, "say-hello")
        assert found is not None
        return found

    def name(self, kind: str, logical_id: str = "") -> str:
        return next(
            each.physical_id
            for each in self.stack.of(kind)
            if not logical_id or each.logical_id == logical_id
        )

    def get(self, page: str, **query: str) -> str:
        answer = self.visitor.get(f"{BASE}{page}?{urlencode(query)}")
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, page: str, **form: Any) -> Any:
        return self.visitor.post(f"{BASE}{page}", form)

    def deploy(self, files: dict[str, bytes]) -> dict[str, Any]:
        self.portal.store.save_files(self.user.id, "say-hello", files, datetime.now(UTC), replace_all=True)
        assert self.post("/deploy").status_code == 200
        return self.ended()

    def ended(self) -> dict[str, Any]:
        until = time.monotonic() + 60
        while (latest := self.portal.practice.practice.latest(self.user.id, "say-hello")) and latest.is_open:
            assert time.monotonic() < until, latest
            time.sleep(0.02)  # Another process deploys; its row is what tells of it.
        assert latest is not None
        return {**latest.body, "state": latest.state}


@pytest.fixture(scope="module")
def bench(portal: Portal, come: Callable[[str], tuple[User, Visitor]]) -> Bench:
    bench = Bench(portal, *come("ada"))
    assert "Open the account" in bench.get("")
    assert bench.post("/open").status_code == 200
    body = bench.deploy(FILES)
    assert body["state"] == "done", body
    return bench


def test_what_was_deployed_is_shown_with_its_outputs_and_phases(bench: Bench) -> None:
    page = bench.get("")

    assert "Build your code" in page
    assert "execute-api.us-east-1.amazonaws.com/greet/x" in page
    assert "Deployed" in page
    resources = bench.get("/resources")
    assert all(name in resources for name in ("Hello", "Things", "Files", "Letters", "Orders", "Flow"))


def test_deploying_what_is_there_changes_nothing_and_says_so(bench: Bench) -> None:
    bench.deploy(FILES)

    assert "Nothing had changed" in bench.get("")


def test_a_deployment_that_fails_is_told_in_cloudformations_words_with_file_and_line(bench: Bench) -> None:
    broken = FILES["template.yaml"].replace(
        b"Type: AWS::S3::Bucket", b"Type: AWS::S3::Bucket\n    Properties: {BucketName: UPPER}"
    )
    line = broken.decode().splitlines().index("  Files:") + 1
    body = bench.deploy({**FILES, "template.yaml": broken})

    assert body["state"] == "failed"
    assert body["problem"]["where"].startswith(f"template.yaml:{line}")
    page = bench.get("")
    assert "BucketName" in page
    assert f"template.yaml:{line}" in page
    assert bench.deploy(FILES)["state"] == "done"


def test_code_that_does_not_build_is_told_with_its_file(bench: Bench) -> None:
    body = bench.deploy(
        {**FILES, "template.yaml": FILES["template.yaml"].replace(b"app.handler", b"none.handler")}
    )

    assert body["state"] == "failed"
    assert body["steps"][0]["status"] == "failed"
    assert body["problem"]["where"].startswith("template.yaml:")
    assert bench.deploy(FILES)["state"] == "done"


def test_a_template_that_cant_be_read_is_told_at_once(bench: Bench) -> None:
    bench.portal.store.save_files(
        bench.user.id, "say-hello", {"template.yaml": b"a: ["}, datetime.now(UTC), replace_all=True
    )

    answer = bench.post("/deploy")

    assert answer.status_code == 422
    assert "This was not deployed." in answer.text
    assert "template.yaml:" in answer.text
    bench.deploy(FILES)


def test_nobody_reaches_the_account_of_another(
    bench: Bench, come: Callable[[str], tuple[User, Visitor]], portal: Portal
) -> None:
    bucket = bench.name("AWS::S3::Bucket")
    _eve, visitor = come("eve")

    for page in ("/resources", "/logs", "/timeline/page", "/rights", f"/bucket?name={bucket}"):
        answer = visitor.get(f"{BASE}{page}")
        assert answer.status_code == 303, page
        assert answer.location == BASE
    assert visitor.post(f"{BASE}/keys").text.count("AKIA") == 0
    visitor.post(f"{BASE}/open")
    mine = visitor.get(f"{BASE}/bucket?name={bucket}")
    assert mine.status_code == 422
    assert bench.account.account_id not in mine.text
    visitor.post(f"{BASE}/close")
    anonymous = portal.flask.test_client()
    assert anonymous.get(f"{BASE}/logs").status_code == 303
    assert anonymous.post(f"{BASE}/open").status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/open",
        "/reset",
        "/close",
        "/deploy",
        "/clock",
        "/keys",
        "/bucket/put",
        "/function/invoke",
        "/api/call",
    ],
)
def test_every_act_needs_the_pages_token(bench: Bench, path: str) -> None:
    assert bench.visitor.client.post(f"{BASE}{path}").status_code == 400


def test_objects_are_put_listed_handed_out_as_downloads_and_deleted(bench: Bench) -> None:
    bucket = bench.name("AWS::S3::Bucket")
    body = "<script>alert(1)</script>"

    bench.post("/bucket/put", name=bucket, key="a/<i>.html", text=body)

    listed = bench.get("/bucket", name=bucket, prefix="a/")
    assert "a/&lt;i&gt;.html" in listed
    assert "<i>.html" not in listed
    download = bench.visitor.get(f"{BASE}/bucket/object?{urlencode({'name': bucket, 'key': 'a/<i>.html'})}")
    assert download.data == body.encode()
    assert download.mimetype == "application/octet-stream"
    assert download.headers["Content-Disposition"].startswith("attachment")
    assert download.headers["X-Content-Type-Options"] == "nosniff"
    assert download.headers["Cache-Control"] == "no-store"
    bench.post("/bucket/delete", name=bucket, key="a/<i>.html")
    assert "No objects." in bench.get("/bucket", name=bucket, prefix="a/")
    refused = bench.post("/bucket/put", name=bucket, key="", text="x")
    assert refused.status_code == 422
    assert "An object needs a key." in refused.text


def test_items_are_put_in_either_json_and_deleted(bench: Bench) -> None:
    table = bench.name("AWS::DynamoDB::Table")

    bench.post("/table/put", name=table, item='{"id": "plain", "n": 1.5, "deep": {"list": [true, null]}}')
    bench.post("/table/put", name=table, item='{"id": {"S": "typed"}, "raw": {"B": "aGk="}}')

    page = bench.get("/table", name=table)
    assert "&#34;1.5&#34;" in page
    assert "aGk=" in page
    for text, why in (
        ("[1]", "JSON object"),
        ("{", "not JSON"),
        ('{"x": 1}', "Missing the key"),
        ('{"id": {"B": "*"}}', "no value"),
    ):
        answer = bench.post("/table/put", name=table, item=text)
        assert answer.status_code == 422
        assert why in answer.text
    bench.post("/table/delete", name=table, key='{"id": {"S": "typed"}}')
    assert "aGk=" not in bench.get("/table", name=table)


def test_looking_at_messages_receives_none(bench: Bench) -> None:
    queue = bench.name("AWS::SQS::Queue")
    bench.post("/queue/send", name=queue, body="<img src=x onerror=alert(1)>")

    for _ in range(2):
        page = bench.get("/queue", name=queue)
        assert "&lt;img src=x" in page
        assert "not received yet" in page
    counted = bench.account.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
    assert counted["Attributes"]["ApproximateNumberOfMessages"] == "1"
    assert counted["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "0"
    bench.post("/queue/purge", name=queue)
    assert "No messages." in bench.get("/queue", name=queue)


def test_a_function_is_called_with_answer_log_and_duration(bench: Bench) -> None:
    name = bench.name("AWS::Lambda::Function")

    answered = bench.post("/function/invoke", name=name, event='{"pathParameters": {"name": "ann"}}').text
    failed = bench.post("/function/invoke", name=name, event='{"fail": true}').text

    assert "statusCode" in answered
    assert "&lt;script&gt;" in answered
    assert "<script>alert" not in answered
    assert re.search(r"[\d.]+ ms", answered)
    assert "REPORT RequestId" in answered
    assert "as asked" in failed
    assert "Unhandled" in failed
    refused = bench.post("/function/invoke", name=name, event="{")
    assert refused.status_code == 422
    assert "The event is not JSON" in refused.text


def test_test_events_name_the_stacks_resources_and_can_be_kept(bench: Bench) -> None:
    name = bench.name("AWS::Lambda::Function")

    assert bench.name("AWS::S3::Bucket") in bench.get("/function", name=name, event="s3")
    for kind in ("sqs", "sns", "api-v1", "api-v2", "eventbridge", "schedule", "kinesis", "dynamodb", "plain"):
        assert "{" in bench.get("/function", name=name, event=kind)
    bench.post("/function/invoke", name=name, event='{"mine": 1}', save_as=" my  event ")
    assert "&#34;mine&#34;: 1" in bench.get("/function", name=name, saved="my event")
    bench.post("/function/events/drop", name=name, saved="my event")
    assert "my event" not in bench.get("/function", name=name)


def test_the_api_is_called_and_nothing_else(bench: Bench) -> None:
    name = bench.name("AWS::ApiGatewayV2::Api")
    page = bench.get("/api", name=name)
    api = re.findall(r'<option value="([^"]+)"', page)[0]
    assert "GET /greet/{name}" in page

    answered = bench.post("/api/call", name=name, api=api, method="GET", path="/greet/bob", headers="X-A: b")
    missing = bench.post("/api/call", name=name, api=api, method="GET", path="/nowhere")

    assert "200" in answered.text
    assert "&lt;script&gt;alert(&#39;bob&#39;)" in answered.text
    assert "<script>alert" not in answered.text
    assert "404" in missing.text
    for form, why in (
        ({"api": "http://127.0.0.1:1/"}, "no such API"),
        ({"path": "http://127.0.0.1:1/"}, "begins with /"),
        ({"path": "//127.0.0.1:1/"}, "404"),
        ({"headers": "Host: elsewhere"}, "can&#39;t be sent"),
        ({"headers": "<b>100 %d</b>: x"}, "&lt;b&gt;100 %d&lt;/b&gt;"),
        ({"headers": "nonsense"}, "one header a line"),
        ({"method": "CONNECT"}, "The method is one of"),
    ):
        wrong = bench.post(
            "/api/call", **{"name": name, "api": api, "method": "GET", "path": "/greet/a", **form}
        )
        assert why in wrong.text, form
    by_url = bench.get("/api", name=bench.name("AWS::Lambda::Url"))
    assert "lambda-url" in by_url


def test_executions_are_started_and_drawn_state_by_state(bench: Bench) -> None:
    machine = bench.name("AWS::StepFunctions::StateMachine")

    good = bench.post("/machine/start", name=machine, input="{}")
    bench.account.settle()
    bad = bench.post("/machine/start", name=machine, input='{"bad": 1}')
    bench.account.settle()

    shown = bench.visitor.get(f"{good.request.path}?{good.request.query_string.decode()}").text
    assert "SUCCEEDED" in shown
    for name in ("Both", "Left", "Right", "Done"):
        assert re.search(rf'class="state (group )?done">.{{0,200}}{name}', shown, re.DOTALL), name
    failed = bench.visitor.get(f"{bad.request.path}?{bad.request.query_string.decode()}").text
    assert "Refused: it was bad" in failed
    assert "ExecutionFailed" in failed
    assert bench.post("/machine/start", name=machine, input="{").status_code == 422
    foreign = "arn:aws:states:us-east-1:123456789012:execution:other:x"
    assert (
        bench.visitor.get(
            f"{BASE}/execution?{urlencode({'name': machine, 'execution': foreign})}"
        ).status_code
        == 422
    )


def test_an_event_on_the_bus_reaches_the_rules_target(bench: Bench) -> None:
    rule, queue = bench.name("AWS::Events::Rule", "Orders"), bench.name("AWS::SQS::Queue")

    put = bench.post(
        "/bus/put", name=rule, source="shop.orders", detail_type="Order Placed", detail='{"n": 7}'
    )
    bench.account.settle()

    assert "It is on the bus" in put.text
    assert "Order Placed" in bench.get("/queue", name=queue)
    bench.post("/queue/purge", name=queue)
    assert bench.post("/bus/put", name=rule, source="a", detail_type="b", detail="x").status_code == 422


def test_the_clock_moves_and_tells_what_fell_due(bench: Bench) -> None:
    before = bench.account.now()

    moved = bench.post("/clock", by="1h")

    assert bench.account.now() - before >= timedelta(hours=1)
    assert "What happened meanwhile" in moved.text
    assert "Hello" in moved.text
    custom = bench.post("/clock", by="", custom="90s")
    assert custom.status_code == 200
    for text in ("", "-1h", "1y", "999999d"):
        assert bench.post("/clock", by="", custom=text).status_code == 422


def test_logs_traces_timeline_and_rights_tell_of_the_call(bench: Bench) -> None:
    name = bench.name("AWS::Lambda::Function")
    bench.post("/function/invoke", name=name, event='{"pathParameters": {"name": "zoe"}}')

    logs = bench.get("/logs", words="zoe")
    assert "seen" in logs
    assert "REPORT" not in logs
    assert name in bench.get("/traces")
    assert bench.visitor.get(f"{BASE}/traces?words=nonsense(").status_code == 200
    rights = bench.get("/rights")
    assert "dynamodb:PutItem" in rights
    assert "The smallest policy that would have done" in rights
    frame = bench.visitor.get(f"{BASE}/timeline/page")
    policy = frame.headers["Content-Security-Policy"]
    assert "sandbox allow-scripts" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert frame.headers["X-Frame-Options"] == "SAMEORIGIN"
    nonce = re.search(r"script-src 'nonce-([^']+)'", policy)
    assert nonce is not None
    assert f'<script nonce="{nonce[1]}">' in frame.text
    assert 'sandbox="allow-scripts"' in bench.get("/timeline")


def test_keys_are_shown_once_and_end_when_others_are_asked_for(bench: Bench) -> None:
    first, second = (_keys(bench.post("/keys").text) for _ in range(2))

    assert first != second
    with pytest.raises(ClientError, match=r"InvalidClientTokenId|UnrecognizedClient|security token"):
        _caller(first)
    assert _caller(second) == bench.account.account_id
    for page in ("", "/resources", "/logs", "/rights", "/timeline/page"):
        text = bench.get(page)
        assert second["AWS_SECRET_ACCESS_KEY"] not in text
        assert bench.account.keys.secret_access_key not in text


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1:8000", True), ("localhost:8000", True), ("[::1]:8000", True), ("labs.example.com", False)],
)
def test_the_port_answers_those_who_reach_the_portal_as_their_own_machine(
    app: Flask, host: str, local: bool
) -> None:
    with app.test_request_context(f"{BASE}/keys", headers={"Host": host}):
        assert is_this_machine() is local


def test_learners_elsewhere_are_told_to_forward_the_port(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.sandboxes.views.is_this_machine", lambda: False)
    port = bench.account.endpoint_url.rpartition(":")[2]

    told = bench.post("/keys").text
    monkeypatch.setattr(bench.portal.practice, "ssh", "lab@example.com")
    forwarded = bench.post("/keys").text

    assert "does not say how your machine reaches it" in told
    assert f"ssh -N -L {port}:127.0.0.1:{port} lab@example.com" in forwarded


def test_a_page_hears_of_what_others_do_and_not_of_its_own_looks(bench: Bench) -> None:
    watch = Watch(bench.portal.practice, bench.user.id)
    at_first = watch.look()
    bench.get("/resources")
    assert watch.look() == at_first

    keys = _keys(bench.post("/keys").text)
    _caller(keys)
    heard = watch.look()
    assert heard["happened"] > at_first["happened"]
    bench.deploy(FILES)
    assert watch.look()["deployment"] > heard["deployment"]

    stream = follow(bench.portal.practice, bench.user.id, wait=lambda _: None)
    assert next(stream).startswith(b"data: {")
    token = bench.portal.practice.token(bench.user.id)
    assert bench.portal.practice.user_of(token) == bench.user.id
    assert bench.portal.practice.user_of(f"{token}x") is None
    assert bench.visitor.get("/practice-events/nonsense").status_code == 204


def test_a_restart_of_the_portal_loses_nothing(bench: Bench, settings: Settings) -> None:
    again = Portal(settings)

    found = again.practice.accounts.find(bench.user.id)

    assert found is not None
    assert found.account_id == bench.account.account_id
    again.practice.look_after()
    assert again.practice.accounts.find(bench.user.id) is not None
    again.practice.close()
    again.database.close()


def test_use_past_the_portal_keeps_an_account_and_idleness_ends_it(
    portal: Portal, come: Callable[[str], tuple[User, Visitor]]
) -> None:
    user, visitor = come("idle")
    visitor.post(f"{BASE}/open")
    keys = _keys(visitor.post(f"{BASE}/keys").text)
    accounts = portal.practice.accounts
    later = _with(accounts, hours=2)

    _caller(keys)
    later.sweep()
    assert accounts.find(user.id) is not None
    still_later = _with(accounts, hours=4)
    others = [each for each in portal.practice.practice.accounts() if each.user_id != user.id]
    for each in others:
        portal.practice.practice.used(each.user_id, still_later.now())
    still_later.sweep()

    assert accounts.find(user.id) is None
    assert all(accounts.find(each.user_id) for each in others)


def test_an_account_that_died_is_noticed_and_one_that_nobody_owns_ends(
    portal: Portal, come: Callable[[str], tuple[User, Visitor]]
) -> None:
    user, visitor = come("unlucky")
    visitor.post(f"{BASE}/open")
    account = portal.practice.accounts.find(user.id)
    assert account is not None
    os.kill(account.pid, signal.SIGKILL)
    _until_gone(account.pid)

    assert "Open the account" in visitor.get(BASE).text
    visitor.post(f"{BASE}/open")
    fresh = portal.practice.accounts.find(user.id)
    assert fresh is not None
    assert fresh.account_id != account.account_id

    portal.practice.practice.forget(user.id, fresh.account_id)
    portal.practice.accounts.sweep()
    _until_gone(fresh.pid)


def test_no_more_are_opened_than_the_installation_allows(
    bench: Bench, portal: Portal, come: Callable[[str], tuple[User, Visitor]]
) -> None:
    full = _with(portal.practice.accounts, limit=1)
    user, _visitor = come("late")

    with pytest.raises(NoRoom):
        full.open(user.id)

    assert full.open(bench.user.id) is not None


def test_reset_gives_an_empty_account(portal: Portal, come: Callable[[str], tuple[User, Visitor]]) -> None:
    user, visitor = come("tidy")
    visitor.post(f"{BASE}/open")
    before = portal.practice.accounts.find(user.id)
    visitor.post(f"{BASE}/reset")
    after = portal.practice.accounts.find(user.id)

    assert before is not None
    assert after is not None
    assert before.account_id != after.account_id
    visitor.post(f"{BASE}/close")
    assert portal.practice.accounts.find(user.id) is None


def test_an_interrupted_deployment_is_taken_up_and_given_up_after_three_tries(
    portal: Portal, come: Callable[[str], tuple[User, Visitor]]
) -> None:
    practice = Practice(portal.database, "a place where nobody deploys")
    user, _visitor = come("patient")
    queued = practice.queue(user.id, "123456789012", "say-hello", b"no zip", datetime.now(UTC))
    with pytest.raises(Deploying):
        practice.queue(user.id, "123456789012", "say-hello", b"no zip", datetime.now(UTC))
    claims = []
    for hours in (5, 4, 3):
        claimed = practice.claim(datetime.now(UTC) - timedelta(hours=hours))
        assert claimed is not None
        claims.append(claimed[0])
    assert practice.claim(datetime.now(UTC)) is None
    # Who lost it writes nothing any more.
    assert not practice.report(claims[0], {}, datetime.now(UTC), "done")

    practice.give_up(datetime.now(UTC), {"problem": {"message": "interrupted"}})

    assert practice.deployment(queued.id).state == "failed"
    assert not practice.report(claims[-1], {}, datetime.now(UTC), "done")


def test_a_learner_can_not_take_every_thread() -> None:
    errands = Errands(wait_s=0.01)
    release = threading.Event()
    for _ in range(2):
        with pytest.raises(Refused, match="longer than a page waits"):
            errands.run(1, release.wait)

    with pytest.raises(Refused, match="still under way"):
        errands.run(1, lambda: 1)
    errands.wait_s = 5
    assert errands.run(2, lambda: 1) == 1
    release.set()


def _with(accounts: PracticeAccounts, *, hours: float = 0, limit: int = 20) -> PracticeAccounts:
    """Another process's view of the same accounts, at a later time or with another limit."""
    return PracticeAccounts(
        accounts.practice,
        accounts.home,
        accounts.isolation,
        lambda: datetime.now(UTC) + timedelta(hours=hours),
        limit,
        accounts.idle,
    )


def _keys(page: str) -> dict[str, str]:
    return dict(re.findall(r"export (AWS_\w+)=(\S+?)(?:\n|</pre>)", page))


def _caller(keys: dict[str, str]) -> str:
    client = boto3.client(
        "sts",
        endpoint_url=keys["AWS_ENDPOINT_URL"],
        region_name=keys["AWS_DEFAULT_REGION"],
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    return str(client.get_caller_identity()["Account"])


def _until_gone(pid: int) -> None:
    until = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until, "it still runs"
        time.sleep(0.02)  # The supervisor buries it; nobody tells us.
