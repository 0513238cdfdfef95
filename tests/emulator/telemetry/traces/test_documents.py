"""Segment documents: what is taken, what is refused and in which words, and what comes of the pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator.telemetry.traces.documents import (
    BadDocument,
    put_together,
    read_document,
    shift,
    within,
)
from sandbox.emulator.telemetry.traces.headers import TraceHeader, new_trace_id

NOW = 1_800_000_000.0
TRACE = new_trace_id(NOW)
SEGMENT = {
    "id": "70de5b6f19ff9a0a",
    "name": "orders.example",
    "trace_id": TRACE,
    "start_time": NOW,
    "end_time": NOW + 1,
}
SUBSEGMENT = SEGMENT | {"id": "53995c3f42cd8ad8", "type": "subsegment", "parent_id": SEGMENT["id"]}


def _without(name: str, document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}


@pytest.mark.parametrize(
    "document",
    [
        SEGMENT,
        SUBSEGMENT,
        _without("end_time", SEGMENT) | {"in_progress": True},
        SEGMENT | {"unknown": {"kept": True}},
    ],
)
def test_a_document_is_taken_as_it_is(document: dict[str, Any]) -> None:
    assert read_document(json.dumps(document), NOW) == document


@pytest.mark.parametrize(
    ("text", "code", "kind"),
    [
        ("{", "ParseError", "segment"),
        ("[" * 100_000, "InvalidSize", "segment"),
        ("[" * 60_000, "ParseError", "segment"),
        ("[]", "MissingId", "segment"),
        (_without("id", SEGMENT), "MissingId", "segment"),
        (SEGMENT | {"id": "7"}, "InvalidId", "segment"),
        (_without("name", SEGMENT), "MissingName", "segment"),
        (SUBSEGMENT | {"name": "a" * 201}, "InvalidName", "subsegment"),
        (SEGMENT | {"name": "what?"}, "InvalidName", "segment"),
        (_without("trace_id", SEGMENT), "InvalidTraceId", "segment"),
        (SEGMENT | {"trace_id": new_trace_id(NOW - 31 * 86400)}, "InvalidTraceId", "segment"),
        (SEGMENT | {"trace_id": new_trace_id(NOW + 3600)}, "InvalidTraceId", "segment"),
        (SEGMENT | {"parent_id": 7}, "InvalidParentId", "segment"),
        (_without("parent_id", SUBSEGMENT), "MissingParentId", "subsegment"),
        (_without("start_time", SEGMENT), "MissingStartTime", "segment"),
        (SEGMENT | {"start_time": "soon"}, "InvalidStartTime", "segment"),
        (_without("end_time", SEGMENT), "MissingEndTime", "segment"),
        (_without("end_time", SEGMENT) | {"in_progress": False}, "MissingEndTime", "segment"),
        (SEGMENT | {"subsegments": [{"name": "x"}]}, "MissingId", "subsegment"),
        (SEGMENT | {"subsegments": "none"}, "InvalidSubsegment", "segment"),
    ],
)
def test_what_is_wrong_with_a_document_is_named(text: Any, code: str, kind: str) -> None:
    with pytest.raises(BadDocument) as caught:
        read_document(text if isinstance(text, str) else json.dumps(text), NOW)
    assert str(caught.value) == f"Invalid {kind}. ErrorCode: {code}"


def test_subsegments_that_came_by_themselves_stand_below_their_parents() -> None:
    inner = SUBSEGMENT | {"id": "a" * 16, "parent_id": SUBSEGMENT["id"], "start_time": NOW + 0.2}
    orphan = SUBSEGMENT | {"id": "b" * 16, "parent_id": "c" * 16, "start_time": NOW + 0.1}
    whole = put_together([inner, orphan, SUBSEGMENT, SEGMENT])
    assert [each["id"] for each in whole] == [SEGMENT["id"], orphan["id"]]
    [below] = whole[0]["subsegments"]
    assert (below["id"], below["subsegments"][0]["id"]) == (SUBSEGMENT["id"], inner["id"])
    assert "trace_id" not in below
    assert "subsegments" not in SEGMENT


def test_subsegments_below_each_other_are_not_followed_for_ever() -> None:
    one, other = SUBSEGMENT | {"id": "a" * 16, "parent_id": "b" * 16}, SUBSEGMENT | {"id": "b" * 16}
    other["parent_id"] = one["id"]
    own = SUBSEGMENT | {"parent_id": SUBSEGMENT["id"]}
    whole = put_together([one, other, own])
    assert {each["id"] for each in whole} == {other["id"], own["id"]}
    json.dumps(whole)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("closed", [False, True])
def test_subsegments_that_lie_too_deep_stand_alone(order: int, closed: bool) -> None:
    """A function that calls itself makes chains as long as a trace may be."""
    chain = [SUBSEGMENT | {"id": f"{n:016x}", "parent_id": f"{(n - 1) % 2500:016x}"} for n in range(2500)]
    if not closed:
        chain[0] = SEGMENT | {"id": chain[0]["id"]}
    whole = put_together(chain[::order])
    assert len([part for each in whole for part in within(each)]) == len(chain)
    assert len({id(part) for each in whole for part in within(each)}) == len(chain)
    assert 30 < len(whole) < 50
    json.dumps(whole)


def test_times_move_to_another_clock_at_every_depth() -> None:
    document = json.loads(json.dumps(SEGMENT | {"subsegments": [SUBSEGMENT | {"subsegments": [SUBSEGMENT]}]}))
    shift(document, 3600)
    inner = document["subsegments"][0]["subsegments"][0]
    assert (document["start_time"], inner["end_time"]) == (NOW + 3600, NOW + 3601)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"Root={TRACE};Parent={'a' * 16};Sampled=1", TraceHeader(TRACE, "a" * 16, True)),
        (f"Sampled=0; Self=1-x ;Root={TRACE}", TraceHeader(TRACE, "", False)),
        (f"Root={TRACE};Sampled=?", TraceHeader(TRACE)),
        (f"Root={TRACE};Parent=mine", TraceHeader(TRACE)),
        ("Root=1-5e8-1;Sampled=1", None),
        ("", None),
    ],
)
def test_a_header_says_which_trace_below_whom_and_whether(text: str, found: TraceHeader | None) -> None:
    assert TraceHeader.read(text) == found
    if found is not None:
        assert TraceHeader.read(str(found)) == found
