"""Runs isolated code for the tests, in a process of its own: as who it was started, or as nobody.

``driver.py SOURCE RUNTIME TEMP [LEVEL]`` serves JSON requests, one a line; with ``--as-nobody`` first it
shows the interpreter, the sources and the runtime at neutral readable places and drops to uid 65534.
"""

from __future__ import annotations

import json
import os
import select
import sys
import threading
import time
from pathlib import Path
from typing import Any

NOBODY = 65534
KEPT_BYTES = 64 * 1024


def become_nobody(arguments: list[str]) -> None:
    """Drop to an ordinary user, who may not be able to read the interpreter or the repository."""
    source, runtime, temporary = arguments[:3]
    sys.path.append(source)
    from sandbox.isolation import kernel

    places = {"python": sys.base_prefix, "source/sandbox": f"{source}/sandbox", "runtime": runtime}
    places["tests"] = str(Path(__file__).parent)
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    for name, place in places.items():
        target = Path(temporary, "shown", name)
        target.mkdir(parents=True)
        kernel.mount(place, str(target), flags=kernel.MS_BIND | kernel.MS_REC)
    os.chown(temporary, NOBODY, NOBODY)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    shown = f"{temporary}/shown"
    python = f"{shown}/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    program = [python, "-I", f"{shown}/tests/driver.py", f"{shown}/source", f"{shown}/runtime", temporary]
    environment = {"LD_LIBRARY_PATH": f"{shown}/python/lib", "PYTHONDONTWRITEBYTECODE": "1"}
    os.execve(python, [*program, *arguments[3:]], environment)


class Output(threading.Thread):
    """Drains an environment's output: the tail, and how much there was."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self.descriptor = descriptor
        self.tail = b""
        self.total = 0
        self.has_line = threading.Event()
        self.start()

    def run(self) -> None:
        """Until the last writer is gone."""
        while chunk := os.read(self.descriptor, 65536):
            self.total += len(chunk)
            self.tail = (self.tail + chunk)[-KEPT_BYTES:]
            if b"\n" in chunk:
                self.has_line.set()


def resolve(environment: Any) -> None:
    """Answer an environment's DNS queries until it has ended."""
    from sandbox.isolation import names

    datagrams = environment.names.dns
    while environment not in select.select([datagrams, environment], [], [])[0]:
        query, sender = datagrams.recvfrom(names.QUERY_LIMIT_BYTES)
        said = names.answer(query)
        if said is not None:
            datagrams.sendto(said, sender)


def _processor_time(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | 2)


class Driver:
    """One spawner and the environments asked of it."""

    def __init__(self, source: str, runtime: str, temporary: str, level: str | None) -> None:
        sys.path.append(source)
        from sandbox.isolation.client import SpawnerClient, start_spawner
        from sandbox.isolation.spec import IsolationLevel

        self.temporary = Path(temporary)
        self.socket_path = self.temporary / "spawner"
        self.process = start_spawner(
            self.socket_path,
            Path(runtime),
            level=IsolationLevel(int(level)) if level else None,
            minimum=IsolationLevel.NONE,
            unsafe=level == "1",
            # To try all of this in containers, by an engine that has such an image.
            image=os.environ.get("COLDSTART_TEST_IMAGE", ""),
        )
        self.spawner = SpawnerClient(self.socket_path)
        self.environments: dict[str, tuple[Any, Output]] = {}

    def start(
        self, name: str, files: dict[str, str], code: str | None = None, **wanted: Any
    ) -> dict[str, Any]:
        """Start an environment on these files, or on a folder that is there."""
        from sandbox.isolation.spec import EnvironmentSpec

        place = self.temporary / name if code is None else Path(code)
        for path, text in files.items():
            target = place / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        if wanted.get("command"):
            wanted["command"] = tuple(wanted["command"])
        for directory in {"runtime_dir", "language_dir", "layer_dir"} & set(wanted):
            wanted[directory] = Path(wanted[directory])
        variables = {"_HANDLER": "app.handler", "AWS_DEFAULT_REGION": "us-east-1"}
        variables |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        variables |= wanted.pop("variables", {})
        wanted = {"memory_mb": 256, "gateway_port": 4566, **wanted}
        environment = self.spawner.spawn(EnvironmentSpec(name, place, variables, **wanted))
        self.environments[name] = (environment, Output(environment.output))
        if environment.names is not None:
            threading.Thread(target=resolve, args=(environment,), daemon=True).start()
        return {"level": int(environment.level), "ports": self.ports(environment)}

    @staticmethod
    def ports(environment: Any) -> list[int]:
        """Where the sockets listen."""
        every = (environment.runtime_api, environment.gateway, environment.otlp, environment.xray)
        return [each.getsockname()[1] for each in every]

    def wait(self, name: str, timeout_s: float = 20.0) -> dict[str, Any]:
        """Until it asks for its first invocation or has ended."""
        environment, _output = self.environments[name]
        began = time.monotonic()
        ready, _w, _x = select.select([environment.runtime_api, environment], [], [], timeout_s)
        return {"asked": environment.runtime_api in ready, "waited_s": time.monotonic() - began}

    def wait_end(self, name: str, timeout_s: float) -> bool:
        """Until it has ended by itself; whether it did."""
        return bool(select.select([self.environments[name][0]], [], [], timeout_s)[0])

    def printed(self, name: str, timeout_s: float) -> bool:
        """Until it has printed a line; whether it did."""
        return self.environments[name][1].has_line.wait(timeout_s)

    def processor_time(self, name: str) -> float:
        """CPU seconds so far, as the kernel has them, also while it is frozen."""
        return sum(map(_processor_time, self._processes(name)))

    def _processes(self, name: str) -> list[int]:
        """Every process of an environment, found from its first."""
        environment, _output = self.environments[name]
        text = Path(f"/proc/self/fdinfo/{environment.fileno()}").read_text()
        found, waiting = [], [int(dict(line.split(":", 1) for line in text.splitlines())["Pid"])]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        return found[1:]

    def accepted(self, name: str, timeout_s: float) -> int:
        """How many connections came to the gateway within this time, at least one awaited."""
        environment, _output = self.environments[name]
        count = 0
        while select.select([environment.gateway], [], [], timeout_s if not count else 0)[0]:
            environment.gateway.accept()[0].close()
            count += 1
        return count

    def called(self, name: str) -> dict[str, Any]:
        """Which of the sockets behind AWS's names somebody has connected to."""
        sockets = self.environments[name][0].names
        listeners = {"dns_stream": sockets.dns_stream, "tls": sockets.tls}
        ready = select.select(listeners.values(), [], [], 0)[0]
        return {kind: listener in ready for kind, listener in listeners.items()}

    def account(self) -> dict[str, Any]:
        """Another owner, in a process of its own, with one environment."""
        from sandbox.isolation.client import SpawnerClient
        from sandbox.isolation.spec import EnvironmentSpec

        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            code = self.temporary / "account"
            code.mkdir()
            (code / "app.py").write_text("import time\nwhile True: time.sleep(60)")
            spec = EnvironmentSpec("account", code, {"_HANDLER": "app.handler"}, 256, 4566)
            held = SpawnerClient(self.socket_path).spawn(spec)
            os.write(writer, b"x")
            os.read(held.output, 1)
            os._exit(0)
        os.close(writer)
        started = os.read(reader, 1)
        os.close(reader)
        assert started, "the account's environment did not start"
        return {"pid": child}

    def usage(self, name: str) -> dict[str, Any]:
        """Memory and CPU time."""
        environment, _output = self.environments[name]
        return {"memory_peak_mb": environment.memory_peak_mb(), "cpu_time_s": environment.cpu_time_s()}

    def freeze(self, name: str) -> dict[str, Any]:
        """Freeze it."""
        self.environments[name][0].freeze()
        return {}

    def set_clock(self, name: str, ahead_s: float) -> bool:
        """Move its clock; whether that was done."""
        done: bool = self.environments[name][0].set_clock(ahead_s)
        return done

    def clock(self, name: str) -> float:
        """How far its clock is said to be ahead."""
        ahead_s: float = self.environments[name][0].clock_ahead_s
        return ahead_s

    def thaw(self, name: str) -> dict[str, Any]:
        """Let it run."""
        self.environments[name][0].thaw()
        return {}

    def kill(self, name: str) -> dict[str, Any]:
        """End it; says how it ended, what it printed and how long the kill took."""
        environment, output = self.environments[name]
        began = time.monotonic()
        environment.kill()
        took_s = time.monotonic() - began
        output.join(10)
        how = environment.exited()
        said = {
            "status": how.status,
            "signal": how.signal,
            "out_of_memory": how.out_of_memory,
            "output": output.tail.decode(errors="replace"),
            "output_bytes": output.total,
            "output_ended": not output.is_alive(),
            "kill_s": took_s,
            "memory_peak_mb": environment.memory_peak_mb(),
        }
        environment.close()
        del self.environments[name]
        return said


def serve(arguments: list[str]) -> None:
    """Answer requests until standard input ends."""
    driver = Driver(*arguments[:3], arguments[3] if len(arguments) > 3 else None)
    from sandbox.isolation.view import Interpreter

    python = Interpreter(sys.base_prefix, f"{sys.version_info.major}.{sys.version_info.minor}").executable
    hello = {"pid": os.getpid(), "spawner": driver.process.pid, "level": int(driver.spawner.level)}
    hello["python"] = python
    print(json.dumps(hello), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(driver, request.pop("do"))(**request)
        except Exception as error:  # The edge of this process: the test shows what went wrong.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--as-nobody":
        become_nobody(sys.argv[2:])
    serve(sys.argv[1:])
