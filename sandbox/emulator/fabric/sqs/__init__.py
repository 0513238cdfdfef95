"""Queues: moto keeps their attributes, the mailroom their messages."""

from sandbox.emulator.fabric.sqs.mailroom import Mailroom
from sandbox.emulator.fabric.sqs.service import SqsService

__all__ = ["Mailroom", "SqsService"]
