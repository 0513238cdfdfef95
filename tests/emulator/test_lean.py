"""What an account's process does not carry."""

from __future__ import annotations

import subprocess
import sys


def test_a_supervisor_imports_no_solver_no_test_runner_and_no_catalogue() -> None:
    told = """
import sandbox.emulator.process, sys
from moto.ec2.models.instance_types import INSTANCE_TYPES
from sandbox.emulator.cloudformation.schemas import Schemas
assert Schemas("us-east-1").find("AWS::S3::Bucket") is not None
print(sorted({"pytest", "sympy", "networkx"} & sys.modules.keys()), len(INSTANCE_TYPES))
"""

    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)

    assert done.stdout == "[] 0\n"
