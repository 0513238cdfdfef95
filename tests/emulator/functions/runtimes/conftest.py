"""Accounts whose functions run on every language of this machine."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.emulator.functions.runtimes import Runtimes, find_runtimes
from sandbox.emulator.functions.service import FunctionService
from sandbox.isolation.client import SpawnerClient
from settings import Settings
from tests.emulator.functions.conftest import FunctionsAccount, authority, make_zip
from tests.emulator.functions.runtimes.java_builds import built

_HERE = Path(__file__).parent


# Of each table of Java and Node.js, so many cases run with every change, and all in `make verify`.
_CASES = 2
_TABLES = ("test_java.py", "test_nodejs.py", "test_nodejs_streaming.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most cases of the large tables to the exhaustive run."""
    seen: Counter[tuple[Path, str]] = Counter()
    for item in items:
        if item.path.parent == _HERE and item.path.name in _TABLES and hasattr(item, "callspec"):
            table = (item.path, item.originalname)  # type: ignore[attr-defined]
            seen[table] += 1
            if seen[table] > _CASES:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def runtimes() -> Runtimes:
    """What this machine has."""
    return find_runtimes(Settings().home)


class LanguageAccount(FunctionsAccount):
    """Short ways for functions in Node.js and for programs."""

    def node(self, code: str, *, file: str = "index.js", **settings: Any) -> dict[str, Any]:
        """A Node.js function of one file, and whatever ``files`` adds."""
        files = {file: textwrap.dedent(code), **settings.pop("files", {})}
        parameters = {
            "Runtime": "nodejs20.x",
            "Handler": "index.handler",
            "Code": {"ZipFile": make_zip(files)},
            **settings,
        }
        return self.create(**parameters)

    def java(
        self, handler: str, *, fixture: str = "handlers", package: bytes = b"", **settings: Any
    ) -> dict[str, Any]:
        """A Java function: a handler of one of the fixtures, or of a package."""
        parameters = {
            "Runtime": "java17",
            "Handler": handler,
            "MemorySize": 512,
            "Code": {"ZipFile": package or make_zip(built(fixture))},
            **settings,
        }
        return self.create(**parameters)


@pytest.fixture
def functions(account: Any, spawner_socket: Path, runtimes: Runtimes) -> Iterator[LanguageAccount]:
    """An account whose functions run in every language here."""
    spawner = SpawnerClient(spawner_socket)
    service = FunctionService(
        account.core, spawner, account.gateway.application, runtimes=runtimes, authority=authority()
    )
    account.add(service.handlers())
    yield LanguageAccount(account, service)
    service.close()
    spawner.close()
