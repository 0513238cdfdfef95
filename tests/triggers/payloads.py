"""AWS's payloads as JSON Schemas; each names the page of AWS's documentation that it was written from."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).with_name("payloads")


@functools.cache
def schema(name: str) -> dict[str, Any]:
    """A schema by its file's name without the ending."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return found


def source(name: str) -> str:
    """The page of AWS's documentation that a schema was written from."""
    return str(schema(name)["$comment"]).removeprefix("Source: ")


def validate(name: str, payload: Any) -> None:
    """Fail with everything that is wrong with a payload."""
    wrong = sorted(Draft202012Validator(schema(name)).iter_errors(payload), key=lambda each: list(each.path))
    assert not wrong, "\n".join(f"{name}{each.json_path[1:]}: {each.message}" for each in wrong)
