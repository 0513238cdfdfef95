"""Authorises each call before it is performed, from what moto keeps, and records what was decided."""

from sandbox.emulator.iam.enforcement.decisions import DecisionLog, Record, Verdict
from sandbox.emulator.iam.enforcement.guard import Denied, Guard
from sandbox.emulator.iam.enforcement.policies import SessionGrant, trusts
from sandbox.emulator.iam.enforcement.resources import find_policy as resource_policy

__all__ = ["DecisionLog", "Denied", "Guard", "Record", "SessionGrant", "Verdict", "resource_policy", "trusts"]
