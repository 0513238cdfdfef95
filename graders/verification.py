"""Running a lab against its own solutions: references, alternatives, starter and mutants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from curriculum.loader import Lab
from curriculum.manifest import Variant
from graders.backend import Backend
from graders.checks import LabChecks
from graders.findings import Outcome
from graders.labs import load_checks
from graders.progress import nobody
from graders.runner import run_seed
from graders.scoring import CheckResult, score
from sandbox.submissions import Submission

_LOST = frozenset({Outcome.FAILED, Outcome.PARTIAL})


@dataclass(frozen=True, slots=True)
class Case:
    """One solution to be graded: ``kind`` is reference, alternative, starter or mutant."""

    kind: str
    name: str
    runtime: str
    submission: Submission
    variant: Variant | None = None


@dataclass(slots=True)
class Verified:
    """A case and the results of all its runs, each by check id."""

    case: Case
    runs: list[dict[str, CheckResult]] = field(default_factory=list)

    @property
    def flips(self) -> int:
        """How many checks did not come out the same in every run."""
        ids = {check_id for run in self.runs for check_id in run}
        return sum(
            len({run[check_id].outcome for run in self.runs if check_id in run}) > 1 for check_id in ids
        )

    @property
    def points(self) -> float:
        """The fewest points of any run."""
        return min(score(run.values()).points for run in self.runs)

    @property
    def points_possible(self) -> float:
        """The most points possible in any run."""
        return max(score(run.values()).points_possible for run in self.runs)

    @property
    def not_assessed(self) -> list[str]:
        """Checks that the backend could not assess in some run."""
        return sorted({key for run in self.runs for key, item in run.items() if _unable(item)})

    @property
    def failed(self) -> list[str]:
        """Checks that lost points in every run."""
        return [key for key in self.runs[0] if all(_lost(run, key) for run in self.runs)]

    @property
    def assessed(self) -> bool:
        """Every check this mutant must fail could be assessed."""
        return not set(self._must_fail) & set(self.not_assessed)

    @property
    def killed(self) -> bool:
        """Every check this mutant must fail lost points, in every run."""
        return set(self._must_fail) <= set(self.failed)

    @property
    def missed(self) -> list[str]:
        """Checks that this mutant should have failed and did not."""
        return [key for key in self._must_fail if key not in self.failed]

    @property
    def by_behaviour(self) -> bool:
        """A check that looks at behaviour noticed it."""
        return any(not self.runs[0][key].static for key in self._must_fail if key in self.failed)

    @property
    def surprises(self) -> list[str]:
        """Checks that failed though the mutant names them neither as must nor as may."""
        allowed = {*self._must_fail, *(self.case.variant.may_fail if self.case.variant else ())}
        return [key for key in self.failed if key not in allowed and self.runs[0][key].worth]

    @property
    def inconclusive(self) -> list[str]:
        """Checks that could not be judged in some run."""
        return sorted(
            {key for run in self.runs for key, item in run.items() if item.outcome is Outcome.INCONCLUSIVE}
        )

    @property
    def full(self) -> bool:
        """Everything that can be assessed passed in every run, conditions included."""
        return all(
            item.outcome is Outcome.PASSED or _unable(item) for run in self.runs for item in run.values()
        )

    @property
    def _must_fail(self) -> tuple[str, ...]:
        return self.case.variant.must_fail if self.case.variant else ()


@dataclass(frozen=True, slots=True)
class Verification:
    """What running a lab against its own solutions showed."""

    lab: Lab
    checks: LabChecks
    runs: int
    cases: Sequence[Verified]

    def of(self, kind: str) -> list[Verified]:
        """The cases of one kind."""
        return [item for item in self.cases if item.case.kind == kind]

    @property
    def kill_rate(self) -> float:
        """Killed mutants as a share of those that could be assessed."""
        assessed = [item for item in self.of("mutant") if item.assessed]
        return sum(item.killed for item in assessed) / len(assessed) if assessed else 0.0

    @property
    def starter_points(self) -> float:
        """What the starter earns at most."""
        return max((item.points for item in self.of("starter")), default=0.0)

    @property
    def flips(self) -> int:
        """Checks that flipped, over all cases."""
        return sum(item.flips for item in self.cases)

    @property
    def ok(self) -> bool:
        """Good solutions have all points, assessed mutants die, nothing flips, no starter passes."""
        good = [*self.of("reference"), *self.of("alternative")]
        return (
            bool(self.of("reference"))
            and all(item.full for item in good)
            and all(item.killed for item in self.of("mutant") if item.assessed)
            and not self.flips
            and not any(item.inconclusive for item in self.cases)
            and self.starter_points <= self.lab.manifest.starter_points
        )

    def as_json(self) -> dict[str, Any]:
        """The promised document of ``coldstart lab verify --json``."""
        return {
            "lab": self.lab.slug,
            "runs": self.runs,
            "references": [_solution(item) for item in self.of("reference")],
            "alternatives": [_solution(item) for item in self.of("alternative")],
            "mutants": [
                {
                    "name": item.case.name,
                    "must_fail": list(item._must_fail),
                    "failed": item.failed,
                    "assessed": item.assessed,
                    "killed": item.killed,
                    "by_behaviour": item.by_behaviour,
                    "surprises": item.surprises,
                    "flips": item.flips,
                }
                for item in self.of("mutant")
            ],
            "starter_points": self.starter_points,
            "flips": self.flips,
            "kill_rate": round(self.kill_rate, 4),
            "ok": self.ok,
        }


def cases(lab: Lab, *, sample: bool = False) -> Iterator[Case]:
    """Every solution of a lab; with ``sample`` one mutant for each check that mutants fail."""
    for name in lab.references:
        yield Case("reference", name, _runtime(name), Submission(lab.reference(name)))
    for variant in lab.alternatives:
        yield Case(
            "alternative", variant.name, _runtime(variant.base), Submission(lab.variant(variant)), variant
        )
    for runtime in lab.starters:
        yield Case("starter", runtime, runtime, Submission(lab.starter(runtime)))
    covered: set[str] = set()
    for variant in lab.mutants:
        if sample and set(variant.must_fail) <= covered:
            continue
        covered |= set(variant.must_fail)
        yield Case("mutant", variant.name, _runtime(variant.base), Submission(lab.variant(variant)), variant)


def verify(
    lab: Lab,
    backend: Backend,
    *,
    runs: int = 1,
    sample: bool = False,
    parallel: int = 2,
    first_seed: int = 1,
    only: Sequence[str] = (),
    told: Callable[[Case, int, dict[str, CheckResult]], None] = lambda case, run, results: None,
) -> Verification:
    """Grade every solution ``runs`` times, each run on a seed of its own, ``parallel`` accounts at once.

    Mutants leave out G3 and G4. ``only`` limits the cases to these names.

    Raises:
        LabBroken: the checks can't be loaded.
        ManifestInvalid: a mutant or alternative does not fit its reference.
    """
    checks = load_checks(lab.checks_path)
    chosen = [case for case in cases(lab, sample=sample) if not only or case.name in only]

    def one(case: Case, number: int) -> dict[str, CheckResult]:
        good = case.kind in ("reference", "alternative")
        # G3 and G4 cost a second deployment: judge them once for each good solution.
        thorough = good and number == 0
        seed = first_seed + number
        results = run_seed(lab, checks, case.submission, seed, backend, nobody, thorough=thorough).results
        told(case, number, results)
        return results

    with ThreadPoolExecutor(parallel, thread_name_prefix="verify") as pool:
        started: list[tuple[Case, list[Future[dict[str, CheckResult]]]]] = [
            (case, [pool.submit(one, case, number) for number in range(runs)]) for case in chosen
        ]
        verified = [Verified(case, [future.result() for future in futures]) for case, futures in started]
    return Verification(lab, checks, runs, verified)


def _solution(item: Verified) -> dict[str, Any]:
    return {
        "name": item.case.name,
        "runtime": item.case.runtime,
        "points": item.points,
        "points_possible": item.points_possible,
        "not_assessed": item.not_assessed,
        "flips": item.flips,
        "failed": sorted({key for run in item.runs for key in run if _lost(run, key)}),
        "inconclusive": item.inconclusive,
    }


def _runtime(name: str) -> str:
    return name.removeprefix("reference-")


def _unable(item: CheckResult) -> bool:
    return item.outcome is Outcome.NOT_ASSESSED and not item.finding.blocked


def _lost(run: dict[str, CheckResult], key: str) -> bool:
    # What stands on a failed gate or check earned nothing, but it is that other one that noticed.
    return key in run and run[key].outcome in _LOST
