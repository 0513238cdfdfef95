"""EventBridge Scheduler: schedules in any time zone that call an API in a role of the account."""

from sandbox.emulator.fabric.scheduler.service import Scheduler

__all__ = ["Scheduler"]
