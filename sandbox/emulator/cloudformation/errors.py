"""The errors CloudFormation answers with, in its words."""

from __future__ import annotations

from sandbox.emulator.calls import AwsError


def invalid(message: str) -> AwsError:
    """The error that most refusals are."""
    return AwsError("ValidationError", message, 400)


def malformed(message: str) -> AwsError:
    """A template whose form is wrong."""
    return invalid(f"Template format error: {message}")


def not_emulated(what: str) -> AwsError:
    """Something that exists on AWS and not here. Whoever reads it knows the fault is ours."""
    return AwsError("NotEmulated", f"NotEmulated: {what} is not emulated by this sandbox.", 501)


def no_such_stack(name: str) -> AwsError:
    """What DescribeStacks and its like say."""
    return invalid(f"Stack with id {name} does not exist")
