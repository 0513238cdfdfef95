"""What is too large is refused early, however it is sent, and costs no memory."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from records.credentials import Credentials
from records.database import Database
from records.people import People
from tests.browsing import ROOT, free_port, serve

PIECE = bytes(1_000_000)
MEGABYTES = 60


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, int]]:
    """A portal's address, a token, and the process that answers."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    database = Database(f"sqlite:///{home / 'coldstart.db'}")
    database.upgrade()
    user = People(database).add("ada", "Ada", None, datetime.now(UTC))
    token = Credentials(database).make_token(user.id, "test", datetime.now(UTC))
    server = serve(home, ROOT / "labs", port)
    child = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    yield f"http://127.0.0.1:{port}", token, int(child[0])
    server.terminate()
    server.wait(15)
    database.close()


@pytest.mark.parametrize("length_is_told", [True, False], ids=["with its length", "in pieces"])
def test_what_is_far_too_large_is_refused_and_costs_no_memory(
    site: tuple[str, str, int], length_is_told: bool
) -> None:
    address, token, pid = site
    length = f"Content-Length: {MEGABYTES * len(PIECE)}" if length_is_told else "Transfer-Encoding: chunked"
    head = f"POST /api/v1/labs/a02/submissions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    piece = PIECE if length_is_told else b"%x\r\n%b\r\n" % (len(PIECE), PIECE)
    before = peak_kb(pid)

    answer = b""
    with socket.create_connection(("127.0.0.1", urlsplit(address).port or 0), 60) as connection:
        connection.sendall(f"{head}{length}\r\n\r\n".encode())
        for _ in range(MEGABYTES):
            # As browsers do: whoever is answered while still sending stops and reads.
            if select.select([connection], [], [], 0)[0]:
                break
            connection.sendall(piece)
        answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 413 "), answer
    assert peak_kb(pid) - before < 60_000


def peak_kb(pid: int) -> int:
    """The most memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
