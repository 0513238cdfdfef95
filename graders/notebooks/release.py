"""The version of a notebook that learners get: made by nbgrader, without solutions and hidden tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graders.errors import LabBroken
from graders.findings import Visibility
from graders.notebooks.format import SourceNotebook, read_source
from sandbox.runtimes.prepared_notebooks import interpreter

_SCRIPT = Path(__file__).with_name("inside_release.py")
_TIMEOUT_S = 120
_SECRET = re.compile(r"### (BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)|\blab\.\w|\bdrawn\[")


def release(source: SourceNotebook, environment: Path) -> bytes:
    """The release version of a lab's notebook.

    Raises:
        LabBroken: nbgrader refused it, or something that learners must not see is still in it.
    """
    with tempfile.TemporaryDirectory(prefix="coldstart-release-") as folder:
        place = Path(folder, "source", "lab", source.name)
        place.parent.mkdir(parents=True)
        place.write_bytes(source.body)
        done = subprocess.run(
            [str(interpreter(environment)), "-I", str(_SCRIPT), folder],
            env={"PATH": f"{environment}/bin:{os.defpath}", "HOME": folder, "LANG": "C.UTF-8"},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
        made = Path(folder, "release", "lab", source.name)
        if done.returncode != 0 or not made.is_file():
            raise LabBroken(f"nbgrader can't release {source.name}: {(done.stderr or done.stdout)[-2000:]}")
        document = json.loads(made.read_bytes())
    _tidy(document, source)
    body = json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"
    wrong = list(leaks(source, body))
    if wrong:
        raise LabBroken(f"The release of {source.name} {'; '.join(wrong)}.")
    return body


def leaks(source: SourceNotebook, released: bytes) -> Iterator[str]:
    """What a released notebook tells that it must not; each line of a solution or hidden test counts."""
    cells = {cell.grade_id: cell for cell in read_source(source.name, released).cells}
    for cell in source.cells:
        mine = cells.get(cell.grade_id)
        if not cell.grade_id or mine is None:
            continue
        told = set(map(str.strip, mine.source.splitlines()))
        for line in _hidden_lines(cell.source):
            if line in told:
                yield f"tells a line of {cell.grade_id}: {line[:60]}"
    for cell in cells.values():
        if _SECRET.search(cell.source):
            yield f"still has marks or hidden names in {cell.grade_id or 'a cell'}"


def is_current(source: SourceNotebook, released: bytes) -> bool:
    """Whether this is the release of just this source."""
    try:
        told = json.loads(released).get("metadata", {}).get("coldstart", {})
    except (ValueError, AttributeError):
        return False
    return isinstance(told, dict) and told.get("source") == source.digest


def _hidden_lines(text: str) -> Iterator[str]:
    hidden = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith(("### BEGIN", "### END")):
            hidden = line.startswith("### BEGIN")
        elif hidden and len(line) > 1:
            yield line


def _tidy(document: dict[str, Any], source: SourceNotebook) -> None:
    """Say what it was made of, and take out what learners may not know before they are graded."""
    document.setdefault("metadata", {})["coldstart"] = {"source": source.digest}
    for cell in document["cells"]:
        told = cell["metadata"].get("coldstart", {})
        if told.get("visibility") == Visibility.H:
            told.pop("title", None)
            told.pop("description", None)
