"""What belongs to one request."""

from __future__ import annotations

from typing import Any

from graders.timeline.requests import number_requests

FUNCTION = "arn:aws:lambda:eu-north-1:111122223333:function:work"


class Story:
    """Events as the timeline has them, a tenth of a second apart."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def add(self, kind: str, subject: str, outcome: str = "ok", **detail: Any) -> int:
        number = len(self.events) + 1
        at = f"2026-03-01T10:00:{number // 10:02}.{number % 10}00Z"
        self.events.append(
            {
                "sequence": number,
                "at": at,
                "kind": kind,
                "subject": subject,
                "outcome": outcome,
                "detail": detail,
            }
        )
        return number

    def invocation(self, request: str, source: str = "api", **detail: Any) -> int:
        return self.add(
            "invocation",
            "work",
            function=FUNCTION,
            request_id=request,
            source=source,
            wall_ms=50,
            environment_id="e1",
            **detail,
        )


def together(story: Story, *events: int) -> bool:
    numbers = number_requests(story.events)
    found = {numbers.get(event) for event in events}
    return len(found) == 1 and None not in found


def test_what_happens_while_a_call_is_answered_belongs_to_it() -> None:
    story = Story()
    delivery = story.add("delivery", "s3:bucket", "filtered", during="r1")
    put = story.add("api", "s3:PutObject", request_id="r1")
    story.add("api", "s3:GetObject", request_id="r2")

    assert together(story, delivery, put)
    assert number_requests(story.events) == {delivery: 1, put: 1}


def test_a_delivery_leads_to_the_invocation_of_its_target() -> None:
    story = Story()
    first = story.add("delivery", "s3:bucket", target=FUNCTION, during="r1")
    second = story.add("delivery", "s3:bucket", target=FUNCTION, during="r2")
    one = story.invocation("i1", "s3:bucket")
    other = story.invocation("i2", "s3:bucket")

    assert together(story, first, one)
    assert together(story, second, other)
    assert not together(story, first, other)


def test_calls_of_a_function_belong_to_the_invocation_that_was_under_way() -> None:
    story = Story()
    early = story.add("api", "s3:GetObject", request_id="a", environment_id="e1")
    first = story.invocation("i1")
    late = story.add("api", "s3:PutObject", request_id="b", environment_id="e1")
    second = story.invocation("i2")
    story.events[early - 1]["at"] = "2026-03-01T10:00:00.190Z"
    story.events[late - 1]["at"] = "2026-03-01T10:00:00.360Z"

    assert together(story, early, first)
    assert together(story, late, second)
    assert not together(story, first, second)


def test_a_trace_joins_what_one_clock_could_not_tell() -> None:
    story = Story()
    call = story.add("api", "sqs:SendMessage", request_id="a", environment_id="e1", trace_id="1-a")
    first = story.invocation("i1", trace_id="1-a")
    second = story.invocation("i2", trace_id="1-b", linked_traces=["1-a"])
    other = story.invocation("i3", trace_id="1-c")

    assert together(story, call, first, second)
    assert not together(story, first, other)


def test_a_queue_hands_over_the_calls_that_sent_its_messages() -> None:
    story = Story()
    sent = story.add("api", "sqs:SendMessage", request_id="a")
    delivery = story.add("delivery", "sqs:queue", target=FUNCTION, sent_during=["a"], request_id="i1")
    ran = story.invocation("i1", "sqs:queue")

    assert together(story, sent, delivery, ran)
