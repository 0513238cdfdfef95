"""Moto would answer deployed APIs itself, by patching HTTP clients of its own process."""

from __future__ import annotations

from typing import Any

from sandbox.emulator.patches import replaces


@replaces(
    "moto.apigateway.models",
    "RestAPI.update_integration_mocks",
    source_sha256="9fa3ff83cac49f1525af3fb89ed18c98d8088ace8a142d942acf036e3d811a73",
)
def _answer_nothing(_original: Any) -> Any:
    def update_integration_mocks(_self: Any, _stage_name: str) -> None:
        """Requests come to the data plane."""

    return update_integration_mocks
