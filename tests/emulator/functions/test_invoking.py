"""Invoking through the API, cold and warm."""

from __future__ import annotations

from typing import Any


def test_a_function_runs_and_its_second_invocation_is_warm(functions: Any) -> None:
    functions.create(
        """
        import os
        count = 0

        def handler(event, context):
            global count
            count += 1
            return {"event": event, "count": count, "name": context.function_name}
        """
    )

    first = functions.invoke({"order": 1})
    second = functions.invoke({"order": 2})

    assert first["Payload"] == {"event": {"order": 1}, "count": 1, "name": "fn"}
    assert second["Payload"]["count"] == 2
    assert first["StatusCode"] == 200
    assert first["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in first
