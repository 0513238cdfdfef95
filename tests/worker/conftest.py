"""The records' database and clock, for workers."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# Test folders are no packages: the neighbour's fixtures are loaded by path.
_path = Path(__file__).parent.parent / "records" / "conftest.py"
_spec = importlib.util.spec_from_file_location("records_fixtures", _path)
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
sys.modules["records_fixtures"] = _fixtures
_spec.loader.exec_module(_fixtures)

server = _fixtures.server
empty_postgres = _fixtures.empty_postgres
database = _fixtures.database
records = _fixtures.records
