"""The embedded metric format: metrics that a function writes as log lines.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_LIMIT, _MOST_DIMENSIONS, _LONGEST_NAME = 100, 30, 1024
# What console.log of the Node.js runtime puts before a line. The specification wants nothing there, yet
# CloudWatch takes such lines: https://github.com/aws-powertools/powertools-lambda-typescript/pull/1786
_OF_CONSOLE = re.compile(r"\A[0-9T:.-]+Z\t[0-9a-f-]{36}\t[A-Z]+\t(?=\s*\{)")


@dataclass(frozen=True, slots=True)
class Embedded:
    """One metric of one set of dimensions; ``moment`` in seconds since the epoch."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    values: tuple[float, ...]
    unit: str
    moment: float


def read(message: str) -> Iterator[Embedded]:
    """The metrics in a log line; none when it is not in the format, or breaks its rules."""
    if '"_aws"' not in message:
        return
    try:
        document = json.loads(_OF_CONSOLE.sub("", message, count=1))
        about = document["_aws"]
        moment = float(about["Timestamp"]) / 1000
        directives = about["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return
    for directive in directives if isinstance(directives, list) else ():
        yield from _directive(directive, document, moment)


def _directive(directive: Any, document: dict[str, Any], moment: float) -> Iterator[Embedded]:
    if not isinstance(directive, dict) or not _is_name(directive.get("Namespace")):
        return
    sets = directive.get("Dimensions")
    metrics = directive.get("Metrics")
    if not isinstance(sets, list) or not isinstance(metrics, list) or len(metrics) > _LIMIT:
        return
    for names in sets or [[]]:
        if not isinstance(names, list) or len(names) > _MOST_DIMENSIONS:
            continue
        if not all(isinstance(name, str) and _is_name(document.get(name)) for name in names):
            continue
        chosen = tuple((str(name), str(document[name])) for name in names)
        for metric in metrics:
            if not isinstance(metric, dict) or not _is_name(metric.get("Name")):
                continue
            values = _values(document.get(metric["Name"]))
            if values:
                yield Embedded(
                    directive["Namespace"],
                    str(metric["Name"]),
                    chosen,
                    values,
                    str(metric.get("Unit") or "None"),
                    moment,
                )


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= _LONGEST_NAME


def _values(value: Any) -> tuple[float, ...]:
    given = value if isinstance(value, list) else [value]
    if len(given) > _LIMIT or not all(isinstance(e, int | float) and not isinstance(e, bool) for e in given):
        return ()
    return tuple(float(each) for each in given)
