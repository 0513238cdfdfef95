"""Accounts by mail: confirmed addresses, forgotten passwords, one's own page, leaving with one's data."""

from __future__ import annotations

import email
import io
import json
import re
import socket
import zipfile
from datetime import UTC, datetime, timedelta
from email import policy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from app import Portal
from portal.mailing import Postman
from records.mails import Mails
from records.tables import blobs, metadata
from settings import Settings

PASSWORD = "correct horse battery"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"verify_email": True, "url": "https://lab.example.com"})


@pytest.fixture
def mailed(portal: Portal, settings: Settings) -> Any:
    """All mails there are, each as (to, subject, text); what waits is handed over first."""

    def read() -> list[tuple[str, str, str]]:
        portal.postman.deliver()
        files = sorted(
            (settings.home / "outbox").glob("*.eml"), key=lambda path: int(path.name.split("-")[1])
        )
        found = [email.message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]
        return [(str(item["To"]), str(item["Subject"]), item.get_content()) for item in found]

    # Nothing runs beside the test: it says itself when mails are handed over.
    portal.postman._thread = object()  # type: ignore[assignment]
    return read


def link_in(text: str) -> str:
    found = re.search(r"https://lab\.example\.com(/\S+)", text)
    assert found, text
    return found[1]


def sign_up(visitor: Any, mailed: Any, address: str = "grace@example.org") -> Any:
    answer = visitor.post("/sign-up", {"login": address, "name": "Grace", "password": PASSWORD})
    assert "Look at your mail" in answer.text
    return visitor.post(link_in(mailed()[-1][2]))


def test_an_account_is_made_by_the_link_in_a_mail_and_not_before(
    visitor: Any, mailed: Any, people: Any
) -> None:
    visitor.post("/sign-up", {"login": "Grace@Example.org", "name": "Grace", "password": PASSWORD})
    [(to, subject, text)] = mailed()

    assert (to, subject) == ("grace@example.org", "Confirm your address")
    assert people.by_email("grace@example.org") is None
    # Programs look into mails and open what they find.
    assert visitor.get(link_in(text)).status_code == 200
    assert people.by_email("grace@example.org") is None

    assert visitor.post(link_in(text)).request.path == "/"
    assert people.by_email("grace@example.org").name == "Grace"
    assert visitor.post(link_in(text)).status_code == 410
    visitor.post("/sign-out")
    assert visitor.post("/sign-in", {"login": "grace@example.org", "password": PASSWORD}).request.path == "/"


def test_nobody_learns_who_has_an_account(visitor: Any, app: Any, mailed: Any) -> None:
    sign_up(visitor, mailed)
    visitor.post("/sign-out")

    again = visitor.post("/sign-up", {"login": "grace@example.org", "name": "G", "password": PASSWORD})
    fresh = visitor.post("/sign-up", {"login": "other@example.org", "name": "G", "password": PASSWORD})
    known = visitor.post("/sign-in/forgotten", {"email": "grace@example.org"})
    unknown = visitor.post("/sign-in/forgotten", {"email": "nobody@example.org"})

    same = re.compile(r"grace@|other@|nobody@|nonce-\S+|value=\"[^\"]*\"")
    assert same.sub("", again.text) == same.sub("", fresh.text)
    assert same.sub("", known.text) == same.sub("", unknown.text)
    subjects = [subject for _, subject, _ in mailed()]
    assert subjects == [
        *(
            "Confirm your address",
            "You have an account already",
            "Confirm your address",
            "Choose a new password",
        )
    ]


def test_mails_lead_to_the_portal_whatever_a_request_was_sent_to(visitor: Any, mailed: Any) -> None:
    form = {"login": "grace@example.org", "name": "Grace", "password": PASSWORD}
    visitor.client.post(
        "/sign-up", data={**form, "csrf_token": visitor.token()}, headers={"X-Forwarded-Host": "evil.example"}
    )

    assert "evil" not in mailed()[0][2]


def test_links_end_after_two_hours_and_when_another_was_asked_for(
    visitor: Any, mailed: Any, portal: Portal
) -> None:
    for _ in range(2):
        visitor.post("/sign-up", {"login": "grace@example.org", "name": "Grace", "password": PASSWORD})
    first, second = (link_in(text) for _, _, text in mailed())

    assert visitor.get(first).status_code == 410
    assert visitor.get(second).status_code == 200
    late = Mails(portal.database).look_at_link(
        second.rpartition("/")[2], "sign-up", datetime.now(UTC) + timedelta(hours=2, minutes=1)
    )
    assert late is None


def test_a_forgotten_password_is_replaced_and_everything_else_signed_out(
    app: Any, visitor: Any, mailed: Any, signed_in: Any, people: Any
) -> None:
    sign_up(visitor, mailed)
    elsewhere = signed_in(people.by_email("grace@example.org"))
    visitor.post("/sign-out")
    visitor.post("/sign-in/forgotten", {"email": "grace@example.org"})
    address = link_in(mailed()[-1][2])

    assert "At least 10" in visitor.get(address).text
    assert visitor.post(address, {"password": "1234567890123"}).status_code == 422
    assert visitor.post(address, {"password": "another one entirely"}).request.path == "/"

    assert elsewhere.get("/").status_code == 303
    assert visitor.post(address, {"password": "and a third one"}).status_code == 410
    visitor.post("/sign-out")
    assert visitor.post("/sign-in", {"login": "grace@example.org", "password": PASSWORD}).status_code == 401


@pytest.mark.parametrize(
    "password", ["aaaaaaaaaaaaaa", "password1234", "Qwertyuiop1", "1234567890", "grace2026!!"]
)
def test_passwords_that_are_tried_first_are_refused(visitor: Any, password: str) -> None:
    answer = visitor.post("/sign-up", {"login": "grace@example.org", "name": "Grace", "password": password})

    assert answer.status_code == 422
    assert "among the first" in answer.text


def test_mails_to_one_address_are_limited(visitor: Any, mailed: Any) -> None:
    answers = [
        visitor.post("/sign-in/forgotten", {"email": "grace@example.org"}).status_code for _ in range(6)
    ]

    assert answers == [200] * 5 + [429]


def test_a_mail_that_is_not_taken_is_tried_again_and_not_lost(portal: Portal, settings: Settings) -> None:
    tries, clock = [], [datetime.now(UTC)]

    def send(message: Any) -> None:
        tries.append(message["Message-ID"])
        if len(tries) < 3:
            raise ConnectionRefusedError("nobody listens")

    postman = Postman(Mails(portal.database), send, "Coldstart <no-reply@lab.example.com>", lambda: clock[0])
    postman._thread = object()  # type: ignore[assignment]
    postman.post("grace@example.org", "Hello", "Open https://lab.example.com/x")

    assert postman.deliver() == 1
    assert postman.mails.waiting() == [("grace@example.org", 1, "nobody listens")]
    assert postman.deliver() == 0, "not at once again"
    for _ in range(2):
        clock[0] += timedelta(minutes=3)
        assert postman.deliver() == 1
    assert postman.mails.waiting() == []
    assert len(set(tries)) == 1, "whoever got it twice sees it once"


def test_smtp_is_spoken_to_a_real_server(portal: Portal, settings: Settings) -> None:
    import threading

    from portal.mailing import Server, by_smtp

    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.write(b"220 here\r\n")
            stream.flush()
            inside = False
            for line in stream:
                heard.append(line)
                if inside:
                    inside = line != b".\r\n"
                    reply = b"" if inside else b"250 taken\r\n"
                elif line.upper().startswith(b"EHLO"):
                    reply = b"250 here\r\n"
                elif line.upper().startswith(b"DATA"):
                    inside, reply = True, b"354 go on\r\n"
                else:
                    reply = b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 well\r\n"
                stream.write(reply)
                stream.flush()

    thread = threading.Thread(target=serve)
    thread.start()
    send = by_smtp(Server("127.0.0.1", listener.getsockname()[1], security="none"))
    postman = Postman(
        Mails(portal.database), send, "Coldstart <no-reply@lab.example.com>", lambda: datetime.now(UTC)
    )
    postman._thread = object()  # type: ignore[assignment]
    postman.post("grace@example.org", "Grüße", "Öffne https://lab.example.com/x")
    postman.deliver()
    thread.join(10)
    listener.close()

    assert b"rcpt TO:<grace@example.org>\r\n" in heard
    message = email.message_from_bytes(
        b"".join(heard[heard.index(b"data\r\n") + 1 : heard.index(b".\r\n")]), policy=policy.default
    )
    assert (message["Subject"], message.get_content().strip()) == ("Grüße", "Öffne https://lab.example.com/x")
    assert postman.mails.waiting() == []


def test_another_address_is_confirmed_there_and_told_here(visitor: Any, mailed: Any, people: Any) -> None:
    sign_up(visitor, mailed)

    refused = visitor.post("/account/email", {"email": "new@example.org", "password": "wrong"})
    visitor.post("/account/email", {"email": "new@example.org", "password": PASSWORD})
    (to, _, text) = mailed()[-1]
    visitor.post(link_in(text))

    assert refused.status_code == 403
    assert to == "new@example.org"
    assert people.by_email("grace@example.org") is None
    assert people.by_email("new@example.org") is not None
    assert mailed()[-1][:2] == ("grace@example.org", "Your address was changed")


def test_a_link_for_one_s_address_is_of_no_use_to_somebody_else(
    visitor: Any, mailed: Any, signed_in: Any, ada: Any, people: Any
) -> None:
    sign_up(visitor, mailed)
    visitor.post("/account/email", {"email": "new@example.org", "password": PASSWORD})

    answer = signed_in(ada).post(link_in(mailed()[-1][2]))

    assert answer.status_code == 410
    assert people.get(ada.id).email is None


def test_changing_the_password_ends_every_other_session(
    visitor: Any, mailed: Any, signed_in: Any, people: Any
) -> None:
    sign_up(visitor, mailed)
    elsewhere = signed_in(people.by_email("grace@example.org"))

    wrong = visitor.post("/account/password", {"password": "wrong", "new_password": "another one entirely"})
    visitor.post("/account/password", {"password": PASSWORD, "new_password": "another one entirely"})

    assert wrong.status_code == 403
    assert visitor.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 303


def test_sessions_are_listed_and_ended_one_by_one_and_all(ada: Any, signed_in: Any, portal: Portal) -> None:
    here, there = signed_in(ada), signed_in(ada)
    page = here.get("/account").text
    [other] = re.findall(r"/account/sessions/(\d+)/end", page)

    here.post(f"/account/sessions/{other}/end")
    assert there.get("/").status_code == 303
    third = signed_in(ada)
    here.post("/account/sessions/end")
    assert [here.get("/").status_code, third.get("/").status_code] == [303, 303]


def test_nobody_ends_or_revokes_what_is_another_s(
    ada: Any, people: Any, signed_in: Any, credentials: Any
) -> None:
    grace = people.add("grace", "Grace", None, datetime.now(UTC))
    mine, hers = signed_in(ada), signed_in(grace)
    token = credentials.make_token(grace.id, "hers", datetime.now(UTC))
    for number in range(1, 6):
        mine.post(f"/account/sessions/{number}/end")
        mine.post(f"/account/tokens/{number}/revoke")

    assert hers.get("/").status_code == 200
    assert credentials.token(token, datetime.now(UTC)) is not None


def test_a_token_is_shown_once_and_does_what_was_chosen(learner: Any) -> None:
    page = learner.post("/account/tokens", {"name": "laptop", "scope": ["read"], "days": "7"}).text
    [token] = re.findall(r"cst_[\w-]+", page)
    header = {"Authorization": f"Bearer {token}"}

    assert token not in learner.get("/account").text
    assert learner.get("/api/v1/labs", headers=header).status_code == 200
    assert learner.client.post("/api/v1/labs/say-hello/submissions", headers=header).status_code == 403
    assert learner.post("/account/tokens", {"name": "none"}).status_code == 422


def test_one_leaves_with_all_data_and_nothing_stays(
    visitor: Any, mailed: Any, portal: Portal, people: Any, zipped: Any, reference: Any, work: Any
) -> None:
    def rows() -> dict[str, int]:
        with portal.database.read() as connection:
            return {
                table.name: connection.scalar(select(func.count()).select_from(table)) or 0
                for table in metadata.sorted_tables
            }

    before = rows()
    sign_up(visitor, mailed)
    visitor.upload("/labs/say-hello/submissions", zipped(reference))
    work()
    visitor.put("/labs/say-hello/workspace/files", {"path": "src/mine.py", "text": "mine = 1\n"})

    answer = visitor.post("/account/export")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        names = archive.namelist()
        profile = json.loads(archive.read("profile.json"))
        report = json.loads(archive.read("attempts/say-hello-1/report.json"))
    assert {"attempts.json", "attempts/say-hello-1/submission.zip"} <= set(names)
    assert any(name.startswith("workspaces/say-hello/") for name in names), names
    assert profile["user"]["email"] == "grace@example.org"
    assert "argon2" not in json.dumps(profile)
    assert report["schema"] == "coldstart.report/1"

    assert visitor.post("/account/delete", {"login": "someone", "password": PASSWORD}).status_code == 422
    gone = visitor.post("/account/delete", {"login": "grace@example.org", "password": PASSWORD})

    assert "is deleted" in gone.text
    assert visitor.get("/").status_code == 303
    kept = {name: count for name, count in rows().items() if count != before[name]}
    # That mails were sent and tries counted, and that an account was deleted, without its name.
    assert set(kept) <= {"mails", "sign_in_failures", "audit"}, kept
    assert rows()[blobs.name] == 0


def test_a_closed_account_is_closed_everywhere(ada: Any, people: Any, signed_in: Any, visitor: Any) -> None:
    here = signed_in(ada)
    people.change(ada.id, disabled_at=datetime.now(UTC))

    assert here.get("/").status_code == 303
    assert visitor.get(f"/sign-in/link/{people.make_link(ada.id, datetime.now(UTC))}").status_code == 410


def test_outbox_files_are_for_the_owner_s_eyes(visitor: Any, mailed: Any, settings: Settings) -> None:
    sign_up(visitor, mailed)
    outbox: Path = settings.home / "outbox"

    assert {path.stat().st_mode & 0o077 for path in [outbox, *outbox.iterdir()]} == {0}
