"""Web requests of checks: what is sent arrives as it is, and only the stack's own addresses are asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from graders.errors import ResourceNotFound
from graders.web import ask

API = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/webhook?try=1"


class Recorder(BaseHTTPRequestHandler):
    """Answers every request with what came."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.seen.append((self.path, self.headers["X-Signature"], body))  # type: ignore[attr-defined]
        self.send_response(409, "Conflict")
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"error": "REPLAYED"}')

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server(account: Any) -> Iterator[HTTPServer]:
    listening = HTTPServer(("127.0.0.1", 0), Recorder)
    listening.seen = []  # type: ignore[attr-defined]
    account.url = lambda address, client="": (
        f"http://127.0.0.1:{listening.server_port}/{address.partition('.com/')[2]}"
    )
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield listening
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_a_body_arrives_byte_by_byte_and_any_status_is_an_answer(account: Any, server: Any) -> None:
    body = b'\r\n{"id" :\t"\\u0065", "x": "\xc3\xb6"} \n'

    answer = ask(account, "POST", API, {"X-Signature": "ab12"}, body)

    assert server.seen == [("/webhook?try=1", "ab12", body)]
    assert (answer.status, answer.json) == (409, {"error": "REPLAYED"})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/webhook",
        "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com:8443/webhook",
        "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com.example.org/",
        "https://user@a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/",
        "https://localhost/",
        "webhook",
    ],
)
def test_no_other_host_is_asked_for_a_learner(account: Any, server: Any, address: str) -> None:
    with pytest.raises(ResourceNotFound, match="not the address of an API"):
        ask(account, "POST", address, {}, b"")
    assert server.seen == []
