"""cfn-lint in a process of its own: ``python -m portal.workspace.linter``.

A line of JSON in, ``{"text": …}``; a line of JSON out, ``{"problems": […]}``. Templates are other people's:
one that eats memory or time ends this process and nothing else.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

MEMORY_BYTES = 1_500_000_000
MOST = 100
_REGION = "us-east-1"


def main() -> None:
    """Answer until nobody asks any more."""
    # Here, so that whoever asks first does not wait for it.
    import cfnlint.api  # noqa: F401

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Whatever a library prints is no answer.
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps({"problems": problems(json.loads(line)["text"])}) + "\n")
        answers.flush()


def problems(text: str) -> list[dict[str, Any]]:
    """What cfn-lint and the SAM translator have against a template, by line. Lines and columns begin at 1."""
    from cfnlint.api import lint
    from cfnlint.config import ManualArgs

    found = lint(text, config=ManualArgs(regions=[_REGION]))
    return [
        {
            "line": match.linenumber,
            "column": match.columnnumber,
            "end_line": match.linenumberend,
            "end_column": match.columnnumberend,
            "level": match.rule.severity,
            "rule": match.rule.id,
            "message": match.message,
        }
        for match in sorted(found, key=lambda match: (match.linenumber, match.columnnumber))[:MOST]
    ]


if __name__ == "__main__":
    main()
