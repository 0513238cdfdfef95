"""A resource's own policy, its owner and its tags, read from what moto keeps. Hold the dispatch lock."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.dynamodb.models import dynamodb_backends
from moto.events.models import events_backends
from moto.iam.models import iam_backends
from moto.kinesis.models import kinesis_backends
from moto.kinesis.utils import decompose_shard_iterator
from moto.kms.models import kms_backends
from moto.resourcegroupstaggingapi.models import resourcegroupstaggingapi_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from sandbox.emulator.fabric import task_tokens
from sandbox.emulator.iam.enforcement.policies import find_role, read
from sandbox.emulator.iam.evaluation import Policy


def owner(arn: str) -> str:
    """The account that owns a resource; empty when nobody does, or when the ARN does not say."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return ""
    if parts[2] == "s3":
        held = s3_backends.bucket_accounts.get(parts[5].split("/", 1)[0])
        return str(held[1]) if held is not None else ""
    return parts[4] if parts[4].isdecimal() else ""


def find_policy(arn: str, action: str = "") -> Policy | None:
    """The resource's own policy; a role's is its trust policy, and only for assuming it."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        return None
    find = _BY_SERVICE.get(parts[2])
    if find is None or (parts[2] == "iam" and not action.lower().startswith("sts:")):
        return None
    if parts[3] and parts[3] not in sqs_backends[parts[4]].regions:
        return None  # Whoever asks gets to hear it from the service.
    document = find(parts, arn)
    return None if not document else read(document, arn)


def _bucket(parts: list[str], _arn: str) -> Any:
    name = parts[5].split("/", 1)[0]
    held = s3_backends.bucket_accounts.get(name)
    if held is None:
        return None
    bucket = s3_backends[held[1]][held[0]].buckets.get(name)
    return bucket.policy.decode() if bucket is not None and bucket.policy else None


def _queue(parts: list[str], _arn: str) -> Any:
    queue = sqs_backends[parts[4]][parts[3]].queues.get(parts[5])
    document = queue._policy_json if queue is not None else None
    return document if document and document.get("Statement") else None


def _topic(_parts: list[str], arn: str) -> Any:
    topic = sns_backends[_parts[4]][_parts[3]].topics.get(arn)
    return topic._policy_json if topic is not None else None


def _function(parts: list[str], _arn: str) -> Any:
    kind, name, *qualifier = parts[5].split(":")
    if kind != "function":
        return None
    backend = lambda_backends[parts[4]][parts[3]]
    try:
        latest = backend.get_function(name)
        function = backend.get_function(name, qualifier[0]) if qualifier else latest
    except Exception:  # moto raises several unrelated types for a missing function or alias
        return None
    owners = {id(each): each for each in (function, latest) if each is not None}
    statements = [statement for each in owners.values() for statement in each.policy.statements]
    return {"Version": "2012-10-17", "Statement": statements} if statements else None


def _key(parts: list[str], _arn: str) -> Any:
    key = kms_backends[parts[4]][parts[3]].keys.get(parts[5].removeprefix("key/"))
    if key is None and parts[5].startswith("key/"):
        # Of a key that is not there, whoever could use keys is told so by the service.
        owner = {"Effect": "Allow", "Principal": {"AWS": parts[4]}, "Action": "kms:*", "Resource": "*"}
        return {"Version": "2012-10-17", "Statement": [owner]}
    return key.policy if key is not None else None


def _secret(parts: list[str], arn: str) -> Any:
    secret = secretsmanager_backends[parts[4]][parts[3]].secrets.get(arn)
    return getattr(secret, "policy", None)


def _bus(parts: list[str], _arn: str) -> Any:
    kind, _, name = parts[5].partition("/")
    if kind != "event-bus":
        return None
    bus = events_backends[parts[4]][parts[3]].event_buses.get(name)
    return bus.policy if bus is not None else None


def _table(parts: list[str], arn: str) -> Any:
    held = dynamodb_backends[parts[4]][parts[3]].resource_policies
    found = held.get(arn) or held.get(arn.split("/index/")[0].split("/stream/")[0])
    return found.policy_doc if found is not None else None


def _stream(parts: list[str], arn: str) -> Any:
    return kinesis_backends[parts[4]][parts[3]].resource_policies.get(arn) or None


def _trust(_parts: list[str], arn: str) -> Any:
    role = find_role(arn)
    return role.assume_role_policy_document if role is not None else None


_BY_SERVICE: Mapping[str, Callable[[list[str], str], Any]] = {
    "s3": _bucket,
    "sqs": _queue,
    "sns": _topic,
    "lambda": _function,
    "kms": _key,
    "secretsmanager": _secret,
    "events": _bus,
    "dynamodb": _table,
    "kinesis": _stream,
    "iam": _trust,
}


def tags(arn: str) -> dict[str, str]:
    """A resource's tags."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return {}
    if parts[2] == "iam":
        return _iam_tags(parts[4], arn)
    account, region = owner(arn), parts[3] or "us-east-1"
    if not account:
        return {}
    whole = arn.split("/")[0] if parts[2] == "s3" else arn
    backend = resourcegroupstaggingapi_backends[account][region]
    for found in backend._get_resources_generator(resource_type_filters=[parts[2]]):
        if found.arn == whole:
            return {str(name): str(value) for name, value in found.tags.items()}
    return {}


def _iam_tags(account: str, arn: str) -> dict[str, str]:
    role = find_role(arn)
    if role is not None:
        held = role.tags or {}
        values = held.values() if isinstance(held, Mapping) else held
        return {str(tag["Key"]): str(tag["Value"]) for tag in values}
    told = iam_backends[account]["aws"].tagger.list_tags_for_resource(arn)["Tags"]
    return {str(tag["Key"]): str(tag["Value"]) for tag in told}


# By name, account and region: an ARN.
Find = Callable[[str, str, str], str | None]


class MotoFacts:
    """What the mapping asks about an account; implements ``mapping.Facts``.

    ``taught`` is what moto does not keep.
    """

    def __init__(self) -> None:
        self.taught: dict[str, Find] = {}

    def find_arn(self, kind: str, name: str, *, account_id: str, region: str) -> str | None:
        """An ARN by a name that does not contain all of it."""
        find = self.taught.get(kind) or _FACTS.get(kind)
        return find(name, account_id, region) if find is not None else None

    def partition_key(self, table_arn: str) -> str | None:
        """The partition key of a table or of one of its indexes."""
        parts = table_arn.split(":", 5)
        if len(parts) < 6 or not parts[5].startswith("table/"):
            return None
        _, name, *rest = parts[5].split("/")
        table = dynamodb_backends[parts[4]][parts[3]].tables.get(name)
        if table is None:
            return None
        if len(rest) == 2 and rest[0] == "index":
            index = next((i for i in (*table.indexes, *table.global_indexes) if i.name == rest[1]), None)
            schema = index.schema if index is not None else ()
            return next((each["AttributeName"] for each in schema if each["KeyType"] == "HASH"), None)
        return str(table.hash_key_attr)


def _role_arn(name: str, account_id: str, _region: str) -> str | None:
    backend = iam_backends[account_id]["aws"]
    return next((str(role.arn) for role in backend.roles.values() if role.name == name), None)


def _user_arn(name: str, account_id: str, _region: str) -> str | None:
    user = iam_backends[account_id]["aws"].users.get(name)
    return str(user.arn) if user is not None else None


def _group_arn(name: str, account_id: str, _region: str) -> str | None:
    group = iam_backends[account_id]["aws"].groups.get(name)
    return str(group.arn) if group is not None else None


def _secret_arn(name: str, account_id: str, region: str) -> str | None:
    secret = secretsmanager_backends[account_id][region].secrets.get(name)
    return str(secret.arn) if secret is not None else None


def _rotation_function(name: str, account_id: str, region: str) -> str | None:
    secret = secretsmanager_backends[account_id][region].secrets.get(name)
    return str(getattr(secret, "rotation_lambda_arn", "")) or None


def _key_arn(name: str, account_id: str, region: str) -> str | None:
    parts = name.split(":", 5)
    if len(parts) == 6:
        account_id, region, name = parts[4], parts[3], parts[5]
    backend = kms_backends[account_id][region]
    key_id: str | None = name.removeprefix("key/")
    if name.startswith("alias/"):
        key_id = backend.get_key_id_from_alias(name)
    key = backend.keys.get(key_id) if key_id else None
    return str(key.arn) if key is not None else None


def _ciphertext_key(blob: str, account_id: str, region: str) -> str | None:
    try:
        key_id = base64.b64decode(blob)[:36].decode()
    except ValueError:
        return None
    return _key_arn(key_id, account_id, region)


def _stream_of_iterator(text: str, account_id: str, region: str) -> str | None:
    try:
        name = decompose_shard_iterator(text)[0]
    except Exception:  # it is whatever the caller sent
        return None
    stream = kinesis_backends[account_id][region].streams.get(name)
    return str(stream.arn) if stream is not None else None


def _role_boundary(name: str, account_id: str, _region: str) -> str | None:
    backend = iam_backends[account_id]["aws"]
    role = next((role for role in backend.roles.values() if role.name == name), None)
    return getattr(role, "permissions_boundary_arn", None)


_FACTS: Mapping[str, Find] = {
    "role": _role_arn,
    "user": _user_arn,
    "group": _group_arn,
    "secret": _secret_arn,
    "secret-rotation": _rotation_function,
    "key": _key_arn,
    "ciphertext": _ciphertext_key,
    "kinesis-iterator": _stream_of_iterator,
    "role-boundary": _role_boundary,
    "task-token": lambda token, _account_id, _region: task_tokens.find_state_machine(token),
}
