"""EventBridge: buses, rules, schedules and what they deliver."""

from sandbox.emulator.fabric.eventbridge import patches as patches
from sandbox.emulator.fabric.eventbridge.service import EventBridge

__all__ = ["EventBridge"]
