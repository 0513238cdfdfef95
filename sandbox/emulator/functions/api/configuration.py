"""Creating, describing, changing and deleting functions, and their reserved concurrency."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError
from moto.awslambda.models import lambda_backends
from moto.core.exceptions import JsonRESTError

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions import names
from sandbox.emulator.functions.api import layers as layers_of
from sandbox.emulator.functions.api import validation
from sandbox.emulator.functions.api.describing import KEPT_BESIDE, configuration, new_revision, write_extras
from sandbox.emulator.functions.api.validation import invalid
from sandbox.emulator.functions.api.versions import check_revision, page, publish
from sandbox.emulator.functions.code import UNPACKED_LIMIT_BYTES
from sandbox.emulator.functions.credentials import session_of
from sandbox.emulator.functions.fleet import Fleet
from sandbox.emulator.functions.names import LATEST, FunctionName
from sandbox.emulator.functions.runtimes import Runtimes
from sandbox.emulator.functions.store import Archive, FunctionStore, read_extras, unreserved_concurrency
from sandbox.errors import EnvironmentFault

UNRESERVED_MINIMUM = 100
_WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"
# Source: https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html (supported runtimes)
_SNAP_START = ("java11", "java17", "java21", "java25", "python3.12", "python3.13", "python3.14", "dotnet")


class FunctionConfigurations:
    """Functions as objects of the API; moto keeps them, we check and complete them."""

    def __init__(
        self,
        core: AccountCore,
        store: FunctionStore,
        fleet: Fleet,
        runtimes: Runtimes,
        forget: Callable[[FunctionName], None],
    ) -> None:
        self._core = core
        self._store = store
        self._fleet = fleet
        self._runtimes = runtimes
        self._forget = forget

    def handlers(self) -> Handlers:
        """The operations taken over from moto."""
        return {
            ("lambda", "CreateFunction"): self.create,
            ("lambda", "GetFunction"): self.get,
            ("lambda", "GetFunctionConfiguration"): self.get_configuration,
            ("lambda", "ListFunctions"): self.list_functions,
            ("lambda", "UpdateFunctionCode"): self.update_code,
            ("lambda", "UpdateFunctionConfiguration"): self.update_configuration,
            ("lambda", "DeleteFunction"): self.delete,
            ("lambda", "PutFunctionConcurrency"): self.put_concurrency,
            ("lambda", "GetFunctionConcurrency"): self.get_concurrency,
            ("lambda", "DeleteFunctionConcurrency"): self.delete_concurrency,
        }

    def create(self, call: Call) -> dict[str, Any]:
        """Create a function; its package is unpacked now, so the first cold start does not."""
        params = dict(call.params)
        name = names.parse(params["FunctionName"], account_id=call.account_id, region=call.region)
        if (params.get("PackageType") or "Zip") == "Zip" and not (
            params.get("Runtime") and params.get("Handler")
        ):
            raise invalid(
                "Runtime and Handler are mandatory parameters for functions created with deployment packages."
            )
        content = validation.read_code(params.get("Code") or {}, lambda *at: self._fetch(call, *at))
        _refuse_wrapper(params)
        _check_snap_start(params, str(params.get("Runtime")))
        public = layers_of.public(self._runtimes, params.get("Layers") or [])
        with self._core.dispatch_lock:
            validation.check_configuration(params, self._runtimes, call.account_id)
            self._check_tracing(name, params["Role"], params.get("TracingConfig"))
            layers = layers_of.find(name, params.get("Layers") or [], public)
        self._unpack(content, tuple(layers.values()))
        self._prepare(name, params.get("Runtime"))
        # moto looks for layers in the function's own account alone.
        beside = ("Publish", "Layers")
        spec = {key: value for key, value in params.items() if value is not None and key not in beside}
        spec |= {"FunctionName": name.name, "Code": {"ZipFile": base64.b64encode(content).decode()}}
        with self._core.dispatch_lock:
            backend = lambda_backends[name.account_id][name.region]
            if name.name in backend._lambdas._functions:
                raise AwsError(
                    "ResourceConflictException", f"Function already exist: {name.name}", 409, Type="User"
                )
            try:
                function = backend.create_function(spec)
            except JsonRESTError as error:
                raise _from_moto(error) from error
            function.layers = layers_of.listed(layers)
            write_extras(function, Layers=layers_of.kept(layers), **_beside(params))
            self._changed(function)
            return configuration(publish(backend, function) if params.get("Publish") else function)

    def _prepare(self, name: FunctionName, identifier: str | None) -> None:
        """Have the runtime's own files ready, while AWS's function would be pending.

        What can't be had is told by the invocations that miss it.
        """

        def say(text: str) -> None:
            self._core.timeline.add(
                "deployment",
                f"lambda:{name.name}",
                account_id=name.account_id,
                region=name.region,
                outcome="preparing",
                runtime=identifier,
                message=text,
            )

        if identifier is None:
            return
        with contextlib.suppress(EnvironmentFault):
            self._runtimes.get(identifier).prepare(identifier, say)

    def _check_tracing(self, name: FunctionName, role: str, tracing: Mapping[str, Any] | None) -> None:
        """Active tracing wants a role that may write traces. Hold the dispatch lock."""
        if (tracing or {}).get("Mode") != "Active":
            return
        principal = session_of(role, name.account_id, name.name)
        if self._core.guard.refusal(
            principal, "xray:PutTraceSegments", "*", region=name.region, quietly=True
        ):
            raise invalid(
                "The provided execution role does not have permissions to call PutTraceSegments on XRAY"
            )

    def get(self, call: Call) -> dict[str, Any]:
        """Configuration, where the code is, tags and reserved concurrency."""
        name = self._name(call)
        with self._core.dispatch_lock:
            function, latest = self._store.find(name), self._store.find(name.at(""))
            told = {
                "Configuration": configuration(function, qualified=name.qualifier == LATEST),
                "Code": function.get_code().get("Code", {}),
            }
            if function.tags:
                told["Tags"] = dict(function.tags)
            if latest.reserved_concurrency is not None:
                told["Concurrency"] = {"ReservedConcurrentExecutions": int(latest.reserved_concurrency)}
            return told

    def get_configuration(self, call: Call) -> dict[str, Any]:
        """Configuration alone."""
        name = self._name(call)
        with self._core.dispatch_lock:
            return configuration(self._store.find(name), qualified=name.qualifier == LATEST)

    def list_functions(self, call: Call) -> dict[str, Any]:
        """All functions, or all versions of all functions, by name."""
        with self._core.dispatch_lock:
            backend = lambda_backends[call.account_id][call.region]
            found = []
            for _name, group in sorted(backend._lambdas._functions.items()):
                if group["latest"] is None:
                    continue
                every = call.params.get("FunctionVersion") == "ALL"
                found.append(configuration(group["latest"], qualified=every))
                if every:
                    found += [configuration(version) for version in group["versions"]]
        return page(call, "Functions", found)

    def update_code(self, call: Call) -> dict[str, Any]:
        """New code for $LATEST."""
        name, params = self._unqualified(call), call.params
        content = validation.read_code(params, lambda *at: self._fetch(call, *at))
        with self._core.dispatch_lock:
            function = self._store.find(name)
            check_revision(function, params)
            layers = {arn: Archive(*kept) for arn, kept in read_extras(function).get("Layers", {}).items()}
        self._unpack(content, tuple(layers.values()))
        with self._core.dispatch_lock:
            function = self._store.find(name)
            if params.get("DryRun"):
                return configuration(function)
            function.update_function_code({"ZipFile": base64.b64encode(content).decode()})
            if params.get("Architectures"):
                function.architectures = params["Architectures"]
            self._changed(function)
            backend = lambda_backends[name.account_id][name.region]
            return configuration(publish(backend, function) if params.get("Publish") else function)

    def update_configuration(self, call: Call) -> dict[str, Any]:
        """New settings for $LATEST; members that are left out stay as they are."""
        name, params = self._unqualified(call), call.params
        _refuse_wrapper(params)
        public = layers_of.public(self._runtimes, params.get("Layers") or [])
        with self._core.dispatch_lock:
            function = self._store.find(name)
            check_revision(function, params)
            _check_snap_start(params, str(params.get("Runtime") or function.run_time))
            validation.check_configuration(params, self._runtimes, call.account_id)
            if params.get("TracingConfig") or params.get("Role"):
                tracing = params.get("TracingConfig") or function.tracing_config
                self._check_tracing(name, params.get("Role") or function.role, tracing)
            wanted = params.get("Layers")
            layers = None if wanted is None else layers_of.find(name, wanted, public)
        if layers is not None:
            self._check_size(Archive(function.code_digest, function.code_bytes), tuple(layers.values()))
            self._fleet.code.layers(tuple(layers.values()))
        self._prepare(name, params.get("Runtime"))
        with self._core.dispatch_lock:
            function = self._store.find(name)
            updates = {key: value for key, value in params.items() if value is not None and key != "Layers"}
            updates |= (
                {"Environment": {"Variables": {}, **updates["Environment"]}}
                if "Environment" in updates
                else {}
            )
            function.update_configuration(updates)
            if "EphemeralStorage" in updates:
                function.ephemeral_storage = int(updates["EphemeralStorage"]["Size"])
            if "TracingConfig" in updates:
                function.tracing_config = updates["TracingConfig"]
            write_extras(function, **_beside(params))
            if layers is not None:
                function.layers = layers_of.listed(layers)
                write_extras(function, Layers=layers_of.kept(layers))
            self._changed(function)
            return configuration(function)

    def delete(self, call: Call) -> dict[str, Any]:
        """Delete a function, or one published version."""
        name = self._name(call)
        if name.qualifier == LATEST:
            raise invalid("$LATEST version cannot be deleted without deleting the function.")
        with self._core.dispatch_lock:
            self._store.find(name)
            backend = lambda_backends[name.account_id][name.region]
            if name.qualifier:
                _check_unaliased(backend, name)
            backend.delete_function(name.name, name.qualifier or None)
        self._forget(name)
        self._fleet.forget(name.account_id, name.region, name.name, name.qualifier)
        return {}

    def put_concurrency(self, call: Call) -> dict[str, Any]:
        """Reserve concurrency for a function, out of the account's."""
        name = self._unqualified(call)
        wanted = int(call.params["ReservedConcurrentExecutions"])
        with self._core.dispatch_lock:
            function = self._store.find(name)
            backend = lambda_backends[name.account_id][name.region]
            if unreserved_concurrency(backend, besides=name.name) - wanted < UNRESERVED_MINIMUM:
                raise invalid(
                    "Specified ReservedConcurrentExecutions for function decreases account's "
                    f"UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MINIMUM}]."
                )
            function.reserved_concurrency = wanted
        return {"ReservedConcurrentExecutions": wanted}

    def get_concurrency(self, call: Call) -> dict[str, Any]:
        """What is reserved, if anything."""
        with self._core.dispatch_lock:
            reserved = self._store.find(self._unqualified(call)).reserved_concurrency
        return {} if reserved is None else {"ReservedConcurrentExecutions": int(reserved)}

    def delete_concurrency(self, call: Call) -> dict[str, Any]:
        """Nothing is reserved any more."""
        with self._core.dispatch_lock:
            self._store.find(self._unqualified(call)).reserved_concurrency = None
        return {}

    def _name(self, call: Call) -> FunctionName:
        return names.of(call)

    def _unqualified(self, call: Call) -> FunctionName:
        name = self._name(call)
        if name.qualifier not in ("", LATEST):
            raise invalid("This operation does not support qualifiers.")
        return name.at("")

    def _changed(self, function: Any) -> None:
        """$LATEST is another from now on; warm environments of the old one are of no more use."""
        function.last_modified = self._core.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
        new_revision(function)
        self._fleet.forget(function.account_id, function.region, function.function_name, LATEST)

    def _unpack(self, content: bytes, layers: tuple[Archive, ...]) -> None:
        code = Archive(hashlib.sha256(content).hexdigest(), content)
        self._check_size(code, layers)
        self._fleet.code.code(code)
        self._fleet.code.layers(layers)

    def _check_size(self, code: Archive, layers: tuple[Archive, ...]) -> None:
        if not layers:
            return  # The package alone is measured while it is unpacked.
        size = self._fleet.code.size_bytes((code, *layers))
        if size > UNPACKED_LIMIT_BYTES:
            raise invalid(
                "Function code combined with layers exceeds the maximum allowed size of "
                f"{UNPACKED_LIMIT_BYTES} bytes. The actual size is {size} bytes."
            )

    def _fetch(self, call: Call, bucket: str, key: str, version: str) -> bytes:
        """Code from S3, read as the caller."""
        client = self._core.clients.client("s3", region=call.region, principal=call.principal)
        extra = {"VersionId": version} if version else {}
        try:
            content: bytes = client.get_object(Bucket=bucket, Key=key, **extra)["Body"].read()
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            if code in ("AccessDenied", "403"):
                raise AwsError(
                    "AccessDeniedException",
                    "Your access has been denied by S3, please make sure your request credentials have "
                    f"permission to GetObject for {bucket}/{key}. "
                    f"S3 Error Code: {code}. S3 Error Message: {message}",
                    403,
                ) from error
            raise invalid(
                f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
            ) from error
        return content


def _refuse_wrapper(params: dict[str, Any]) -> None:
    if _WRAPPER in ((params.get("Environment") or {}).get("Variables") or {}):
        raise AwsError(
            "NotEmulated",
            f"Coldstart does not run wrapper scripts ({_WRAPPER}). This is our gap, not your mistake.",
            501,
        )


def _check_snap_start(params: dict[str, Any], runtime: str) -> None:
    applied = (params.get("SnapStart") or {}).get("ApplyOn") == "PublishedVersions"
    if applied and not runtime.startswith(_SNAP_START):
        raise invalid(f"{runtime} is not supported for SnapStart enabled functions.")


def _beside(params: dict[str, Any]) -> dict[str, Any]:
    return {member: params[member] for member in KEPT_BESIDE if params.get(member) is not None}


def _check_unaliased(backend: Any, name: FunctionName) -> None:
    aliases = [
        alias.name
        for alias in backend._lambdas._aliases[name.arn].values()
        if name.qualifier == str(alias.function_version)
        or name.qualifier in ((alias.routing_config or {}).get("AdditionalVersionWeights") or {})
    ]
    if aliases:
        raise AwsError(
            "ResourceConflictException",
            f"Function version {name.qualified_arn} has aliases [{', '.join(sorted(aliases))}] "
            "pointing to it.",
            409,
            Type="User",
        )


def _from_moto(error: JsonRESTError) -> AwsError:
    return AwsError(error.error_type, error.message, int(error.code), Type="User")
