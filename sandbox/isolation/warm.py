"""The warmed Python parent: the runtime's libraries imported once, and how a fork becomes a function."""

from __future__ import annotations

import gc
import importlib
import inspect
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

RUNTIME = "/var/runtime"
TASK = "/var/task"
# Clients whose service models are read ahead; the others are read when a function first asks.
SERVICES = (
    "s3",
    "dynamodb",
    "sqs",
    "sns",
    "events",
    "lambda",
    "logs",
    "ssm",
    "secretsmanager",
    "sts",
)
_NATIVE = "runtime_client"
# For code that brings its own copy of something the parent has imported: a fresh interpreter.
_COLD_START = """
import os, sys
sys.path.insert(0, {runtime!r})
from awslambdaric import __main__ as client
sys.path.remove({runtime!r})
sys.path[:0] = os.environ.pop("COLDSTART_PATH").split(":")
sys.argv[:] = ["/var/runtime/bootstrap", os.environ["_HANDLER"]]
client.main(sys.argv)
"""


def cold_start() -> str:
    """The program of a fresh interpreter."""
    return _COLD_START.format(runtime=RUNTIME)


def function_path(version: str) -> list[str]:
    """What Lambda puts before the standard library.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/python-package.html (search path)
    """
    return [TASK, f"/opt/python/lib/python{version}/site-packages", "/opt/python", RUNTIME]


def import_runtime() -> None:
    """Import the runtime client and boto3 under their final paths, and read common service models."""
    sys.path.insert(0, RUNTIME)
    importlib.import_module("awslambdaric.__main__")
    importlib.import_module("awslambdaric.bootstrap")
    boto3 = importlib.import_module("boto3")
    quicken()
    loaders = importlib.import_module("botocore.loaders")
    remember(loaders.Loader, "load_service_model")
    remember(loaders.Loader, "load_data_with_path")
    remember(loaders.Loader, "determine_latest_version")
    session = boto3.session.Session(
        aws_access_key_id="warm", aws_secret_access_key="warm", region_name="us-east-1"
    )
    for service in SERVICES:
        session.client(service)
    for service in ("s3", "dynamodb", "sqs", "sns"):
        session.resource(service)
    del session
    gc.collect()
    gc.freeze()


def remember(cls: Any, method: str) -> None:
    """Share one method's answers between all instances; botocore itself keeps them per session.

    The key holds the search paths, so an AWS_DATA_PATH of the function's own still counts.
    """
    original: Callable[..., Any] = getattr(cls, method)
    answers: dict[Any, Any] = {}

    def remembered(self: Any, *args: Any, **kwargs: Any) -> Any:
        key = (tuple(self.search_paths), args, tuple(sorted(kwargs.items())))
        if key not in answers:
            answers[key] = original(self, *args, **kwargs)
        return answers[key]

    remembered.__name__ = method
    setattr(cls, method, remembered)


def quicken() -> None:
    """Have botocore find out once, and not per session and client, what never changes.

    That is the names of its events, and whether a handler takes any keyword; together a third of the
    time that a session and its first client take.
    """
    hooks: Any = importlib.import_module("botocore.hooks")
    if hooks.accepts_kwargs.__module__ == __name__:
        return
    slow, begin, names = hooks.accepts_kwargs, hooks.EventAliaser.__init__, {}  # type: ignore[var-annotated]

    def accepts_kwargs(function: Any) -> Any:
        code = getattr(getattr(function, "__func__", function), "__code__", None)
        return slow(function) if code is None else bool(code.co_flags & inspect.CO_VARKEYWORDS)

    def __init__(self: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        begin(self, event_emitter, event_aliases)
        if self._event_aliases == hooks.EVENT_ALIASES:
            self._alias_name_cache = names

    hooks.accepts_kwargs = accepts_kwargs
    hooks.EventAliaser.__init__ = __init__


class _Missed:
    """At the end of the path finders: notes what the libraries looked for and did not find."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> None:
        """Nothing is found here."""
        self.names.add(name.partition(".")[0])


def imported_names() -> frozenset[str]:
    """Top-level names that a fork already holds, besides our own package."""
    names = {name.partition(".")[0] for name in sys.modules}
    return frozenset(names - {"sandbox", "__main__"})


def package_places(code_dir: Path, layer_dir: Path | None, version: str) -> list[Path]:
    """Where a function's own packages are, on this machine."""
    if layer_dir is None:
        return [code_dir]
    layer = layer_dir / "python"
    return [code_dir, layer, layer / "lib" / f"python{version}" / "site-packages"]


def must_start_cold(directories: list[Path], imported: frozenset[str], copies: Iterable[str] = ()) -> bool:
    """Whether the code brings its own copy of something that a fork would already hold.

    ``copies`` are entries known to be the same as those held.
    """
    for directory in directories:
        try:
            entries = os.listdir(directory)
        except FileNotFoundError:
            continue
        for entry in set(entries).difference(copies):
            name = entry.partition(".")[0]
            if name in imported and (entry == name or entry.endswith((".py", ".so", ".pyc"))):
                return True
    return False


def become_function(variables: dict[str, str], path: list[str]) -> NoReturn:
    """Run the runtime interface client in place, in a fork that is already confined."""
    status = 0
    try:
        _forget_ourselves(variables, path)
        client = sys.modules["awslambdaric.__main__"]
        client.main(sys.argv)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # The edge of the process: what a runtime prints when its client breaks.
        sys.excepthook(*sys.exc_info())
        status = 1
    finally:
        _flush()
    os._exit(status)


def _forget_ourselves(variables: dict[str, str], path: list[str]) -> None:
    """Make the process look as if the runtime had just started it."""
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    os.chdir(path[0])
    _load_client()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    random.seed()
    tempfile.tempdir = None  # Where TMPDIR says, not where the parent's was.
    standard = [entry for entry in sys.path if "/lib/python3" in entry and entry != RUNTIME]
    sys.path[:] = [*path, *standard]
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    for name in [name for name in sys.modules if name.partition(".")[0] == "sandbox"]:
        del sys.modules[name]
    sys.argv[:] = ["/var/runtime/bootstrap", variables.get("_HANDLER", "")]
    bootstrap = sys.modules["awslambdaric.bootstrap"]
    # What it makes of a log format it decides when it is imported, which the parent did without one.
    if variables.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        importlib.reload(bootstrap)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            continue  # Nobody reads any more.


def _load_client() -> None:
    """Load the client's native half, if that was left to the fork."""
    python_half = sys.modules["awslambdaric.lambda_runtime_client"]
    if python_half.runtime_client is None:
        del sys.modules[_NATIVE]
        sys.path.insert(0, RUNTIME)
        native = importlib.import_module(_NATIVE)
        sys.path.remove(RUNTIME)
        native.initialize_client(python_half._user_agent())
        python_half.runtime_client = native  # type: ignore[attr-defined]


def warm_up(*, one_address: bool = True) -> frozenset[str]:
    """Import everything and say which names a fork holds, or would hold had they been there.

    The client's native half keeps the Runtime API's address that it is loaded with, so it is left to
    the fork where that is not ``one_address`` for all.
    """
    random.seed(0)
    if not one_address:
        sys.modules[_NATIVE] = None  # type: ignore[assignment]
    missed = _Missed()
    sys.meta_path.append(missed)
    import_runtime()
    sys.meta_path.remove(missed)
    return imported_names() | missed.names - {"certifi"}  # What it says gives way to AWS_CA_BUNDLE.
