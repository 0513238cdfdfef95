"""The exceptions that a span recorded, with the frames that their stack traces name.

Sources: https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/ and
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html#api-segmentdocuments-errors
"""

from __future__ import annotations

import re
from typing import Any

from sandbox.emulator.telemetry.otlp.spans import CLIENT, PRODUCER, Span
from sandbox.emulator.telemetry.traces.headers import new_id

# One frame a line, by the language of the SDK; patterns that look at no character twice.
_JAVASCRIPT = re.compile(r"    at (?:(?P<label>[^(]*) \()?(?P<path>[^()]*?)(?::(?P<line>\d+)(?::\d+)?)?\)?")
_FRAMES = {
    "python": re.compile(r'  File "(?P<path>[^"]*)", line (?P<line>\d+), in (?P<label>.*)'),
    "java": re.compile(r"\tat (?P<label>[^(]*)\((?P<path>[^():]*)(?::(?P<line>\d+))?\)"),
    "javascript": _JAVASCRIPT,
    "nodejs": _JAVASCRIPT,
    "webjs": _JAVASCRIPT,
}
_LINE_LIMIT, _FRAMES_LIMIT, _EXCEPTIONS_LIMIT = 1024, 100, 20


def exceptions(span: Span) -> list[dict[str, Any]]:
    """Every ``exception`` event of a span, in order."""
    remote = span.kind in (CLIENT, PRODUCER)
    language = str(span.resource.get("telemetry.sdk.language", ""))
    found: list[dict[str, Any]] = []
    for event in span.events:
        if event.name == "exception" and len(found) < _EXCEPTIONS_LIMIT:
            told = {
                name: str(event.attributes.get(f"exception.{name}") or "")
                for name in ("type", "message", "stacktrace")
            }
            made: dict[str, Any] = {"id": new_id(), "type": told["type"], "message": told["message"]}
            made |= {"remote": True} if remote else {}
            if frames := _frames(told["stacktrace"], language):
                made["stack"] = frames
            found.append(made)
    return found


def _frames(trace: str, language: str) -> list[dict[str, Any]]:
    """The innermost first. Of a chain of exceptions, the frames of the one that came out."""
    form = _FRAMES.get(language)
    if form is None:
        return []
    lines = trace.split("\n")
    if language == "python":
        lines.reverse()
    found: list[dict[str, Any]] = []
    for line in lines:
        if line.startswith(("Caused by: ", "During handling of", "The above exception")):
            break
        frame = form.fullmatch(line) if len(line) <= _LINE_LIMIT else None
        if frame is not None and len(found) < _FRAMES_LIMIT:
            label = frame["label"] or ""
            if language == "java":
                label = label.rpartition("/")[2]  # Without the module or the class loader.
            found.append({"path": frame["path"], "line": int((frame["line"] or "0")[:9]), "label": label})
    return found
