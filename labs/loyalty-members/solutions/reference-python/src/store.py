"""Members in the table: one item each, and one more that holds what no two of them may have in common.

A member's item has the key ``member#<id>``. The other one has the key ``unique#<value>``; both are written in
one transaction, so that of two clerks who register the same person one is first.
"""

import os
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from rules import UNIQUE

INDEX = "members"
# Retries are the client's: a clerk waits in front of a screen.
dynamodb = boto3.resource(
    "dynamodb", config=Config(connect_timeout=1, read_timeout=3, retries={"max_attempts": 2})
)
table = dynamodb.Table(os.environ["TABLE_NAME"])
OURS = ("pk", "members")


class Conflict(Exception):
    """Somebody else was first."""


class Missing(Exception):
    """There is no such member."""


def create(fields):
    """A new member.

    Raises:
        Conflict: somebody has the unique value already.
    """
    member = {"id": str(uuid.uuid4()), "version": 1, **fields}
    claim = {"pk": f"unique#{fields[UNIQUE]}", "holder": member["id"]}
    item = {"pk": key_of(member["id"]), "members": "all", **member}
    new = {"TableName": table.name, "ConditionExpression": "attribute_not_exists(pk)"}
    try:
        table.meta.client.transact_write_items(
            TransactItems=[{"Put": {**new, "Item": item}}, {"Put": {**new, "Item": claim}}]
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "TransactionCanceledException":
            raise
        raise Conflict from None
    return member


def read(member_id):
    """A member.

    Raises:
        Missing: there is none.
    """
    item = table.get_item(Key={"pk": key_of(member_id)}, ConsistentRead=True).get("Item")
    if item is None:
        raise Missing
    return shown(item)


def change(member_id, version, fields):
    """The member with some fields set to other values.

    Raises:
        Conflict: it has another version by now.
        Missing: there is no such member.
    """
    names = {f"#f{place}": name for place, name in enumerate(fields)}
    values = {f":f{place}": value for place, value in enumerate(fields.values())}
    sets = [f"#f{place} = :f{place}" for place in range(len(fields))]
    try:
        answer = table.update_item(
            Key={"pk": key_of(member_id)},
            UpdateExpression=f"SET {', '.join(sets)}, version = version + :one",
            ConditionExpression="version = :seen",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={**values, ":one": 1, ":seen": version},
            ReturnValues="ALL_NEW",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        read(member_id)
        raise Conflict from None
    return shown(answer["Attributes"])


def delete(member_id):
    """Remove a member, and give its unique value free.

    Raises:
        Missing: there is no such member.
    """
    member = read(member_id)
    gone = {"Key": {"pk": key_of(member_id)}, "ConditionExpression": "attribute_exists(pk)"}
    keys = [gone, {"Key": {"pk": f"unique#{member[UNIQUE]}"}}]
    try:
        table.meta.client.transact_write_items(
            TransactItems=[{"Delete": {"TableName": table.name, **each}} for each in keys]
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "TransactionCanceledException":
            raise
        raise Missing from None


def page(limit, after):
    """At most ``limit`` members behind the one with the id ``after``, and the id to go on behind."""
    start = {"pk": key_of(after), "members": "all", "id": after}
    answer = table.query(
        IndexName=INDEX,
        KeyConditionExpression="members = :all",
        ExpressionAttributeValues={":all": "all"},
        Limit=limit,
        **({"ExclusiveStartKey": start} if after else {}),
    )
    return [shown(item) for item in answer["Items"]], answer.get("LastEvaluatedKey", {}).get("id")


def key_of(member_id):
    """The key of a member's item."""
    return f"member#{member_id}"


def shown(item):
    """A member as callers see it."""
    return {name: value for name, value in item.items() if name not in OURS}
