"""Queries that are kept under a name.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutQueryDefinition.html
"""

from __future__ import annotations

import threading
import uuid
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.telemetry.insights.service import page


class QueryDefinitions:
    """Keeps query definitions by account and region."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        return {
            ("logs", "PutQueryDefinition"): self._put,
            ("logs", "DescribeQueryDefinitions"): self._describe,
            ("logs", "DeleteQueryDefinition"): self._delete,
        }

    def _of(self, call: Call) -> dict[str, dict[str, Any]]:
        return self._kept.setdefault((call.account_id, call.region), {})

    def _put(self, call: Call) -> dict[str, Any]:
        params = call.params
        with self._lock:
            kept = self._of(call)
            known = params.get("queryDefinitionId")
            if known is not None and known not in kept:
                raise _missing()
            made = known or str(uuid.uuid4())
            kept[made] = {
                "queryLanguage": params.get("queryLanguage") or "CWLI",
                "queryDefinitionId": made,
                "name": params["name"],
                "queryString": params["queryString"],
                "lastModified": int(self._core.clock.time() * 1000),
                "logGroupNames": list(params.get("logGroupNames") or ()),
            }
        return {"queryDefinitionId": made}

    def _describe(self, call: Call) -> dict[str, Any]:
        prefix = call.params.get("queryDefinitionNamePrefix") or ""
        language = call.params.get("queryLanguage")
        with self._lock:
            found = [
                each
                for each in self._of(call).values()
                if each["name"].startswith(prefix) and language in (None, each["queryLanguage"])
            ]
        return page("queryDefinitions", sorted(found, key=lambda each: str(each["name"])), call.params, 1000)

    def _delete(self, call: Call) -> dict[str, Any]:
        with self._lock:
            if self._of(call).pop(call.params["queryDefinitionId"], None) is None:
                raise _missing()
        return {"success": True}


def _missing() -> AwsError:
    return AwsError("ResourceNotFoundException", "The specified query definition does not exist.")
