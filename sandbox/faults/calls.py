"""Faults of API calls: they fail, are throttled, take long, or wait for each other."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from sandbox.faults.model import Fault, Striking

_ANY = "; `*` stands for anything"


class CallFault(Striking):
    """A fault of the calls that are chosen by what they are and who makes them.

    Calls of functions, of the learner, and of services that deliver or act in a role are chosen from; the
    grader's own only with ``grader``. An empty setting chooses any.
    """

    service: str = Field(default="", description="as the SDK for Python names it, such as dynamodb")
    operation: str = Field(default="", description=f"such as PutItem{_ANY}")
    resource: str = Field(default="", description=f"the ARN of what is asked for{_ANY}")
    region: str = Field(default="", description="the region that is asked")
    principal: str = Field(
        default="", description=f"who asks: a role, a function, a service or an ARN of them{_ANY}"
    )
    grader: bool = Field(default=False, description="the grader's own calls, too")

    @model_validator(mode="after")
    def _names_something(self) -> CallFault:
        if ":" in self.operation:
            raise ValueError("`operation` has no service in it; name that with `service`")
        return self


class Errors(CallFault):
    """API calls fail with an error, in the shape the service gives its errors."""

    name: ClassVar[str] = "errors"

    code: str = Field(default="", description="the error's code; the service's own internal error if empty")
    status: int | None = Field(
        default=None, ge=400, le=599, description="the HTTP status; the one that the code has at the service"
    )
    message: str = Field(default="", description="what the error says")
    performed: bool = Field(default=False, description="the call is performed before it fails")


class ThrottleCalls(CallFault):
    """API calls are refused as too many, by the error that the service has for it."""

    name: ClassVar[str] = "throttle_calls"


class Latency(CallFault):
    """API calls and deliveries are performed late.

    A call waits in account time: as long as a function runs that is real time, which no jump may skip.
    """

    name: ClassVar[str] = "latency"

    seconds: float = Field(gt=0, le=900, description="how late, or the median with `p99`")
    p99: float | None = Field(
        default=None, gt=0, le=900, description="how late one of a hundred is: a long tail (log-normal)"
    )

    @model_validator(mode="after")
    def _tail_is_longer(self) -> Latency:
        if self.p99 is not None and self.p99 < self.seconds:
            raise ValueError("`p99` is less than `seconds`, the median")
        return self


class CallsMeet(Fault):
    """Functions' calls of one operation wait until every invocation under way came to one, or ended.

    So runs at once overlap for certain; nothing waits for longer than five seconds.
    """

    name: ClassVar[str] = "calls.meet"

    operation: str = Field(pattern=r"^[a-z0-9-]+:[A-Za-z0-9]+$", description="such as s3:PutObject")
