"""Secrets in several regions: copies that follow their primary, later, and that nobody else may change.

Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/replicate-secrets.html
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from moto.secretsmanager.models import FakeSecret, ReplicaSecret, secretsmanager_backends

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.secretsmanager.rotation import NOT_HERE, find_secret
from sandbox.emulator.links import SOON_S, Links

_DEFAULT_KEY = "alias/aws/secretsmanager"
_IN_PROGRESS, _IN_SYNC, _FAILED = "InProgress", "InSync", "Failed"
# What changes a secret, and so its copies.
_CHANGES = (
    "PutSecretValue",
    "UpdateSecret",
    "TagResource",
    "UntagResource",
    "PutResourcePolicy",
    "DeleteResourcePolicy",
)


class Copy(ReplicaSecret):  # type: ignore[misc]
    """A secret in another region, as it was when it last heard of its primary."""

    def __init__(self, source: FakeSecret, region: str, key: str, *, overwrite: bool) -> None:
        self.source = source
        self.region = region
        self.arn = source.arn.replace(f":{source.region}:", f":{region}:")
        self.overwrite = overwrite
        self.has_replica = False
        self.planned = self.behind = False
        self.since = 0.0
        self.config = {"Region": region, "KmsKeyId": key or _DEFAULT_KEY, "Status": _IN_PROGRESS}
        self.held = source

    def take(self) -> None:
        """Become what the primary is now."""
        self.held = copy.copy(self.source)
        self.held.versions = copy.deepcopy(self.source.versions)
        self.held.tags = copy.deepcopy(self.source.tags)
        self.held.replicas = []

    def tell(self, status: str, message: str) -> None:
        """What DescribeSecret says of it."""
        self.config |= {"Status": status, "StatusMessage": message}

    def to_dict(self) -> dict[str, Any]:
        told: dict[str, Any] = self.held.to_dict()
        told.pop("ReplicationStatus", None)
        key = {"KmsKeyId": self.kms_key_id} if self.kms_key_id else {}
        return {**told, "ARN": self.arn, "PrimaryRegion": self.source.region, **key}

    def promoted(self) -> FakeSecret:
        """A secret of its own, with all that it has."""
        if self.held is self.source:
            self.take()
        made = self.held
        made.arn, made.region, made.kms_key_id = self.arn, self.region, self.kms_key_id or None
        made.rotation_enabled = made.rotation_requested = False
        made.rotation_lambda_arn = ""
        return made

    @property
    def kms_key_id(self) -> str:
        key = str(self.config["KmsKeyId"])
        return "" if key == _DEFAULT_KEY else key

    @property
    def default_version_id(self) -> str | None:
        found: str | None = self.held.default_version_id
        return found

    @property
    def versions(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.held.versions
        return found

    @property
    def policy(self) -> str | None:
        found: str | None = self.held.policy
        return found

    @property
    def description(self) -> str | None:
        found: str | None = self.held.description
        return found

    @property
    def tags(self) -> list[dict[str, str]] | None:
        found: list[dict[str, str]] | None = self.held.tags
        return found


class SecretReplicas:
    """Makes copies and has them follow. State is touched with the dispatch lock held."""

    def __init__(self, core: AccountCore, links: Links) -> None:
        self._core = core
        self._links = links
        self._copies: list[Copy] = []
        links.when_changed(self._resume)

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "CreateSecret": self._create,
            "ReplicateSecretToRegions": self._replicate,
            "RemoveRegionsFromReplication": self._remove,
            "StopReplicationToReplica": self._promote,
            "GetResourcePolicy": self._policy,
            **dict.fromkeys(_CHANGES, self._change),
        }
        return {("secretsmanager", name): handler for name, handler in found.items()}

    def changed(self, secret: Any) -> None:
        """A secret has changed: its copies are to follow."""
        for each in getattr(secret, "replicas", ()):
            if each.config["Status"] != _FAILED:
                each.config["Status"] = _IN_PROGRESS
                if not each.behind:
                    each.behind, each.since = True, self._core.clock.time()
                self._plan(each, self._links.delay_s(secret.region, each.region))

    def _create(self, call: Call) -> dict[str, Any]:
        wanted = call.params.get("AddReplicaRegions") or []
        self._check(call, wanted, ())
        taken = ("AddReplicaRegions", "ForceOverwriteReplicaSecret")
        own = {name: value for name, value in call.params.items() if name not in taken}
        with self._core.dispatch_lock:
            answer = self._core.moto(_with(call, own))
            if not wanted:
                return answer
            secret = find_secret(answer["ARN"], call.account_id, call.region)
            return {**answer, "ReplicationStatus": self._add(call, secret, wanted)}

    def _replicate(self, call: Call) -> dict[str, Any]:
        wanted = call.params.get("AddReplicaRegions") or []
        with self._core.dispatch_lock:
            secret = self._primary(call)
            self._check(call, wanted, [each.region for each in secret.replicas])
            return {"ARN": secret.arn, "ReplicationStatus": self._add(call, secret, wanted)}

    def _check(self, call: Call, wanted: Iterable[Mapping[str, Any]], there: Iterable[str]) -> None:
        known = {call.region, *there}
        for each in wanted:
            region = str(each.get("Region", ""))
            if region not in secretsmanager_backends[call.account_id].regions or region == call.region:
                raise _invalid("Invalid replica region.")
            if region in known:
                raise _invalid(f"Secret is already replicated to region {region}.")
            known.add(region)

    def _add(self, call: Call, secret: Any, wanted: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        overwrite = bool(call.params.get("ForceOverwriteReplicaSecret"))
        for each in wanted:
            made = Copy(secret, str(each["Region"]), str(each.get("KmsKeyId") or ""), overwrite=overwrite)
            secret.replicas.append(made)
            self._copies.append(made)
        self.changed(secret)
        return [dict(each.config) for each in secret.replicas]

    def _remove(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            secret = self._primary(call)
            for each in list(secret.replicas):
                if each.region in call.params["RemoveReplicaRegions"]:
                    self._drop(each)
            statuses = [dict(each.config) for each in secret.replicas]
            return {"ARN": secret.arn, "ReplicationStatus": statuses}

    def _drop(self, each: Copy) -> None:
        """Its primary knows it no longer, and nobody finds it."""
        each.source.replicas.remove(each)
        self._copies.remove(each)
        if each.has_replica:
            dict.pop(secretsmanager_backends[each.source.account_id][each.region].secrets, each.arn, None)

    def _promote(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            secrets = secretsmanager_backends[call.account_id][call.region].secrets
            found = secrets.get(call.params["SecretId"])
            if found is None:
                raise AwsError(
                    "ResourceNotFoundException", "Secrets Manager can't find the specified secret."
                )
            if not isinstance(found, Copy):
                raise _invalid("Operation not permitted on a secret that is not a replica.")
            self._drop(found)
            secrets[found.name] = found.promoted()
            return {"ARN": found.arn}

    def _policy(self, call: Call) -> dict[str, Any]:
        """A copy has its primary's policy, and may be asked for it."""
        with self._core.dispatch_lock:
            secrets = secretsmanager_backends[call.account_id][call.region].secrets
            found = secrets.get(call.params["SecretId"])
            if not isinstance(found, Copy):
                return self._core.moto(call)
            policy = {"ResourcePolicy": found.policy} if found.policy else {}
            return {"ARN": found.arn, "Name": found.name, **policy}

    def _change(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            answer = self._core.moto(call)
            self.changed(find_secret(call.params["SecretId"], call.account_id, call.region))
            return answer

    def _primary(self, call: Call) -> Any:
        secrets = secretsmanager_backends[call.account_id][call.region].secrets
        found = secrets.get(call.params["SecretId"])
        if found is None:
            raise AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        if isinstance(found, ReplicaSecret):
            raise _invalid(NOT_HERE)
        return found

    def _plan(self, each: Copy, delay_s: float) -> None:
        if each.planned:
            return
        each.planned = True
        self._core.work.submit(
            lambda: self._carry(each),
            label=f"secretsmanager:{each.name} {each.source.region} → {each.region}",
            delay_s=delay_s,
            awaited=delay_s <= SOON_S,
        )

    def _carry(self, each: Copy) -> None:
        with self._core.dispatch_lock:
            each.planned = False
            if each not in each.source.replicas or self._links.is_cut(each.source.region, each.region):
                return
            secrets = secretsmanager_backends[each.source.account_id][each.region].secrets
            if not each.has_replica:
                there = secrets.get(each.source.name)
                if there is not None and (not each.overwrite or isinstance(there, ReplicaSecret)):
                    each.tell(
                        _FAILED,
                        f"Replication failed: Secret name {each.source.name} already exists in region "
                        f"{each.region}.",
                    )
                    each.behind = False
                    self._note(each, _FAILED)
                    return
                if there is not None:
                    secrets.pop(each.source.name)
                secrets[each.arn] = each
                each.has_replica = True
            each.take()
            each.behind = False
            each.tell(_IN_SYNC, "Replication succeeded")
            self._note(each, "ok")

    def _resume(self) -> None:
        """A way may be open again."""
        with self._core.dispatch_lock:
            for each in self._copies:
                if each.behind:
                    self._plan(each, 0.0)

    def _note(self, each: Copy, outcome: str) -> None:
        self._core.timeline.add(
            "replication",
            f"secretsmanager:{each.name}",
            account_id=str(each.source.account_id),
            region=str(each.source.region),
            outcome=outcome,
            target=each.region,
            latency_ms=round((self._core.clock.time() - each.since) * 1000, 3),
        )


def _with(call: Call, params: dict[str, Any]) -> Call:
    return Call(
        call.service, call.operation, params, call.principal, call.account_id, call.region, call.request_id
    )


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)
