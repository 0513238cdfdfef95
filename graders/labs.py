"""Loading a lab's ``checks.py`` from its path, as a module of its own."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import threading
from functools import lru_cache
from pathlib import Path

from curriculum.errors import ManifestInvalid
from curriculum.loader import Lab
from graders.checks import LabChecks, collect
from graders.errors import LabBroken
from graders.misconceptions import Misconception
from graders.notebooks.cells import FOLDER, with_cells

# How mutants are named that try to get a grade without an answer.
TAMPERING = "tampered-"

_lock = threading.Lock()
_loaded: dict[tuple[Path, str], LabChecks] = {}


def load_checks(path: Path) -> LabChecks:
    """What a ``checks.py`` and the graded cells of notebooks beside it declare.

    Changed files are loaded anew; the same ones only once.

    Raises:
        LabBroken: it can't be loaded or declares something wrong.
    """
    try:
        body = path.read_bytes()
    except OSError as error:
        raise LabBroken(f"{path} can't be read: {error.strerror}.") from error
    total = hashlib.sha256(body)
    for notebook in sorted((path.parent / FOLDER).glob("*.ipynb")):
        total.update(notebook.name.encode() + b"\0" + notebook.read_bytes())
    digest = total.hexdigest()
    with _lock:
        known = _loaded.get((path, digest))
        if known is None:
            known = _loaded[path, digest] = _load(path, digest)
        return known


def misconceptions(lab: Lab) -> tuple[Misconception, ...]:
    """The lab's mutants as misconceptions; none when they can't be read, which linting reports.

    Those that tamper with the grading are no misconceptions: what is not written yet fails the same checks.
    """
    try:
        return tuple(
            Misconception(item.name, item.what, frozenset(item.must_fail))
            for item in lab.mutants
            if not item.name.startswith(TAMPERING)
        )
    except ManifestInvalid:
        return ()


def grader_digest(lab: Lab) -> str:
    """``sha256:…`` over what decided the grade: the lab's manifest and checks, and our graders."""
    total = hashlib.sha256(lab.digest.encode())
    total.update(_own_digest())
    return f"sha256:{total.hexdigest()}"


@lru_cache(maxsize=1)
def _own_digest() -> bytes:
    total = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.digest()


def _load(path: Path, digest: str) -> LabChecks:
    # A name of its own, so that two labs (or two versions of one) never see each other's module;
    # registered while it runs because dataclasses look their module up there.
    name = f"coldstart_lab_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}_{digest[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LabBroken(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except LabBroken:
        raise
    except Exception as error:  # a lab's file is an author's: whatever it raises is reported as theirs
        raise LabBroken(f"{path}: {type(error).__name__}: {error}") from error
    return with_cells(collect(module), path.parent, vars(module))
