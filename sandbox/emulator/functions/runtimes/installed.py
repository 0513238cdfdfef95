"""Which runtimes this machine has."""

from __future__ import annotations

from pathlib import Path

from sandbox.emulator.functions.runtimes.custom import CustomRuntime
from sandbox.emulator.functions.runtimes.java import JavaRuntime
from sandbox.emulator.functions.runtimes.nodejs import NodejsRuntime
from sandbox.emulator.functions.runtimes.python import PythonRuntime
from sandbox.emulator.functions.runtimes.registry import Runtime, Runtimes
from sandbox.runtimes.interpreters import find_nodes
from sandbox.runtimes.java import find_java
from sandbox.runtimes.prepared import python_runtime_place
from sandbox.runtimes.public_layers import PublicLayers


def find_runtimes(home: Path) -> Runtimes:
    """The runtimes found here and prepared below the installation's ``home``; looks, installs nothing."""
    found: list[Runtime] = [PythonRuntime(python_runtime_place(home)), CustomRuntime()]
    if nodes := find_nodes(home):
        found.append(NodejsRuntime(home, tuple(nodes)))
    if javas := find_java():
        found.append(JavaRuntime(home, javas))
    return Runtimes(*found, public_layers=PublicLayers(home))
