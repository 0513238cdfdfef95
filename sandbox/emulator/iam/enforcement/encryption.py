"""Keys that a service uses for the caller: encrypted objects, queues, topics, secrets, parameters, streams.

Keys that AWS manages let every caller of the account in through their service, so they ask for nothing.
Source: https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moto.kinesis.models import kinesis_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from moto.ssm.models import ssm_backends

from sandbox.emulator.iam.mapping import Asked, Authorisation
from sandbox.emulator.iam.mapping.messages import queue_arn

_WRITE = ("kms:GenerateDataKey",)
_READ = ("kms:Decrypt",)
_BOTH = ("kms:GenerateDataKey", "kms:Decrypt")
_MANAGED = "alias/aws/"


def needed(asked: Asked) -> Iterator[Authorisation]:
    """What a call that is allowed itself needs of the keys behind its resources."""
    find = _BY_OPERATION.get((asked.service, asked.operation))
    if find is None:
        return
    for key, actions, context in find(asked):
        arn = asked.find("key", key) if key and _MANAGED not in key else None
        for action in actions if arn else ():
            assert arn is not None
            yield Authorisation(action, arn, "", context, via=f"{asked.service}.{asked.region}.amazonaws.com")


_Found = Iterator[tuple[str, tuple[str, ...], Mapping[str, Any]]]


def _put_object(asked: Asked) -> _Found:
    bucket, key = asked.text("Bucket"), asked.text("Key")
    kind, key_id = asked.text("ServerSideEncryption"), asked.text("SSEKMSKeyId")
    if not kind:
        kind, key_id = _default_encryption(bucket)
    if kind.startswith("aws:kms") and key_id:
        yield key_id, _WRITE, {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}/{key}"}


def _get_object(asked: Asked) -> _Found:
    bucket, key = asked.text("Bucket"), asked.text("Key")
    held = s3_backends.bucket_accounts.get(bucket)
    found = s3_backends[held[1]][held[0]].buckets.get(bucket) if held is not None else None
    stored = found.keys.get(key) if found is not None else None
    if stored is not None and str(stored.encryption or "").startswith("aws:kms") and stored.kms_key_id:
        context = {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}/{key}"}
        yield str(stored.kms_key_id), _READ, context


def _default_encryption(bucket: str) -> tuple[str, str]:
    held = s3_backends.bucket_accounts.get(bucket)
    found = s3_backends[held[1]][held[0]].buckets.get(bucket) if held is not None else None
    rules = ((found.encryption if found is not None else None) or {}).get("Rule") or {}
    rule = rules[0] if isinstance(rules, list) and rules else rules
    default = rule.get("ApplyServerSideEncryptionByDefault", {}) if isinstance(rule, Mapping) else {}
    return str(default.get("SSEAlgorithm", "")), str(default.get("KMSMasterKeyID") or "")


def _queue(actions: tuple[str, ...]) -> Callable[[Asked], _Found]:
    def find(asked: Asked) -> _Found:
        arn = queue_arn(asked, asked.text("QueueUrl"))
        parts = arn.split(":")
        queue = sqs_backends[parts[4]][parts[3]].queues.get(parts[5])
        key = str(getattr(queue, "kms_master_key_id", "") or "")
        if key:
            yield key, actions, {"kms:EncryptionContext:aws:sqs:arn": arn}

    return find


def _topic(asked: Asked) -> _Found:
    arn = asked.text("TopicArn", "TargetArn")
    parts = arn.split(":")
    topic = sns_backends[parts[4]][parts[3]].topics.get(arn) if len(parts) == 6 else None
    key = str(getattr(topic, "kms_master_key_id", "") or "")
    if key:
        yield key, _BOTH, {"kms:EncryptionContext:aws:sns:topicArn": arn}


def _secret(actions: tuple[str, ...]) -> Callable[[Asked], _Found]:
    def find(asked: Asked) -> _Found:
        secret = secretsmanager_backends[asked.account_id][asked.region].secrets.get(asked.text("SecretId"))
        key = str(getattr(secret, "kms_key_id", "") or "")
        if key:
            yield key, actions, {"kms:EncryptionContext:SecretARN": str(secret.arn)}

    return find


def _new_secret(asked: Asked) -> _Found:
    if asked.text("KmsKeyId"):
        yield asked.text("KmsKeyId"), _BOTH, {}


def _parameters(asked: Asked) -> _Found:
    if asked.params.get("WithDecryption") not in (True, "true"):
        return
    backend = ssm_backends[asked.account_id][asked.region]
    for name in asked.texts("Name", "Names"):
        parameter = backend.get_parameter(name)
        if parameter is not None and parameter.parameter_type == "SecureString" and parameter.keyid:
            context = {
                "kms:EncryptionContext:PARAMETER_ARN": asked.arn("ssm", f"parameter/{name.lstrip('/')}")
            }
            yield str(parameter.keyid), _READ, context


def _put_parameter(asked: Asked) -> _Found:
    if asked.text("Type") == "SecureString" and asked.text("KeyId"):
        yield asked.text("KeyId"), ("kms:Encrypt",), {}


def _stream(actions: tuple[str, ...]) -> Callable[[Asked], _Found]:
    def find(asked: Asked) -> _Found:
        name = asked.text("StreamName") or asked.text("StreamARN").rpartition("/")[2]
        stream = kinesis_backends[asked.account_id][asked.region].streams.get(name)
        key = str(getattr(stream, "key_id", "") or "")
        if key and getattr(stream, "encryption_type", "") == "KMS":
            yield key, actions, {"kms:EncryptionContext:aws:kinesis:arn": str(stream.arn)}

    return find


_BY_OPERATION: Mapping[tuple[str, str], Callable[[Asked], _Found]] = {
    ("s3", "PutObject"): _put_object,
    ("s3", "CopyObject"): _put_object,
    ("s3", "CreateMultipartUpload"): _put_object,
    ("s3", "GetObject"): _get_object,
    ("sqs", "SendMessage"): _queue(_BOTH),
    ("sqs", "SendMessageBatch"): _queue(_BOTH),
    ("sqs", "ReceiveMessage"): _queue(_READ),
    ("sns", "Publish"): _topic,
    ("sns", "PublishBatch"): _topic,
    ("secretsmanager", "GetSecretValue"): _secret(_READ),
    ("secretsmanager", "PutSecretValue"): _secret(_BOTH),
    ("secretsmanager", "UpdateSecret"): _secret(_BOTH),
    ("secretsmanager", "CreateSecret"): _new_secret,
    ("ssm", "GetParameter"): _parameters,
    ("ssm", "GetParameters"): _parameters,
    ("ssm", "PutParameter"): _put_parameter,
    ("kinesis", "PutRecord"): _stream(_WRITE),
    ("kinesis", "PutRecords"): _stream(_WRITE),
}
