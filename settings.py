"""The one reader of environment variables, into a frozen Settings."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

REPOSITORY = Path(__file__).resolve().parent
_PREFIX = "COLDSTART_"


class Settings(BaseSettings):
    """How this installation runs. Each is set by the variable ``COLDSTART_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore")

    home: Path = Field(default=REPOSITORY / "var", description="Where data lives that outlasts a run.")
    database_url: str = Field(default="", description="SQLAlchemy URL; SQLite in the home folder when empty.")
    secret_key: str = Field(
        default="", description="Signs sessions; made and kept in the home folder when empty."
    )
    host: str = Field(default="127.0.0.1", description="The address the portal listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port the portal listens on.")
    processes: int = Field(default=1, ge=1, description="Server processes of the portal.")
    concurrency: int = Field(default=1, ge=1, description="Gradings that one worker runs at a time.")
    lease_s: float = Field(
        default=15, gt=0, description="Seconds after which a silent worker's job is taken over."
    )
    labs_folder: Path = Field(default=REPOSITORY / "labs", description="The folder of lab folders.")
    provider: str = Field(default="emulated", description="Where submissions are deployed: emulated or aws.")
    isolation: str = Field(
        default="3",
        description="How functions are kept in: at least at level 4, 3 or 2, `unsafe`, or `docker:IMAGE`.",
    )
    notebooks_url: str = Field(
        default="",
        description="Where browsers find JupyterLab, on a host name of its own; empty: not offered.",
    )
    notebooks_direct_url: str = Field(
        default="",
        description="Where the portal itself reaches what serves JupyterLab; on this machine when empty.",
    )
    notebooks_port: int = Field(
        default=0, ge=0, le=65535, description="The port JupyterLab is served on; 0: the portal's, plus one."
    )
    notebooks_idle_s: float = Field(
        default=1800, gt=0, description="Seconds without use after which a learner's JupyterLab ends."
    )
    notebooks_limit: int = Field(default=10, ge=1, description="JupyterLabs that run at the same time.")
    hub_url: str = Field(
        default="", description="Where a JupyterHub is that signs its people in here; empty: there is none."
    )
    hub_secret: str = Field(default="", description="What that JupyterHub proves itself with.")
    practice_limit: int = Field(default=20, ge=1, description="Practice accounts open at the same time.")
    practice_idle_s: float = Field(
        default=3600, gt=0, description="Seconds without use after which a practice account ends."
    )
    practice_ssh: str = Field(
        default="",
        description="Where learners forward their practice account's port from, such as `lab@example.com`.",
    )
    url: str = Field(
        default="",
        description="Where people reach the portal, for links in mails; made of host and port when empty.",
    )
    sign_up: bool = Field(default=True, description="Whether visitors may create accounts.")
    verify_email: bool = Field(
        default=True, description="Whether a new account needs an address, confirmed by a mailed link."
    )
    sign_in_with: list[dict[str, str]] = Field(
        default=[],
        description="Where else people may have an account, as JSON: see docs/operating.md.",
    )
    mail_host: str = Field(
        default="", description="The SMTP server; mails are files in the home folder's `outbox` when empty."
    )
    mail_port: int = Field(default=587, ge=1, le=65535, description="The SMTP server's port.")
    mail_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is encrypted: starttls, tls or none."
    )
    mail_user: str = Field(default="", description="The login at the SMTP server, if it wants one.")
    mail_password: str = Field(default="", description="The password at the SMTP server.")
    mail_from: str = Field(
        default="", description="Who mails are from, such as `Coldstart <lab@example.com>`."
    )
    trusted_proxies: int = Field(
        default=0,
        ge=0,
        description="Proxies before the portal whose word on addresses and HTTPS is believed.",
    )
    secure_cookies: bool = Field(default=False, description="Send the session cookie over HTTPS only.")
    upload_limit_bytes: int = Field(
        default=20_000_000, gt=0, description="The largest request the portal reads."
    )

    @property
    def notebooks_address(self) -> str:
        """Where the portal itself reaches the process that serves JupyterLab."""
        if self.notebooks_direct_url:
            return self.notebooks_direct_url.rstrip("/")
        host = self.host if self.host not in ("0.0.0.0", "::") else "127.0.0.1"
        return f"http://{f'[{host}]' if ':' in host else host}:{self.notebooks_port or self.port + 1}"

    @property
    def public_url(self) -> str:
        """Where people reach the portal, without a slash at its end."""
        host = self.host if self.host not in ("0.0.0.0", "::") else "127.0.0.1"
        return self.url.rstrip("/") or f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.home.absolute() / 'coldstart.db'}"

    def environment(self) -> dict[str, str]:
        """What a process is started with that is to have these settings."""
        return {
            f"{_PREFIX}{name.upper()}": json.dumps(value) if isinstance(value, list) else str(value)
            for name, value in self
        }

    def signing_key(self) -> str:
        """The key that signs sessions: the setting, or one made once and kept readable by the owner only."""
        if self.secret_key:
            return self.secret_key
        path = self.home / "secret_key"
        self.home.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # Written whole beside it, then linked: of two that start at once the first one's key stays.
            fresh = self.home / f".secret_key.{os.getpid()}"
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(secrets.token_hex(32))
            try:
                os.link(fresh, path)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return path.read_text("ascii").strip()
