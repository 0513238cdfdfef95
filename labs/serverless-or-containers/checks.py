"""Serverless or containers: what three workloads cost either way, and what would change the answer."""

import itertools
import json
import math
import random as randomness
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from graders.api import (
    DIAG,
    IAC,
    Finding,
    H,
    N,
    ProgramRun,
    Sandbox,
    V,
    check,
    failed,
    parameters,
    passed,
)

OPTIONS = ("functions", "containers", "mixed")
HOURS = 24
SECONDS = 3600
MB_PER_GB = 1024
KB_PER_GB = 1024 * 1024
# A load balancer capacity unit, as the contract has it: Elastic Load Balancing's own, two of its four sides.
# Source: https://aws.amazon.com/elasticloadbalancing/pricing/
CONNECTIONS_PER_LCU = 25
GB_PER_LCU_HOUR = 1
# Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
FUNCTION_LONGEST_RUN_S = 900
FUNCTION_MEMORY_MB = 10_240
# Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
CONTAINER_MEMORY_MB = 122_880

README_WORDS = 60
MODEL = ("model/run",)
Scenario = dict[str, Any]


# --- scenarios


def prices(random: randomness.Random) -> dict[str, float]:
    """A price sheet: the size of real prices, and nobody's."""

    def about(value: float) -> float:
        return float(f"{value * random.uniform(0.85, 1.15):.4g}")

    return {
        "request_per_million": about(0.20),
        "gb_second_x86": about(0.0000166667),
        "gb_second_arm64": about(0.0000133334),
        "provisioned_gb_second": about(0.0000041667),
        "provisioned_duration_gb_second": about(0.0000097222),
        "http_api_per_million": about(1.00),
        "free_requests": 1_000_000,
        "free_gb_seconds": 400_000,
        "vcpu_hour_x86": about(0.04048),
        "vcpu_hour_arm64": about(0.03238),
        "task_gb_hour_x86": about(0.004445),
        "task_gb_hour_arm64": about(0.00356),
        "load_balancer_hour": about(0.0225),
        "lcu_hour": about(0.008),
        "log_gb": about(0.50),
        "transfer_gb": about(0.09),
    }


def curve(random: randomness.Random, mean: float, *, spread: float) -> list[int]:
    """Requests in each hour of a day: ``spread`` is how far the busiest hour is from the mean."""
    peak = random.randrange(HOURS)
    shape = [
        1 + (spread - 1) * math.exp(-(((hour - peak + 12) % 24 - 12) ** 2) / 18) for hour in range(HOURS)
    ]
    total = sum(shape)
    return [max(0, round(mean * HOURS * each / total)) for each in shape]


def scenario(
    random: randomness.Random, *, requests_per_s: float = 0, spread: float = 0, **changed: Any
) -> Scenario:
    """A workload with everything that a model has to take into account; ``changed`` replaces parts."""
    rate = requests_per_s or random.choice([2, 5, 12, 30])
    typical_ms = random.choice([40, 90, 140, 260])
    return {
        "requests_per_hour": curve(random, rate * SECONDS, spread=spread or random.uniform(1.5, 4)),
        "days": 30,
        "growth": 1,
        "duration": {
            "unit": "ms",
            "distribution": [
                [typical_ms, 0.7],
                [typical_ms * 2, 0.2],
                [typical_ms * random.choice([5, 8]), 0.1],
            ],
        },
        "memory": {"value": random.choice([512, 1024, 1769]), "unit": "MB"},
        "response": {"value": random.choice([4, 12, 40]), "unit": "kB"},
        "log_kb_per_request": random.choice([0.5, 1, 2]),
        "architecture": "x86",
        "free_tier": False,
        "provisioned": {"concurrency": 0, "hours_per_day": 0, "share": 0},
        "container": {
            "vcpu": 0.5,
            "memory_gb": 1,
            "requests_per_s_per_task": random.choice([20, 30, 45]),
            "minimum_tasks": 2,
            "burst": random.choice([1.5, 2, 2.5]),
        },
        "limits": {
            "longest_run_s": 20,
            "connection": "request",
            "start_latency_ms": 3000,
            "cold_start_ms": 800,
            "runs_containers": True,
        },
        "prices": prices(random),
        **changed,
    }


def _given() -> dict[str, Scenario]:
    flat = {"spread": 1.0}
    return {
        "ticketing": scenario(randomness.Random("ticketing"), requests_per_s=9, free_tier=True, **flat),
        "catalogue": scenario(
            randomness.Random("catalogue"), requests_per_s=55, free_tier=True, architecture="arm64", **flat
        ),
        "reports": scenario(
            randomness.Random("reports"),
            requests_per_s=0.6,
            free_tier=True,
            memory={"value": 3008, "unit": "MB"},
            **flat,
        ),
    }


# --- what is right


def memory_mb(case: Scenario) -> float:
    """The function's memory in MB."""
    return float(case["memory"]["value"]) * (MB_PER_GB if case["memory"]["unit"] == "GB" else 1)


def mean_ms(case: Scenario) -> float:
    """The mean billed duration in ms."""
    factor = 1000 if case["duration"]["unit"] == "s" else 1
    return sum(float(length) * share for length, share in case["duration"]["distribution"]) * factor


def response_gb(case: Scenario) -> float:
    """One response in GB."""
    kilobytes = float(case["response"]["value"]) * (1024 if case["response"]["unit"] == "MB" else 1)
    return kilobytes / KB_PER_GB


def hourly(case: Scenario) -> list[float]:
    """Requests of each hour of a day, grown."""
    return [count * float(case["growth"]) for count in case["requests_per_hour"]]


def function_parts(case: Scenario, requests: float, *, provisioned: bool = True) -> dict[str, float]:
    """What ``requests`` a month cost on functions, by part; logs and transfer apart."""
    sheet = case["prices"]
    each_gb_s = memory_mb(case) / MB_PER_GB * mean_ms(case) / 1000
    ready = case["provisioned"] if provisioned else {"concurrency": 0, "hours_per_day": 0, "share": 0}
    on_demand = requests * (1 - ready["share"]) * each_gb_s
    counted = requests
    if case["free_tier"]:
        on_demand = max(0.0, on_demand - sheet["free_gb_seconds"])
        counted = max(0.0, counted - sheet["free_requests"])
    held_gb_s = (
        ready["concurrency"] * memory_mb(case) / MB_PER_GB * ready["hours_per_day"] * SECONDS * case["days"]
    )
    return {
        "requests": counted * sheet["request_per_million"] / 1e6,
        "compute": on_demand * sheet[f"gb_second_{case['architecture']}"],
        "provisioned": held_gb_s * sheet["provisioned_gb_second"]
        + requests * ready["share"] * each_gb_s * sheet["provisioned_duration_gb_second"],
        "api": requests * sheet["http_api_per_million"] / 1e6,
    }


def shared_parts(case: Scenario, requests: float) -> dict[str, float]:
    """Logs and transfer, which every option pays."""
    return {
        "logs": requests * case["log_kb_per_request"] / KB_PER_GB * case["prices"]["log_gb"],
        "transfer": requests * response_gb(case) * case["prices"]["transfer_gb"],
    }


def task_month(case: Scenario) -> float:
    """One task for the whole month."""
    sheet, task, kind = case["prices"], case["container"], case["architecture"]
    an_hour = task["vcpu"] * sheet[f"vcpu_hour_{kind}"] + task["memory_gb"] * sheet[f"task_gb_hour_{kind}"]
    return float(an_hour * HOURS * case["days"])


def load_balancer(case: Scenario, by_hour: Sequence[float]) -> float:
    """The load balancer for the month: its hours and its capacity units."""
    sheet = case["prices"]
    # Both sides grow with the requests, so the larger one is the same in every hour.
    units = sum(by_hour) * max(1 / SECONDS / CONNECTIONS_PER_LCU, response_gb(case) / GB_PER_LCU_HOUR)
    return float(case["days"] * (HOURS * sheet["load_balancer_hour"] + units * sheet["lcu_hour"]))


def tasks_for(case: Scenario, requests_in_an_hour: float) -> int:
    """Tasks that carry the bursts of such an hour."""
    needed = requests_in_an_hour / SECONDS * case["container"]["burst"]
    return max(
        case["container"]["minimum_tasks"],
        math.ceil(needed / case["container"]["requests_per_s_per_task"] - 1e-9),
    )


def monthly_cost(case: Scenario) -> dict[str, float]:
    """Dollars a month for each option."""
    by_hour = hourly(case)
    requests = case["days"] * sum(by_hour)
    both = sum(shared_parts(case, requests).values())
    task = case["container"]
    base = max(
        task["minimum_tasks"],
        math.floor(min(by_hour) / SECONDS * task["burst"] / task["requests_per_s_per_task"] + 1e-9),
    )
    carried = base * task["requests_per_s_per_task"] / task["burst"] * SECONDS
    on_tasks = [min(count, carried) for count in by_hour]
    rest = case["days"] * (sum(by_hour) - sum(on_tasks))
    return {
        "functions": sum(function_parts(case, requests).values()) + both,
        "containers": tasks_for(case, max(by_hour)) * task_month(case) + load_balancer(case, by_hour) + both,
        "mixed": base * task_month(case)
        + load_balancer(case, on_tasks)
        + sum(function_parts(case, rest, provisioned=False).values())
        + both,
    }


def side_costs(case: Scenario) -> dict[str, float]:
    """What is easily forgotten, in dollars a month."""
    by_hour = hourly(case)
    requests = case["days"] * sum(by_hour)
    return {
        "requests": function_parts(case, requests)["requests"],
        "api": function_parts(case, requests)["api"],
        **shared_parts(case, requests),
        "load_balancer": load_balancer(case, by_hour),
        "idle_minimum": case["container"]["minimum_tasks"] * task_month(case)
        + load_balancer(case, [0.0] * HOURS),
    }


def at_rate(case: Scenario, requests_per_s: float) -> Scenario:
    """The same workload with so many requests in every second."""
    return {**case, "requests_per_hour": [requests_per_s * SECONDS] * HOURS, "growth": 1}


def break_even(case: Scenario) -> float:
    """The lowest steady rate from which functions cost as much as containers; 0: none below 200 tasks."""
    a_task = case["container"]["requests_per_s_per_task"] / case["container"]["burst"]
    for tasks in range(case["container"]["minimum_tasks"], 200):
        high = tasks * a_task
        low = (tasks - 1) * a_task * (1 + 1e-9) if tasks > case["container"]["minimum_tasks"] else 1e-6
        if not (_functions_win(at_rate(case, low)) and not _functions_win(at_rate(case, high))):
            continue
        for _ in range(50):
            middle = (low + high) / 2
            if _functions_win(at_rate(case, middle)):
                low = middle
            else:
                high = middle
        return high
    return 0.0


def _grown(case: Scenario, factor: float) -> Scenario:
    return {**case, "growth": case["growth"] * factor}


def _longer(case: Scenario, factor: float) -> Scenario:
    spread = [[length * factor, share] for length, share in case["duration"]["distribution"]]
    return {**case, "duration": {**case["duration"], "distribution": spread}}


def _larger(case: Scenario, factor: float) -> Scenario:
    return {**case, "response": {**case["response"], "value": case["response"]["value"] * factor}}


_INPUTS: dict[str, tuple[Callable[[Scenario, float], Scenario], Callable[[Scenario], float]]] = {
    "growth": (_grown, lambda case: float(case["growth"])),
    "duration": (_longer, mean_ms),
    "response": (_larger, lambda case: response_gb(case) * KB_PER_GB),
}
_STEP = 1.04
_STEPS = 53  # to a factor of 8 either way


def flips(case: Scenario) -> dict[str, float]:
    """By input, the factor nearest to 1 at which the cheaper of functions and containers changes."""
    found = {name: _nearest_flip(case, name) for name in _INPUTS}
    return {name: factor for name, factor in found.items() if factor}


def _nearest_flip(case: Scenario, name: str) -> float:
    changed = _INPUTS[name][0]
    factors = [_first_flip(case, changed, step) for step in (_STEP, 1 / _STEP)]
    return min(filter(None, factors), key=lambda factor: abs(math.log(factor)), default=0.0)


def _functions_win(case: Scenario) -> bool:
    # Without what both pay: it is asked some thousand times.
    month, peak = (
        sum(case["requests_per_hour"]) * case["growth"],
        max(case["requests_per_hour"]) * case["growth"],
    )
    on_tasks = tasks_for(case, peak) * task_month(case) + load_balancer(case, [month])
    return sum(function_parts(case, month * case["days"]).values()) < on_tasks


def _first_flip(case: Scenario, changed: Callable[[Scenario, float], Scenario], step: float) -> float:
    now, factor = _functions_win(case), 1.0
    for _ in range(_STEPS):
        before, factor = factor, factor * step
        if _functions_win(changed(case, factor)) != now:
            for _ in range(30):
                middle = math.sqrt(before * factor)
                if _functions_win(changed(case, middle)) == now:
                    before = middle
                else:
                    factor = middle
            return factor
    return 0.0


def flip_point(case: Scenario) -> dict[str, Any]:
    """The input whose smallest change flips the choice, and its value there."""
    found = flips(case)
    name = min(found, key=lambda each: abs(math.log(found[each])))
    changed, value = _INPUTS[name]
    return {"input": name, "value": value(changed(case, found[name]))}


def allowed(case: Scenario) -> tuple[dict[str, bool], list[str]]:
    """Which options can run at all, and the limits that keep some from it."""
    limits, memory = case["limits"], memory_mb(case)
    ready = case["provisioned"]["concurrency"] > 0
    against_functions = {
        "run-time": limits["longest_run_s"] > FUNCTION_LONGEST_RUN_S,
        "connection": limits["connection"] == "long-lived",
        "memory": memory > FUNCTION_MEMORY_MB,
        "start-latency": not ready and limits["cold_start_ms"] > limits["start_latency_ms"],
    }
    against_containers = {"team": not limits["runs_containers"], "memory": memory > CONTAINER_MEMORY_MB}
    functions, containers = not any(against_functions.values()), not any(against_containers.values())
    named = {name for name, holds in (*against_functions.items(), *against_containers.items()) if holds}
    return {"functions": functions, "containers": containers, "mixed": functions and containers}, sorted(
        named
    )


def choice(case: Scenario) -> tuple[str, list[str]]:
    """The cheapest option that can run, and the reasons for it."""
    can, named = allowed(case)
    cost = monthly_cost(case)
    best = min((option for option in OPTIONS if can[option]), key=lambda option: cost[option])
    return best, sorted(["cheapest", *named])


def mean_billed_ms(lines: Sequence[str]) -> float:
    """The mean billed duration of the REPORT lines."""
    billed = [int(found[1]) for line in lines if (found := re.search(r"\tBilled Duration: (\d+) ms", line))]
    return sum(billed) / len(billed)


def is_number(value: Any) -> bool:
    """Whether an answer is a number at all."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def near(got: Any, expected: float, share: float) -> bool:
    """Whether an answer is a number within ``share`` of what is right."""
    return is_number(got) and abs(got - expected) <= share * abs(expected) + 0.005


GIVEN = _given()

# Where the price of a request counts, and where the least tasks do.
SHORT: dict[str, Any] = {
    "memory": {"value": 512, "unit": "MB"},
    "duration": {"unit": "ms", "distribution": [[40, 0.7], [80, 0.2], [200, 0.1]]},
}
LONG: dict[str, Any] = {
    "memory": {"value": 1769, "unit": "MB"},
    "duration": {"unit": "ms", "distribution": [[260, 0.7], [520, 0.2], [1300, 0.1]]},
}


# --- the seed


@parameters
def draw(random: randomness.Random) -> dict[str, Any]:
    """Scenarios that nobody has seen, for each question."""
    return {
        "unseen": list(_unseen(random)),
        "break_even": [_with_break_even(random, **kind) for kind in (SHORT, LONG, {})],
        "flips": [_with_flip(random, "growth"), _with_flip(random, "duration")],
        "cases": list(_cases(random)),
        "sample": report_lines(random),
    }


def _unseen(random: randomness.Random) -> Iterator[Scenario]:
    """Six, each with one thing that a model easily leaves out. Spiky, so that a mean hour is not enough."""
    spiky = {"spread": 7.0, "requests_per_s": random.choice([40, 60])}
    yield scenario(random, free_tier=True, requests_per_s=1.5)
    yield scenario(random, free_tier=False, requests_per_s=1.5)
    yield scenario(random, architecture="arm64", **spiky)
    ready = {"concurrency": random.randrange(20, 40), "hours_per_day": 12, "share": 0.6}
    yield scenario(random, provisioned=ready, **spiky)
    task = {"vcpu": 1, "memory_gb": 2, "requests_per_s_per_task": 60, "minimum_tasks": 3, "burst": 1.5}
    yield scenario(random, container=task, requests_per_s=3)
    yield scenario(random, response={"value": random.choice([0.5, 1.25]), "unit": "MB"}, **spiky)


def _with_break_even(random: randomness.Random, **kind: Any) -> Scenario:
    """A workload whose break-even is not beside a step of the tasks, where rounding would decide."""
    while True:
        case = scenario(random, free_tier=True, **kind)
        rate = break_even(case)
        a_task = case["container"]["requests_per_s_per_task"] / case["container"]["burst"]
        if rate and 0.1 < (rate / a_task) % 1 < 0.9:
            return case


def _with_flip(random: randomness.Random, name: str) -> Scenario:
    """A workload where this input flips the choice long before the others, at a place that is no step.

    Growth flips it while a single task could carry it, so that the least tasks and each request matter.
    """
    grows = name == "growth"
    changed, kind = _INPUTS[name][0], SHORT if grows else {}
    while True:
        case = scenario(
            random,
            free_tier=True,
            requests_per_s=random.choice([3, 6] if grows else [60, 90, 140, 200]),
            **kind,
        )
        factor, here = _nearest_flip(case, name), _functions_win(case)
        if not factor or not 0.15 < abs(math.log(factor)) < 1.4:
            continue
        alone = {**case, "container": {**case["container"], "minimum_tasks": 1}}
        if grows and tasks_for(alone, max(hourly(changed(case, factor * 1.2)))) > 1:
            continue
        others = [abs(math.log(other)) for each, other in flips(case).items() if each != name]
        if min([*others, 3.0]) < 1.5 * abs(math.log(factor)):
            continue
        if all(_functions_win(changed(case, factor ** (1 + each))) != here for each in (0.05, 0.2, 0.4)):
            return case


def _cases(random: randomness.Random) -> Iterator[Scenario]:
    """Five, in each of which the cheapest option can't run."""
    usual = scenario(random)["limits"]
    cheap_on_functions = {"requests_per_s": 0.3}
    cheap_on_containers = {"requests_per_s": 60, "memory": {"value": 1769, "unit": "MB"}}
    yield scenario(
        random, limits={**usual, "longest_run_s": random.randrange(1000, 4000)}, **cheap_on_functions
    )
    yield scenario(random, limits={**usual, "connection": "long-lived"}, **cheap_on_functions)
    yield scenario(
        random,
        requests_per_s=0.05,
        memory={"value": random.choice([12_288, 16_384]), "unit": "MB"},
        duration={"unit": "ms", "distribution": [[40, 1.0]]},
    )
    yield scenario(
        random, limits={**usual, "start_latency_ms": random.choice([200, 400])}, **cheap_on_functions
    )
    yield scenario(random, limits={**usual, "runs_containers": False}, **cheap_on_containers)


def report_lines(random: randomness.Random) -> list[str]:
    """A function's log, as Lambda writes it, with a mean that no rule of thumb knows."""
    lines, typical = [], random.uniform(180, 900)
    for number in range(60):
        request = f"{random.getrandbits(32):08x}-0000-4000-8000-{random.getrandbits(48):012x}"
        # The first one starts cold and is like no other.
        duration = typical * (random.choice([0.6, 0.8, 1, 1.1, 3.5]) if number else 3.5)
        billed = math.ceil(duration)
        cold = f"\tInit Duration: {random.uniform(300, 700):.2f} ms" if random.random() < 0.1 else ""
        lines += [
            f"START RequestId: {request} Version: 7",
            f"{request} priced basket in {duration * 0.9:.0f} ms",
            f"END RequestId: {request}",
            f"REPORT RequestId: {request}\tDuration: {duration:.2f} ms\tBilled Duration: {billed} ms"
            f"\tMemory Size: 512 MB\tMax Memory Used: {random.randrange(70, 120)} MB{cold}",
        ]
    return lines


# --- the program


def results(sandbox: Sandbox, cases: Sequence[Scenario], what: str) -> list[Any] | Finding:
    """What the model says about each case, or why that can't be read."""
    sandbox.did("model/run", f"{len(cases)} scenarios: {what}")
    runs = sandbox.run_program(MODEL, [json.dumps(case).encode() for case in cases])
    found = []
    for number, run in enumerate(runs, 1):
        result = read(run)
        if isinstance(result, str):
            sandbox.saw(f"run {number}", run.said or "nothing on its output")
            return failed(f"Run {number} of {len(runs)}: {result}", look="model/run")
        found.append(result)
    return found


def read(run: ProgramRun) -> dict[str, Any] | str:
    """A run's result, or what is wrong with it."""
    if run.status == 124:
        return "model/run did not end within 10 s."
    if run.status != 0:
        return f"model/run ended with status {run.status}."
    if run.wrote is None:
        return "model/run wrote no result."
    try:
        result = json.loads(run.wrote)
    except (ValueError, RecursionError):
        return "The result is no JSON."
    if not isinstance(result, dict) or not isinstance(result.get("monthly_cost"), dict):
        return "The result has no `monthly_cost` object."
    missing = [option for option in OPTIONS if not is_number(result["monthly_cost"].get(option))]
    if missing:
        return f"`monthly_cost` gives no number for {', '.join(missing)}."
    return result


@check(id="i1", points=6, dimension=IAC, visibility=V)
def it_runs_offline(sandbox: Sandbox) -> Finding:
    """The model runs without network, says the same twice, and is documented."""
    cases = list(GIVEN.values())
    first, second = results(sandbox, cases, "the given ones"), results(sandbox, cases, "the same again")
    for found in (first, second):
        if isinstance(found, Finding):
            return found
    if first != second:
        return failed(
            "The same scenarios gave two results.", look="model/", hint="Leave out time and chance."
        )
    words = len(sandbox.files.get("model/README.md", b"").split())
    sandbox.saw("model/README.md", f"{words} words")
    if words < README_WORDS:
        return failed(
            f"model/README.md has {words} words.",
            expected=f"at least {README_WORDS}: how to run it, and what it takes for granted",
        )
    return passed("Three scenarios gave the same result twice, without network.")


@check(id="n3", points=20, dimension=DIAG, visibility=H, after=it_runs_offline)
def unseen_scenarios_are_priced(sandbox: Sandbox) -> Finding:
    """The model prices six unseen scenarios within 2 %."""
    cases = sandbox.parameters["unseen"]
    found = results(sandbox, cases, "free tier, arm64, provisioned, tasks, transfer")
    if isinstance(found, Finding):
        return found
    wrong = []
    for number, (case, result) in enumerate(zip(cases, found, strict=True), 1):
        for option, dollars in monthly_cost(case).items():
            got = result["monthly_cost"][option]
            if not near(got, dollars, 0.02):
                wrong.append(
                    f"scenario {number}, {option}: yours ${got:,.2f}, expected ${dollars:,.2f} ± 2 %"
                )
    if wrong:
        for line in wrong[:6]:
            sandbox.saw("result.json", line)
        return failed(f"{len(wrong)} of {3 * len(cases)} costs are off; {wrong[0]}.", look="model/")
    return passed(f"{3 * len(cases)} costs of {len(cases)} unseen scenarios are within 2 %.")


@check(id="n4", points=10, dimension=DIAG, visibility=H, after=it_runs_offline)
def it_has_the_properties_of_a_bill(sandbox: Sandbox) -> Finding:
    """More traffic never costs less, no traffic costs what idles, and units change nothing."""
    case = scenario(sandbox.random, requests_per_s=25, memory={"value": 1536, "unit": "MB"})
    none = {**case, "requests_per_hour": [0] * HOURS}
    other = {
        **case,
        "memory": {"value": memory_mb(case) / MB_PER_GB, "unit": "GB"},
        "response": {"value": case["response"]["value"] / 1024, "unit": "MB"},
        "duration": {
            "unit": "s",
            "distribution": [[length / 1000, share] for length, share in case["duration"]["distribution"]],
        },
    }
    growing = [_grown(case, factor) for factor in (1.3, 2.0, 5.0)]
    found = results(
        sandbox, [case, *growing, none, other], "one workload: grown, without traffic, in other units"
    )
    if isinstance(found, Finding):
        return found
    costs = [item["monthly_cost"] for item in found]
    for option in ("functions", "containers"):
        dollars = [cost[option] for cost in costs[: 1 + len(growing)]]
        sandbox.saw(f"{option}, growing", ", ".join(f"${each:,.2f}" for each in dollars))
        if any(later < earlier - 0.005 for earlier, later in itertools.pairwise(dollars)):
            return failed(f"More traffic costs less on {option}.")
    idle = costs[-2]
    sandbox.saw(
        "without traffic", f"functions ${idle['functions']:,.2f}, containers ${idle['containers']:,.2f}"
    )
    if not near(idle["functions"], 0, 0):
        return failed("Without traffic functions cost something.", expected="$0: nothing is kept running")
    if idle["containers"] <= 1:
        return failed(
            "Without traffic containers cost nothing.",
            expected="the tasks that have to run, and the load balancer",
        )
    for option in OPTIONS:
        if not near(costs[-1][option], costs[0][option], 0.001):
            return failed(
                f"The same workload costs ${costs[0][option]:,.2f} or ${costs[-1][option]:,.2f} on {option}, "
                "depending on the units it is given in.",
                expected="1 GB = 1,024 MB, 1 MB = 1,024 kB, 1 s = 1,000 ms",
            )
    return passed("It grows with traffic, idles as it should, and understands every unit.")


@check(id="d1", points=12, dimension=DIAG, visibility=N, after=it_runs_offline)
def the_choice_can_run(sandbox: Sandbox) -> Finding:
    """The choice respects hard limits, and says which."""
    cases = sandbox.parameters["cases"]
    found = results(sandbox, cases, "each with a hard limit")
    if isinstance(found, Finding):
        return found
    for case, result in zip(cases, found, strict=True):
        best, reasons = choice(case)
        got, why = result.get("choice"), result.get("reasons")
        sandbox.saw("result.json", f"{json.dumps(got)} because {json.dumps(why)}")
        limit = next(reason for reason in reasons if reason != "cheapest")
        if got != best:
            return failed(
                f"The choice is {json.dumps(got)[:60]}, against `{limit}` or dearer than needed.",
                expected=f"{best}, because {', '.join(reasons)}",
            )
        if not isinstance(why, list) or sorted(map(str, why)) != reasons:
            return failed(
                f"The reasons for {best} are {json.dumps(why)[:120]}.", expected=f"{', '.join(reasons)}"
            )
    return passed(f"{len(cases)} choices keep to their limits and name them.")
