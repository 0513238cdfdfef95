"""The page in a browser: what it shows, what belongs together, and that nothing of a learner's runs in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from graders.timeline.page import render
from graders.timeline.recording import Mark, Recording
from tests.browsing import chromium, needs_chromium

BEGIN = datetime(2026, 3, 1, 10, tzinfo=UTC).timestamp()
FUNCTION = "arn:aws:lambda:eu-north-1:111122223333:function:work"
TRACE = "1-65e1a7c0-000000000000000000000001"
LINKED = "1-65e1a7c0-000000000000000000000002"
HOSTILE = "</script><script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"

pytestmark = needs_chromium


def event(sequence: int, after_s: float, kind: str, subject: str, outcome: str = "ok", **detail: Any) -> Any:
    at = datetime.fromtimestamp(BEGIN + after_s, UTC).isoformat(timespec="milliseconds")
    return {
        "sequence": sequence,
        "at": at.replace("+00:00", "Z"),
        "kind": kind,
        "subject": subject,
        "outcome": outcome,
        "region": "eu-north-1",
        "account_id": "111122223333",
        "detail": detail,
    }


@pytest.fixture(scope="module")
def recording() -> Recording:
    """An upload, the function it starts, an hour, another function's failure, an alarm."""
    segment = {
        "id": "a" * 16,
        "trace_id": TRACE,
        "name": "work",
        "start_time": BEGIN + 0.1,
        "end_time": BEGIN + 0.3,
    }
    aws = {"namespace": "aws", "aws": {"operation": "PutItem", "table_name": "orders"}}
    below = {"id": "b" * 16, "name": "DynamoDB", **aws, "start_time": BEGIN + 0.2, "end_time": BEGIN + 0.25}
    taken = {
        "id": "c" * 16,
        "trace_id": LINKED,
        "name": "taken",
        "start_time": BEGIN + 0.4,
        "end_time": BEGIN + 0.5,
        "fault": True,
        "links": [{"trace_id": TRACE, "id": "a" * 16}, None],
        "annotations": {"order": HOSTILE},
        "cause": {"exceptions": [{"type": "ValueError", "message": HOSTILE}]},
        "subsegments": [{"id": "d" * 16, "name": "odd", "start_time": BEGIN + 0.4, "links": 7, "cause": "x"}],
    }
    return Recording(
        account_id="111122223333",
        region="eu-north-1",
        begin=BEGIN,
        end=BEGIN + 3601,
        events=[
            event(
                1, 0.0, "api", "s3:PutObject", request_id="r1", parameters={"Bucket": "box", "Key": HOSTILE}
            ),
            event(2, 0.01, "delivery", "s3:box", target=FUNCTION, during="r1"),
            event(
                3,
                0.3,
                "invocation",
                "work",
                function=FUNCTION,
                request_id="i1",
                source="s3:box",
                wall_ms=200,
                trace_id=TRACE,
            ),
            event(4, 3600.3, "clock", "advance", seconds=3600, before="2026-03-01T10:00:00.300Z"),
            event(5, 3600.5, "invocation", "other", "Runtime.Crash", request_id="i2", source="sqs:q"),
            event(6, 3600.6, "alarm", "failures", "ALARM", before="OK", reason="1 of 1 was above"),
            event(7, 3600.7, "fault", "latency", "began", id="latency-1", settings={"seconds": 2}),
        ],
        logs=[
            {
                "group": "/aws/lambda/work",
                "stream": "s",
                "at": BEGIN + 0.2,
                "message": f"RequestId: i1 {HOSTILE}",
            }
        ],
        metrics=[
            {
                "namespace": "AWS/Lambda",
                "name": "Errors",
                "dimensions": {"FunctionName": "other"},
                "stat": "Sum",
                "points": [(BEGIN, 0.0), (BEGIN + 3600, 1.0)],
            }
        ],
        alarms={"failures": "ALARM"},
        traces=[
            {
                "Id": TRACE,
                "StartTime": datetime.fromtimestamp(BEGIN + 0.1, UTC),
                "Duration": 0.2,
                "HasFault": False,
                "Segments": [{**segment, "subsegments": [below]}],
            },
            {
                "Id": LINKED,
                "StartTime": datetime.fromtimestamp(BEGIN + 0.4, UTC),
                "Duration": 0.1,
                "HasFault": True,
                "Segments": [taken],
            },
        ],
        marks=(Mark("f1 Uploads are taken in", BEGIN, BEGIN + 1, "passed", "1 of 1."),),
    )


@pytest.fixture(scope="module")
def page(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    file: Path = tmp_path_factory.mktemp("timeline") / "timeline.html"
    file.write_text(render(recording, "A lab"), "utf-8")
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto(file.as_uri())
        yield page
        assert set(asked) == {file.as_uri()}


@pytest.fixture(autouse=True)
def afresh(page: Page) -> None:
    page.reload()


def lanes(page: Page) -> list[str]:
    return page.locator(".lane .name").all_inner_texts()


def test_everything_has_its_lane(page: Page) -> None:
    shown = ["Checks", "Clock", "Faults", "failures", "other", "work", "s3:box", "s3", "X-Ray"]
    assert lanes(page) == [*shown, "Errors FunctionName=other"]


def test_an_hour_in_which_nothing_happens_is_folded(page: Page) -> None:
    expect(page.locator("#axis .fold")).to_have_text("+1 h")
    first = page.locator("rect.k-invocation.t-ok").bounding_box()
    failed = page.locator("rect.k-invocation.t-bad").bounding_box()
    assert first is not None
    assert failed is not None
    assert abs(first["x"] - failed["x"]) > 100


def test_what_was_picked_says_what_it_was_and_what_belongs_to_it(page: Page) -> None:
    page.locator("#list tr", has_text="work for s3:box").click()

    expect(page.locator("aside h2")).to_have_text("work for s3:box")
    related = page.locator("aside li").all_inner_texts()
    assert any("PutObject" in line for line in related)
    assert any("s3:box" in line for line in related)
    expect(page.locator("aside pre")).to_contain_text("RequestId: i1")


def test_one_request_can_be_looked_at_alone(page: Page) -> None:
    page.locator("#list tr", has_text="work for s3:box").click()
    page.locator("aside .only").click()

    expect(page.locator(".lane .name", has_text="other")).to_have_count(0)
    assert {"work", "s3:box", "s3", "X-Ray"} <= set(lanes(page))
    page.locator("#request").click()
    expect(page.locator(".lane .name", has_text="other").first).to_be_visible()


def test_a_trace_is_a_waterfall(page: Page) -> None:
    page.locator("#list tr", has_text=TRACE).click()

    bars = page.locator(".fall div").all_inner_texts()
    assert [text.split("·")[0].strip() for text in bars] == ["work", "DynamoDB PutItem orders"]
    insets = page.locator(".fall span").evaluate_all(
        "all => all.map((each) => parseFloat(each.style.paddingLeft))"
    )
    assert insets[0] < insets[1]


def test_linked_traces_lead_to_each_other(page: Page) -> None:
    page.locator("#list tr", has_text=TRACE).click()
    onward = page.locator("h3:has-text('Goes on in') + ol button")
    assert LINKED in onward.inner_text()
    onward.click()

    assert page.locator("aside h2").inner_text() == LINKED
    assert f"ValueError: {HOSTILE}" in page.locator("h3:has-text('Exceptions') + dl").inner_text()
    assert f"{HOSTILE} (taken)" in page.locator("h3:has-text('Annotations') + dl").inner_text()
    page.locator("h3:has-text('Goes on from') + ol button").click()
    assert page.locator("aside h2").inner_text() == TRACE
    assert page.evaluate("window.ran") is None


def test_words_narrow_what_is_shown(page: Page) -> None:
    page.locator("#search").fill("runtime.crash")

    expect(page.locator("#count")).to_contain_text("1 of")
    assert lanes(page) == ["other"]
    page.locator("#search").fill("nothing of the kind")
    page.locator("#reset").click()
    expect(page.locator(".lane .name", has_text="work").first).to_be_visible()


def test_keys_step_through_and_back(page: Page) -> None:
    page.keyboard.press("ArrowRight")
    first = page.locator("aside h2").inner_text()
    page.keyboard.press("ArrowRight")

    assert page.locator("aside h2").inner_text() != first
    page.keyboard.press("Escape")
    expect(page.locator("aside .empty")).to_be_visible()


def test_nothing_that_was_recorded_runs_in_the_page(page: Page) -> None:
    page.locator("#list tr", has_text="PutObject").click()
    expect(page.locator("aside dl").first).to_contain_text("onerror")

    assert page.evaluate("window.ran") is None
    assert page.locator("img").count() == 0


def test_a_phone_shows_it_without_scrolling_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})

    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 1280, "height": 900})
