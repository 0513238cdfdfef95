"""``coldstart serve``: the portal, and with ``--with-worker`` a worker beside it."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import click

from cli.output import BAD_INPUT, OUR_FAULT, stop
from records.database import Database
from records.people import People
from settings import REPOSITORY, Settings

_PR_SET_PDEATHSIG = 1
_READY_S = 60.0
_STOP_S = 12.0


@click.command("serve", help="Serve the portal.")
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option("--with-worker", is_flag=True, help="Also run one worker.")
@click.option(
    "--with-notebooks", is_flag=True, help="Also serve JupyterLab to learners, on a port of its own."
)
def command(host: str | None, port: int | None, with_worker: bool, with_notebooks: bool) -> None:
    """Serve until stopped; end everything that was started."""
    settings = Settings()
    host, port = host or settings.host, port or settings.port
    settings = settings.model_copy(update={"host": host, "port": port})
    _refuse_taken(host, port)
    if with_notebooks:
        settings = _with_notebooks(settings, host, port)
        _refuse_taken(host, settings.notebooks_port)
    database = Database(settings.database)
    database.upgrade()
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    children = {"portal": _start(_portal(host, port, settings.processes), settings)}
    if with_notebooks:
        children["notebooks"] = _start([sys.executable, "-m", "cli", "notebooks", "serve"], settings)
    if with_worker:
        children["worker"] = _start([sys.executable, "-m", "cli", "worker"], settings)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        if not _ready(f"{address}/healthz", children["portal"], told):
            if told.is_set():
                return
            stop("The portal did not start; its messages are above.", OUR_FAULT)
        people = People(database)
        operator = people.find("admin") or people.add("admin", "Operator", None, datetime.now(UTC), "admin")
        token = people.make_link(operator.id, datetime.now(UTC))
        click.echo(f"Coldstart is ready: {address}")
        click.echo(f"Sign in (works once): {address}/sign-in/link/{token}")
        sys.stdout.flush()
        _watch(children, told, settings)
    finally:
        _end(children)
        database.close()


def _with_notebooks(settings: Settings, host: str, port: int) -> Settings:
    """The settings that portal and JupyterLab share: on this machine alone they need not be told.

    Cookies know host names and no ports, so JupyterLab takes the other name of the loopback.
    """
    chosen = settings.notebooks_port or port + 1
    other = {"127.0.0.1": "localhost", "localhost": "127.0.0.1", "::1": "localhost"}.get(host, "")
    url = settings.notebooks_url or (f"http://{other}:{chosen}" if other else "")
    if not url:
        stop(
            f"The portal listens on {host}; say with COLDSTART_NOTEBOOKS_URL under which host name of its own"
            " browsers find JupyterLab.",
            BAD_INPUT,
        )
    return settings.model_copy(
        update={"host": host, "port": port, "notebooks_port": chosen, "notebooks_url": url}
    )


def _portal(host: str, port: int, processes: int) -> list[str]:
    bound = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return [
        *(sys.executable, "-m", "gunicorn", "app:asgi", "-k", "asgi", "-b", bound, "-w", str(processes)),
        *(
            "--no-control-socket",
            "--graceful-timeout",
            "5",
            "--log-level",
            "warning",
            "--chdir",
            str(REPOSITORY),
        ),
    ]


def _start(arguments: list[str], settings: Settings) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    environment: Mapping[str, str] = {**os.environ, "PYTHONPATH": path, "COLDSTART_HOME": str(settings.home)}
    environment = {**environment, "COLDSTART_HOST": settings.host, "COLDSTART_PORT": str(settings.port)}
    if settings.notebooks_url:
        environment = {
            **environment,
            "COLDSTART_NOTEBOOKS_URL": settings.notebooks_url,
            "COLDSTART_NOTEBOOKS_PORT": str(settings.notebooks_port),
        }
    # Its own session: Ctrl-C reaches us alone, and we end the children in order.
    return subprocess.Popen(
        arguments, env=environment, cwd=REPOSITORY, start_new_session=True, preexec_fn=_dies_with(os.getpid())
    )


def _dies_with(parent: int) -> Callable[[], None]:
    """Makes the kernel end a child when this process ends, however it ends."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _refuse_taken(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            stop(
                f"Port {port} on {host} can't be used ({error.strerror}). Choose another one with --port "
                f"or `make run PORT={port + 1}`.",
                BAD_INPUT,
            )


def _ready(url: str, portal: subprocess.Popen[bytes], told: threading.Event) -> bool:
    until = time.monotonic() + _READY_S
    while time.monotonic() < until and portal.poll() is None and not told.wait(0.05):
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            continue
    return False


def _watch(children: dict[str, subprocess.Popen[bytes]], told: threading.Event, settings: Settings) -> None:
    """Until told to stop. What ends is started again; without the portal nothing is served."""
    while not told.wait(0.5):
        if children["portal"].poll() is not None:
            stop("The portal ended; its messages are above.", OUR_FAULT)
        for name, arguments in (("worker", ["worker"]), ("notebooks", ["notebooks", "serve"])):
            child = children.get(name)
            if child is not None and child.poll() is not None:
                click.echo(f"The process `{name}` ended. Starting another one in 2 s.", err=True)
                if not told.wait(2):
                    children[name] = _start([sys.executable, "-m", "cli", *arguments], settings)


def _end(children: Mapping[str, subprocess.Popen[bytes]]) -> None:
    for child in children.values():
        if child.poll() is None:
            child.terminate()
    until = time.monotonic() + _STOP_S
    for child in children.values():
        try:
            child.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
