"""Keys that exist in several regions, and what a key's state allows; moto keeps and uses the material."""

from sandbox.emulator.fabric.kms.service import Keys

__all__ = ["Keys"]
