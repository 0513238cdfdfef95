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
