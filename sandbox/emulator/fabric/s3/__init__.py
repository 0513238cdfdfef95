"""Bucket notifications: what happens to objects reaches functions, queues, topics and the event bus."""

from sandbox.emulator.fabric.s3.notifications import Notifications

__all__ = ["Notifications"]
