"""Running a learner's program on inputs, without network, and reading what it wrote."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.building import isolated
from sandbox.building.isolated import RESULT, SOURCE, Job, Limits, Step
from sandbox.errors import EnvironmentFault
from sandbox.programs.tools import languages

_INPUTS = "/build/in"
_OUTPUT_SHOWN = 600
# What one run may say and write: a result is a page of numbers.
_RESULT_BYTES = 1_000_000
_OVERHEAD_S = 5.0


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """One run: its exit status (124: it ran out of time), the end of what it said, what it wrote."""

    status: int
    said: str
    wrote: bytes | None = field(default=None, repr=False)


def run_program(
    files: Mapping[str, bytes],
    program: Sequence[str],
    inputs: Sequence[bytes],
    *,
    memory_mb: int = 512,
    time_s: float = 10.0,
) -> list[ProgramRun]:
    """Run ``program INPUT RESULT`` once for each input, in the submission's folder, one after the other.

    Nothing of the machine can be written and no network is to be had. What one run leaves in its folder
    the next one finds.

    Raises:
        EnvironmentFault: it could not be isolated here, or this machine had no time for it.
    """
    shown, path = languages()
    command = shlex.join(program)
    lines = ["#!/bin/sh"]
    for number in range(len(inputs)):
        place = f"{RESULT}/{number}"
        lines += [
            f"timeout -k 1 {time_s:g} {command} {_INPUTS}/{number}.json {place}.json >{place}.said 2>&1",
            f"echo $? >{place}.status",
        ]
    # The statuses tell how each run ended.
    script = "\n".join([*lines, "exit 0", ""]).encode()
    environment = {"PATH": path, "HOME": isolated.HOME, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    job = Job(
        files={
            **{f"src/{name}": body for name, body in files.items()},
            **{f"in/{number}.json": body for number, body in enumerate(inputs)},
            "in/run.sh": script,
        },
        shown=shown,
        steps=(Step(("/bin/sh", f"{_INPUTS}/run.sh"), environment, "running the program", cwd=SOURCE),),
        limits=Limits(
            memory_mb=memory_mb,
            disk_mb=256,
            processes=128,
            time_s=_OVERHEAD_S + time_s * max(1, len(inputs)),
            result_bytes=_RESULT_BYTES * max(1, len(inputs)),
            result_files=1000,
        ),
    )
    outcome = isolated.run(job)
    if outcome.trouble:
        raise EnvironmentFault(outcome.trouble)
    ended = {"time": "it did not end in time", "memory": f"it used more than {memory_mb} MB of memory"}
    why = ended.get(outcome.reason, "it wrote too much" if outcome.reason else "it was ended")
    return [_run(outcome.made, number, why) for number in range(len(inputs))]


def _run(made: Mapping[str, bytes], number: int, why: str) -> ProgramRun:
    status = made.get(f"{number}.status", b"").strip()
    said = made.get(f"{number}.said", b"")[-_OUTPUT_SHOWN:].decode("utf-8", "replace").strip()
    if not status.isdigit():
        return ProgramRun(-1, said or why)
    return ProgramRun(int(status[:4]), said, made.get(f"{number}.json"))
