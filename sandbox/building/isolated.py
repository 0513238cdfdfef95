"""Running a build where it can do no harm, and getting back what it made and what it said."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO

from sandbox.building.registry import Door, Registry
from sandbox.errors import EnvironmentFault
from sandbox.isolation import wire
from sandbox.isolation.building import REGISTRY_PORT
from sandbox.isolation.frames import read_frames, write_end, write_frame
from sandbox.isolation.workplace import BUILD, HOME, RESULT, SOURCE

__all__ = ["BUILD", "HOME", "REGISTRY_URL", "RESULT", "SOURCE", "Files", "Job", "Limits", "Outcome", "Step"]

REGISTRY_URL = f"http://127.0.0.1:{REGISTRY_PORT}"
OUTPUT_LIMIT_BYTES = 400_000
_ROOT = Path(__file__).resolve().parents[2]
_KEEPER = "import sys; sys.path.append({root!r}); from sandbox.isolation import building; building.main()"

Files = Mapping[str, bytes]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one build may use. ``disk_mb`` is all it may write, ``result_bytes`` what may come out of it."""

    memory_mb: int = 2048
    disk_mb: int = 2048
    processes: int = 512
    time_s: float = 240.0
    result_bytes: int = 262_144_000
    result_files: int = 50_000


@dataclass(frozen=True, slots=True)
class Step:
    """One program of a build. ``says`` is what whoever waits is told while it runs."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    says: str
    cwd: str = SOURCE


@dataclass(frozen=True, slots=True)
class Job:
    """A build: files below ``/build``, the tools to show, the steps, and the folder that is its result.

    ``seeds`` are folders of ours that are copied in. All that the build's network holds is ``registry``
    (None: nothing), and what is ``served``: by port, who takes the socket that listens there and gives
    back how to stop.
    """

    files: Files = field(repr=False)
    shown: tuple[str, ...]
    steps: tuple[Step, ...]
    result: str = RESULT
    seeds: tuple[tuple[Path, str], ...] = ()
    registry: Registry | None = None
    served: Mapping[int, Callable[[socket.socket], Callable[[], None]]] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a build ended.

    ``status`` is the last step's; ``reason`` says which limit ended it (``time``, ``memory``, ``disk``,
    ``result``), if one did. ``trouble`` is what was no fault of the build, in our words: a registry that
    was not reached or slow, or a machine with no processor to spare.
    """

    status: int
    reason: str
    output: str
    made: Files = field(repr=False)
    trouble: str = ""


def run(job: Job, tell: Tell = lambda _: None) -> Outcome:
    """Run a build and wait for it.

    Raises:
        EnvironmentFault: it could not be isolated here, or our machinery broke.
    """
    with started(job, tell) as running:
        return running.outcome()


@contextlib.contextmanager
def started(job: Job, tell: Tell = lambda _: None) -> Iterator[Running]:
    """A build that runs while the block does. The thread that started it has to live as long."""
    with contextlib.ExitStack() as stack:
        yield Running(job, tell, stack)


class Running:
    """The owner's side of one build."""

    def __init__(self, job: Job, tell: Tell, stack: contextlib.ExitStack) -> None:
        self.job = job
        self.tell = tell
        self.control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stack.callback(self.control.close)
        sources, sources_in = os.pipe()
        results_out, results = os.pipe()
        output_out, output = os.pipe()
        staging = stack.enter_context(tempfile.TemporaryDirectory(prefix="coldstart-build-"))
        theirs = (control.fileno(), sources, results, output)
        told = {
            "owner": os.getpid(),
            **dict(zip(("control", "sources", "results", "output"), theirs, strict=True)),
            "staging": staging,
            "shown": job.shown,
            "seeds": [(str(source), target) for source, target in job.seeds],
            "steps": [
                {"argv": step.argv, "environment": dict(step.environment), "cwd": step.cwd}
                for step in job.steps
            ],
            "result": job.result,
            "registry": job.registry is not None,
            "ports": tuple(job.served),
            "memory_mb": job.limits.memory_mb,
            "disk_mb": job.limits.disk_mb,
            "processes": job.limits.processes,
            "time_s": job.limits.time_s,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _KEEPER.format(root=str(_ROOT))],
            env={},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=theirs,
        )
        stack.callback(self._end)
        control.close()
        for descriptor in theirs[1:]:
            os.close(descriptor)
        self.said = _Drain(os.fdopen(output_out, "rb"))
        self.made = _Collector(os.fdopen(results_out, "rb"), job.limits)
        self.threads = [self.said, self.made, _Feeder(os.fdopen(sources_in, "wb"), job.files)]
        self.broken = _Drain(self.process.stderr)
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self.process.stdin as stdin:
            stdin.write(json.dumps(told).encode())
        for thread in (*self.threads, self.broken):
            thread.start()

    def end(self) -> None:
        """End it at once, from any thread; :meth:`outcome` then raises EnvironmentFault."""
        with contextlib.suppress(OSError):
            self.control.shutdown(socket.SHUT_RDWR)

    def _end(self) -> None:
        self.control.close()  # The keeper ends everything in there when we let go.
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for thread in (*self.threads, self.broken):
            thread.join(timeout=10)

    def outcome(self) -> Outcome:
        """Wait for its end; as :func:`run`."""
        door: Door | None = None
        stops: list[Callable[[], None]] = []
        try:
            while True:
                message, descriptors = wire.receive(self.control)
                if message is None:
                    self.process.wait()
                    self.broken.join(timeout=5)
                    raise EnvironmentFault(f"A build's keeper ended: {self.broken.text[-600:] or 'killed'}")
                if "fault" in message:
                    raise EnvironmentFault(
                        f"Builds can't be isolated here: {message['fault']}."
                        " `coldstart doctor` says what is missing."
                    )
                if "ready" in message:
                    listeners = [socket.socket(fileno=descriptor) for descriptor in descriptors]
                    if self.job.registry is not None:
                        door = Door(listeners.pop(0), self.job.registry)
                    stops += [
                        serve(listener)
                        for serve, listener in zip(self.job.served.values(), listeners, strict=True)
                    ]
                if "begun" in message:
                    self.tell(self.job.steps[message["begun"]].says)
                if "step" in message:
                    return self._ended(message, door)
        finally:
            if door is not None:
                door.close()
            for stop in stops:
                stop()

    def _ended(self, message: Mapping[str, Any], door: Door | None) -> Outcome:
        reason = str(message["reason"])
        made: Files = {}
        if message["status"] == 0:
            self.made.join()
            made, reason = self.made.files, reason or self.made.problem
        self.said.join(timeout=10)
        trouble = door.trouble if door is not None else ""
        time_s = self.job.limits.time_s
        if reason == "starved":
            trouble = f"This machine was too busy: a build that may take {time_s:g} s had not got to its end."
        elif reason == "time" and door is not None and door.waited_s > time_s / 2:
            trouble = f"The package registry was too slow: it was waited for for {door.waited_s:.0f} s."
        status = int(message["status"]) or int(bool(reason))
        return Outcome(status, reason, self.said.text, made, trouble)


class _Drain(threading.Thread):
    """Reads a pipe to its end; keeps the beginning and the end of what is too much."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        super().__init__(daemon=True)
        assert stream is not None
        self._stream = stream
        self._head = bytearray()
        self._tail = bytearray()

    def run(self) -> None:
        half = OUTPUT_LIMIT_BYTES // 2
        with self._stream as stream:
            while block := os.read(stream.fileno(), 65536):
                if len(self._head) < half:
                    self._head += block
                else:
                    self._tail = (self._tail + block)[-half:]

    @property
    def text(self) -> str:
        """What was said, as text."""
        return (bytes(self._head) + bytes(self._tail)).decode("utf-8", "replace")


class _Feeder(threading.Thread):
    """Writes the sources into the build."""

    def __init__(self, stream: BinaryIO, files: Files) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._files = files

    def run(self) -> None:
        with contextlib.suppress(OSError), self._stream as stream:  # A keeper that ended says why itself.
            for name, body in self._files.items():
                write_frame(stream, name, body, runs=is_program(name, body))
            write_end(stream)


class _Collector(threading.Thread):
    """Reads what the build made, within limits."""

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._limits = limits
        self.files: dict[str, bytes] = {}
        self.problem = ""

    def run(self) -> None:
        with self._stream as stream, contextlib.suppress(EOFError):
            for name, size in self._frames(stream):
                self.files[name] = stream.read(size)

    def _frames(self, stream: BinaryIO) -> Iterator[tuple[str, int]]:
        total = 0
        for name, _runs, size in read_frames(stream):
            total += size
            if total > self._limits.result_bytes or len(self.files) >= self._limits.result_files:
                self.problem = "result"
                self.files.clear()
                return
            yield name, size


def is_program(name: str, body: bytes) -> bool:
    """Whether a file is one that is run: `bootstrap`, a script, or a program of this machine's kind."""
    return name.rsplit("/", 1)[-1] == "bootstrap" or body[:2] == b"#!" or body[:4] == b"\x7fELF"
