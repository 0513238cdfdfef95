"""EventBridge Pipes: from a queue or a stream, filtered and enriched, to a target."""

from sandbox.emulator.fabric.pipes.service import Pipes

__all__ = ["Pipes"]
