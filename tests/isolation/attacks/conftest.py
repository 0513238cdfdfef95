"""An account whose functions run, as the tests of functions have it."""

from tests.emulator.conftest import account
from tests.emulator.functions.conftest import functions, spawner_socket

__all__ = ["account", "functions", "spawner_socket"]
