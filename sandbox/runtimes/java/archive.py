"""The class archive (AppCDS) of the runtime client: what a cold start would otherwise parse and verify.

The archive holds only for the very paths it was made under, so the client is run once where it will be
seen: in a mount namespace with the runtime at /var/runtime and Java at /var/lang. Where no namespace can
be had there is no archive, and a cold start takes longer.

Source: https://docs.oracle.com/en/java/javase/17/docs/specs/man/java.html#application-class-data-sharing
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
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
# Any method of Java's own will do that takes an object and gives it back: the client then binds JSON.
_HANDLER = "java.util.Collections::unmodifiableMap"
_EVENTS = (
    b'{"name": "x", "count": 1, "price": 1.5, "items": [{"id": null}, true], "nested": {"k": "v"}}',
) * 2


def make_archive(runtime: Path, java: JavaInstallation) -> bool:
    """Write ``client.jsa`` into ``runtime``; whether that worked."""
    server = _TrainingServer()
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
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
    }
    order = {
        "runtime": str(runtime),
        "java": str(java.home),
        "command": command(
            java.major, 512, _HANDLER, archive=f"-XX:ArchiveClassesAtExit=/var/runtime/{ARCHIVE}"
        ),
        "variables": variables,
    }
    program = [sys.executable, "-I", "-S", "-c", _PROGRAM.format(path=str(_SOURCE))]
    process = subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdin is not None
        with process.stdin as pipe:
            pipe.write(json.dumps(order).encode())
        process.wait(TIMEOUT_S)
    except (subprocess.TimeoutExpired, BrokenPipeError):
        process.kill()
        process.wait()
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
    made = runtime / ARCHIVE
    if made.is_file():
        made.chmod(0o644)
    return made.is_file()


class _TrainingServer(ThreadingHTTPServer):
    """A Runtime API with a few events; when they are used up it hangs up, and the client ends in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _TrainingHandler)
        self.events = list(_EVENTS)


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
