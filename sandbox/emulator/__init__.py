"""The emulated AWS account: one process, moto for state, everything that happens is ours."""

from sandbox.emulator.lean import import_without_ballast

import_without_ballast()
