"""Author tools: what can be known about a lab without running it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from curriculum.errors import ManifestInvalid
from curriculum.loader import Catalogue, Lab
from curriculum.skins import FILE as SKINS
from curriculum.skins import skin_problems
from graders.checks import LabChecks
from graders.errors import LabBroken
from graders.findings import Visibility
from graders.labs import load_checks
from graders.notebooks.cells import FOLDER
from graders.notebooks.format import problems, read_source
from graders.notebooks.release import is_current, leaks

FULL_POINTS = 100
BRIEF_WORDS = 120
_OUTPUT_READ = re.compile(r"""\.output\(\s*["'](\w+)["']""")
_CODE = re.compile(r"[A-Z]+(_[A-Z]+)+")
_AWS_STATUS = ("_COMPLETE", "_FAILED", "_IN_PROGRESS", "_REQUEST", "_ONLY")
_NETWORK = frozenset({"socket", "subprocess", "urllib", "http", "ctypes", "multiprocessing"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing an author should repair. ``where`` is a file of the lab."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def lint(lab: Lab) -> tuple[Problem, ...]:
    """Everything that is wrong with a lab's folder; empty when nothing is."""
    found = list(_documents(lab))
    found += _notebooks(lab)
    try:
        found += (Problem(SKINS, what) for what in skin_problems(lab))
    except ManifestInvalid as error:
        found += (Problem(SKINS, what) for what in error.problems)
    try:
        found += _imports(lab)
        checks = load_checks(lab.checks_path)
    except (LabBroken, SyntaxError, OSError) as error:
        return (*found, Problem("checks.py", str(error)))
    found += _points(lab, checks)
    found += _contract(lab, checks)
    found += _seeds(lab, checks)
    found += _solutions(lab, checks)
    return tuple(found)


def _documents(lab: Lab) -> Iterator[Problem]:
    for name in ("brief.md", "contract.md", "checks.py"):
        if not (lab.folder / name).is_file():
            yield Problem(name, "is missing")
    unknown = set(lab.manifest.competencies) - Catalogue().competencies.keys()
    if unknown:
        yield Problem("lab.toml", f"names the competencies {', '.join(sorted(unknown))}, which do not exist")
    for runtime in lab.manifest.runtimes:
        if runtime not in lab.starters:
            yield Problem("starter", f"has no {runtime} folder, though the lab accepts {runtime}")
    if not lab.references:
        yield Problem("solutions", "has no reference")
    if (lab.folder / "brief.md").is_file():
        scenario = re.split(r"^#{1,6} .*deliver.*$", lab.brief, maxsplit=1, flags=re.I | re.M)[0]
        words = len(re.findall(r"\w[\w'’-]*", scenario))
        if words > BRIEF_WORDS:
            yield Problem("brief.md", f"the scenario has {words} words; keep it under {BRIEF_WORDS}")


def _notebooks(lab: Lab) -> Iterator[Problem]:
    for path in sorted((lab.folder / FOLDER).glob("*.ipynb")):
        where = f"{FOLDER}/{path.name}"
        try:
            source = read_source(path.name, path.read_bytes())
        except ValueError as error:
            yield Problem(where, f"is not a notebook: {error}")
            continue
        yield from (Problem(where, what) for what in problems(source))
        for runtime in lab.starters:
            released = lab.starter(runtime).get(path.name)
            handed_out = f"starter/{runtime}/{path.name}"
            if released is None or not is_current(source, released):
                yield Problem(handed_out, f"is not made of {where}: coldstart lab release {lab.slug}")
            else:
                yield from (Problem(handed_out, what) for what in leaks(source, released))


def _imports(lab: Lab) -> Iterator[Problem]:
    for node in ast.walk(ast.parse(lab.checks_path.read_bytes())):
        if isinstance(node, ast.Import):
            names = [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["." if node.level else node.module or "."]
        else:
            continue
        for name in names:
            top = name.split(".")[0]
            if name == "graders.api" or (top in sys.stdlib_module_names and top not in _NETWORK):
                continue
            yield Problem(
                f"checks.py, line {node.lineno}",
                f"imports {name}; a check may use graders.api and the standard library, without network",
            )


def _points(lab: Lab, checks: LabChecks) -> Iterator[Problem]:
    total = lab.manifest.gate_points + sum(check.points for check in checks.checks)
    if total != FULL_POINTS:
        yield Problem(
            "checks.py", f"points with the gate's {lab.manifest.gate_points:g} add up to {total:g}, not 100"
        )


def _contract(lab: Lab, checks: LabChecks) -> Iterator[Problem]:
    named = {item.name for item in lab.manifest.outputs}
    read = set(_OUTPUT_READ.findall(lab.checks_path.read_text("utf-8")))
    for name in sorted(read - named):
        yield Problem("checks.py", f"reads the output {name}, which [[contract.outputs]] does not name")
    told = lab.brief + lab.contract if (lab.folder / "brief.md").is_file() else lab.contract
    for item in (*lab.manifest.outputs, *lab.manifest.parameters):
        if item.name not in told:
            yield Problem("contract.md", f"does not mention {item.name}")
    for code in sorted(_codes(lab) - set(re.findall(r"\w+", told))):
        yield Problem(
            "contract.md", f"does not mention {code}, which checks.py asks for: a hidden requirement"
        )
    declared = {item.name for item in lab.manifest.parameters}
    files = {item.name for item in lab.manifest.seeded_files}
    try:
        drawn = checks.parameters(lab.manifest.version, 1)
        passed_on = {*checks.stack_parameters(drawn), *checks.partners(drawn)}
        replaced = set(checks.overlay(drawn))
    except Exception as error:  # an author's function: whatever it raises is reported as theirs
        yield Problem("checks.py", f"seed 1: {type(error).__name__}: {error}")
        return
    for name in sorted(passed_on ^ declared):
        yield Problem("lab.toml", f"[[contract.parameters]] and stack_parameters() disagree about {name}")
    for name in sorted(replaced ^ files):
        yield Problem("lab.toml", f"[[contract.files]] and overlay() disagree about {name}")


def _codes(lab: Lab) -> set[str]:
    """Texts in the checks that look like codes of the contract, such as ``UNKNOWN_ZONE``."""
    return {
        node.value
        for node in ast.walk(ast.parse(lab.checks_path.read_bytes()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _CODE.fullmatch(node.value)
        and not node.value.endswith(_AWS_STATUS)
    }


def _seeds(lab: Lab, checks: LabChecks) -> Iterator[Problem]:
    version = lab.manifest.version
    try:
        for seed in range(20):
            if checks.parameters(version, seed) != checks.parameters(version, seed):
                yield Problem("checks.py", f"seed {seed} does not give the same parameters twice")
                return
    except Exception as error:  # as above
        yield Problem("checks.py", f"drawing parameters: {type(error).__name__}: {error}")


def _solutions(lab: Lab, checks: LabChecks) -> Iterator[Problem]:
    try:
        mutants = lab.mutants
        alternatives = lab.alternatives
    except ManifestInvalid as error:
        for text in error.problems:
            yield Problem("mutants or alternatives", text)
        return
    known = {"G2", *(check.id for check in checks.checks)}
    paired: set[str] = set()
    for mutant in mutants:
        where = f"mutants/{mutant.name}"
        if not mutant.must_fail:
            yield Problem(where, "lists no check that must fail")
        for check_id in sorted({*mutant.must_fail, *mutant.may_fail} - known):
            yield Problem(where, f"names the check {check_id}, which does not exist")
        if mutant.deploys != ("G2" not in mutant.must_fail):
            yield Problem(where, '`deploys = false` and must_fail = ["G2"] belong together')
        paired |= set(mutant.must_fail)
    for variant in (*mutants, *alternatives):
        try:
            lab.variant(variant)
        except ManifestInvalid as error:
            for text in error.problems:
                yield Problem(variant.name, text)
    for check in checks.checks:
        if check.id not in paired and check.id not in lab.manifest.assessed_later:
            yield Problem("mutants", f"none must fail {check.id}, and [assessed_later] does not say why")
    for check_id in sorted(set(lab.manifest.assessed_later) - known):
        yield Problem("lab.toml", f"[assessed_later] names the check {check_id}, which does not exist")
    if all(check.visibility is Visibility.V for check in checks.checks) and len(checks.checks) > 3:
        yield Problem("checks.py", "every check is public (V), so a lookup table of the examples would pass")
