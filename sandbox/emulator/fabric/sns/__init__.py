"""Topics: moto keeps them and their subscriptions, deliveries are ours."""

from sandbox.emulator.fabric.sns.service import Sns

__all__ = ["Sns"]
