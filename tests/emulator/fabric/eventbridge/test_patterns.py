"""Which events a pattern matches, and which patterns are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator.fabric.eventbridge.patterns import InvalidPattern, read_pattern


def matches(pattern: Any, event: Any) -> bool:
    return read_pattern(json.dumps(pattern)).matches(event)


def detail(test: Any, value: Any) -> bool:
    return matches({"detail": {"x": [test]}}, {"detail": {"x": value}})


@pytest.mark.parametrize(
    ("test", "accepted", "refused"),
    [
        ("a", ["a", ["b", "a"]], ["A", "ab", 1, None]),
        (5, [5, 5.0], ["5", 6]),
        (True, [True], [1, "true", False]),
        (None, [None], ["", 0]),
        ("", [""], [None]),
        ({"prefix": "ab"}, ["abc", "ab"], ["cab", 1]),
        ({"prefix": {"equals-ignore-case": "AB"}}, ["abc", "ABc"], ["cab"]),
        ({"suffix": ".png"}, ["a.png"], ["a.PNG"]),
        ({"suffix": {"equals-ignore-case": ".png"}}, ["a.PNG"], ["png"]),
        ({"equals-ignore-case": "Ab"}, ["aB"], ["abc"]),
        ({"wildcard": "a*c"}, ["ac", "abbc"], ["acd"]),
        ({"wildcard": "a\\*c"}, ["a*c"], ["abc"]),
        ({"numeric": [">", 1, "<=", 5]}, [5, 1.5], [1, 5.1, "3", True]),
        ({"numeric": ["=", 3.0]}, [3], [4]),
        ({"anything-but": "a"}, ["b", 1, None], ["a"]),
        ({"anything-but": ["a", "b"]}, ["c"], ["a", "b"]),
        ({"anything-but": [1, 2]}, [3], [1, 2.0]),
        ({"anything-but": {"prefix": "a"}}, ["b"], ["ab"]),
        ({"anything-but": {"prefix": ["a", "b"]}}, ["c"], ["ab", "ba"]),
        ({"anything-but": {"suffix": ".x"}}, ["a.y"], ["a.x"]),
        ({"anything-but": {"equals-ignore-case": ["A"]}}, ["b"], ["a"]),
        ({"anything-but": {"wildcard": "*/tmp/*"}}, ["/a"], ["/tmp/b"]),
        ({"cidr": "10.0.0.0/24"}, ["10.0.0.255"], ["10.0.1.0", "x", 1]),
        ({"cidr": "2001:db8::/32"}, ["2001:db8::1"], ["2001:db9::1"]),
        ({"exists": True}, ["a", None, 0, [1]], [{}, []]),
    ],
)
def test_an_operator_accepts_and_refuses(test: Any, accepted: list[Any], refused: list[Any]) -> None:
    assert [value for value in accepted if not detail(test, value)] == []
    assert [value for value in refused if detail(test, value)] == []


def test_absence() -> None:
    pattern = {"detail": {"x": [{"exists": False}]}}
    assert matches(pattern, {"detail": {"y": 1}})
    assert not matches(pattern, {"detail": {"x": None}})
    assert not matches({"detail": {"x": [{"anything-but": "a"}]}}, {"detail": {}})
    assert not matches({"detail": {"x": [None]}}, {"detail": {}})


def test_one_of_several_tests_is_enough_but_every_field_counts() -> None:
    pattern = {"source": ["a", {"prefix": "b"}], "detail": {"n": [{"numeric": [">", 0]}]}}
    assert matches(pattern, {"source": "bee", "detail": {"n": 1}})
    assert not matches(pattern, {"source": "bee", "detail": {"n": 0}})
    assert not matches(pattern, {"source": "c", "detail": {"n": 1}})


def test_or_joins_alternatives() -> None:
    pattern = {"source": ["s"], "$or": [{"detail": {"a": [1]}}, {"detail": {"b": [2]}}]}
    assert matches(pattern, {"source": "s", "detail": {"a": 1}})
    assert matches(pattern, {"source": "s", "detail": {"b": 2}})
    assert not matches(pattern, {"source": "s", "detail": {"a": 2, "b": 1}})
    nested = {"detail": {"$or": [{"a": [1]}, {"b": [{"exists": True}]}]}}
    assert matches(nested, {"detail": {"b": 0}})


def test_fields_of_array_elements_match_within_one_element() -> None:
    pattern = {"detail": {"items": {"sku": ["a"], "count": [2]}}}
    assert matches(pattern, {"detail": {"items": [{"sku": "b", "count": 1}, {"sku": "a", "count": 2}]}})
    assert not matches(pattern, {"detail": {"items": [{"sku": "a", "count": 1}, {"sku": "b", "count": 2}]}})


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("{", "Invalid JSON"),
        ("[]", "not an object"),
        ("{}", "Empty patterns"),
        ('{"source": "a"}', "must be an object or an array"),
        ('{"source": []}', "Empty arrays"),
        ('{"detail": {}}', "Empty objects"),
        ('{"source": ["a"], "source": ["b"]}', "only once"),
        ('{"source": [["a"]]}', "Match value"),
        ('{"source": [{"starts-with": "a"}]}', "Unrecognized match type starts-with"),
        ('{"source": [{"prefix": "a", "suffix": "b"}]}', "Only one key"),
        ('{"source": [{"prefix": 1}]}', "must be a string"),
        ('{"source": [{"exists": "yes"}]}', "either true or false"),
        ('{"source": [{"numeric": [">"]}]}', "Too many terms"),
        ('{"source": [{"numeric": ["!", 1]}]}', "Unrecognized numeric"),
        ('{"source": [{"numeric": [">", 5, "<", 1]}]}', "Bottom must be less"),
        ('{"source": [{"cidr": "10.0.0.0/99"}]}', "Malformed CIDR"),
        ('{"source": [{"wildcard": "a**"}]}', "Consecutive wildcard"),
        ('{"source": [{"anything-but": ["a", 1]}]}', "mixed"),
        ('{"source": [{"anything-but": {"numeric": ["=", 1]}}]}', "Unsupported anything-but"),
    ],
)
def test_a_pattern_is_refused_with_a_reason(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidPattern, match=reason.replace("(", r"\(")):
        read_pattern(pattern)
