"""A learner's notebook, run isolated, and what its code answers when asked: values, never verdicts."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from sandbox.account import Account
from sandbox.building import isolated
from sandbox.building.isolated import HOME, SOURCE, Job, Limits, Running, Step
from sandbox.errors import EnvironmentFault
from sandbox.programs.forwarding import forward_to
from sandbox.programs.tools import languages
from sandbox.runtimes.prepared_notebooks import interpreter

_DRIVER = Path(__file__).with_name("inside_notebook.py")
QUESTIONS_PORT = 4874
GATEWAY_PORT = 4566
_ANSWER_BYTES = 4_000_000
_LOOK_S = 0.1


class NotebookFailed(Exception):
    """The notebook did not run to its end, or its code gave no answer: the learner's to repair."""


@dataclass(frozen=True, slots=True)
class NotebookLimits:
    """What a notebook may use: ``time_s`` until its cells have run, ``call_s`` for each question."""

    memory_mb: int = 1024
    disk_mb: int = 256
    time_s: float = 90.0
    cell_s: float = 30.0
    call_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Problem:
    """A cell that raised. ``cell`` is its id in the notebook."""

    cell: str
    error: str


@dataclass
class NotebookSession:
    """One run of a notebook's cells in a fresh isolated environment, kept alive to be asked.

    The environment's network holds what is asked through, and the account's endpoint where an
    ``account`` is given; its own folder is all it can write. ``folder`` is where in the submission the
    notebook lies.
    """

    environment: Path
    notebook: Mapping[str, Any] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    folder: str = ""
    limits: NotebookLimits = field(default_factory=NotebookLimits)
    account: Account | None = None
    problems: tuple[Problem, ...] = ()
    _run: Running | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _outcome: isolated.Outcome | None = None
    _fault: EnvironmentFault | None = None
    _listener: socket.socket | None = None
    _connection: socket.socket | None = None
    _answers: Any = None
    _closing: bool = False

    def __enter__(self) -> NotebookSession:
        """Run the cells.

        Raises:
            NotebookFailed: they did not end in time, or used too much.
            EnvironmentFault: they could not be isolated, or this machine had no time for them.
        """
        threading.Thread(target=self._live, name="notebook", daemon=True).start()
        try:
            self._connect(time.monotonic() + 4 * self.limits.time_s)
            told = self._read()
        except BaseException:
            self.close()
            raise
        found = told.get("problems")
        self.problems = tuple(
            Problem(str(item.get("cell", "")), str(item.get("error", ""))[:500])
            for item in (found if isinstance(found, list) else [])[:50]
            if isinstance(item, Mapping)
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything in there. Idempotent."""
        self._closing = True
        for each in (self._connection, self._listener):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
        if self._answers is not None:
            self._answers.close()
        if self._run is not None:
            self._run.end()
        self._ended.wait(15)

    def describe(self, name: str) -> tuple[bool, bool]:
        """Whether the notebook defined ``name``, and whether that can be called."""
        said = self._ask({"do": "describe", "name": name})
        return said.get("known") is True, said.get("callable") is True

    def value(self, name: str) -> Any:
        """What the notebook's variable holds, as plain JSON.

        Raises:
            NotebookFailed: it can't be handed in, or reading it raised.
        """
        return self._ask({"do": "value", "name": name}).get("value")

    def call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What a function of the notebook returns for plain arguments, as plain JSON.

        Raises:
            NotebookFailed: it raised, took too long or returned what can't be handed in.
        """
        return self._ask({"do": "call", "name": name, "args": list(args), "kwargs": dict(kwargs)}).get(
            "value"
        )

    def _ask(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._connection is None or self._closing:
            raise NotebookFailed("The notebook's kernel is gone.")
        try:
            self._connection.settimeout(self.limits.call_s)
            self._connection.sendall(json.dumps(question).encode() + b"\n")
        except OSError:
            raise self._gone() from None
        said = self._read()
        if "error" in said:
            raise NotebookFailed(str(said["error"])[:500])
        return said

    def _read(self) -> Mapping[str, Any]:
        line = b""
        try:
            line = self._answers.readline(_ANSWER_BYTES)
            said = json.loads(line, parse_constant=_no_number) if line.endswith(b"\n") else None
        except TimeoutError:
            self.close()
            raise NotebookFailed(f"It gave no answer within {self.limits.call_s:g} s.") from None
        except OSError:
            raise self._gone() from None
        except (ValueError, RecursionError):
            line, said = line or b"?", None
        if isinstance(said, Mapping):
            return said
        if not line:
            raise self._gone()
        self.close()
        limit = _ANSWER_BYTES // 1_000_000
        raise NotebookFailed(f"Its answer is no JSON of at most {limit} MB (NaN and Infinity are none).")

    def _gone(self) -> Exception:
        """Why nobody answers any more."""
        self._ended.wait(5)
        if self._fault is not None and not self._closing:
            return self._fault
        outcome = self._outcome
        if outcome is not None and outcome.trouble:
            return EnvironmentFault(outcome.trouble)
        used = {
            "time": f"it took longer than {self.limits.time_s:g} s",
            "memory": f"it used more than {self.limits.memory_mb} MB of memory",
            "disk": f"it wrote more than {self.limits.disk_mb} MB",
        }.get(outcome.reason if outcome is not None else "")
        return NotebookFailed(f"The notebook's kernel is gone: {used or 'it ended'}.")

    def _connect(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            if self._ended.is_set():
                break
            if self._listener is None:
                self._ended.wait(_LOOK_S / 2)
                continue
            self._listener.settimeout(_LOOK_S)
            try:
                self._connection, _address = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                break
            self._connection.settimeout(self.limits.call_s)
            self._answers = self._connection.makefile("rb")
            return
        if self._outcome is not None and self._outcome.status == 0:
            raise NotebookFailed("The notebook ended its own kernel.")
        if self._outcome is not None and not self._outcome.reason and not self._outcome.trouble:
            raise NotebookFailed(f"The notebook can't be run: {self._outcome.output[-500:].strip()}")
        raise self._gone()

    def _live(self) -> None:
        try:
            with isolated.started(self._job()) as self._run:
                self._outcome = self._run.outcome()
        except EnvironmentFault as error:
            self._fault = error
        except Exception as error:
            self._fault = EnvironmentFault(f"The notebook's machinery broke: {type(error).__name__}: {error}")
        finally:
            self._ended.set()

    def _job(self) -> Job:
        shown, path = languages()
        folder = f"{SOURCE}/{self.folder}".rstrip("/")
        told = {
            "notebook": self.notebook,
            "folder": folder,
            "port": QUESTIONS_PORT,
            "cell_limit_s": self.limits.cell_s,
        }
        python = str(interpreter(self.environment))
        served: dict[int, Callable[[socket.socket], Callable[[], None]]] = {QUESTIONS_PORT: self._serve}
        environment = notebook_variables(self.account, f"{self.environment}/bin:{path}")
        if self.account is not None:
            address = urlsplit(self.account.endpoint_url)
            served[GATEWAY_PORT] = forward_to(str(address.hostname), int(address.port or 80))
        step = Step((python, "-I", "/build/in/run.py"), environment, "running the notebook")
        return Job(
            files={
                **{f"src/{name}": body for name, body in self.files.items()},
                "in/run.py": _DRIVER.read_bytes(),
                "in/told.json": json.dumps(told).encode(),
            },
            shown=(*shown, sys.base_prefix, str(self.environment)),
            steps=(step,),
            served=served,
            limits=Limits(
                memory_mb=self.limits.memory_mb,
                disk_mb=self.limits.disk_mb,
                processes=256,
                time_s=self.limits.time_s,
                result_bytes=1_000_000,
                result_files=100,
            ),
        )

    def _serve(self, listener: socket.socket) -> Callable[[], None]:
        self._listener = listener
        return listener.close


def _no_number(name: str) -> float:
    """NaN is not less, more or equal: a comparison would be passed or failed by how it is written."""
    raise ValueError(f"{name} is no number")


def notebook_variables(account: Account | None, path: str) -> dict[str, str]:
    """The whole environment that a notebook's kernel sees."""
    variables = {
        "PATH": path,
        "HOME": HOME,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    if account is None:
        return variables
    return variables | {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{GATEWAY_PORT}",
        "AWS_ACCESS_KEY_ID": account.keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": account.keys.secret_access_key,
        "AWS_DEFAULT_REGION": account.region,
        **({"AWS_SESSION_TOKEN": account.keys.session_token} if account.keys.session_token else {}),
    }
