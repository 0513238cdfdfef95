"""What Step Functions accepts as a state machine's definition.

Source: https://states-language.net/spec.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.emulator.fabric.stepfunctions import choices

TYPES = frozenset({"Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"})
LIMIT_BYTES = 1_048_576
_LABEL_LIMIT = 40
_WAITING = (".sync", ".sync:2", ".waitForTaskToken")
_JSONPATH_ONLY = frozenset({"InputPath", "Parameters", "ResultSelector", "ResultPath", "OutputPath"})
_JSONATA_ONLY = frozenset({"Arguments", "Output"})


class InvalidDefinition(ValueError):
    """The definition is refused; the text lists every reason."""


def read_definition(text: str, *, express: bool = False) -> dict[str, Any]:
    """The definition as a document; express machines can do less.

    Raises:
        InvalidDefinition: Step Functions would not take it.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidDefinition(f"INVALID_JSON_DESCRIPTION: {error}") from None
    if not isinstance(document, dict):
        raise InvalidDefinition("INVALID_JSON_DESCRIPTION: the definition is not an object")
    problems = list(_check_machine(document, "", document.get("QueryLanguage") or "JSONPath"))
    if not problems:
        problems = list(_not_in_express(document, "", express=express))
    if problems:
        raise InvalidDefinition(", ".join(problems))
    return document


def _check_machine(machine: Any, where: str, language: str) -> Iterator[str]:
    if not isinstance(machine, dict):
        yield f"SCHEMA_VALIDATION_FAILED: Expected an object at {where or '/'}"
        return
    if language not in ("JSONPath", "JSONata"):
        yield f"SCHEMA_VALIDATION_FAILED: Unknown QueryLanguage {language} at {where}/QueryLanguage"
    states = machine.get("States")
    if not isinstance(states, dict) or not states:
        yield f"SCHEMA_VALIDATION_FAILED: The field 'States' is required but was missing or empty at {where}/"
        return
    start = machine.get("StartAt")
    if start is None:
        yield f"SCHEMA_VALIDATION_FAILED: The field 'StartAt' is required but was missing at {where}/"
    elif start not in states:
        yield f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {start} at {where}/StartAt"
    for name, state in states.items():
        yield from _check_state(state, f"{where}/States/{name}", states, language)
    reached = _reached(start, states)
    for name in states:
        if start in states and name not in reached:
            yield f'MISSING_TRANSITION_TARGET: State "{name}" is not reachable. at {where}/States/{name}'
    if not any(_ends(state) for state in states.values()):
        yield f"MISSING_END_STATE: No terminal state found in machine. at {where}/States"


def _not_in_express(machine: Mapping[str, Any], where: str, *, express: bool) -> Iterator[str]:
    """What only standard workflows can do, in an express one; AWS's words for it are not documented.

    Source: https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html
    """
    for name, state in machine["States"].items():
        place = f"{where}/States/{name}"
        resource = str(state.get("Resource") or "")
        if express and (resource.endswith(_WAITING) or ":activity:" in resource):
            told = f"Express state machines do not support {resource}"
            yield f"SCHEMA_VALIDATION_FAILED: {told} at {place}/Resource"
        for index, branch in enumerate(state.get("Branches") or ()):
            yield from _not_in_express(branch, f"{place}/Branches[{index}]", express=express)
        field = "ItemProcessor" if "ItemProcessor" in state else "Iterator"
        if (inner := state.get(field)) is not None:
            config = inner.get("ProcessorConfig") or {}
            distributed = config.get("Mode") == "DISTRIBUTED"
            if express and distributed:
                yield f"SCHEMA_VALIDATION_FAILED: Express state machines have no distributed Map at {place}"
            within = config.get("ExecutionType") == "EXPRESS" if distributed else express
            yield from _not_in_express(inner, f"{place}/{field}", express=within)


def _ends(state: Any) -> bool:
    return isinstance(state, dict) and (state.get("End") is True or state.get("Type") in ("Succeed", "Fail"))


def _reached(start: Any, states: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name in found or name not in states or not isinstance(states[name], dict):
            continue
        found.add(name)
        todo += [target for _, target in _targets(states[name])]
    return found


def _targets(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where a state can lead: (field, name)."""
    for field in ("Next", "Default"):
        if isinstance(state.get(field), str):
            yield field, state[field]
    for field in ("Choices", "Catch"):
        for index, rule in enumerate(state.get(field) or ()):
            if isinstance(rule, dict) and isinstance(rule.get("Next"), str):
                yield f"{field}[{index}]/Next", rule["Next"]


def _check_state(state: Any, where: str, states: Mapping[str, Any], language: str) -> Iterator[str]:
    if not isinstance(state, dict) or state.get("Type") not in TYPES:
        kind = state.get("Type") if isinstance(state, dict) else state
        yield f"SCHEMA_VALIDATION_FAILED: The value {json.dumps(kind)} is no type of state at {where}/Type"
        return
    kind, language = state["Type"], state.get("QueryLanguage") or language
    for field, target in _targets(state):
        if target not in states:
            yield f"MISSING_TRANSITION_TARGET: Missing 'Next' target: {target} at {where}/{field}"
    if kind not in ("Choice", "Succeed", "Fail") and ("Next" in state) == (state.get("End") is True):
        yield f"SCHEMA_VALIDATION_FAILED: One of 'Next' and 'End' is required at {where}"
    wrong = (_JSONATA_ONLY if language == "JSONPath" else _JSONPATH_ONLY) & state.keys()
    for field in sorted(wrong):
        yield f"SCHEMA_VALIDATION_FAILED: The field '{field}' is not for {language} states at {where}/{field}"
    yield from _CHECKS.get(kind, _nothing)(state, where, language)


def _nothing(state: Mapping[str, Any], where: str, language: str) -> Iterator[str]:
    return iter(())


def _check_task(state: Mapping[str, Any], where: str, language: str) -> Iterator[str]:
    resource = state.get("Resource")
    if not isinstance(resource, str) or not resource.startswith(("arn:", "{%")):
        yield f"SCHEMA_VALIDATION_FAILED: Value is not a valid resource ARN at {where}/Resource"


def _check_choice(state: Mapping[str, Any], where: str, language: str) -> Iterator[str]:
    rules = state.get("Choices")
    if not isinstance(rules, list) or not rules:
        yield f"SCHEMA_VALIDATION_FAILED: The field 'Choices' is required at {where}/Choices"
        return
    for index, rule in enumerate(rules):
        place = f"{where}/Choices[{index}]"
        if not isinstance(rule, dict) or not isinstance(rule.get("Next"), str):
            yield f"SCHEMA_VALIDATION_FAILED: The field 'Next' is required at {place}"
        elif language == "JSONata":
            if "Condition" not in rule:
                yield f"SCHEMA_VALIDATION_FAILED: The field 'Condition' is required at {place}"
        else:
            yield from _check_rule(rule, place)


def _check_rule(rule: Mapping[str, Any], where: str) -> Iterator[str]:
    for combined in ("And", "Or"):
        if combined in rule:
            for index, each in enumerate(rule[combined]):
                yield from _check_rule(each, f"{where}/{combined}[{index}]")
            return
    if "Not" in rule:
        yield from _check_rule(rule["Not"], f"{where}/Not")
        return
    if not isinstance(rule.get("Variable"), str):
        yield f"SCHEMA_VALIDATION_FAILED: The field 'Variable' is required at {where}"
    compared = [name for name in rule if name not in ("Variable", "Next", "Comment", "Assign", "Output")]
    if len(compared) != 1 or not choices.known(compared[0]):
        yield f"SCHEMA_VALIDATION_FAILED: Exactly one comparison is required at {where}"


def _check_parallel(state: Mapping[str, Any], where: str, language: str) -> Iterator[str]:
    branches = state.get("Branches")
    if not isinstance(branches, list) or not branches:
        yield f"SCHEMA_VALIDATION_FAILED: The field 'Branches' is required at {where}/Branches"
        return
    for index, branch in enumerate(branches):
        yield from _check_machine(branch, f"{where}/Branches[{index}]", language)


def _check_map(state: Mapping[str, Any], where: str, language: str) -> Iterator[str]:
    field = "ItemProcessor" if "ItemProcessor" in state else "Iterator"
    if field not in state:
        yield f"SCHEMA_VALIDATION_FAILED: The field 'ItemProcessor' is required at {where}"
        return
    yield from _check_machine(state[field], f"{where}/{field}", language)
    config = state[field].get("ProcessorConfig") if isinstance(state[field], dict) else None
    if not isinstance(config, dict) or config.get("Mode") != "DISTRIBUTED":
        return
    if config.get("ExecutionType") not in ("STANDARD", "EXPRESS"):
        place = f"{where}/{field}/ProcessorConfig"
        yield f"SCHEMA_VALIDATION_FAILED: The field 'ExecutionType' is required but was missing at {place}"
    if len(str(state.get("Label", ""))) > _LABEL_LIMIT:
        yield f"SCHEMA_VALIDATION_FAILED: A Label has at most {_LABEL_LIMIT} characters at {where}/Label"


def _check_wait(state: Mapping[str, Any], where: str, language: str) -> Iterator[str]:
    given = {"Seconds", "SecondsPath", "Timestamp", "TimestampPath"} & state.keys()
    if len(given) != 1:
        yield f"SCHEMA_VALIDATION_FAILED: Exactly one of Seconds and Timestamp is required at {where}"


_CHECKS = {
    "Task": _check_task,
    "Choice": _check_choice,
    "Parallel": _check_parallel,
    "Map": _check_map,
    "Wait": _check_wait,
}
