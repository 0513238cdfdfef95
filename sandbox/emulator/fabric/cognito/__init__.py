"""Cognito user pools: signing up and in, and the functions that are asked on the way."""

from sandbox.emulator.fabric.cognito.service import UserPools

__all__ = ["UserPools"]
