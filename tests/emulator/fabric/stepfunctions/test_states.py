"""What each state does to its input, in both query languages."""

from __future__ import annotations

import json
from typing import Any

import pytest

END = {"End": True}


def test_pass_shapes_data(machines: Any) -> None:
    states = {
        "First": {
            "Type": "Pass",
            "InputPath": "$.order",
            "Parameters": {
                "id.$": "$.id",
                "label.$": "States.Format('{}-{}', $.id, $$.Execution.Name)",
                "prices.$": "$.lines[*].price",
                "dear.$": "$.lines[?(@.price > 4)].name",
                "nested": {"count.$": "States.ArrayLength($.lines)"},
            },
            "ResultPath": "$.shaped",
            "OutputPath": "$.shaped",
            "End": True,
        }
    }
    order = {"id": "7", "lines": [{"name": "a", "price": 3}, {"name": "b", "price": 5}]}
    arn = machines.make(states)
    execution = machines.start(arn, {"order": order}, name="run-1")
    output = json.loads(machines.client.describe_execution(executionArn=execution)["output"])
    assert output == {
        "id": "7",
        "label": "7-run-1",
        "prices": [3, 5],
        "dear": ["b"],
        "nested": {"count": 2},
    }


@pytest.mark.parametrize(
    ("function", "value"),
    [
        ("States.StringToJson('{\"a\": 1}')", {"a": 1}),
        ("States.JsonToString($.map)", '{"b":2}'),
        ("States.Array('x', 1, true, null)", ["x", 1, True, None]),
        ("States.ArrayPartition($.list, 2)", [[1, 2], [3]]),
        ("States.ArrayContains($.list, 2)", True),
        ("States.ArrayRange(1, 9, 4)", [1, 5, 9]),
        ("States.ArrayGetItem($.list, 1)", 2),
        ("States.ArrayUnique(States.Array(1, 1, 2))", [1, 2]),
        ("States.Base64Encode('text')", "dGV4dA=="),
        ("States.Base64Decode('dGV4dA==')", "text"),
        ("States.Hash('input data', 'SHA-1')", "aaff4a450a104cd177d28d18d74485e8cae074b7"),
        ("States.JsonMerge($.map, States.StringToJson('{\"b\":3}'), false)", {"b": 3}),
        ("States.MathAdd(40, $.list[1])", 42),
        ("States.StringSplit('1,2;3', ',;')", ["1", "2", "3"]),
        ("States.Format('it\\'s {}', 'so')", "it's so"),
    ],
)
def test_intrinsic_functions(machines: Any, function: str, value: Any) -> None:
    states = {"Only": {"Type": "Pass", "Parameters": {"value.$": function}, "End": True}}
    assert machines.run(states, {"list": [1, 2, 3], "map": {"b": 2}}) == {"value": value}


def test_a_path_that_leads_nowhere_ends_the_execution(machines: Any) -> None:
    states = {"Only": {"Type": "Pass", "Parameters": {"value.$": "$.missing"}, "End": True}}
    error, cause = machines.fail(states, {"there": 1})
    assert error == "States.Runtime"
    assert "'$.missing' specified for the field 'value.$' could not be found in the input" in cause


@pytest.mark.parametrize(
    ("rule", "given", "chosen"),
    [
        ({"Variable": "$.n", "NumericGreaterThan": 3}, {"n": 4}, True),
        ({"Variable": "$.n", "NumericGreaterThan": 3}, {"n": "4"}, False),
        ({"Variable": "$.s", "StringMatches": "log-*.txt"}, {"s": "log-1.txt"}, True),
        ({"Variable": "$.s", "StringMatches": "a\\*b"}, {"s": "a*b"}, True),
        ({"Variable": "$.s", "StringEqualsPath": "$.t"}, {"s": "x", "t": "x"}, True),
        ({"Variable": "$.b", "BooleanEquals": True}, {"b": True}, True),
        ({"Variable": "$.b", "IsPresent": False}, {}, True),
        ({"Variable": "$.b", "IsNull": True}, {"b": None}, True),
        ({"Variable": "$.b", "IsNumeric": True}, {"b": True}, False),
        (
            {"Variable": "$.t", "TimestampLessThan": "2026-01-02T00:00:00Z"},
            {"t": "2026-01-02T00:30:00+01:00"},
            True,
        ),
        ({"Not": {"Variable": "$.n", "NumericEquals": 1}}, {"n": 2}, True),
        (
            {
                "And": [
                    {"Variable": "$.n", "NumericLessThan": 5},
                    {
                        "Or": [
                            {"Variable": "$.s", "StringEquals": "x"},
                            {"Variable": "$.n", "NumericEquals": 2},
                        ]
                    },
                ]
            },
            {"n": 2, "s": "y"},
            True,
        ),
    ],
)
def test_choices(machines: Any, rule: Any, given: Any, chosen: bool) -> None:
    states = {
        "Choose": {"Type": "Choice", "Choices": [{**rule, "Next": "Yes"}], "Default": "No"},
        "Yes": {"Type": "Pass", "Result": True, "End": True},
        "No": {"Type": "Pass", "Result": False, "End": True},
    }
    assert machines.run(states, given) is chosen


def test_no_choice_at_all_fails(machines: Any) -> None:
    states = {
        "Choose": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 1, "Next": "Yes"}]},
        "Yes": {"Type": "Succeed"},
    }
    assert machines.fail(states, {"n": 2})[0] == "States.NoChoiceMatched"


def test_fail_tells_its_error_and_cause(machines: Any) -> None:
    states = {"Only": {"Type": "Fail", "Error": "Order.Refused", "CausePath": "$.why"}}
    assert machines.fail(states, {"why": "no stock"}) == ("Order.Refused", "no stock")


def test_waiting_takes_account_time_and_no_thread(machines: Any) -> None:
    states = {
        "Hours": {"Type": "Wait", "SecondsPath": "$.wait", "Next": "Until"},
        "Until": {"Type": "Wait", "TimestampPath": "$.until", "Next": "Done"},
        "Done": {"Type": "Succeed"},
    }
    clock = machines.account.core.clock
    until = clock.now().timestamp() + 7200
    moment = clock.now().fromtimestamp(until, clock.now().tzinfo).isoformat().replace("+00:00", "Z")
    execution = machines.start(machines.make(states), {"wait": 3600, "until": moment})
    describe = machines.client.describe_execution
    machines.account.advance(3500)
    assert machines.history(execution)[-1] == "WaitStateEntered"
    machines.account.advance(200)
    assert machines.history(execution)[-1] == "WaitStateEntered"
    assert describe(executionArn=execution)["status"] == "RUNNING"
    machines.account.advance(3600)
    assert describe(executionArn=execution)["status"] == "SUCCEEDED"


def test_parallel_branches_gather_in_order(machines: Any) -> None:
    def branch(value: str, seconds: int) -> dict[str, Any]:
        return {
            "StartAt": "W",
            "States": {
                "W": {"Type": "Wait", "Seconds": seconds, "Next": "P"},
                "P": {"Type": "Pass", "Result": value, "End": True},
            },
        }

    states = {"Both": {"Type": "Parallel", "Branches": [branch("slow", 60), branch("fast", 1)], **END}}
    assert machines.run(states, seconds=61) == ["slow", "fast"]


def test_a_branch_that_fails_ends_the_others_and_can_be_caught(machines: Any) -> None:
    failing = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "Broken", "Cause": "why"}}}
    waiting = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}
    states = {
        "Both": {
            "Type": "Parallel",
            "Branches": [waiting, failing],
            "Catch": [{"ErrorEquals": ["Broken"], "ResultPath": "$.problem", "Next": "Told"}],
            "End": True,
        },
        "Told": {"Type": "Pass", "End": True},
    }
    assert machines.run(states, {"id": 1}) == {"id": 1, "problem": {"Error": "Broken", "Cause": "why"}}


def test_map_runs_its_items_in_order_and_in_limits(machines: Any) -> None:
    seen: list[Any] = []
    machines.functions.answer = lambda event: seen.append(event) or event["n"] * 2
    states = {
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.numbers",
            "ItemSelector": {"n.$": "$$.Map.Item.Value", "at.$": "$$.Map.Item.Index", "of.$": "$.order"},
            "MaxConcurrency": 2,
            "ItemProcessor": {
                "StartAt": "Double",
                "States": {"Double": {"Type": "Task", "Resource": machines.function, "End": True}},
            },
            "ResultPath": "$.doubled",
            "End": True,
        }
    }
    output = machines.run(states, {"numbers": list(range(20)), "order": "x"})
    assert output["doubled"] == [n * 2 for n in range(20)]
    assert sorted(each["at"] for each in seen) == list(range(20))
    assert {each["of"] for each in seen} == {"x"}


def test_a_map_of_two_thousand_items_that_do_nothing(machines: Any) -> None:
    processor = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": 1, "End": True}}}
    states = {
        "Each": {"Type": "Map", "ItemProcessor": processor, "MaxConcurrency": 1, "Next": "Count"},
        "Count": {"Type": "Pass", "Parameters": {"n.$": "States.ArrayLength($)"}, "End": True},
    }
    assert machines.run(states, list(range(2_000))) == {"n": 2_000}


def test_variables_in_both_languages(machines: Any) -> None:
    states = {
        "Keep": {"Type": "Pass", "Assign": {"total.$": "$.total"}, "Next": "Sum"},
        "Sum": {
            "Type": "Pass",
            "QueryLanguage": "JSONata",
            "Assign": {"twice": "{% $total * 2 %}"},
            "Output": {"was": "{% $total %}", "names": "{% $states.input.lines.name %}"},
            "Next": "Last",
        },
        "Last": {"Type": "Pass", "Parameters": {"twice.$": "$twice", "names.$": "$.names"}, "End": True},
    }
    given = {"total": 21, "lines": [{"name": "a"}, {"name": "b"}]}
    assert machines.run(states, given) == {"twice": 42, "names": ["a", "b"]}


def test_jsonata_from_end_to_end(machines: Any) -> None:
    machines.functions.answer = lambda event: {"price": event["n"] * 10}
    states = {
        "Each": {
            "Type": "Map",
            "Items": "{% $states.input.numbers %}",
            "ItemSelector": {"n": "{% $states.context.Map.Item.Value %}"},
            "ItemProcessor": {
                "StartAt": "Price",
                "States": {
                    "Price": {
                        "Type": "Task",
                        "Resource": "arn:aws:states:::lambda:invoke",
                        "Arguments": {"FunctionName": machines.function, "Payload": "{% $states.input %}"},
                        "Output": "{% $states.result.Payload.price %}",
                        "End": True,
                    }
                },
            },
            "Output": "{% {'sum': $sum($states.result)} %}",
            "Next": "Dear?",
        },
        "Dear?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.sum > 50 %}", "Next": "Dear"}],
            "Default": "Cheap",
        },
        "Dear": {"Type": "Pass", "Output": "{% 'dear: ' & $states.input.sum %}", "End": True},
        "Cheap": {"Type": "Pass", "Output": "cheap", "End": True},
    }
    assert machines.run(states, {"numbers": [1, 2, 3]}, QueryLanguage="JSONata") == "dear: 60"


def test_an_expression_that_gives_nothing_is_an_error(machines: Any) -> None:
    states = {"Only": {"Type": "Pass", "Output": "{% $states.input.missing %}", "End": True}}
    error, cause = machines.fail(states, {"there": 1}, QueryLanguage="JSONata")
    assert error == "States.QueryEvaluationError"
    assert "returned nothing (undefined)" in cause


def test_data_larger_than_the_limit_ends_the_execution(machines: Any) -> None:
    machines.functions.answer = lambda event: "x" * 300_000
    states = {
        "Big": {
            "Type": "Task",
            "Resource": machines.function,
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Never"}],
            "End": True,
        },
        "Never": {"Type": "Succeed"},
    }
    assert machines.fail(states)[0] == "States.DataLimitExceeded"


def test_a_history_has_an_end(machines: Any) -> None:
    states = {
        "Again": {"Type": "Pass", "Next": "More"},
        "More": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.stop", "IsPresent": True, "Next": "Done"}],
            "Default": "Again",
        },
        "Done": {"Type": "Succeed"},
    }
    error, cause = machines.fail(states)
    assert error == "States.Runtime"
    assert "limit of 25000 events" in cause
