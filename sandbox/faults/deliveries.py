"""Faults that AWS allows itself when it delivers: twice, and in another order."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sandbox.faults.model import Striking


class DeliveryFault(Striking):
    """A fault of deliveries, chosen by the service that delivers and by what it delivers from."""

    resource: str = Field(
        default="",
        description="the name or the ARN of the queue, topic, rule, bucket, function or stream; "
        "`*` stands for anything",
    )


class Duplicates(DeliveryFault):
    """What was delivered is delivered once more, as services that promise "at least once" may.

    A message of a standard queue comes again after it was deleted, a batch of a stream after it was done, an
    asynchronous invocation with the same request id. FIFO queues and topics do not repeat themselves.
    """

    name: ClassVar[str] = "duplicates"

    service: Literal["", "sqs", "sns", "events", "s3", "lambda", "dynamodb", "kinesis"] = Field(
        default="", description="who delivers; lambda: asynchronous invocations; dynamodb: a table's stream"
    )


class Reordering(DeliveryFault):
    """Every other message of a standard queue or topic is held back, so that the next overtakes it.

    FIFO queues and topics, and streams, keep their order.
    """

    name: ClassVar[str] = "reordering"

    service: Literal["", "sqs", "sns"] = Field(default="", description="who delivers")
    seconds: float = Field(default=1.0, gt=0, le=900, description="how long it is held, in account time")
