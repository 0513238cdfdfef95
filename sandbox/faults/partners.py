"""Faults of a partner: a function of the grader's that the learner's code calls."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from sandbox.faults.made import Hands, MadeFault, configure, function_name

# What tells the partner's code how to behave.
VARIABLE = "BEHAVIOUR"


def _parsed(value: Any) -> Any:
    """An object, or its JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("should be a JSON object") from None


class Partner(MadeFault):
    """A partner answers late, with errors, wrongly, or takes few calls at once.

    More ``latency_ms`` than the caller waits is a partner that hangs. It concerns calls that begin meanwhile.
    """

    name: ClassVar[str] = "partner"

    function: str = Field(min_length=1, description="the partner's ARN")
    latency_ms: int = Field(default=0, ge=0, le=50_000, description="how long each call takes")
    failure: str = Field(default="", description="the error that calls end with; any class name")
    share: float = Field(default=1.0, gt=0, le=1, description="how many of the calls fail, 0 to 1")
    seed: int = Field(default=0, description="which calls make up the share")
    performed: bool = Field(default=False, description="a call that fails has done what it was asked to")
    answer: Annotated[dict[str, Any], BeforeValidator(_parsed)] = Field(
        default={}, description="what answers have beside, or in place of, the usual"
    )
    concurrency: int | None = Field(
        default=None, ge=0, description="how many calls at once; more are throttled"
    )

    def make(self, aws: Hands) -> None:
        """Tell it by its environment, which also gives it new ones."""
        client, (name, _) = aws.partners("lambda", self.region), function_name(self.function)
        before = (
            client.get_function_configuration(FunctionName=name).get("Environment", {}).get("Variables", {})
        )
        told = self.model_dump(exclude={"function", "region", "concurrency"}, exclude_defaults=True)
        configure(client, name, {**before, VARIABLE: json.dumps(told)})
        aws.undo(f"behaviour of {name}", lambda: configure(client, name, before))
        if self.concurrency is not None:
            client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=self.concurrency)
            aws.undo(f"concurrency of {name}", lambda: client.delete_function_concurrency(FunctionName=name))
