"""What every view works with, put together once by `app.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import current_app
from itsdangerous import URLSafeTimedSerializer

from curriculum.loader import Catalogue
from portal.hints.services import HintService
from portal.hub.client import Hub
from portal.notebooks.door import Door
from portal.sandboxes.services import PracticeService
from portal.submissions.services import SubmissionService
from portal.users.providers import Provider
from portal.users.services import Accounts
from portal.workspace.linting import Linter
from portal.workspace.repositories import Repositories
from records.credentials import Credentials
from records.queue import Queue
from records.sharing import Sharing
from records.store import Store
from records.workspaces import Workspaces


@dataclass(frozen=True)
class Services:
    """Collaborators of the views."""

    catalogue: Callable[[], Catalogue]
    accounts: Accounts
    credentials: Credentials
    providers: Sequence[Provider]
    submissions: SubmissionService
    store: Store
    sharing: Sharing
    hints: HintService
    workspaces: Workspaces
    queue: Queue
    streams: URLSafeTimedSerializer
    notebooks: Door
    practice: PracticeService
    repositories: Repositories
    linter: Linter
    hub: Hub
    now: Callable[[], datetime]


def services() -> Services:
    """The running application's services."""
    return cast(Services, current_app.extensions["coldstart"])
