"""API Gateway of an account: control plane and the deployed APIs' own addresses."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from sandbox.emulator.calls import Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.apigateway.authorization import Keys
from sandbox.emulator.fabric.apigateway.caching import ResponseCaches
from sandbox.emulator.fabric.apigateway.dataplane import DataPlane
from sandbox.emulator.fabric.apigateway.deployments import Deployments
from sandbox.emulator.fabric.apigateway.domains import Domains
from sandbox.emulator.fabric.apigateway.http_control import HttpControl
from sandbox.emulator.fabric.apigateway.rest_control import RestControl
from sandbox.emulator.fabric.apigateway.tags import Tags
from sandbox.emulator.fabric.web import Web
from sandbox.emulator.functions.contract import Functions
from sandbox.emulator.telemetry.traces.service import Traces


class ApiGateway:
    """REST and HTTP APIs: made through :meth:`handlers`, called through :meth:`wsgi`."""

    def __init__(
        self,
        core: AccountCore,
        functions: Functions,
        keys: Keys | None = None,
        web: Web | None = None,
        traces: Traces | None = None,
    ) -> None:
        deployments = Deployments(random.Random(f"apigateway:{core.account_id}"))
        caches = ResponseCaches(core.clock.time)
        self._rest = RestControl(core, deployments, caches)
        self._tags = Tags(core)
        self._http = HttpControl(core, deployments)
        self._plane = DataPlane(core, functions, deployments, keys, traces or Traces(core), web, caches)
        self.domains = Domains(core, self._plane)

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        return {
            **self._rest.handlers(),
            **self._tags.handlers(),
            **self._http.handlers(),
            **self.domains.handlers(),
        }

    def find(self, host: str, path: str) -> bool:
        """Whether an HTTP request is for a deployed API.

        By its Host, ``{api}.execute-api.{region}.amazonaws.com`` (or ``.localhost``), or by its path,
        ``/_aws/execute-api/{api}/{stage}/…``.
        """
        return self._plane.find(host, path)

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request that :meth:`find` said is for a deployed API."""
        return self._plane.wsgi(environ, start_response)
