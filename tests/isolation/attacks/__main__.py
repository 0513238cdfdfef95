"""Run every attack and write what came of it into ``docs/security.md``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from tests.isolation.attacks import record


def main() -> int:
    """Exit status 0 when all were contained."""
    with tempfile.TemporaryDirectory(prefix="attacks-") as directory:
        tests = [Path(__file__).with_name(name) for name in ("test_attacks.py", "test_account_attacks.py")]
        report = Path(directory, "report.xml")
        options = ["-q", "-p", "no:cacheprovider", "-m", "slow or not slow", f"--junitxml={report}"]
        status = pytest.main([*options, "-o", "junit_family=legacy", *map(str, tests)])
        record.rewrite(record.Results.read(report))
    return int(status)


sys.exit(main())
