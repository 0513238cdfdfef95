"""PutProvisionedConcurrencyConfig and what belongs to it.

Source: https://docs.aws.amazon.com/lambda/latest/api/API_PutProvisionedConcurrencyConfig.html
"""

from __future__ import annotations

from typing import Any

from moto.awslambda.models import lambda_backends

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions import names
from sandbox.emulator.functions.api.aliases import find_alias
from sandbox.emulator.functions.api.validation import constraint, invalid
from sandbox.emulator.functions.api.versions import page
from sandbox.emulator.functions.logs import timestamp
from sandbox.emulator.functions.names import LATEST, FunctionName
from sandbox.emulator.functions.provisioned import Provision, Provisions
from sandbox.emulator.functions.store import FunctionStore, unreserved_concurrency


class ProvisionedConcurrency:
    """The four operations."""

    def __init__(self, core: AccountCore, store: FunctionStore, provisions: Provisions) -> None:
        self._core = core
        self._store = store
        self._provisions = provisions

    def handlers(self) -> Handlers:
        """The operations taken over from moto, which has none of them."""
        return {
            ("lambda", "PutProvisionedConcurrencyConfig"): self.put,
            ("lambda", "GetProvisionedConcurrencyConfig"): self.get,
            ("lambda", "DeleteProvisionedConcurrencyConfig"): self.delete,
            ("lambda", "ListProvisionedConcurrencyConfigs"): self.list_configs,
        }

    def put(self, call: Call) -> dict[str, Any]:
        """Keep environments of a version or alias ready."""
        name = self._name(call)
        wanted = int(call.params["ProvisionedConcurrentExecutions"])
        if wanted < 1:
            raise constraint(
                "provisionedConcurrentExecutions", wanted, "Member must have value greater than or equal to 1"
            )
        with self._core.dispatch_lock:
            version = self._version(name)
            self._check_conflict(name, version)
            self._check_room(name, wanted)
        return _members(self._provisions.put(name, version, wanted))

    def get(self, call: Call) -> dict[str, Any]:
        """What is kept ready."""
        return _members(self._get(self._name(call)))

    def delete(self, call: Call) -> dict[str, Any]:
        """Keep nothing ready any more."""
        name = self._name(call)
        with self._core.dispatch_lock:
            self._version(name)
        self._provisions.forget(name)
        return {}

    def list_configs(self, call: Call) -> dict[str, Any]:
        """All of a function."""
        name = names.parse(call.params["FunctionName"], account_id=call.account_id, region=call.region)
        with self._core.dispatch_lock:
            self._store.find(name.at(""))
        found = [
            {**_members(kept), "FunctionArn": kept.name.qualified_arn} for kept in self._provisions.of(name)
        ]
        return page(call, "ProvisionedConcurrencyConfigs", found)

    @staticmethod
    def _name(call: Call) -> FunctionName:
        name = names.parse(
            call.params["FunctionName"],
            account_id=call.account_id,
            region=call.region,
            qualifier=call.params["Qualifier"],
        )
        if name.qualifier == LATEST:
            raise invalid(
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
            )
        return name

    def _version(self, name: FunctionName) -> str:
        """The number of the version that is meant. Hold the dispatch lock."""
        self._store.find(name.at(""))
        if name.qualifier.isdigit():
            self._store.find(name)
            return name.qualifier
        alias = find_alias(name)
        if (alias.routing_config or {}).get("AdditionalVersionWeights"):
            raise invalid("Alias with weights can not be used with Provisioned Concurrency")
        return str(alias.function_version)

    def _check_conflict(self, name: FunctionName, version: str) -> None:
        for kept in self._provisions.of(name):
            if kept.version != version or kept.name == name:
                continue
            words = (
                "Version is pointed by a Provisioned Concurrency alias"
                if name.qualifier.isdigit()
                else "Alias can't be used for Provisioned Concurrency configuration on an already "
                "Provisioned version"
            )
            raise AwsError("ResourceConflictException", words, 409, Type="User")

    def _check_room(self, name: FunctionName, wanted: int) -> None:
        latest = self._store.find(name.at(""))
        others = sum(kept.wanted for kept in self._provisions.of(name) if kept.name != name)
        if latest.reserved_concurrency is not None:
            if wanted + others > int(latest.reserved_concurrency):
                raise invalid(
                    "Requested Provisioned Concurrency should not be greater than the "
                    "reservedConcurrentExecution for function"
                )
            return
        room = unreserved_concurrency(lambda_backends[name.account_id][name.region]) - others
        if wanted > room:
            raise invalid(
                "Specified ConcurrentExecutions for function is greater than account's unreserved "
                f"concurrency [{room}]."
            )

    def _get(self, name: FunctionName) -> Provision:
        with self._core.dispatch_lock:
            self._version(name)
        kept = self._provisions.find(name)
        if kept is None:
            raise AwsError(
                "ProvisionedConcurrencyConfigNotFoundException",
                "No Provisioned Concurrency Config found for this function",
                404,
                Type="User",
            )
        return kept


def _members(kept: Provision) -> dict[str, Any]:
    told: dict[str, Any] = {
        "RequestedProvisionedConcurrentExecutions": kept.wanted,
        "AvailableProvisionedConcurrentExecutions": kept.ready,
        "AllocatedProvisionedConcurrentExecutions": kept.ready,
        "Status": str(kept.status),
        "LastModified": timestamp(int(kept.modified.timestamp() * 1000)).replace("Z", "+0000"),
    }
    return {**told, "StatusReason": kept.reason} if kept.reason else told
