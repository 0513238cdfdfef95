"""The four runtimes under test: how each fixture is packaged, and what each calls its errors."""

from __future__ import annotations

import functools
import io
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FUNCTIONS = Path(__file__).with_name("functions")


@dataclass(frozen=True, slots=True)
class Broken:
    """A package or a handler that cannot work, and what the invocation then says.

    ``error_type`` and ``message`` (a regular expression that matches its beginning) are the payload's.
    Java's client keeps what it found out during init for the first event: not ``during_init``.
    """

    error_type: str
    message: str
    handler: str = ""
    package: Callable[[], bytes] | None = None
    architecture: str = ""
    during_init: bool = True


@dataclass(frozen=True, slots=True)
class Runtime:
    """One language. ``error_type`` is what its ``ConformanceError`` is called in a payload.

    ``init_error_type`` is what the same error during init is called. ``broken`` holds the packages that
    cannot work by what is wrong with them; ``not_for`` says why a row is not for this runtime.
    ``built_by`` is the tool that its fixture needs, if any.
    """

    name: str
    identifier: str
    handler: str
    package: Callable[[], bytes]
    error_type: str
    init_error_type: str
    unserialisable: tuple[str, str]
    broken: Mapping[str, Broken]
    streaming_handler: str = ""
    built_by: str = ""
    memory_mb: int = 256
    not_for: Mapping[str, str] = field(default_factory=dict)


def zip_folder(folder: Path, without: tuple[str, ...] = ()) -> bytes:
    """A folder as a deployment package, the same bytes each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder).as_posix()
            if path.is_file() and "__pycache__" not in relative and relative not in without:
                _add(opened, relative, path.read_bytes(), executable=os.access(path, os.X_OK))
    return buffer.getvalue()


def zip_files(files: Mapping[str, bytes], *, executable: bool = False) -> bytes:
    """Files as a deployment package."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            _add(opened, name, content, executable=executable)
    return buffer.getvalue()


def _add(opened: zipfile.ZipFile, name: str, content: bytes, *, executable: bool) -> None:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = (0o100755 if executable else 0o100644) << 16
    opened.writestr(entry, content, zipfile.ZIP_DEFLATED)


@functools.cache
def python_package() -> bytes:
    """The Python fixture as it lies there."""
    return zip_folder(FUNCTIONS / "python")


@functools.cache
def nodejs_package() -> bytes:
    """The Node.js fixture as it lies there."""
    return zip_folder(FUNCTIONS / "nodejs")


def _go() -> str:
    return shutil.which("go") or "/usr/local/go/bin/go"


@functools.cache
def go_package(architecture: str = "") -> bytes:
    """The Go fixture's binary as ``bootstrap``, for this machine unless told otherwise (GOARCH)."""
    with tempfile.TemporaryDirectory(prefix="conformance-go-") as made:
        out = Path(made, "bootstrap")
        variables = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod -trimpath", "GOTOOLCHAIN": "local"}
        if architecture:
            variables["GOARCH"] = architecture
        command = [_go(), "build", "-tags", "lambda.norpc"]
        source = Path(made, "source")
        shutil.copytree(FUNCTIONS / "go", source)
        done = subprocess.run(
            [*command, "-o", str(out), "."],
            cwd=source,
            env=os.environ | variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return zip_files({"bootstrap": out.read_bytes()}, executable=True)


@functools.cache
def java_package() -> bytes:
    """The Java fixture: Maven's shaded jar."""
    with tempfile.TemporaryDirectory(prefix="conformance-java-") as made:
        source = Path(made, "source")
        shutil.copytree(FUNCTIONS / "java", source)
        done = subprocess.run(
            ["mvn", "--batch-mode", "--quiet", "-DskipTests", "package"],
            cwd=source,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return Path(source, "target", "conformance.jar").read_bytes()


_OTHER_GOARCH = "amd64" if os.uname().machine == "aarch64" else "arm64"

PYTHON = Runtime(
    name="python",
    identifier="python3.12",
    handler="app.handler",
    package=python_package,
    error_type="ConformanceError",
    init_error_type="ConformanceError",
    unserialisable=("Runtime.MarshalError", "Unable to marshal response: Object of type set is not JSON"),
    memory_mb=128,
    broken={
        "handler": Broken(
            "Runtime.HandlerNotFound", "Handler 'absent' missing on module 'app'", handler="app.absent"
        ),
        "module": Broken(
            "Runtime.ImportModuleError",
            "Unable to import module 'absent': No module named 'absent'",
            handler="absent.handler",
        ),
        "syntax": Broken(
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app'",
            package=lambda: zip_files({"app.py": b"def handler(event, context)\n    return 1\n"}),
        ),
        "architecture": Broken(
            "Runtime.ImportModuleError",
            r"Unable to import module 'native'",
            handler="native.handler",
            package=lambda: zip_files({"native.so": b"\x7fELF\x02\x01\x01" + b"\x00" * 64}),
        ),
    },
    not_for={
        "streams": "awslambdaric does not stream, and neither does Python on AWS",
        "streaming errors": "awslambdaric does not stream, and neither does Python on AWS",
        "missing bootstrap": "the runtime brings it",
    },
)

NODEJS = Runtime(
    name="nodejs",
    identifier="nodejs22.x",
    handler="index.handler",
    package=nodejs_package,
    error_type="ConformanceError",
    init_error_type="ConformanceError",
    unserialisable=("Error", "Unable to stringify response body$"),
    streaming_handler="index.stream",
    broken={
        "handler": Broken(
            "Runtime.HandlerNotFound", "index.absent is undefined or not exported", handler="index.absent"
        ),
        "module": Broken(
            "Runtime.ImportModuleError", "Error: Cannot find module 'absent'", handler="absent.handler"
        ),
        "syntax": Broken(
            "Runtime.UserCodeSyntaxError",
            "SyntaxError: ",
            package=lambda: zip_files({"index.js": b"exports.handler = async (event => {\n"}),
        ),
    },
    not_for={
        "missing bootstrap": "the runtime brings it",
        "wrong architecture": "native add-ons are rare, and fail as any module that cannot be loaded",
    },
)

JAVA = Runtime(
    name="java",
    identifier="java21",
    handler="conformance.Handler::handleRequest",
    package=java_package,
    built_by="mvn",
    error_type="conformance.ConformanceError",
    init_error_type="conformance.ConformanceError",
    unserialisable=(
        "java.lang.RuntimeException",
        "An error occurred during JSON serialization of response",
    ),
    memory_mb=512,
    broken={
        "handler": Broken(
            "",
            "No public method named absent with appropriate method signature found on class "
            r"conformance\.Handler$",
            handler="conformance.Handler::absent",
            during_init=False,
        ),
        "module": Broken(
            "java.lang.ClassNotFoundException",
            r"Class not found: conformance\.Absent$",
            handler="conformance.Absent::handleRequest",
            during_init=False,
        ),
    },
    not_for={
        "streams": "AWS's Java runtime does not stream",
        "streaming errors": "AWS's Java runtime does not stream",
        "a syntax error": "the compiler finds it; see the tests of builds",
        "missing bootstrap": "the runtime brings it",
        "wrong architecture": "bytecode has none",
    },
)

GO = Runtime(
    name="go",
    identifier="provided.al2023",
    handler="bootstrap",
    package=go_package,
    built_by=_go(),
    error_type="ConformanceError",
    init_error_type="",  # A panic before lambda.Start ends the process: an exit error on AWS as well.
    unserialisable=("", "json: "),
    memory_mb=128,
    streaming_handler="stream",
    broken={
        "architecture": Broken(
            "Runtime.InvalidEntrypoint",
            r"RequestId: \S+ Error: fork/exec /var/task/bootstrap: exec format error",
            package=lambda: go_package(_OTHER_GOARCH),
        ),
        "bootstrap": Broken(
            "Runtime.InvalidEntrypoint",
            r"RequestId: \S+ Error: Couldn't find valid bootstrap\(s\): "
            r"\[/var/task/bootstrap /opt/bootstrap\]",
            package=lambda: zip_files({"main": b"no bootstrap"}),
        ),
    },
    not_for={
        "handler not found": "a binary is its own handler",
        "module not found": "the linker finds it; see the tests of builds",
        "a syntax error": "the compiler finds it; see the tests of builds",
    },
)

RUNTIMES = (PYTHON, NODEJS, JAVA, GO)
