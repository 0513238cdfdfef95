"""API Gateway: the addresses that answer, and what moto's control plane lacks for them."""

from sandbox.emulator.fabric.apigateway import patches as patches
from sandbox.emulator.fabric.apigateway.service import ApiGateway

__all__ = ["ApiGateway"]
