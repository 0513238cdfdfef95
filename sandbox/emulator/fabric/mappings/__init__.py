"""Event source mappings: Lambda polls a queue or reads a stream, and invokes a function with batches."""

from sandbox.emulator.fabric.mappings.service import EventSourceMappings

__all__ = ["EventSourceMappings"]
