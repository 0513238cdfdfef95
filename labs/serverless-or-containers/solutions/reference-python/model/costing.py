"""What a workload costs on functions, on containers, and mixed. Dollars a month throughout."""

import math

OPTIONS = ("functions", "containers", "mixed")
HOURS_A_DAY = 24
SECONDS_AN_HOUR = 3600
MB_PER_GB = 1024
KB_PER_MB = 1024


class Workload:
    """A scenario in units of one kind: GB, seconds, requests."""

    def __init__(self, scenario):
        self.sheet = scenario["prices"]
        self.days = scenario["days"]
        self.hours = self.days * HOURS_A_DAY
        self.by_hour = [count * scenario["growth"] for count in scenario["requests_per_hour"]]
        memory = scenario["memory"]
        self.memory_gb = memory["value"] if memory["unit"] == "GB" else memory["value"] / MB_PER_GB
        duration = scenario["duration"]
        mean = sum(length * share for length, share in duration["distribution"])
        self.duration_s = mean if duration["unit"] == "s" else mean / 1000
        response = scenario["response"]
        response_mb = response["value"] if response["unit"] == "MB" else response["value"] / KB_PER_MB
        self.response_gb = response_mb / MB_PER_GB
        self.log_gb = scenario["log_kb_per_request"] / KB_PER_MB / MB_PER_GB
        self.architecture = scenario["architecture"]
        self.free_tier = scenario["free_tier"]
        self.provisioned = scenario["provisioned"]
        self.container = scenario["container"]
        self.limits = scenario["limits"]

    @property
    def requests(self):
        return self.days * sum(self.by_hour)


def function_costs(load, requests, *, provisioned=True):
    share = load.provisioned["share"] if provisioned else 0
    gb_s = requests * load.memory_gb * load.duration_s
    on_demand, counted = gb_s * (1 - share), requests
    if load.free_tier:
        on_demand = max(0, on_demand - load.sheet["free_gb_seconds"])
        counted = max(0, counted - load.sheet["free_requests"])
    costs = {
        "requests": counted / 1e6 * load.sheet["request_per_million"],
        "compute": on_demand * load.sheet["gb_second_" + load.architecture],
        "api": requests / 1e6 * load.sheet["http_api_per_million"],
        "provisioned": 0,
    }
    if provisioned:
        seconds = load.provisioned["hours_per_day"] * SECONDS_AN_HOUR * load.days
        held = load.provisioned["concurrency"] * load.memory_gb * seconds
        costs["provisioned"] = held * load.sheet["provisioned_gb_second"]
        costs["provisioned"] += gb_s * share * load.sheet["provisioned_duration_gb_second"]
    return costs


def common_costs(load, requests):
    return {
        "logs": requests * load.log_gb * load.sheet["log_gb"],
        "transfer": requests * load.response_gb * load.sheet["transfer_gb"],
    }


def task_cost(load):
    vcpu = load.container["vcpu"] * load.sheet["vcpu_hour_" + load.architecture]
    memory = load.container["memory_gb"] * load.sheet["task_gb_hour_" + load.architecture]
    return (vcpu + memory) * load.hours


def requests_per_task(load):
    """How many requests in an hour one task carries with its bursts."""
    return load.container["requests_per_s_per_task"] / load.container["burst"] * SECONDS_AN_HOUR


def tasks_needed(load):
    busiest = max(load.by_hour)
    return max(load.container["minimum_tasks"], math.ceil(busiest / requests_per_task(load) - 1e-9))


def load_balancer_cost(load, by_hour):
    units = sum(max(count / SECONDS_AN_HOUR / 25, count * load.response_gb) for count in by_hour)
    return load.hours * load.sheet["load_balancer_hour"] + load.days * units * load.sheet["lcu_hour"]


def monthly_cost(scenario):
    load = Workload(scenario)
    common = sum(common_costs(load, load.requests).values())
    functions = sum(function_costs(load, load.requests).values())
    containers = tasks_needed(load) * task_cost(load) + load_balancer_cost(load, load.by_hour)
    base = max(load.container["minimum_tasks"], int(min(load.by_hour) / requests_per_task(load) + 1e-9))
    carried = [min(count, base * requests_per_task(load)) for count in load.by_hour]
    rest = load.days * (sum(load.by_hour) - sum(carried))
    mixed = base * task_cost(load) + load_balancer_cost(load, carried)
    mixed += sum(function_costs(load, rest, provisioned=False).values())
    return {"functions": functions + common, "containers": containers + common, "mixed": mixed + common}


def side_costs(scenario):
    load = Workload(scenario)
    functions = function_costs(load, load.requests)
    idle = load.container["minimum_tasks"] * task_cost(load) + load_balancer_cost(load, [0] * HOURS_A_DAY)
    return {
        "requests": functions["requests"],
        "api": functions["api"],
        **common_costs(load, load.requests),
        "load_balancer": load_balancer_cost(load, load.by_hour),
        "idle_minimum": idle,
    }


def steady(scenario, requests_per_s):
    return {**scenario, "growth": 1, "requests_per_hour": [requests_per_s * SECONDS_AN_HOUR] * HOURS_A_DAY}


def break_even(scenario):
    """Walk up the steps of the tasks; within a step the gap only closes, so halve it."""
    load = Workload(scenario)
    width = requests_per_task(load) / SECONDS_AN_HOUR
    tasks = load.container["minimum_tasks"]
    low = 1e-6
    while tasks < 200:
        high = tasks * width
        if gap(scenario, low) <= 0 <= gap(scenario, high):
            while high - low > 1e-6:
                middle = (low + high) / 2
                low, high = (middle, high) if gap(scenario, middle) <= 0 else (low, middle)
            return high
        tasks, low = tasks + 1, high * (1 + 1e-9)
    return 0


def gap(scenario, requests_per_s):
    cost = monthly_cost(steady(scenario, requests_per_s))
    return cost["functions"] - cost["containers"]


def scaled(scenario, name, factor):
    if name == "growth":
        return {**scenario, "growth": scenario["growth"] * factor}
    if name == "response":
        response = scenario["response"]
        return {**scenario, "response": {**response, "value": response["value"] * factor}}
    duration = scenario["duration"]
    longer = [[length * factor, share] for length, share in duration["distribution"]]
    return {**scenario, "duration": {**duration, "distribution": longer}}


def value_of(scenario, name):
    if name == "growth":
        return scenario["growth"]
    load = Workload(scenario)
    return load.duration_s * 1000 if name == "duration" else load.response_gb * MB_PER_GB * KB_PER_MB


def flip_point(scenario):
    """Move each input away from where it is, up and down at once, until the cheaper option changes."""
    before = functions_win(scenario)
    for step in range(1, 500):
        for factor in (1.005**step, 1.005**-step):
            for name in ("growth", "duration", "response"):
                moved = scaled(scenario, name, factor)
                if functions_win(moved) != before:
                    return {"input": name, "value": value_of(moved, name)}
    return {"input": "none", "value": 0}


def functions_win(scenario):
    cost = monthly_cost(scenario)
    return cost["functions"] < cost["containers"]


def limits_broken(scenario):
    load = Workload(scenario)
    limits = load.limits
    functions = {
        "run-time": limits["longest_run_s"] > 900,
        "connection": limits["connection"] == "long-lived",
        "memory": load.memory_gb * MB_PER_GB > 10240,
        "start-latency": load.provisioned["concurrency"] == 0
        and limits["cold_start_ms"] > limits["start_latency_ms"],
    }
    containers = {"team": not limits["runs_containers"], "memory": load.memory_gb > 120}
    broken = {
        "functions": {name for name, holds in functions.items() if holds},
        "containers": {name for name, holds in containers.items() if holds},
    }
    broken["mixed"] = broken["functions"] | broken["containers"]
    return broken


def decide(scenario):
    broken = limits_broken(scenario)
    cost = monthly_cost(scenario)
    possible = [option for option in OPTIONS if not broken[option]]
    choice = min(possible, key=lambda option: cost[option])
    return choice, sorted({"cheapest"} | broken["mixed"])


def mean_billed_ms(lines):
    billed = []
    for line in lines:
        if line.startswith("REPORT "):
            fields = dict(part.split(": ", 1) for part in line.split("\t") if ": " in part)
            billed.append(int(fields["Billed Duration"].split()[0]))
    return sum(billed) / len(billed)
