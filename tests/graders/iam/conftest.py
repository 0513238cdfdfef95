from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# Helpers beside the tests are loaded by path: test folders are not packages.
_spec = importlib.util.spec_from_file_location("rights_world", Path(__file__).parent / "world.py")
assert _spec is not None
assert _spec.loader is not None
world = importlib.util.module_from_spec(_spec)
sys.modules["rights_world"] = world
_spec.loader.exec_module(world)

_path = Path(__file__).parents[2] / "emulator" / "conftest.py"
_spec = importlib.util.spec_from_file_location("emulator_fixtures", _path)
assert _spec is not None
assert _spec.loader is not None
emulator_fixtures = importlib.util.module_from_spec(_spec)
sys.modules["emulator_fixtures"] = emulator_fixtures
_spec.loader.exec_module(emulator_fixtures)
