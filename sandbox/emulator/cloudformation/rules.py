"""A template's Rules: what must hold of its parameters before anything is done.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.emulator.cloudformation.errors import invalid, malformed, not_emulated
from sandbox.emulator.cloudformation.intrinsics import as_text
from sandbox.emulator.cloudformation.template import Template

# What the functions that answer with a value, not with yes or no, are called.
_ATTRIBUTES = ("Fn::ValueOf", "Fn::ValueOfAll")


def check(template: Template, names: Mapping[str, Any]) -> None:
    """Every assertion of every rule whose condition holds; ``names`` has parameters and pseudo parameters.

    AWS does not document in which words it refuses; the assertion's own description is among ours.

    Raises:
        AwsError: assertions do not hold, or a rule is not well formed.
    """
    broken: list[str] = []
    for name, rule in template.section("Rules").items():
        if not isinstance(rule, dict) or not isinstance(rule.get("Assertions"), list):
            raise malformed(f"Every Rules member must contain a list of Assertions ({name})")
        if "RuleCondition" in rule and not _truth(template, names, rule["RuleCondition"]):
            continue
        for assertion in rule["Assertions"]:
            if not isinstance(assertion, dict) or "Assert" not in assertion:
                raise malformed(f"Every Assertions member must contain an Assert ({name})")
            if not _truth(template, names, assertion["Assert"]):
                broken.append(f"Rule {name}: {assertion.get('AssertDescription') or 'an assertion failed'}")
    if broken:
        raise invalid(f"Template validation error: {'; '.join(broken)}")


def _truth(template: Template, names: Mapping[str, Any], asked: Any) -> bool:
    function, given = _call(asked)

    def values(at: int) -> list[str]:
        found = _value(template, names, given[at])
        return [as_text(each) for each in (found if isinstance(found, list) else [found])]

    def text(at: int) -> str:
        return as_text(_value(template, names, given[at]))

    def holds(each: Any) -> bool:
        return _truth(template, names, each)

    decide: dict[str, tuple[int | None, Callable[[], bool]]] = {
        "Fn::And": (None, lambda: all(map(holds, given))),
        "Fn::Or": (None, lambda: any(map(holds, given))),
        "Fn::Not": (1, lambda: not holds(given[0])),
        "Fn::Equals": (2, lambda: text(0) == text(1)),
        "Fn::Contains": (2, lambda: text(1) in values(0)),
        "Fn::EachMemberEquals": (2, lambda: all(each == text(1) for each in values(0))),
        "Fn::EachMemberIn": (2, lambda: set(values(0)) <= set(values(1))),
    }
    if function not in decide:
        raise malformed(f"Rules can only be boolean operations on parameters, not {function or 'values'}")
    wanted, decided = decide[function]
    if not isinstance(given, list) or (len(given) != wanted if wanted else len(given) < 2):
        raise malformed(f"{function} in Rules has not as many arguments as it needs")
    return decided()


def _value(template: Template, names: Mapping[str, Any], asked: Any) -> Any:
    if isinstance(asked, list):
        return [_value(template, names, each) for each in asked]
    if not isinstance(asked, dict):
        return asked
    function, given = _call(asked)
    if function == "Ref" and given in names:
        return names[given]
    if function == "Fn::RefAll":
        of = [name for name, rules in template.parameters.items() if rules.get("Type") == given]
        return [names[name] for name in of]
    if function in _ATTRIBUTES:
        raise not_emulated(f"{function} in Rules")
    raise malformed(
        f"Unresolved dependencies [{given if function == 'Ref' else function}] in the Rules block"
    )


def _call(asked: Any) -> tuple[str, Any]:
    if isinstance(asked, dict) and len(asked) == 1:
        [(function, given)] = asked.items()
        return str(function), given
    return "", None
