"""Finding, starting and asking a supervisor."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import AccountUnavailable, EnvironmentFault
from sandbox.isolation.spec import IsolationLevel
from sandbox.runtimes.prepared import prepare_python_runtime
from sandbox.runtimes.prepared_nodejs import prepare_further_runtimes
from sandbox.supervisor import places, wire

START_TIMEOUT_S = 120.0
OPEN_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 10.0
_PATIENCE_S = 0.3

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a supervisor has to offer: the least isolation level; level 1 takes ``unsafe`` as well.

    ``exactly`` asks for one level, though the machine may have better ones. With an ``image`` environments
    are containers of an engine.
    """

    minimum: IsolationLevel = IsolationLevel.NAMESPACES
    unsafe: bool = False
    exactly: IsolationLevel | None = None
    image: str = ""

    @classmethod
    def named(cls, text: str) -> Wanted:
        """From a setting: empty or 3, 4, 2, ``unsafe``, or ``docker:IMAGE``.

        Raises:
            EnvironmentFault: it is none of these.
        """
        kind, _, image = text.strip().partition(":")
        if kind.lower() == "docker" and image:
            return cls(image=image)
        match text.strip().lower():
            case "" | "3":
                return cls()
            case "unsafe":
                return cls(IsolationLevel.NONE, unsafe=True)
            case "2" | "4":
                return cls(IsolationLevel(int(text)))
        raise EnvironmentFault(
            f"COLDSTART_ISOLATION is `{text}`. It can be 4, 3, 2, `unsafe` or `docker:IMAGE`."
        )

    def served_by(self, about: Mapping[str, Any]) -> bool:
        """Whether a supervisor that describes itself so will do."""
        if about["isolation"].get("image", "") != self.image:
            return False
        level = int(about["isolation"]["level"])
        return level >= self.minimum if self.exactly is None else level == self.exactly


@dataclass(frozen=True, slots=True)
class Supervisor:
    """A supervisor that answers at ``path``."""

    path: Path
    about: Mapping[str, Any]

    def open(self, *, kept: bool, **wanted: str) -> tuple[dict[str, Any], wire.Line]:
        """A new account, and the connection that a leased one lives as long as.

        Raises:
            NameTaken: a kept account of this name runs already.
            AccountUnavailable: it could not be started.
            ConnectionError: the supervisor is gone.
        """
        line = self._connect()
        try:
            document: dict[str, Any] = line.ask("open", OPEN_TIMEOUT_S, kept=kept, **wanted)
        except TimeoutError:
            line.close()
            raise AccountUnavailable(f"No account was ready within {OPEN_TIMEOUT_S:.0f} s.") from None
        except BaseException:
            line.close()
            raise
        return document, line

    def running(self) -> list[dict[str, Any]]:
        """The kept accounts, as they described themselves."""
        found: list[dict[str, Any]] = self._ask("list")
        return sorted(found, key=lambda document: str(document["name"]))

    def down(self, name: str) -> None:
        """End a kept account; returns when it is gone.

        Raises:
            NoSuchSandbox: none of this name is running.
        """
        self._ask("down", name=name)

    def _ask(self, do: str, **arguments: Any) -> Any:
        line = self._connect()
        with contextlib.closing(line):
            return line.ask(do, ANSWER_TIMEOUT_S, **arguments)

    def _connect(self) -> wire.Line:
        try:
            return wire.Line(str(self.path), ANSWER_TIMEOUT_S)
        except OSError as error:
            raise ConnectionError(f"no supervisor answers at {self.path}: {error.strerror}") from error


def find_shared(home: Path) -> Supervisor | None:
    """The shared supervisor, if one is running."""
    path = places.shared_socket(places.run_directory(home))
    if not path.exists():
        return None
    try:
        with contextlib.closing(wire.Line(str(path), ANSWER_TIMEOUT_S)) as line:
            return Supervisor(path, line.ask("hello", ANSWER_TIMEOUT_S))
    except TimeoutError:
        raise EnvironmentFault(f"The supervisor at {path} does not answer.") from None
    except OSError:
        return None  # It was killed and could not tidy up, or is on its way out.


def get_shared(home: Path, wanted: Wanted, say: Say) -> Supervisor:
    """The shared supervisor; started when none is running.

    Raises:
        IsolationUnavailable, EnvironmentFault: it can't be had.
    """
    with places.locked(places.run_directory(home) / "start.lock"):
        found = find_shared(home)
        if found is None:
            found = Starting(home, wanted, say, private=False).wait()
    if found.about["stamp"] != places.source_stamp():
        say("The running supervisor serves an older state of the source, until its sandboxes are down.")
    if not wanted.served_by(found.about):
        level = found.about["isolation"]["level"]
        raise EnvironmentFault(
            f"The running supervisor has isolation level {level}; level {int(wanted.minimum)} was asked for."
            " Take its sandboxes down first: coldstart sandbox down --all"
        )
    return found


class Starting:
    """A supervisor on its way: a private one of this process, or the shared one.

    A private one ends with this process, however it ends.
    """

    def __init__(self, home: Path, wanted: Wanted, say: Say, *, private: bool) -> None:
        runtime = prepare_python_runtime(home, say)
        prepare_further_runtimes(home, say)
        self.say = say
        run = places.run_directory(home)
        reader, writer = os.pipe()
        command = [
            sys.executable,
            "-m",
            "sandbox.supervisor",
            "--run",
            str(run),
            "--home",
            str(home.absolute()),
        ]
        command += ["--runtime", str(runtime), "--ready", str(writer), "--minimum", str(int(wanted.minimum))]
        command += ["--stamp", places.source_stamp()]
        command += ["--unsafe"] if wanted.unsafe else []
        command += ["--image", wanted.image] if wanted.image else []
        command += ["--level", str(int(wanted.exactly))] if wanted.exactly is not None else []
        command += ["--owner", str(os.getpid())] if private else []
        with places.open_log(home) as log:
            self.log = Path(log.name)
            # A session of its own: Ctrl-C is ours to handle. Its stdout is a log; ours has other readers.
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=places.SOURCE,
                pass_fds=(writer,),
                start_new_session=True,
            )
        os.close(writer)
        if not private:
            self.process.wait()  # It has gone on as nobody's child.
        self._ready = reader
        self._began = time.monotonic()

    def wait(self) -> Supervisor:
        """The supervisor, once it answers.

        Raises:
            IsolationUnavailable, EnvironmentFault: why it could not start.
        """
        try:
            if not _readable(self._ready, _PATIENCE_S):
                self.say("Starting the sandbox ...")
            about = wire.result(self._read_answer())
        except BaseException:
            self.stop()
            raise
        finally:
            os.close(self._ready)
        return Supervisor(Path(about["socket"]), about)

    def _read_answer(self) -> dict[str, Any]:
        lines = wire.Lines()
        while True:
            left_s = self._began + START_TIMEOUT_S - time.monotonic()
            if not _readable(self._ready, max(0.0, left_s)):
                raise EnvironmentFault(f"The supervisor was not ready within {START_TIMEOUT_S:.0f} s.")
            data = os.read(self._ready, 1 << 16)
            if not data:
                raise EnvironmentFault(f"The supervisor ended before it was ready. {self.log} may say why.")
            for answer in lines.feed(data):
                return answer

    def stop(self) -> None:
        """End it and everything below it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def _readable(descriptor: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
