"""Runs hostile builds one after the other, as who it was started or as nobody, and says how each ended.

``probe.py SOURCE TEMP [--as-nobody]`` reads a JSON list of ``{name, script, limits}`` on standard input;
with ``scripts`` by name in place of ``script``, all of them are steps of one build.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

NOBODY = 65534


def become_nobody(source: str, temporary: str) -> None:
    """Drop to an ordinary user, who may not be able to read the interpreter or the repository."""
    sys.path.append(source)
    from sandbox.isolation import kernel

    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    places = {"python": sys.base_prefix, "source/sandbox": f"{source}/sandbox"}
    for name, place in {**places, "tests": str(Path(__file__).parent)}.items():
        target = Path(temporary, "shown", name)
        target.mkdir(parents=True)
        kernel.mount(place, str(target), flags=kernel.MS_BIND | kernel.MS_REC)
    os.chown(temporary, NOBODY, NOBODY)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    shown = f"{temporary}/shown"
    python = f"{shown}/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    environment = {"LD_LIBRARY_PATH": f"{shown}/python/lib", "TMPDIR": temporary}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("COLDSTART_TEST")}
    os.execve(python, [python, "-IB", f"{shown}/tests/probe.py", f"{shown}/source", temporary], environment)


def run(row: dict[str, Any]) -> dict[str, Any]:
    """One build, whose only step is a script."""
    from sandbox.building import isolated
    from sandbox.building.isolated import Job, Limits, Step
    from sandbox.errors import EnvironmentFault

    step = Step(("/bin/bash", "build.sh"), {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, row["name"])
    limits = Limits(**row.get("limits", {}))
    job = Job({"src/build.sh": row["script"].encode()}, (), (step,), limits=limits)
    try:
        found = isolated.run(job)
    except EnvironmentFault as error:
        return {"fault": str(error)}
    made = {name: len(body) for name, body in found.made.items()}
    return {"status": found.status, "reason": found.reason, "output": found.output, "made": made}


def run_together(row: dict[str, Any]) -> dict[str, Any]:
    """One build, each of whose steps is a script that fails for itself alone; what each of them printed."""
    from sandbox.building import isolated
    from sandbox.building.isolated import Job, Limits, Step
    from sandbox.errors import EnvironmentFault

    mark = f"--{os.urandom(8).hex()}--\n"
    alone = f"trap '' TERM; printf %s {mark.strip()}; echo; /bin/bash $0; exit 0"
    path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    files = {f"src/{at}.sh": script.encode() for at, script in enumerate(row["scripts"].values())}
    steps = tuple(
        Step(("/bin/bash", "-c", alone, f"{at}.sh"), path, name) for at, name in enumerate(row["scripts"])
    )
    try:
        found = isolated.run(Job(files, (), steps, limits=Limits(**row["limits"])))
    except EnvironmentFault as error:
        return {name: {"fault": str(error)} for name in row["scripts"]}
    said = found.output.split(mark)[1:]
    said += ["the build ended before"] * (len(steps) - len(said))
    return {name: {"output": text} for name, text in zip(row["scripts"], said, strict=True)}


def main() -> None:
    """Serve one list of builds."""
    source, temporary = sys.argv[1:3]
    if "--as-nobody" in sys.argv:
        become_nobody(source, temporary)
    sys.path.insert(0, source)
    found: dict[str, Any] = {}
    for row in json.load(sys.stdin):
        found |= run_together(row) if "scripts" in row else {row["name"]: run(row)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
