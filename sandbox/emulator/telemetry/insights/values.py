"""What fields hold: text, numbers, moments, structures; how they compare, sort and are shown.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-operations-functions.html
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from typing import Any

# None is a field that an event does not have.
Value = Any
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_CHUNKS = re.compile(r"(\d+)|(\D+)")


class Moment(int):
    """Milliseconds since the epoch, shown as a date and a time."""


# The years 1 to 9999, as far as dates go.
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999


def moment(at_ms: float) -> Moment | None:
    """A moment, if it is one that a date can tell."""
    return Moment(int(at_ms)) if _FIRST_MS <= at_ms <= _LAST_MS else None


class Written(float):
    """A number that stands in an event, shown as it is written there."""

    text: str

    def __new__(cls, text: str) -> Written:
        made = super().__new__(cls, text)
        made.text = text
        return made


def number(value: Value) -> float | int | None:
    """A value as a number, also one that is written as text; None when it is none."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value if -math.inf < value < math.inf else None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        found = float(value)
        if math.isinf(found):
            return None
        return int(found) if found.is_integer() and abs(found) < 2**53 else found
    return None


def text(value: Value) -> str | None:
    """A value as text; None when there is none."""
    return None if value is None else shown(value)


def truth(value: Value) -> bool:
    """Whether a condition holds."""
    found = number(value)
    return bool(found) if found is not None else value is not None and str(value).lower() == "true"


def shown(value: Value) -> str:
    """A value as results show it: numbers with at most four decimals, moments in UTC."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Moment):
        at = dt.datetime.fromtimestamp(value // 1000, dt.UTC)
        return f"{at:%Y-%m-%d %H:%M:%S}.{value % 1000:03d}"
    if isinstance(value, Written):
        return value.text
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".") if value == value else "NaN"
    if isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"), default=float)
    return str(value)


def equal(left: Value, right: Value) -> bool:
    """Numbers compare as numbers, whatever they are written as; nothing is equal only to nothing."""
    if left is None or right is None:
        return left is right
    numbers = number(left), number(right)
    if None not in numbers:
        return numbers[0] == numbers[1]
    return text(left) == text(right)


def less(left: Value, right: Value, *, or_equal: bool) -> bool:
    """Order by number where both are numbers, by text where both are not; else there is none."""
    if left is None or right is None:
        return False
    numbers = number(left), number(right)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0] <= numbers[1] if or_equal else numbers[0] < numbers[1]
    if numbers[0] is not None or numbers[1] is not None:
        return False
    words = str(text(left)), str(text(right))
    return words[0] <= words[1] if or_equal else words[0] < words[1]


def sort_key(value: Value) -> tuple[Any, ...]:
    """Natural order: what is no number before what is; runs of digits inside text by their length first.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Sort.html
    """
    if value is None:
        return (0,)
    found = number(value)
    if found is not None:
        return (2, found)
    chunks = [
        (0, len(digits.lstrip("0")), digits.lstrip("0")) if digits else (1, 0, letters)
        for digits, letters in _CHUNKS.findall(str(text(value)))
    ]
    return (1, chunks)
