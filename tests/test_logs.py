"""What we log helps us, and gives nobody's keys away."""

from __future__ import annotations

import pytest
import structlog

from sandbox.logs import log_to_stderr


def test_a_logged_error_shows_where_it_arose_and_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr()
    secret_key = "not-" + "for-" + "logs"
    try:
        {}[len(secret_key)]  # type: ignore[var-annotated]
    except KeyError:
        structlog.get_logger().exception("work_failed", label="poll")

    printed = capsys.readouterr()
    assert printed.out == ""
    for told in ("work_failed", "label=poll", "test_logs.py", "KeyError"):
        assert told in printed.err
    assert secret_key not in printed.err
