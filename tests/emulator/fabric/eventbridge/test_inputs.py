"""What a target is given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator.calls import AwsError
from sandbox.emulator.fabric.eventbridge.inputs import check_target, make_input

EVENT = {
    "id": "e-1",
    "source": "shop",
    "detail": {"order": {"id": 7, "name": 'a "b"'}, "items": [{"sku": "x"}, {"sku": "y"}], "ok": True},
}
RULE = {"aws.events.rule-name": "orders", "aws.events.rule-arn": "arn:rule"}


def given(**target: Any) -> str:
    return make_input(target, EVENT, RULE)


def transformed(template: str, **paths: str) -> str:
    return given(InputTransformer={"InputPathsMap": paths, "InputTemplate": template})


def test_the_event_itself_unless_told_otherwise() -> None:
    assert json.loads(given()) == EVENT


def test_a_constant() -> None:
    assert given(Input='{"a": 1}') == '{"a": 1}'


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("$.detail.order.id", "7"),
        ("$.source", '"shop"'),
        ("$.detail.items[1].sku", '"y"'),
        ("$.detail.items[*].sku", '["x","y"]'),
        ("$['detail']['ok']", "true"),
        ("$.nothing", ""),
    ],
)
def test_a_part_of_the_event(path: str, text: str) -> None:
    assert given(InputPath=path) == text


def test_variables_are_json_outside_quotes_and_text_inside() -> None:
    text = transformed(
        '{"id": <id>, "who": <name>, "line": "order <id> of <name>", "all": <items>}',
        id="$.detail.order.id",
        name="$.detail.order.name",
        items="$.detail.items",
    )
    assert json.loads(text) == {
        "id": 7,
        "who": 'a "b"',
        "line": 'order 7 of a "b"',
        "all": [{"sku": "x"}, {"sku": "y"}],
    }


def test_a_template_may_be_one_string() -> None:
    assert transformed('"order <id> came"', id="$.detail.order.id") == '"order 7 came"'


def test_what_is_not_there_leaves_nothing() -> None:
    assert transformed('{"a": "<x>", "b": <x>}', x="$.detail.none") == '{"a": "", "b": ""}'


def test_reserved_variables() -> None:
    text = transformed('{"rule": <aws.events.rule-name>, "event": <aws.events.event>}')
    assert json.loads(text) == {"rule": "orders", "event": {"id": "e-1", "source": "shop"}}
    assert json.loads(transformed('{"event": <aws.events.event.json>}')) == {"event": EVENT}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"Input": "{}", "InputPath": "$.a"}, "Only one of"),
        ({"Input": "{"}, "JSON syntax error"),
        ({"InputPath": "detail"}, "no JSON path"),
        ({"InputTransformer": {"InputTemplate": '"<x>"'}}, "undefined placeholder <x>"),
        ({"InputTransformer": {"InputPathsMap": {"AWS.x": "$.a"}, "InputTemplate": "1"}}, "reserved"),
    ],
)
def test_an_input_that_can_not_be_made_is_refused(target: dict[str, Any], message: str) -> None:
    with pytest.raises(AwsError, match=message):
        check_target({"Id": "t", **target})
