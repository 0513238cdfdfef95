"""Handing mails over: to an SMTP server, or into a folder where nobody has set one up."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

import structlog

from records.mails import Mail, Mails

log = structlog.get_logger()

_TIME_LIMIT_S = 20.0
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(hours=1)
_LOOK_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """An SMTP server. ``security`` is ``starttls``, ``tls`` or ``none``."""

    host: str
    port: int
    security: str = "starttls"
    user: str = ""
    password: str = ""


def by_smtp(server: Server) -> Callable[[EmailMessage], None]:
    """Hands a message to the server; raises OSError or SMTPException when it does not take it."""

    def send(message: EmailMessage) -> None:
        trusted = ssl.create_default_context()
        if server.security == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=_TIME_LIMIT_S, context=trusted
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=_TIME_LIMIT_S)
        with connection:
            if server.security == "starttls":
                connection.starttls(context=trusted)
            if server.user:
                connection.login(server.user, server.password)
            connection.send_message(message)

    return send


def into_folder(folder: Path) -> Callable[[EmailMessage], None]:
    """Writes each message as a file of its own, readable by the owner alone."""

    def send(message: EmailMessage) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        path = folder / f"{name}.eml"
        path.touch(mode=0o600)
        path.write_bytes(message.as_bytes())

    return send


@dataclass
class Postman:
    """Takes mails that are due and hands them over, again and again with longer pauses where that fails."""

    mails: Mails
    send: Callable[[EmailMessage], None]
    sender: str
    now: Callable[[], datetime]
    _wake: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def post(self, to: str, subject: str, body: str) -> None:
        """Keep a mail, and have it handed over soon; the caller does not wait for that."""
        self.mails.post(to, subject, body, self.now())
        self.start()
        self._wake.set()

    def start(self) -> None:
        """Look after what waits, in a thread of its own, as long as the process lives."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_on, name="postman", daemon=True)
                self._thread.start()

    def deliver(self) -> int:
        """Hand over what is due; returns how many were taken."""
        taken = 0
        while (mail := self.mails.take(self.now())) is not None:
            taken += 1
            try:
                self.send(self._message(mail))
            except (OSError, smtplib.SMTPException, ValueError) as error:
                pause = min(_FIRST_PAUSE * 2 ** (mail.tries - 1), _LONGEST_PAUSE)
                log.warning("mail_not_sent", mail=mail.id, tries=mail.tries, error=str(error))
                self.mails.failed(mail, str(error), self.now() + pause)
            else:
                self.mails.sent(mail, self.now())
        return taken

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, mail.to, mail.subject
        message["Date"] = format_datetime(mail.created_at)
        # The same at every try: whoever got it twice sees it once.
        domain = self.sender.rpartition("@")[2].strip("> ") or "localhost"
        message["Message-ID"] = f"<coldstart-{mail.id}-{mail.created_at.timestamp():.0f}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.body)
        return message

    def _keep_on(self) -> None:
        while True:
            # Whatever goes wrong with the database is seen by the pages; mails wait for better times.
            with contextlib.suppress(Exception):
                self.deliver()
            self._wake.wait(_LOOK_EVERY_S)
            self._wake.clear()
