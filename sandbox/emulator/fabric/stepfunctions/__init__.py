"""Step Functions: state machines that run on the account's clock."""

from sandbox.emulator.fabric.stepfunctions.service import StepFunctions

__all__ = ["StepFunctions"]
