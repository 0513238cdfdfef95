"""What AWS refuses of a function's code and configuration, in its own words."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.emulator.calls import AwsError
from sandbox.emulator.functions.credentials import RESERVED
from sandbox.emulator.functions.runtimes import Runtimes
from sandbox.emulator.iam.enforcement import trusts

DIRECT_UPLOAD_LIMIT_BYTES = 52_428_800
_VARIABLES_LIMIT_BYTES = 4096
_RANGES = {
    "MemorySize": ("memorySize", 128, 10_240),
    "Timeout": ("timeout", 1, 900),
}
_ROLE = re.compile(r"arn:(aws[a-zA-Z-]*)?:iam::(\d{12}):role/?[a-zA-Z_0-9+=,.@\-_/]+")
_NAME = re.compile(r"[a-zA-Z]([a-zA-Z0-9_])+")


def invalid(message: str) -> AwsError:
    """InvalidParameterValueException."""
    return AwsError("InvalidParameterValueException", message, Type="User")


def constraint(member: str, value: Any, rule: str) -> AwsError:
    """A value that the API's own model refuses."""
    return AwsError(
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}",
    )


def check_configuration(params: Mapping[str, Any], runtimes: Runtimes, account_id: str) -> None:
    """Everything that CreateFunction and UpdateFunctionConfiguration check alike.

    Raises:
        AwsError: the first thing that is wrong.
    """
    for name, (member, least, most) in _RANGES.items():
        value = params.get(name)
        if value is not None and not least <= int(value) <= most:
            bound = (
                f"greater than or equal to {least}" if int(value) < least else f"less than or equal to {most}"
            )
            raise constraint(member, value, f"Member must have value {bound}")
    size = (params.get("EphemeralStorage") or {}).get("Size")
    if size is not None and not 512 <= int(size) <= 10_240:
        bound = "greater than or equal to 512" if int(size) < 512 else "less than or equal to 10240"
        raise constraint("ephemeralStorage.size", size, f"Member must have value {bound}")
    if params.get("Runtime"):
        runtimes.get(params["Runtime"])
    if params.get("Role"):
        check_role(params["Role"], account_id)
    check_variables((params.get("Environment") or {}).get("Variables") or {})
    _check_dead_letter((params.get("DeadLetterConfig") or {}).get("TargetArn") or "")
    _check_layers(params.get("Layers") or [])
    if (params.get("VpcConfig") or {}).get("SubnetIds"):
        return  # Kept as configuration; there is no network to attach to.


def check_role(role: str, account_id: str) -> None:
    """The execution role exists, is of this account, and trusts Lambda. Hold the dispatch lock."""
    found = _ROLE.fullmatch(role)
    if found is None:
        raise constraint("role", role, f"Member must satisfy regular expression pattern: {_ROLE.pattern}")
    if found[2] != account_id:
        raise AwsError("AccessDeniedException", "Cross-account pass role is not allowed.", 403)
    if not trusts(role, "lambda.amazonaws.com"):
        raise invalid("The role defined for the function cannot be assumed by Lambda.")


def check_variables(variables: Mapping[str, str]) -> None:
    """Names, reserved names and the size of all together."""
    unable = (
        "Lambda was unable to configure your environment variables because the environment "
        "variables you have "
    )
    reserved = sorted(RESERVED & variables.keys())
    if reserved:
        raise invalid(
            f"{unable}provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    for name in variables:
        if not _NAME.fullmatch(name):
            raise constraint(
                "environment.variables",
                "***",
                "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: "
                "[a-zA-Z]([a-zA-Z0-9_])+]",
            )
    if len(json.dumps(dict(variables), separators=(",", ":")).encode()) > _VARIABLES_LIMIT_BYTES:
        raise invalid(
            f"{unable}provided exceeded the 4KB limit. String measured: "
            f"{json.dumps(dict(variables), separators=(',', ':'))}"
        )


def _check_dead_letter(arn: str) -> None:
    if not arn:
        return
    parts = arn.split(":")
    if len(parts) != 6 or parts[2] not in ("sqs", "sns"):
        raise constraint(
            "deadLetterConfig.targetArn",
            arn,
            "Member must satisfy regular expression pattern: "
            r"(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()",
        )
    if arn.endswith(".fifo"):
        raise invalid("The provided DLQ must be a standard queue or topic.")


def _check_layers(arns: list[str]) -> None:
    if len(arns) > 5:
        raise invalid("Cannot reference more than 5 layers.")
    unversioned = [arn.rpartition(":")[0] for arn in arns]
    if len(set(unversioned)) < len(unversioned):
        raise invalid(
            "Two different versions of the same layer are not allowed to be referenced in the same function."
        )


def read_code(code: Mapping[str, Any], fetch: Callable[[str, str, str], bytes]) -> bytes:
    """The zip that a Code parameter means; ``fetch(bucket, key, version)`` reads it from S3.

    Raises:
        AwsError: it names no zip, or an image.
    """
    if code.get("ImageUri"):
        raise AwsError(
            "NotEmulated", "Coldstart does not run functions from container images. This is our gap.", 501
        )
    zipped = code.get("ZipFile")
    if zipped is not None:
        content = base64.b64decode(zipped) if isinstance(zipped, str) else bytes(zipped)
        if len(content) > DIRECT_UPLOAD_LIMIT_BYTES:
            raise AwsError(
                "RequestEntityTooLargeException",
                "Request must be smaller than 70167211 bytes for the CreateFunction operation",
                413,
            )
        return content
    if code.get("S3Bucket") and code.get("S3Key"):
        return fetch(code["S3Bucket"], code["S3Key"], code.get("S3ObjectVersion") or "")
    raise invalid("Please provide a source for function code.")
