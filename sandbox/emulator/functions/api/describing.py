"""A function's configuration as the API tells it, what moto drops included."""

from __future__ import annotations

import uuid
from typing import Any

from sandbox.emulator.functions.names import LATEST
from sandbox.emulator.functions.runtimes import version_arn
from sandbox.emulator.functions.store import EXTRAS, logging_config, read_extras

# Members that moto does not know, or forgets on an update.
KEPT_BESIDE = ("DeadLetterConfig", "LoggingConfig", "FileSystemConfigs", "SnapStart")


def write_extras(function: Any, **members: Any) -> None:
    """Keep members beside moto's own; the dict is shared between versions, so it is replaced."""
    setattr(function, EXTRAS, {**read_extras(function), **members})


def new_revision(function: Any) -> None:
    """The function changed."""
    write_extras(function, RevisionId=str(uuid.uuid4()))


def _snap_start(function: Any) -> dict[str, str]:
    """The setting, and whether it counts: it does for published versions."""
    apply_on = (read_extras(function).get("SnapStart") or {}).get("ApplyOn", "None")
    counts = apply_on == "PublishedVersions" and str(function.version) != LATEST
    return {"ApplyOn": apply_on, "OptimizationStatus": "On" if counts else "Off"}


def configuration(function: Any, *, qualified: bool = False) -> dict[str, Any]:
    """The members of FunctionConfiguration; ``qualified`` names $LATEST in the ARN as well."""
    extras = read_extras(function)
    told: dict[str, Any] = {
        name: value for name, value in function.get_configuration().items() if value is not None
    }
    told |= {
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "LoggingConfig": logging_config(function),
        "RuntimeVersionConfig": {
            "RuntimeVersionArn": version_arn(told.get("Runtime", ""), function.region),
        },
        "SnapStart": _snap_start(function),
        "RevisionId": extras.get("RevisionId", ""),
    }
    if (extras.get("DeadLetterConfig") or {}).get("TargetArn"):
        told["DeadLetterConfig"] = extras["DeadLetterConfig"]
    if extras.get("FileSystemConfigs"):
        told["FileSystemConfigs"] = extras["FileSystemConfigs"]
    if not told.get("Layers"):
        told.pop("Layers", None)
    if qualified and told["Version"] == LATEST and not told["FunctionArn"].endswith(LATEST):
        told["FunctionArn"] += f":{LATEST}"
    return told
