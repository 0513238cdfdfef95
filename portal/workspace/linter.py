"""cfn-lint in a process of its own: ``python -m portal.workspace.linter``.

A line of JSON in, ``{"path": …, "text": …}``; a line of JSON out, ``{"problems": […]}``. Templates and state
machines are other people's: one that eats memory or time ends this process and nothing else.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
from typing import Any

import yaml

from portal.workspace.linting import is_machine

MEMORY_BYTES = 1_500_000_000
MOST = 100
_REGION = "us-east-1"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SUBSTITUTED = re.compile(r"\$\{\w+\}")
_SOME_ARN = "arn:aws:lambda:us-east-1:123456789012:function:x"
_REASONS = re.compile(r", (?=[A-Z_]{8,}: )")


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
        asked = json.loads(line)
        lint = machine_problems if is_machine(asked["path"]) else template_problems
        answers.write(json.dumps({"problems": lint(asked["text"])[:MOST]}) + "\n")
        answers.flush()


def template_problems(text: str) -> list[dict[str, Any]]:
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
        for match in sorted(found, key=lambda match: (match.linenumber, match.columnnumber))
    ]


def machine_problems(text: str) -> list[dict[str, Any]]:
    """What Step Functions would refuse in a state machine's definition, in JSON or YAML."""
    from sandbox.emulator.fabric.stepfunctions.definition import InvalidDefinition, read_definition

    try:
        # JSON is YAML, too. What a template puts in is not known yet; it will be the name of something.
        document = yaml.load(_SUBSTITUTED.sub(_SOME_ARN, text), _LOADER)
        read_definition(json.dumps(document, default=str))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return [_problem(line, column, "ASL", str(getattr(error, "problem", None) or error))]
    except InvalidDefinition as error:
        return [_refused(text, told) for told in _REASONS.split(str(error))]
    return []


def _refused(text: str, told: str) -> dict[str, Any]:
    """One of Step Functions' reasons, at the line that its path leads to."""
    code, _, words = told.partition(": ")
    message, _, path = words.rpartition(" at /")
    at = 0
    for part in filter(None, re.split(r"[/\[\]]", path)):
        found = re.compile(rf"""(?m)["']?\b{re.escape(part)}\b["']?\s*:""").search(text, at)
        at = found.start() if found else at
    line = text.count("\n", 0, at) + 1
    return _problem(line, at - (text.rfind("\n", 0, at) + 1) + 1, code, message or words)


def _problem(line: int, column: int, rule: str, message: str) -> dict[str, Any]:
    place = {"line": line, "column": column, "end_line": line, "end_column": column + 1}
    return {**place, "level": "error", "rule": rule, "message": message}


if __name__ == "__main__":
    main()
