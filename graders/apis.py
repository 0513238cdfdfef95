"""Stages of REST and HTTP APIs as a check sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.account import Account


@dataclass(frozen=True, slots=True)
class ApiStage:
    """A stage. Its limits hold for all its routes; None where nobody set them.

    ``log_group`` is the name of the group that its access log goes to, empty without one.
    """

    api_id: str
    name: str
    rate: float | None
    burst: int | None
    log_group: str

    @property
    def label(self) -> str:
        """What to call it in evidence."""
        return f"{self.api_id}/{self.name}"


def stages(account: Account, of_type: Callable[[str], Sequence[str]]) -> list[ApiStage]:
    """The stages of a stack's APIs; ``of_type`` gives the physical ids of a resource type."""
    found = [
        stage
        for api_id in of_type("AWS::ApiGatewayV2::Api")
        for stage in _http_stages(account.client("apigatewayv2"), api_id)
    ]
    for api_id in of_type("AWS::ApiGateway::RestApi"):
        for item in account.client("apigateway").get_stages(restApiId=api_id)["item"]:
            limits = item.get("methodSettings", {}).get("*/*", {})
            found.append(
                ApiStage(
                    api_id,
                    item["stageName"],
                    _rate(limits.get("throttlingRateLimit")),
                    _burst(limits.get("throttlingBurstLimit")),
                    _group(item.get("accessLogSettings", {}).get("destinationArn", "")),
                )
            )
    return found


def _http_stages(client: Any, api_id: str) -> Iterator[ApiStage]:
    for item in client.get_stages(ApiId=api_id)["Items"]:
        limits: Mapping[str, Any] = item.get("DefaultRouteSettings", {})
        yield ApiStage(
            api_id,
            item["StageName"],
            _rate(limits.get("ThrottlingRateLimit")),
            _burst(limits.get("ThrottlingBurstLimit")),
            _group(item.get("AccessLogSettings", {}).get("DestinationArn", "")),
        )


# A REST API tells of limits that nobody set by a negative number.
def _rate(value: Any) -> float | None:
    return None if value is None or value < 0 else float(value)


def _burst(value: Any) -> int | None:
    return None if value is None or value < 0 else int(value)


def _group(arn: str) -> str:
    return arn.partition(":log-group:")[2].removesuffix(":*")
