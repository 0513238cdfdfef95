"""Secrets that are changed by functions, now and on a schedule, and secrets in several regions."""

from sandbox.emulator.fabric.secretsmanager.replicas import SecretReplicas
from sandbox.emulator.fabric.secretsmanager.service import Secrets

__all__ = ["SecretReplicas", "Secrets"]
