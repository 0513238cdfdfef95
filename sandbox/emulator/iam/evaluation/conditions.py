"""A condition of a statement: operator, key and values, with set operators, ``IfExists`` and ``Null``.

Sources:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from sandbox.emulator.iam.evaluation import operators, variables
from sandbox.emulator.iam.evaluation.operators import FAMILIES, WITH_VARIABLES, WITH_WILDCARDS, Test

Lookup = Callable[[str], tuple[str, ...]]
_IF_EXISTS = "IfExists"


class Quantifier(Enum):
    """How the values of a key in the request are taken together."""

    PLAIN = ""
    ALL = "ForAllValues:"
    ANY = "ForAnyValue:"


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of one operator. Statements apply when all of theirs hold."""

    operator: str
    key: str
    lookup_key: str
    quantifier: Quantifier
    negated: bool
    if_exists: bool
    constant: Test | None
    """The comparison, when no variable is in it."""
    test_for: Callable[[Lookup], Test | None]
    """The comparison for a request; ``None``: a variable has no value, so the statement cannot apply."""

    def holds(self, value_of: Lookup) -> bool:
        """Whether the request meets the condition."""
        values = value_of(self.lookup_key)
        if not values:
            return self._holds_without()
        test = self.constant or self.test_for(value_of)
        if test is None:
            return False
        if self.quantifier is Quantifier.PLAIN:
            return (test(values[0]) if len(values) == 1 else any(map(test, values))) != self.negated
        if not any(values):
            # "If the key values in the request resolve to an empty data set (for example, an empty string)"
            return self.quantifier is Quantifier.ALL
        matches = (test(value) != self.negated for value in values)
        return all(matches) if self.quantifier is Quantifier.ALL else any(matches)

    def _holds_without(self) -> bool:
        """A key that the request lacks: negated operators hold, others not, set operators by their kind."""
        if self.if_exists:
            return True
        if self.quantifier is Quantifier.PLAIN:
            return self.negated
        return self.quantifier is Quantifier.ALL


@dataclass(frozen=True, slots=True)
class NullCondition:
    """Asks whether a key is absent. ``accepted``: the answers that hold."""

    operator: str
    key: str
    accepted: frozenset[bool]

    def holds(self, value_of: Lookup) -> bool:
        """Whether the key's absence is as wanted."""
        return (not value_of(self.key.lower())) in self.accepted


AnyCondition = Condition | NullCondition


def known_operator(name: str) -> bool:
    """Whether there is such an operator, with its set operator and ``IfExists``."""
    base = _cut(name)[1]
    return base in FAMILIES or (base == "Null" and not name.endswith(_IF_EXISTS))


def _cut(name: str) -> tuple[Quantifier, str, bool]:
    quantifier = next(
        (each for each in (Quantifier.ALL, Quantifier.ANY) if name.startswith(each.value)), None
    )
    bare = name.removeprefix(quantifier.value) if quantifier else name
    return quantifier or Quantifier.PLAIN, bare.removesuffix(_IF_EXISTS), bare.endswith(_IF_EXISTS)


def compile_condition(name: str, key: str, values: Sequence[str], *, with_variables: bool) -> AnyCondition:
    """A condition ready to be asked. ``name`` is a known operator; ``with_variables``: by the version."""
    quantifier, base, if_exists = _cut(name)
    if base == "Null":
        accepted = (operators.truth(value) for value in values)
        return NullCondition(name, key, frozenset(want for want in accepted if want is not None))
    family, negated = FAMILIES[base]
    templates = [
        variables.read(
            value,
            variables=with_variables and base in WITH_VARIABLES,
            wildcards=base in WITH_WILDCARDS,
        )
        for value in values
    ]
    patterns = [variables.fixed(template) for template in templates]
    known = [pieces for pieces in patterns if pieces is not None]
    constant = family(known) if len(known) == len(templates) else None

    def test_for(value_of: Lookup) -> Test | None:
        filled = [variables.fill(template, value_of) for template in templates]
        usable = [pieces for pieces in filled if pieces is not None]
        if negated and len(usable) < len(filled):
            return None
        return family(usable)

    return Condition(name, key, key.lower(), quantifier, negated, if_exists, constant, test_for)
