"""Faults of an emulated account: what is broken in it at the moment, and what that does."""

from sandbox.emulator.faults.register import Active, Faults

__all__ = ["Active", "Faults"]
