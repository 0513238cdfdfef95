"""Secrets that are changed by functions, now and on a schedule."""

from sandbox.emulator.fabric.secretsmanager.service import Secrets

__all__ = ["Secrets"]
