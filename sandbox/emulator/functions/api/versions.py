"""Publishing and listing versions."""

from __future__ import annotations

import copy
from typing import Any

from moto.awslambda.models import lambda_backends

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions import names
from sandbox.emulator.functions.api.describing import configuration, new_revision, write_extras
from sandbox.emulator.functions.api.validation import invalid
from sandbox.emulator.functions.names import FunctionName
from sandbox.emulator.functions.store import FunctionStore, read_extras

_PAGE = 50


class Versions:
    """PublishVersion and ListVersionsByFunction."""

    def __init__(self, core: AccountCore, store: FunctionStore) -> None:
        self._core = core
        self._store = store

    def handlers(self) -> Handlers:
        """The operations taken over from moto."""
        return {
            ("lambda", "PublishVersion"): self.publish,
            ("lambda", "ListVersionsByFunction"): self.list_versions,
        }

    def publish(self, call: Call) -> dict[str, Any]:
        """Freeze $LATEST as the next version, unless nothing changed since the last one."""
        name = self._name(call)
        with self._core.dispatch_lock:
            latest = self._store.find(name)
            check_revision(latest, call.params)
            wanted = call.params.get("CodeSha256")
            if wanted and wanted != latest.code_sha_256:
                raise invalid(
                    f"CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST "
                    f"({latest.code_sha_256}). Please try again with the CodeSHA256 in $LATEST."
                )
            backend = lambda_backends[name.account_id][name.region]
            return configuration(publish(backend, latest, call.params.get("Description") or ""))

    def list_versions(self, call: Call) -> dict[str, Any]:
        """$LATEST and all published versions."""
        name = self._name(call)
        with self._core.dispatch_lock:
            latest = self._store.find(name)
            group = lambda_backends[name.account_id][name.region]._lambdas._functions[name.name]
            found = [configuration(latest, qualified=True)]
            found += [configuration(version) for version in group["versions"]]
        return page(call, "Versions", found)

    @staticmethod
    def _name(call: Call) -> FunctionName:
        name = names.parse(call.params["FunctionName"], account_id=call.account_id, region=call.region)
        return name.at("")


def publish(backend: Any, latest: Any, description: str = "") -> Any:
    """A version of $LATEST as it is now. Numbers are never used twice."""
    group = backend._lambdas._functions[latest.function_name]
    extras = read_extras(latest)
    last = next((v for v in group["versions"] if str(v.version) == str(extras.get("LastVersion"))), None)
    if last is not None and extras.get("PublishedRevision") == extras.get("RevisionId"):
        return last
    number = int(extras.get("LastVersion", 0)) + 1
    write_extras(latest, LastVersion=number, PublishedRevision=extras.get("RevisionId"))
    version = copy.copy(latest)
    version.code = dict(latest.code)
    version.set_version(number)
    version.last_modified = latest.last_modified
    if description:
        version.description = description
    new_revision(version)
    group["versions"].append(version)
    backend._lambdas._arns[version.function_arn] = version
    return version


def check_revision(function: Any, params: dict[str, Any]) -> None:
    """The caller's RevisionId, if there is one, is the function's.

    Raises:
        AwsError: PreconditionFailedException.
    """
    wanted = params.get("RevisionId")
    if wanted and wanted != read_extras(function).get("RevisionId"):
        raise AwsError(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the "
            "GetFunction/GetAlias API to retrieve the latest Revision Id",
            412,
            Type="User",
        )


def page(call: Call, member: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """One page of a list; the marker is the position of the next."""
    try:
        start = int(call.params.get("Marker") or 0)
    except ValueError:
        raise invalid("Invalid Marker.") from None
    end = start + int(call.params.get("MaxItems") or _PAGE)
    told: dict[str, Any] = {member: found[start:end]}
    if end < len(found):
        told["NextMarker"] = str(end)
    return told
