"""Composition root: settings → services → Flask app. ``flask --app app``, or ``app:asgi`` for a server."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from a2wsgi import WSGIMiddleware
from flask import Flask
from itsdangerous import URLSafeTimedSerializer

from curriculum.loader import Catalogue
from portal import factory
from portal.hints.services import HintService
from portal.hub.client import Hub
from portal.mailing import Postman, Server, by_smtp, into_folder
from portal.notebooks.door import Door
from portal.sandboxes.accounts import PracticeAccounts, place_of
from portal.sandboxes.services import Deployers, PracticeService
from portal.sandboxes.streams import PracticeStreams
from portal.services import Services
from portal.submissions.services import SubmissionService
from portal.submissions.streams import Streams
from portal.users.providers import read_providers
from portal.users.services import Accounts
from portal.workspace.linting import Linter
from portal.workspace.repositories import Repositories
from records.credentials import Credentials
from records.database import Database
from records.hints import Hints
from records.mails import Mails
from records.notebooks import Tickets
from records.people import People
from records.practice import Practice
from records.queue import Queue
from records.sessions import Sessions
from records.sharing import Sharing
from records.store import Store
from records.workspaces import Workspaces
from settings import Settings

_WSGI_THREADS = 16


class Portal:
    """Everything the portal is made of, built from settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database)
        self.store = Store(self.database)
        self.streams = URLSafeTimedSerializer(settings.signing_key(), salt="attempt-stream")

    @cached_property
    def flask(self) -> Flask:
        """The WSGI application."""
        settings = self.settings
        services = Services(
            # Read anew for each request: a lab that an author saves is there at once.
            catalogue=lambda: Catalogue(settings.labs_folder),
            accounts=Accounts(
                People(self.database),
                Sessions(self.database),
                self.store,
                Mails(self.database),
                self.postman,
                now,
                settings.public_url,
                settings.sign_up,
                settings.verify_email,
            ),
            credentials=Credentials(self.database),
            providers=read_providers(settings.sign_in_with),
            submissions=SubmissionService(self.store, now),
            store=self.store,
            sharing=Sharing(self.database),
            hints=HintService(Hints(self.database)),
            workspaces=Workspaces(self.database),
            queue=Queue(self.database, now, timedelta(seconds=settings.lease_s)),
            streams=self.streams,
            notebooks=Door(Tickets(self.database), settings.notebooks_url, settings.notebooks_address, now),
            practice=self.practice,
            repositories=Repositories(settings.home / "git"),
            linter=self.linter,
            hub=Hub(
                settings.hub_url.rstrip("/") if settings.hub_secret else "",
                settings.hub_secret,
                Tickets(self.database),
            ),
            now=now,
        )
        return factory.create(
            services,
            secret_key=settings.signing_key(),
            upload_limit_bytes=settings.upload_limit_bytes,
            secure_cookies=settings.secure_cookies,
            trusted_proxies=settings.trusted_proxies,
        )

    @cached_property
    def postman(self) -> Postman:
        """Who hands mails over."""
        settings = self.settings
        host = urlsplit(settings.public_url).hostname or "localhost"
        send = into_folder(settings.home / "outbox")
        if settings.mail_host:
            send = by_smtp(
                Server(
                    settings.mail_host,
                    settings.mail_port,
                    settings.mail_security,
                    settings.mail_user,
                    settings.mail_password,
                )
            )
        return Postman(Mails(self.database), send, settings.mail_from or f"Coldstart <no-reply@{host}>", now)

    @cached_property
    def linter(self) -> Linter:
        """Who reads templates while they are written."""
        return Linter()

    @cached_property
    def practice(self) -> PracticeService:
        """Practice accounts and what is deployed into them."""
        settings = self.settings
        practice = Practice(self.database, place_of(settings.home))
        accounts = PracticeAccounts(
            practice,
            settings.home,
            settings.isolation,
            now,
            settings.practice_limit,
            timedelta(seconds=settings.practice_idle_s),
        )
        return PracticeService(
            practice,
            accounts,
            Deployers(settings.environment()),
            URLSafeTimedSerializer(settings.signing_key(), salt="practice-stream"),
            now,
            settings.practice_ssh,
        )

    @cached_property
    def asgi(self) -> Streams:
        """The ASGI application: event streams as coroutines, all else on threads."""
        threaded: Any = WSGIMiddleware(self.flask, workers=_WSGI_THREADS)
        self.practice.keep()
        self.postman.start()
        self.linter.warm_up()
        return Streams(PracticeStreams(threaded, self.practice), self.store, self.streams)


def now() -> datetime:
    """The present, aware and in UTC."""
    return datetime.now(UTC)


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask application of these settings, its database up to date."""
    portal = Portal(settings or Settings())
    portal.database.upgrade()
    return portal.flask


_lock = threading.Lock()
_served: list[Portal] = []


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI entry point; put together at the first call, after the server has forked."""
    with _lock:
        if not _served:
            portal = Portal(Settings())
            portal.database.upgrade()
            _served.append(portal)
    await _served[0].asgi(scope, receive, send)
