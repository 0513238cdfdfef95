"""Template text as values: JSON, or YAML with CloudFormation's short forms."""

from __future__ import annotations

import json
from typing import Any

import yaml

from sandbox.emulator.cloudformation.errors import invalid, malformed
from sandbox.templates import teach_short_forms

BODY_LIMIT_BYTES = 51_200
STORED_LIMIT_BYTES = 1_000_000
_VALUES_LIMIT = 200_000
_DEPTH_LIMIT = 100


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The loader of ``sandbox.templates``, by libyaml where it is there: ten times as fast."""


teach_short_forms(_Loader)


def parse(text: str) -> dict[str, Any]:
    """Read a template's text; keys become text, as CloudFormation reads them.

    Raises:
        AwsError: it is neither JSON nor YAML, or not a mapping.
    """
    values = _parse_json(text) if text.lstrip().startswith("{") else _parse_yaml(text)
    if not isinstance(values, dict):
        raise malformed("unsupported structure.")
    plain: dict[str, Any] = _Plain().copy(values)
    return plain


def check_body(text: str) -> str:
    """A template given in the request itself.

    Raises:
        AwsError: it is longer than a request may carry.
    """
    if len(text.encode()) > BODY_LIMIT_BYTES:
        raise invalid(
            f"1 validation error detected: Value '{text[:100]}...' at 'templateBody' failed to satisfy "
            f"constraint: Member must have length less than or equal to {BODY_LIMIT_BYTES}"
        )
    return text


def check_stored(body: bytes) -> str:
    """A template from S3.

    Raises:
        AwsError: it is too large, or not text.
    """
    if len(body) > STORED_LIMIT_BYTES:
        raise invalid(f"Template may not exceed {STORED_LIMIT_BYTES} bytes in size.")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise malformed("unsupported structure.") from None


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        # What opens with a brace may still be YAML in flow style.
        try:
            return _load(text)
        except yaml.YAMLError:
            raise malformed(f"JSON not well-formed. (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise malformed("unsupported structure.") from None


def _parse_yaml(text: str) -> Any:
    try:
        return _load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise malformed(f"YAML not well-formed.{place}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise malformed("YAML not well-formed.") from None


def _load(text: str) -> Any:
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


class _Plain:
    """Copies a document without its aliases, and refuses one that they would blow up."""

    def __init__(self) -> None:
        self._left = _VALUES_LIMIT

    def copy(self, value: Any, depth: int = 0) -> Any:
        self._left -= 1
        if self._left < 0 or depth > _DEPTH_LIMIT:
            raise malformed("unsupported structure.")
        if isinstance(value, dict):
            return {_key(key): self.copy(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set):
            return [self.copy(item, depth + 1) for item in value]
        return value


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)
