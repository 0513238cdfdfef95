"""A multi-Region key is a set of keys with one id and one material; one of them is the primary.

Source: https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from copy import copy
from typing import Any

from moto.kms.models import Key, kms_backends

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.kms import patches

_DAY_S = 86_400.0
# AWS says "a few seconds", in which a new replica and two keys that swap their parts can be seen to be busy.
_BUSY_S = 1.0


class Keys:
    """Replicates keys, and lets none be used, changed or deleted in a state that forbids it."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "ReplicateKey": self._replicate,
            "UpdatePrimaryRegion": self._move,
            "EnableKey": self._enable,
            "DisableKey": self._disable,
            "EnableKeyRotation": self._rotation,
            "DisableKeyRotation": self._rotation,
            "ScheduleKeyDeletion": self._delete,
            "CancelKeyDeletion": self._keep,
        }
        return {("kms", name): handler for name, handler in found.items()}

    def _key(self, call: Call) -> Any:
        """The key that a call is about, in its region."""
        given = str(call.params.get("KeyId", ""))
        backend = kms_backends[call.account_id][call.region]
        if given.startswith("arn:") and (region := given.split(":")[3]) != call.region:
            raise AwsError("NotFoundException", f"Invalid arn {region}")
        key = backend.keys.get(backend.get_key_id(given))
        if key is None:
            arn = given if given.startswith("arn:") else _arn(call.account_id, call.region, given)
            raise AwsError("NotFoundException", f"Key '{arn}' does not exist")
        return key

    def _replicate(self, call: Call) -> dict[str, Any]:
        target = str(call.params.get("ReplicaRegion", ""))
        with self._core.dispatch_lock:
            primary = self._key(call)
            _check_primary(primary)
            if target not in kms_backends[call.account_id].regions or target == primary.region:
                raise AwsError("ValidationException", f"{target} can't have a replica of {primary.arn}.")
            _check_usable(primary)
            backend = kms_backends[call.account_id][target]
            if primary.id in backend.keys:
                arn = _arn(call.account_id, target, primary.id)
                raise AwsError("AlreadyExistsException", f"{arn} already exists.")
            replica = copy(primary)
            replica.region, replica.arn = target, _arn(call.account_id, target, primary.id)
            replica.description = call.params.get("Description") or ""
            replica.policy = call.params.get("Policy") or replica.generate_default_policy()
            replica.creation_date = self._core.clock.time()
            replica.grants, replica.aliases = {}, {}
            replica.key_state, replica.enabled = "Creating", False
            backend.keys[replica.id] = replica
            tags = call.params.get("Tags") or []
            if tags:
                backend.tagger.tag_resource(replica.id, tags)
            _retell(call.account_id, primary.id, primary.region)
            self._soon(replica)
            metadata = _shown(replica)
            return {"ReplicaKeyMetadata": metadata, "ReplicaPolicy": replica.policy, "ReplicaTags": tags}

    def _move(self, call: Call) -> dict[str, Any]:
        target = str(call.params.get("PrimaryRegion", ""))
        with self._core.dispatch_lock:
            primary = self._key(call)
            _check_primary(primary)
            regions = {key.region: key for key in _set(call.account_id, primary.id)}
            if target not in regions or target == primary.region:
                arn = _arn(call.account_id, target, primary.id)
                raise AwsError("NotFoundException", f"Key '{arn}' does not exist")
            for key in (primary, regions[target]):
                _check_usable(key)
            for key in (primary, regions[target]):
                key.key_state = "Updating"
                self._soon(key)
            _retell(call.account_id, primary.id, target)
            return {}

    def _soon(self, key: Key) -> None:
        """A key that is busy can be used by and by."""

        def ready() -> None:
            with self._core.dispatch_lock:
                if key.key_state in ("Creating", "Updating"):
                    key.key_state, key.enabled = "Enabled", True

        self._core.work.submit(ready, label=f"kms:{key.id}", delay_s=_BUSY_S, awaited=True)

    def _enable(self, call: Call) -> dict[str, Any]:
        return self._switch(call, "Enabled")

    def _disable(self, call: Call) -> dict[str, Any]:
        return self._switch(call, "Disabled")

    def _switch(self, call: Call, state: str) -> dict[str, Any]:
        with self._core.dispatch_lock:
            key = self._key(call)
            if key.key_state not in ("Enabled", "Disabled"):
                _check_usable(key)
                raise AwsError("KMSInvalidStateException", f"{key.arn} is updating.")
            key.key_state, key.enabled = state, state == "Enabled"
            return {}

    def _rotation(self, call: Call) -> dict[str, Any]:
        """Rotation is one of the properties that related keys share; the primary has the say."""
        with self._core.dispatch_lock:
            key = self._key(call)
            if key.multi_region:
                _check_primary(key)
            _check_usable(key)
            for each in _set(call.account_id, key.id) if key.multi_region else (key,):
                each.key_rotation_status = call.operation == "EnableKeyRotation"
            return {}

    def _delete(self, call: Call) -> dict[str, Any]:
        days = int(call.params.get("PendingWindowInDays") or 30)
        if not 7 <= days <= 30:
            raise AwsError("ValidationException", f"{days} is not a pending window of 7 to 30 days.")
        with self._core.dispatch_lock:
            key = self._key(call)
            if key.key_state in ("PendingDeletion", "PendingReplicaDeletion"):
                _check_usable(key)
            key.enabled = False
            key.pending_days = days
            if _is_primary(key) and len(list(_set(call.account_id, key.id))) > 1:
                key.key_state = "PendingReplicaDeletion"
            else:
                self._begin_deletion(key)
            told = {"KeyId": key.arn, "KeyState": key.key_state, "PendingWindowInDays": days}
            date = {"DeletionDate": key.deletion_date.replace(tzinfo=dt.UTC)} if key.deletion_date else {}
            return told | date

    def _begin_deletion(self, key: Any) -> None:
        key.key_state = "PendingDeletion"
        # moto reckons without time zones.
        key.deletion_date = self._core.clock.now().replace(tzinfo=None) + dt.timedelta(days=key.pending_days)
        due = key.deletion_date

        def gone() -> None:
            with self._core.dispatch_lock:
                if key.key_state == "PendingDeletion" and key.deletion_date == due:
                    self._remove(key)

        label = f"deletion of kms:{key.id}"
        self._core.work.submit(gone, label=label, delay_s=key.pending_days * _DAY_S)

    def _remove(self, key: Any) -> None:
        kms_backends[key.account_id][key.region].delete_key(key.id)
        left = list(_set(key.account_id, key.id)) if key.multi_region else []
        if not left:
            return
        primary = key.multi_region_configuration["PrimaryKey"]["Region"]
        _retell(key.account_id, key.id, primary)
        if len(left) == 1 and left[0].key_state == "PendingReplicaDeletion":
            self._begin_deletion(left[0])

    def _keep(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            key = self._key(call)
            if key.key_state not in ("PendingDeletion", "PendingReplicaDeletion"):
                raise AwsError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
            key.key_state, key.enabled, key.deletion_date = "Disabled", False, None
            return {"KeyId": key.arn}


def _set(account_id: str, key_id: str) -> Iterator[Any]:
    """The related keys, in every region that has one."""
    for backend in list(kms_backends[account_id].values()):
        if key_id in backend.keys:
            yield backend.keys[key_id]


def _retell(account_id: str, key_id: str, primary: str) -> None:
    """Write down in each related key what the set looks like."""
    keys = list(_set(account_id, key_id))
    places = [{"Arn": key.arn, "Region": key.region} for key in keys]
    for key in keys:
        key.multi_region_configuration = {
            "MultiRegionKeyType": "PRIMARY" if key.region == primary else "REPLICA",
            "PrimaryKey": {"Arn": _arn(account_id, primary, key_id), "Region": primary},
            "ReplicaKeys": [place for place in places if place["Region"] != primary],
        }


def _arn(account_id: str, region: str, key_id: str) -> str:
    return f"arn:aws:kms:{region}:{account_id}:key/{key_id}"


def _is_primary(key: Any) -> bool:
    return bool(key.multi_region and key.multi_region_configuration["PrimaryKey"]["Region"] == key.region)


def _check_primary(key: Any) -> None:
    if not key.multi_region:
        raise AwsError("UnsupportedOperationException", f"{key.arn} is not a multi-Region key.")
    if not _is_primary(key):
        raise AwsError("UnsupportedOperationException", f"{key.arn} is not a multi-Region primary key.")


def _check_usable(key: Any) -> None:
    refused = patches.refusal(key)
    if refused is None and key.key_state == "Updating":
        refused = "KMSInvalidStateException", f"{key.arn} is updating."
    if refused is not None:
        raise AwsError(*refused)


def _shown(key: Any) -> dict[str, Any]:
    """A key's metadata as the API tells it."""
    created = dt.datetime.fromtimestamp(key.creation_date, dt.UTC)
    return {**key.to_dict()["KeyMetadata"], "CreationDate": created}
