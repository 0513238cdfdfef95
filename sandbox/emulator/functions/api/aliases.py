"""Creating, changing and deleting aliases; moto keeps them, we check them.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from moto.awslambda.models import lambda_backends

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions import names
from sandbox.emulator.functions.api.validation import constraint, invalid
from sandbox.emulator.functions.api.versions import page
from sandbox.emulator.functions.names import LATEST, FunctionName
from sandbox.emulator.functions.store import FunctionStore


class Aliases:
    """The five operations. ``moved`` is told when an alias points elsewhere, ``forget`` when one is gone."""

    def __init__(
        self,
        core: AccountCore,
        store: FunctionStore,
        moved: Callable[[FunctionName, str], None],
        forget: Callable[[FunctionName], None],
    ) -> None:
        self._core = core
        self._store = store
        self._moved = moved
        self._forget = forget

    def handlers(self) -> Handlers:
        """The operations taken over from moto."""
        return {
            ("lambda", "CreateAlias"): self.create,
            ("lambda", "GetAlias"): self.get,
            ("lambda", "UpdateAlias"): self.update,
            ("lambda", "DeleteAlias"): self.delete,
            ("lambda", "ListAliases"): self.list_aliases,
        }

    def create(self, call: Call) -> dict[str, Any]:
        """A name for a version, or for two by weight."""
        name, params = self._name(call), call.params
        if name.qualifier.isdigit():
            raise constraint(
                "name",
                name.qualifier,
                r"Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
            )
        with self._core.dispatch_lock:
            self._store.find(name.at(""))
            version = str(params["FunctionVersion"])
            self._store.find(name.at(version))
            routing = self._routing(name, version, params.get("RoutingConfig") or {})
            aliases = self._backend(name)._lambdas._aliases[name.arn]
            if name.qualifier in aliases:
                raise AwsError(
                    "ResourceConflictException",
                    f"Alias already exists: {name.qualified_arn}",
                    409,
                    Type="User",
                )
            made = self._backend(name).create_alias(
                name.qualifier, name.name, version, params.get("Description") or "", routing
            )
            return _members(name, made)

    def get(self, call: Call) -> dict[str, Any]:
        """What it points at."""
        name = self._name(call)
        with self._core.dispatch_lock:
            self._store.find(name.at(""))
            return _members(name, find_alias(name))

    def update(self, call: Call) -> dict[str, Any]:
        """Point it elsewhere; members that are left out stay as they are."""
        name, params = self._name(call), call.params
        with self._core.dispatch_lock:
            self._store.find(name.at(""))
            alias = find_alias(name)
            if params.get("RevisionId") and params["RevisionId"] != alias.revision_id:
                raise AwsError(
                    "PreconditionFailedException",
                    "The Revision Id provided does not match the latest Revision Id. Call the "
                    "GetFunction/GetAlias API to retrieve the latest Revision Id",
                    412,
                    Type="User",
                )
            version = str(params.get("FunctionVersion") or alias.function_version)
            self._store.find(name.at(version))
            routing = params.get("RoutingConfig")
            kept = self._routing(name, version, alias.routing_config if routing is None else routing)
            moved = version != str(alias.function_version)
            alias.update(params.get("Description"), version, kept)
            alias.revision_id = str(uuid.uuid4())
            told = _members(name, alias)
        if moved:
            self._moved(name, version)
        return told

    def delete(self, call: Call) -> dict[str, Any]:
        """It takes its configurations, its address and its permissions along."""
        name = self._name(call)
        with self._core.dispatch_lock:
            latest = self._store.find(name.at(""))
            self._backend(name).delete_alias(name.qualifier, name.name)
            policy = latest.policy
            policy.statements[:] = [s for s in policy.statements if s.get("Resource") != name.qualified_arn]
        self._forget(name)
        return {}

    def list_aliases(self, call: Call) -> dict[str, Any]:
        """All aliases of a function, or those that point at one version."""
        name = names.parse(call.params["FunctionName"], account_id=call.account_id, region=call.region)
        wanted = call.params.get("FunctionVersion")
        with self._core.dispatch_lock:
            self._store.find(name.at(""))
            aliases = self._backend(name)._lambdas._aliases[name.arn]
            found = [
                _members(name.at(key), alias)
                for key, alias in sorted(aliases.items())
                if not wanted or wanted in (str(alias.function_version), *_weights(alias.routing_config))
            ]
        return page(call, "Aliases", found)

    @staticmethod
    def _name(call: Call) -> FunctionName:
        name = names.parse(call.params["FunctionName"], account_id=call.account_id, region=call.region)
        return name.at(call.params["Name"])

    @staticmethod
    def _backend(name: FunctionName) -> Any:
        return lambda_backends[name.account_id][name.region]

    def _routing(self, name: FunctionName, version: str, routing: dict[str, Any] | None) -> dict[str, Any]:
        weights = _weights(routing)
        if not weights:
            return {}
        if len(weights) > 1:
            raise invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
        [(other, weight)] = weights.items()
        if not 0.0 <= float(weight) <= 1.0:
            raise constraint(
                "routingConfig.additionalVersionWeights",
                f"{{{other}={weight}}}",
                "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "
                "Member must have value greater than or equal to 0.0]",
            )
        if LATEST in (version, other):
            raise invalid(f"{LATEST} is not supported for an alias pointing to more than 1 version")
        if other == version:
            raise invalid(
                f"Invalid function version {version}. Function version {version} is already included in "
                "routing configuration."
            )
        one, two = self._store.find(name.at(version)), self._store.find(name.at(other))
        if one.role != two.role:
            raise invalid(
                "Both function versions in an alias routing configuration must have the same execution role."
            )
        return {"AdditionalVersionWeights": {other: float(weight)}}


def find_alias(name: FunctionName) -> Any:
    """moto's own alias. Hold the dispatch lock.

    Raises:
        AwsError: ResourceNotFoundException, in AWS's words.
    """
    alias = lambda_backends[name.account_id][name.region]._lambdas._aliases[name.arn].get(name.qualifier)
    if alias is None:
        raise AwsError(
            "ResourceNotFoundException", f"Cannot find alias arn: {name.qualified_arn}", 404, Type="User"
        )
    return alias


def _weights(routing: Any) -> dict[str, float]:
    return dict((routing or {}).get("AdditionalVersionWeights") or {})


def _members(name: FunctionName, alias: Any) -> dict[str, Any]:
    told = {
        "AliasArn": name.qualified_arn,
        "Name": name.qualifier,
        "FunctionVersion": str(alias.function_version),
        "Description": alias.description or "",
        "RevisionId": alias.revision_id,
    }
    weights = _weights(alias.routing_config)
    return {**told, "RoutingConfig": {"AdditionalVersionWeights": weights}} if weights else told
