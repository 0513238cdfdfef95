"""The class archive (AppCDS) of the runtime client: what a cold start would otherwise parse and verify.

The client is run a few times to learn which classes it loads, then the JVM dumps those. The archive holds
only for the very paths it was made under, so all of that happens where functions see it: in a mount
namespace with the runtime at /var/runtime and Java at /var/lang. Where no namespace can be had there is
no archive, and a cold start takes longer.

Source: https://docs.oracle.com/en/java/javase/17/docs/specs/man/java.html#application-class-data-sharing
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn

from sandbox.isolation import kernel
from sandbox.runtimes.java.artifacts import ARCHIVE
from sandbox.runtimes.java.command import command
from sandbox.runtimes.java.installations import JavaInstallation

TIMEOUT_S = 60.0
_SOURCE = Path(__file__).resolve().parents[3]
_PROGRAM = "import sys; sys.path.append({path!r}); from sandbox.runtimes.java import archive; archive.main()"
_CLASSES = "classes.lst"
# Methods of Java's own serve as handlers: JSON bound to a map and back, to a bean, and a class not found.
_TRAINING = {
    "java.util.Collections::unmodifiableMap": b'{"k": "x", "n": 1, "d": 1.5, "l": [{"n": null}, true]}',
    "java.util.concurrent.locks.LockSupport::unpark": b'{"name": "x", "priority": 5, "daemon": true}',
    "coldstart.Absent": b"{}",
}
# Which of the client's own classes a function needs depends on its types: all of these are archived.
_ALWAYS = (
    "com/amazonaws/services/lambda/runtime/",
    "com/amazonaws/lambda/thirdparty/com/fasterxml/jackson/",
)


def make_archive(runtime: Path, java: JavaInstallation) -> bool:
    """Write ``client.jsa`` into ``runtime``; whether that worked."""
    classes = runtime / _CLASSES
    known = dict.fromkeys(_client_classes(runtime))
    try:
        for handler, event in _TRAINING.items():
            _train(runtime, java, handler, event)
            if not classes.is_file():
                return False
            known |= dict.fromkeys(_listed(classes.read_text()))
        classes.write_text("\n".join(known) + "\n")
        flags = ("-Xshare:dump", f"-XX:SharedClassListFile=/var/runtime/{_CLASSES}", _archive_flag())
        _run(runtime, java, command(java.major, 512, "", sharing=flags), {})
    finally:
        classes.unlink(missing_ok=True)
    made = runtime / ARCHIVE
    if made.is_file():
        made.chmod(0o644)
    return made.is_file()


def _archive_flag() -> str:
    return f"-XX:SharedArchiveFile=/var/runtime/{ARCHIVE}"


def _listed(text: str) -> Iterator[str]:
    """The lines of a class list without what holds for one list alone: ids, and classes of other loaders."""
    for line in text.splitlines():
        if not line.startswith("#") and " source: " not in line:
            yield line.partition(" id: ")[0]


def _client_classes(runtime: Path) -> list[str]:
    names = []
    for jar in sorted((runtime / "lib").glob("*.jar")):
        with zipfile.ZipFile(jar) as opened:
            names += [name for name in opened.namelist() if name.endswith(".class")]
    return [name.removesuffix(".class") for name in names if name.startswith(_ALWAYS)]


def _train(runtime: Path, java: JavaInstallation, handler: str, event: bytes) -> None:
    server = _TrainingServer(event)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    variables = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_address[1]}",
        "AWS_LAMBDA_FUNCTION_NAME": "train",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/train",
        "AWS_LAMBDA_LOG_STREAM_NAME": "train",
        "AWS_REGION": "us-east-1",
    }
    try:
        flags = ("-Xshare:off", f"-XX:DumpLoadedClassList=/var/runtime/{_CLASSES}")
        _run(runtime, java, command(java.major, 512, handler, sharing=flags), variables)
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def _run(runtime: Path, java: JavaInstallation, program: Sequence[str], variables: dict[str, str]) -> None:
    order = {
        "runtime": str(runtime),
        "java": str(java.home),
        "command": list(program),
        "variables": variables | {"LANG": "en_US.UTF-8", "TZ": ":UTC"},
    }
    ours = [sys.executable, "-I", "-S", "-c", _PROGRAM.format(path=str(_SOURCE))]
    try:
        subprocess.run(ours, input=json.dumps(order).encode(), capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return  # What it was to write is not there, or not complete.


class _TrainingServer(ThreadingHTTPServer):
    """A Runtime API with one event, given twice; then it hangs up, and the client ends in order."""

    daemon_threads = True

    def __init__(self, event: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _TrainingHandler)
        self.events = [event, event]


class _TrainingHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _TrainingServer

    def do_GET(self) -> None:
        if not self.server.events:
            self.close_connection = True
            return
        body = self.server.events.pop()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "00000000-0000-4000-8000-000000000000")
        self.send_header("Lambda-Runtime-Deadline-Ms", "9999999999999")
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:1:function:train")
        self.send_header("Lambda-Runtime-Trace-Id", "Root=1-0-0;Parent=0;Sampled=0")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def main() -> NoReturn:
    """In a fresh interpreter: lay out the paths as a function sees them, then become Java."""
    order = json.load(sys.stdin.buffer)
    kernel.die_with_parent()
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        kernel.unshare(kernel.CLONE_NEWNS)
    else:
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    # Either may lie below the place that is covered next.
    sources = {
        "/var/runtime": os.open(order["runtime"], os.O_PATH),
        "/var/lang": os.open(order["java"], os.O_PATH),
    }
    kernel.mount("training", "/var", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
    os.mkdir("/var/task", 0o755)
    for place, source in sources.items():
        os.mkdir(place, 0o755)
        kernel.mount(f"/proc/self/fd/{source}", place, flags=kernel.MS_BIND)
    os.chdir("/var/task")
    os.execve(order["command"][0], order["command"], order["variables"])
