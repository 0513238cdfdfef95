"""Learners' programs in isolation."""

from __future__ import annotations

import shutil

import pytest

from sandbox.programs.running import run_program

ECHO = b"""#!/usr/bin/env python3
import json, sys
given = json.load(open(sys.argv[1]))
json.dump({"twice": given * 2}, open(sys.argv[2], "w"))
print("said", given)
"""


def test_a_program_runs_once_for_each_input() -> None:
    runs = run_program({"model/run": ECHO}, ["model/run"], [b"1", b"2"])

    assert [(run.status, run.said, run.wrote) for run in runs] == [
        (0, "said 1", b'{"twice": 2}'),
        (0, "said 2", b'{"twice": 4}'),
    ]


@pytest.mark.parametrize(
    ("program", "status", "said"),
    [
        (b"#!/bin/sh\necho oh >&2; exit 3\n", 3, "oh"),
        (b"#!/bin/sh\nsleep 60\n", 124, ""),
        (b"#!/usr/bin/env no-such-language\n", 127, "no-such-language"),
        (b"#!/usr/bin/env python3\nimport urllib.request as u; u.urlopen('http://example.com')\n", 1, "rror"),
    ],
)
def test_a_program_that_does_not_work_says_how(program: bytes, status: int, said: str) -> None:
    (run,) = run_program({"model/run": program}, ["model/run"], [b"{}"], time_s=4)

    assert (run.status, run.wrote) == (status, None)
    assert said in run.said


def test_one_run_that_fails_leaves_the_others(tmp_path: object) -> None:
    program = b"#!/bin/sh\ngrep -q 1 $1 && exit 9\ncp $1 $2\n"

    runs = run_program({"run": program}, ["./run"], [b"1", b"2"])

    assert [(run.status, run.wrote) for run in runs] == [(9, None), (0, b"2")]


def test_a_missing_program_is_told() -> None:
    (run,) = run_program({}, ["model/run"], [b"{}"])

    assert run.status == 127


def test_too_much_output_ends_the_run() -> None:
    (run,) = run_program(
        {"run": b"#!/bin/sh\nhead -c 400000000 /dev/zero > $2\n"}, ["./run"], [b"{}"], time_s=20
    )

    assert run.wrote is None


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
def test_other_languages_are_there() -> None:
    program = b"#!/usr/bin/env node\nrequire('fs').copyFileSync(process.argv[2], process.argv[3])\n"

    (run,) = run_program({"run": program}, ["./run"], [b"7"])

    assert (run.status, run.wrote) == (0, b"7")
