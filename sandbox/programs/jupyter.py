"""JupyterLab for one learner, isolated: it runs their code, and so do its files and extensions."""

from __future__ import annotations

import contextlib
import json
import queue
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.account import Account
from sandbox.building import isolated
from sandbox.building.isolated import HOME, SOURCE, Job, Limits, Running, Step
from sandbox.errors import EnvironmentFault
from sandbox.isolation.frames import read_frames
from sandbox.programs.forwarding import forward_to
from sandbox.programs.notebooks import GATEWAY_PORT, notebook_variables
from sandbox.programs.tools import languages
from sandbox.runtimes.prepared_notebooks import interpreter

# What is for instructors, or asks the network.
_HIDDEN_EXTENSIONS = (
    "@jupyterlab/apputils-extension:announcements",
    *(
        f"@jupyter/nbgrader:{name}"
        for name in ("assignment-list", "course-list", "create-assignment", "formgrader", "menu")
    ),
)
_SCRIPT = Path(__file__).with_name("inside_jupyter.py")
_TUNNEL_PORT = 4875
_PORT = 8888
_LOOK_S = 0.2
_LIFETIME_S = 12 * 3600.0
_FILES_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class JupyterLimits:
    """What one learner's JupyterLab may use, kernels included."""

    memory_mb: int = 1536
    disk_mb: int = 256
    processes: int = 256


@dataclass
class JupyterServer:
    """One learner's JupyterLab. ``token`` is what requests to it have to carry; its owner adds it."""

    environment: Path
    files: Mapping[str, bytes] = field(repr=False)
    origin: str
    account: Account | None = None
    limits: JupyterLimits = field(default_factory=JupyterLimits)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    ended: threading.Event = field(default_factory=threading.Event)
    trouble: str = ""
    _run: Running | None = None
    _closing: bool = False
    _idle: queue.Queue[socket.socket] = field(default_factory=queue.Queue)

    def start(self) -> None:
        """Start it; returns at once. It answers after some seconds."""
        threading.Thread(target=self._live, name="jupyter", daemon=True).start()

    def connect(self, timeout_s: float = 10.0) -> socket.socket:
        """A connection to JupyterLab's own port, for one browser's request.

        Raises:
            ConnectionError: it is gone, or not there yet.
        """
        return self._connection(b"http\n", timeout_s)

    def take_files(self, limit_bytes: int) -> dict[str, bytes]:
        """The learner's files as they are now; by a stranger's account, so check them as any submission.

        Raises:
            ConnectionError: it is gone, or they are larger than ``limit_bytes``.
        """
        found: dict[str, bytes] = {}
        left = limit_bytes
        with self._connection(b"files\n", _FILES_TIMEOUT_S) as connection:
            connection.settimeout(_FILES_TIMEOUT_S)
            with connection.makefile("rb") as stream:
                try:
                    for name, _runs, size in read_frames(stream):
                        left -= size
                        if left < 0:
                            raise ConnectionError(f"The files are larger than {limit_bytes // 1_000_000} MB.")
                        found[name] = stream.read(size)
                except (EOFError, ValueError, TimeoutError) as error:
                    raise ConnectionError(f"The files can't be read: {error}") from None
        return found

    def close(self) -> None:
        """End it and everything in it. Idempotent."""
        self._closing = True
        if self._run is not None:
            self._run.end()
        self.ended.wait(15)
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _connection(self, wanted: bytes, timeout_s: float) -> socket.socket:
        if self.ended.is_set():
            raise ConnectionError(self.trouble or "JupyterLab has ended.")
        try:
            connection = self._idle.get(timeout=timeout_s)
        except queue.Empty:
            raise ConnectionError("JupyterLab is not there yet.") from None
        connection.sendall(wanted)
        return connection

    def _live(self) -> None:
        try:
            with isolated.started(self._job()) as self._run:
                outcome = self._run.outcome()
            self.trouble = outcome.reason or outcome.output[-2000:]
        except EnvironmentFault as error:
            self.trouble = "" if self._closing else str(error)
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"
        finally:
            self.ended.set()

    def _job(self) -> Job:
        shown, path = languages()
        options = [
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={_PORT}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            "--ServerApp.open_browser=False",
            f"--ServerApp.root_dir={SOURCE}",
            f"--ServerApp.allow_origin={self.origin}",
            # The host is checked by who leads requests here.
            "--ServerApp.allow_remote_access=True",
            "--ServerApp.terminals_enabled=False",
            "--ServerApp.quit_button=False",
            "--ContentsManager.allow_hidden=False",
            "--LabApp.extension_manager=readonly",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            "--LabApp.news_url=None",
            "--log-level=WARN",
        ]
        told = {"options": options, "tunnel": _TUNNEL_PORT, "port": _PORT, "root": SOURCE}
        served: dict[int, Callable[[socket.socket], Callable[[], None]]] = {_TUNNEL_PORT: self._serve}
        if self.account is not None:
            address = urlsplit(self.account.endpoint_url)
            served[GATEWAY_PORT] = forward_to(str(address.hostname), int(address.port or 80))
        environment = notebook_variables(self.account, f"{self.environment}/bin:{path}")
        environment["JUPYTER_CONFIG_DIR"] = f"{HOME}/jupyter"
        python = str(interpreter(self.environment))
        return Job(
            files={
                **{f"src/{name}": body for name, body in self.files.items()},
                "in/run.py": _SCRIPT.read_bytes(),
                "in/told.json": json.dumps(told).encode(),
                "home/jupyter/labconfig/page_config.json": json.dumps(
                    {"disabledExtensions": dict.fromkeys(_HIDDEN_EXTENSIONS, True)}
                ).encode(),
            },
            shown=(*shown, sys.base_prefix, str(self.environment)),
            steps=(Step((python, "-I", "/build/in/run.py"), environment, "running JupyterLab"),),
            served=served,
            limits=Limits(
                memory_mb=self.limits.memory_mb,
                disk_mb=self.limits.disk_mb,
                processes=self.limits.processes,
                time_s=_LIFETIME_S,
                result_bytes=1,
                result_files=1,
            ),
        )

    def _serve(self, listener: socket.socket) -> Callable[[], None]:
        listener.settimeout(_LOOK_S)

        def accept() -> None:
            with listener:
                while not self.ended.is_set() and not self._closing:
                    try:
                        connection, _address = listener.accept()
                    except TimeoutError:
                        continue
                    except OSError:
                        return
                    connection.settimeout(None)
                    self._idle.put(connection)

        threading.Thread(target=accept, daemon=True).start()
        return lambda: None
