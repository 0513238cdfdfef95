"""JupyterLab's door: who gets in, to whose, and what is led on; and the notebook's page in the portal."""

from __future__ import annotations

import asyncio
import http.client
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app import Portal
from curriculum.loader import Catalogue
from portal.notebooks.door import Door, NotSaved
from portal.notebooks.gateway import COOKIE, Gateway
from portal.notebooks.keeping import Keeper
from records.database import Database
from records.notebooks import Ticket, Tickets
from records.people import People
from records.store import Store
from settings import Settings

LAB = "serverless-or-containers"
NOON = datetime(2031, 5, 5, 12, tzinfo=UTC)


class Upstream(socketserver.ThreadingTCPServer):
    """Stands in for a JupyterLab: answers every request with the request, as text."""

    daemon_threads = True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = self.rfile.readline()
                if not line:
                    return
                head += line
            length = int((re.search(rb"(?i)content-length: (\d+)", head) or [0, 0])[1])
            body = head + self.rfile.read(length)
            self.wfile.write(
                b"HTTP/1.1 201 Created\r\nServer: Tornado\r\nSet-Cookie: theirs=1\r\nX-Kept: yes\r\n"
                b"X-Frame-Options: ALLOWALL\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )


@dataclass
class Server:
    """What the keeper takes for a JupyterServer."""

    address: tuple[str, int]
    files: dict[str, bytes]
    token: str
    ended: threading.Event = field(default_factory=threading.Event)
    trouble: str = ""
    ready: bool = True

    def start(self) -> None:
        pass

    def connect(self, timeout_s: float) -> socket.socket:
        if not self.ready:
            raise ConnectionError("not yet")
        return socket.create_connection(self.address)

    def take_files(self, limit_bytes: int) -> dict[str, bytes]:
        if sum(map(len, self.files.values())) > limit_bytes:
            raise ConnectionError("The files are larger than 10 MB.")
        return dict(self.files)

    def close(self) -> None:
        self.ended.set()


@dataclass
class House:
    """A gateway that listens, and everything behind it."""

    port: int
    keeper: Keeper
    tickets: Tickets
    store: Store
    people: People
    servers: list[Server]
    clock: list[datetime]

    def ticket(self, user_id: int, lab: str = LAB, use: str = "open") -> str:
        return self.tickets.make(Ticket(user_id, lab, use), self.clock[0])

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        sent = {"Host": "labs.test", "Accept": "text/html"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, text

    def enter(self, user_id: int, lab: str = LAB) -> str:
        status, headers, _text = self.ask(f"/enter?ticket={self.ticket(user_id, lab)}")
        assert status == 200
        return headers["set-cookie"].partition(";")[0]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    database = Database(f"sqlite:///{tmp_path / 'coldstart.db'}")
    database.upgrade()
    people, store, clock = People(database), Store(database), [NOON]
    for login in ("ada", "bob"):
        people.add(login, login, None, NOON)
    servers: list[Server] = []
    upstream = Upstream(("127.0.0.1", 0), Upstream.Handler)
    threading.Thread(target=upstream.serve_forever, args=(0.05,), daemon=True).start()

    def start(_environment: Path, files: dict[str, bytes], _origin: str, _account: Any) -> Server:
        servers.append(Server(upstream.server_address, dict(files), f"key-{len(servers)}"))  # type: ignore[arg-type]
        return servers[-1]

    monkeypatch.setattr("portal.notebooks.keeping.JupyterServer", start)
    keeper = Keeper(
        store, Catalogue, lambda: tmp_path, lambda _: None, "http://labs.test", lambda: clock[0], 2, 60
    )
    gateway = Gateway(
        keeper, Tickets(database), lambda user_id: people.get(user_id).session_epoch == 0, lambda: clock[0]
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    loop, ready = asyncio.new_event_loop(), threading.Event()

    def run() -> None:
        serving = loop.create_task(gateway.serve("127.0.0.1", port, ready.set))
        serving.add_done_callback(lambda _: loop.stop())
        loop.call_later(0, lambda: None)
        stop.append(serving.cancel)
        loop.run_forever()

    stop: list[Callable[[], Any]] = []
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    yield House(port, keeper, Tickets(database), store, people, servers, clock)
    loop.call_soon_threadsafe(stop[0])
    thread.join(10)
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    upstream.shutdown()
    upstream.server_close()
    database.close()


def test_a_ticket_lets_one_browser_in_once(house: House) -> None:
    secret = house.ticket(1)

    status, headers, text = house.ask(f"/enter?ticket={secret}")
    again, refused, _ = house.ask(f"/enter?ticket={secret}")

    assert (status, again) == (200, 403)
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(headers["set-cookie"].split("; "))
    assert 'url=/lab/tree/worksheet.ipynb"' in text
    assert "set-cookie" not in refused


@pytest.mark.parametrize("secret", ["", "x", "%00", "' OR 1=1"])
def test_a_guess_lets_nobody_in(house: House, secret: str) -> None:
    house.ticket(1)

    assert house.ask(f"/enter?ticket={secret.replace(' ', '+')}")[0] == 403


def test_an_old_ticket_and_one_for_something_else_let_nobody_in(house: House) -> None:
    other = house.ticket(1, use="save")
    old = house.ticket(1)
    assert house.ask(f"/enter?ticket={other}")[0] == 403

    house.clock[0] += timedelta(minutes=2)

    assert house.ask(f"/enter?ticket={old}")[0] == 403
    assert house.servers == []


def test_without_its_cookie_nothing_is_led_on(house: House) -> None:
    house.enter(1)

    assert house.ask("/lab")[0] == 403
    assert house.ask("/lab", Cookie=f"{COOKIE}=guess")[0] == 403
    assert house.ask("/api/contents", Authorization="token key-0")[0] == 403


def test_a_cookie_leads_to_its_own_learner_alone(house: House) -> None:
    ada, bob = house.enter(1), house.enter(2)

    assert "token key-0" in house.ask("/user/2/lab", Cookie=ada)[2]
    assert "token key-1" in house.ask("/user/1/lab?token=key-0", Cookie=bob)[2]


def test_what_is_led_on_holds_nothing_of_ours_and_what_comes_back_sets_nothing(house: House) -> None:
    cookie = house.enter(1)

    status, headers, echoed = house.ask(
        "/lab", Cookie=f"{cookie}; coldstart=session", Authorization="Bearer mine", X_Mine="1"
    )

    assert status == 201
    assert "Cookie" not in echoed
    assert re.findall(r"(?i)authorization: (.*)\r", echoed) == ["token key-0"]
    assert "X-Mine: 1" in echoed
    assert headers["x-kept"] == "yes"
    assert not {"set-cookie", "server"} & headers.keys()
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("origin", ["http://evil.test", "null", "http://labs.test.evil.test", ""])
def test_another_site_can_not_act_here(house: House, origin: str) -> None:
    headers = {"Cookie": house.enter(1)} | ({"Origin": origin} if origin else {})

    assert house.ask("/api/kernels", "POST", b"{}", **headers)[0] == 403
    assert (
        house.ask("/api/kernels/1/channels", Upgrade="websocket", Connection="Upgrade", **headers)[0] == 403
    )


def test_the_own_page_can(house: House) -> None:
    status, _headers, echoed = house.ask(
        "/api/kernels", "POST", b'{"name": "python3"}', Cookie=house.enter(1), Origin="http://labs.test"
    )

    assert (status, echoed[-19:]) == (201, '{"name": "python3"}')


def test_another_name_for_this_address_is_refused(house: House) -> None:
    assert house.ask("/lab", Host="evil.test", Cookie=house.enter(1))[0] == 421


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"CONNECT evil:443 HTTP/1.1\r\n\r\n",
        b"GET http://evil.test/ HTTP/1.1\r\nHost: labs.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : labs.test\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: labs.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: labs.test\r\nHost: evil.test\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
    ],
)
def test_strange_messages_are_not_led_on(house: House, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", house.port), timeout=10) as connection:
        connection.sendall(raw)
        said = connection.recv(100)

    assert said.startswith(b"HTTP/1.1 400")


def test_what_is_saved_in_jupyterlab_is_saved_in_the_workspace(house: House) -> None:
    cookie = house.enter(1)
    house.servers[0].files["worksheet.ipynb"] = b"{}"
    del house.servers[0].files["model/README.md"]
    house.store.save_files(1, LAB, {"notes.md": b"written in the portal"}, NOON)

    house.ask("/api/contents/worksheet.ipynb", "PUT", b"{}", Cookie=cookie, Origin="http://labs.test")
    assert house.ask(f"/save?ticket={house.ticket(1, use='save')}", Host="portal.test")[0] == 200

    files = house.store.workspace(1, LAB)
    assert files["worksheet.ipynb"] == b"{}"
    assert files["notes.md"] == b"written in the portal"
    assert "model/README.md" not in files


def test_files_that_no_submission_may_have_are_told_and_not_saved(house: House) -> None:
    house.enter(1)
    before = house.store.workspace(1, LAB)
    house.servers[0].files["../../etc/passwd"] = b"x"

    status, _headers, text = house.ask(f"/save?ticket={house.ticket(1, use='save')}")

    assert status == 409
    assert "leads out of the submission" in text
    assert house.store.workspace(1, LAB) == before


def test_too_many_are_told_to_come_later(house: House) -> None:
    house.enter(1)
    house.enter(2)
    house.people.add("eve", "eve", None, NOON)

    status, _headers, text = house.ask(f"/enter?ticket={house.ticket(3)}")

    assert (status, "All places are taken" in text) == (503, True)


def test_idle_ones_end_with_their_files_saved(house: House) -> None:
    cookie = house.enter(1)
    house.enter(2)
    house.servers[0].files["late.txt"] = b"written by code"
    house.keeper.find(1, LAB).used_at -= 100  # type: ignore[union-attr]

    house.keeper.end_idle(lambda _: True)

    assert [server.ended.is_set() for server in house.servers] == [True, False]
    assert house.store.workspace(1, LAB)["late.txt"] == b"written by code"
    assert house.ask("/lab", Cookie=cookie)[0] == 403


def test_ending_the_sessions_of_a_learner_ends_their_jupyterlab(house: House) -> None:
    house.enter(1)
    house.people.end_sessions(1)

    house.keeper.end_idle(lambda user_id: house.people.get(user_id).session_epoch == 0)

    assert house.servers[0].ended.is_set()


def test_a_page_waits_for_what_is_not_there_yet(house: House) -> None:
    cookie = house.enter(1)
    house.servers[0].ready = False

    status, _headers, text = house.ask("/lab/tree/a%22b", Cookie=cookie)

    assert status == 200
    assert 'content="1; url=/lab/tree/a%22b"' in text
    assert house.ask("/api/status", Cookie=cookie, Accept="application/json")[0] == 503


# --- the portal's side


def test_the_portal_asks_for_files_before_it_takes_them(house: House) -> None:
    door = Door(house.tickets, "http://labs.test", f"http://127.0.0.1:{house.port}", lambda: house.clock[0])
    house.enter(1)
    house.servers[0].files["late.txt"] = b"late"

    door.save(1, LAB)
    assert house.store.workspace(1, LAB)["late.txt"] == b"late"

    house.servers[0].files["big.bin"] = b"x" * 11_000_000
    with pytest.raises(NotSaved, match="larger than 10 MB"):
        door.save(1, LAB)


def test_without_anybody_at_the_door_there_is_nothing_to_save(house: House) -> None:
    Door(house.tickets, "http://labs.test", "http://127.0.0.1:9", lambda: NOON).save(1, LAB)


@pytest.mark.parametrize(
    ("portal", "apart"),
    [("127.0.0.1:8000", True), ("localhost:8000", False), ("localhost", False), ("portal.test", True)],
)
def test_jupyterlab_needs_a_host_name_of_its_own(house: House, portal: str, apart: bool) -> None:
    door = Door(house.tickets, "http://localhost:8001", "", lambda: NOON)

    assert door.is_apart_from(portal) is apart


@pytest.fixture
def portal_of(tmp_path: Path, visitor: Any) -> Iterator[Callable[[str], Any]]:
    """A learner at the portal with all labs, where JupyterLab is at some address."""
    opened: list[Portal] = []

    def portal_of(url: str) -> Any:
        home = tmp_path / "home"
        settings = Settings(home=home, secret_key="for tests", notebooks_url=url, notebooks_port=9)
        opened.append(Portal(settings))
        opened[0].database.upgrade()
        people = People(opened[0].database)
        user = people.add("ada", "Ada", None, datetime.now(UTC))
        # The same kind of browser as elsewhere, at another portal.
        learner = type(visitor)(opened[0].flask.test_client())
        learner.get(f"/sign-in/link/{people.make_link(user.id, datetime.now(UTC))}")
        return learner

    yield portal_of
    for portal in opened:
        portal.database.close()


def test_the_notebook_s_page_says_why_jupyterlab_is_not_to_be_had(portal_of: Any) -> None:
    page = portal_of("")

    assert "JupyterLab is not offered here" in page.get(f"/labs/{LAB}/notebook").text
    assert page.get("/labs/shipping-quote/notebook").status_code == 404
    assert "Open the notebook" in page.get(f"/labs/{LAB}").text
    assert "Open the notebook" not in page.get("/labs/shipping-quote").text


def test_a_browser_is_sent_with_a_ticket_to_a_host_of_its_own(portal_of: Any) -> None:
    page = portal_of("http://labs.test:8001")

    shown = page.get(f"/labs/{LAB}/notebook")
    sent = page.client.post(f"/labs/{LAB}/notebook/open", data={"csrf_token": page.token()})

    assert "form-action 'self' http://labs.test:8001;" in shown.headers["Content-Security-Policy"]
    assert "labs.test" not in page.get("/attempts").headers["Content-Security-Policy"]
    assert sent.status_code == 303
    assert sent.headers["Location"].startswith("http://labs.test:8001/enter?ticket=")


def test_the_portal_opens_no_jupyterlab_under_its_own_name(portal_of: Any) -> None:
    page = portal_of("http://localhost:8001")

    sent = page.client.post(f"/labs/{LAB}/notebook/open", data={"csrf_token": page.token()})

    assert sent.status_code == 503
    assert "the same host name as this page" in sent.text


def test_a_notebook_s_submission_without_its_program_is_told(portal_of: Any) -> None:
    page = portal_of("")
    page.get(f"/labs/{LAB}/workspace")
    page.delete(f"/labs/{LAB}/workspace/files?path=model/run")

    answer = page.post(f"/labs/{LAB}/notebook/submit")

    assert answer.status_code == 422
    assert "There is no model/run." in answer.text


def test_a_notebook_is_handed_in_from_its_page(portal_of: Any) -> None:
    answer = portal_of("").post(f"/labs/{LAB}/notebook/submit")

    assert answer.request.path == "/attempts/1"
