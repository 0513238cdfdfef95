"""DynamoDB: batches, transactions and PartiQL name several tables; a query of an index names the index.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/api-permissions-reference.html,
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html and
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-iam.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sandbox.emulator.iam.evaluation.model import ContextValue
from sandbox.emulator.iam.mapping.model import Asked, Authorisation, Unmapped

_WRITES = {
    "Put": "PutItem",
    "Delete": "DeleteItem",
    "Update": "UpdateItem",
    "ConditionCheck": "ConditionCheckItem",
}
_REPLICATION_SERVICE = "replication.dynamodb.amazonaws.com"
_REPLICATION_ROLE = "AWSServiceRoleForDynamoDBReplication"
_REPLICA_ACTIONS = {
    "Create": (
        "CreateTable",
        "CreateTableReplica",
        "Scan",
        "Query",
        "UpdateItem",
        "PutItem",
        "GetItem",
        "DeleteItem",
        "BatchWriteItem",
    ),
    "Delete": ("DeleteTable", "DeleteTableReplica"),
}
_VERBS = {
    "SELECT": "PartiQLSelect",
    "INSERT": "PartiQLInsert",
    "UPDATE": "PartiQLUpdate",
    "DELETE": "PartiQLDelete",
}
_STATEMENT = re.compile(
    r"""\s*(?:(?P<select>select)\b.*?\bfrom|(?P<insert>insert)\s+into|(?P<update>update)|(?P<delete>delete)\s+from)
    \s+"?(?P<table>[A-Za-z0-9_.:\-/]+)"?(?:\."?(?P<index>[A-Za-z0-9_.\-]+)"?)?""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_NAME = re.compile(r"[#A-Za-z_][#A-Za-z0-9_]*")
_KEYWORDS = frozenset(
    [
        "and",
        "or",
        "not",
        "between",
        "in",
        "set",
        "remove",
        "add",
        "delete",
        "if_not_exists",
        "list_append",
        "attribute_exists",
        "attribute_not_exists",
        "attribute_type",
        "begins_with",
        "contains",
        "size",
    ]
)
_EXPRESSIONS = (
    "ProjectionExpression",
    "KeyConditionExpression",
    "FilterExpression",
    "ConditionExpression",
    "UpdateExpression",
)


def authorisations(asked: Asked) -> list[Authorisation] | None:
    """What a DynamoDB operation must be allowed for; None: its own name, on what it names."""
    params = asked.params
    match asked.operation:
        case "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" | "ConditionCheckItem":
            return [_on(asked, asked.operation, _table(asked, params), _keys(asked, [params]))]
        case "Query" | "Scan":
            table = _table(asked, params)
            index = asked.text("IndexName")
            resource = f"{table}/index/{index}" if index else table
            return [_on(asked, asked.operation, resource, _queried(asked, resource, params))]
        case "BatchGetItem":
            return [
                _on(
                    asked,
                    "BatchGetItem",
                    _named(asked, table),
                    _keys(
                        asked,
                        [{"TableName": table, "Key": key, **wanted} for key in wanted.get("Keys") or ()],
                    ),
                )
                for table, wanted in (params.get("RequestItems") or {}).items()
            ]
        case "BatchWriteItem":
            return [
                _on(
                    asked,
                    "BatchWriteItem",
                    _named(asked, table),
                    _keys(asked, list(_requests(table, requests))),
                )
                for table, requests in (params.get("RequestItems") or {}).items()
            ]
        case "TransactGetItems":
            return _merged(
                _on(asked, "GetItem", _table(asked, each["Get"]), _enclosed(asked, each["Get"]))
                for each in params.get("TransactItems") or ()
            )
        case "TransactWriteItems":
            return _merged(
                _on(asked, _WRITES[kind], _table(asked, each[kind]), _enclosed(asked, each[kind]))
                for each in params.get("TransactItems") or ()
                for kind in each
                if kind in _WRITES
            )
        case "ExecuteStatement":
            return [_statement(asked, asked.text("Statement"), {})]
        case "BatchExecuteStatement":
            return _merged(
                _statement(asked, s.get("Statement", ""), {}) for s in params.get("Statements") or ()
            )
        case "ExecuteTransaction":
            within: dict[str, ContextValue] = {"dynamodb:EnclosingOperation": "ExecuteTransaction"}
            return _merged(
                _statement(asked, s.get("Statement", ""), within)
                for s in params.get("TransactStatements") or ()
            )
        case "ListTables" | "DescribeLimits" | "DescribeEndpoints" | "ListStreams":
            return [Authorisation(f"dynamodb:{asked.operation}", "*", asked.account_id)]
        case "UpdateTable" if params.get("ReplicaUpdates"):
            return [_on(asked, "UpdateTable", _table(asked, params), {}), *_replicas(asked)]
        case "GetRecords" | "GetShardIterator" | "DescribeStream":
            return [_on(asked, asked.operation, _stream(asked), {})]
    return None


def resources(asked: Asked) -> list[str]:
    """What the other operations name: a table, its backups, exports, imports and global tables."""
    tables = [_named(asked, name) for name in asked.texts("TableName", "TableArn", "SourceTableName")]
    tables += [_named(asked, name) for name in asked.texts("TargetTableName", "SourceTableArn")]
    created = (asked.params.get("TableCreationParameters") or {}).get("TableName")
    tables += [_named(asked, created)] if created else []
    tables += [
        f"arn:aws:dynamodb::{asked.account_id}:global-table/{n}" for n in asked.texts("GlobalTableName")
    ]
    tables += asked.texts("BackupArn", "ExportArn", "ImportArn", "ResourceArn")
    return list(dict.fromkeys(tables))


def _replicas(asked: Asked) -> Iterator[Authorisation]:
    """What adding and removing replicas takes in their regions.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2gt_IAM.html
    """
    updates = asked.params.get("ReplicaUpdates") or ()
    for kind, actions in _REPLICA_ACTIONS.items():
        for region in [str(each[kind].get("RegionName", "")) for each in updates if kind in each]:
            table = _table(asked, asked.params).split("/", 1)[-1]
            arn = f"arn:aws:dynamodb:{region}:{asked.account_id}:table/{table}"
            context = {"aws:RequestedRegion": region}
            yield from (_on(asked, action, arn, context) for action in actions)
    if any("Create" in each for each in updates) and asked.find("role", _REPLICATION_ROLE) is None:
        role = f"role/aws-service-role/{_REPLICATION_SERVICE}/{_REPLICATION_ROLE}"
        yield Authorisation(
            "iam:CreateServiceLinkedRole",
            f"arn:aws:iam::{asked.account_id}:{role}",
            "",
            {"iam:AWSServiceName": _REPLICATION_SERVICE},
        )


def _named(asked: Asked, name: str) -> str:
    return name if name.startswith("arn:") else asked.arn("dynamodb", f"table/{name}")


def _table(asked: Asked, given: Mapping[str, Any]) -> str:
    return _named(asked, str(given.get("TableName", "")))


def _stream(asked: Asked) -> str:
    given = asked.text("StreamArn")
    return given or asked.text("ShardIterator").split("|", 1)[0]


def _on(asked: Asked, action: str, resource: str, context: Mapping[str, ContextValue]) -> Authorisation:
    return Authorisation(f"dynamodb:{action}", resource, "", context)


def _requests(table: str, requests: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for request in requests:
        for kind in ("PutRequest", "DeleteRequest"):
            if kind in request:
                yield {"TableName": table, **request[kind]}


def _merged(found: Iterable[Authorisation]) -> list[Authorisation]:
    """One authorisation for each action and table, the keys of all its items together."""
    merged: dict[tuple[str, str], dict[str, list[str]]] = {}
    for each in found:
        kept = merged.setdefault((each.action, each.resource), {})
        for key, value in each.context.items():
            texts = [value] if isinstance(value, str) else list(value or ())  # type: ignore[arg-type]
            kept[key] = list(dict.fromkeys([*kept.get(key, []), *map(str, texts)]))
    return [Authorisation(action, resource, "", context) for (action, resource), context in merged.items()]


def _enclosed(asked: Asked, item: Mapping[str, Any]) -> dict[str, ContextValue]:
    return {**_keys(asked, [item]), "dynamodb:EnclosingOperation": asked.operation}


def _keys(asked: Asked, items: list[Mapping[str, Any]]) -> dict[str, ContextValue]:
    """``dynamodb:LeadingKeys`` (partition key values) and ``dynamodb:Attributes`` of these items."""
    if not items:
        return {}
    key_name = asked.facts.partition_key(_table(asked, items[0]))
    leading: dict[str, None] = {}
    attributes: dict[str, None] = {}
    for item in items:
        held = item.get("Key") or item.get("Item") or {}
        if key_name and key_name in held:
            leading[_scalar(held[key_name])] = None
        for name in (*held, *_attributes(item)):
            attributes[name] = None
    return _context(asked, leading, attributes)


def _queried(asked: Asked, resource: str, params: Mapping[str, Any]) -> dict[str, ContextValue]:
    leading: dict[str, None] = {}
    key_name = asked.facts.partition_key(resource)
    if key_name:
        for value in _compared(params, key_name):
            leading[value] = None
    return _context(asked, leading, dict.fromkeys(_attributes(params)))


def _context(
    asked: Asked, leading: Mapping[str, None], attributes: Mapping[str, None]
) -> dict[str, ContextValue]:
    found: dict[str, ContextValue] = {}
    if leading:
        found["dynamodb:LeadingKeys"] = list(leading)
    if attributes:
        found["dynamodb:Attributes"] = list(attributes)
    for name in ("Select", "ReturnValues", "ReturnConsumedCapacity"):
        if asked.text(name):
            found[f"dynamodb:{name}"] = asked.text(name)
    return found


def _scalar(value: Any) -> str:
    return str(next(iter(value.values()), "")) if isinstance(value, Mapping) else str(value)


def _attributes(item: Mapping[str, Any]) -> list[str]:
    """Top-level attributes that expressions and the older parameters name."""
    aliases = item.get("ExpressionAttributeNames") or {}
    found: dict[str, None] = dict.fromkeys(item.get("AttributesToGet") or ())
    for member in ("KeyConditions", "QueryFilter", "ScanFilter", "Expected", "AttributeUpdates"):
        found |= dict.fromkeys(item.get(member) or {})
    for member in _EXPRESSIONS:
        for path in re.split(r"[\s,()=<>+\-]+", str(item.get(member) or "")):
            top = re.split(r"[.\[]", path, maxsplit=1)[0]
            if _NAME.fullmatch(top) and top.lower() not in _KEYWORDS:
                found[str(aliases.get(top, top))] = None
    return [name for name in found if not name.startswith("#")]


def _compared(params: Mapping[str, Any], key_name: str) -> list[str]:
    """The values that a key condition wants of the partition key."""
    older = (params.get("KeyConditions") or {}).get(key_name) or {}
    if older:
        return [_scalar(value) for value in older.get("AttributeValueList") or ()]
    names = params.get("ExpressionAttributeNames") or {}
    values = params.get("ExpressionAttributeValues") or {}
    spellings = [key_name, *(alias for alias, name in names.items() if name == key_name)]
    condition = str(params.get("KeyConditionExpression") or "")
    for spelling in spellings:
        found = re.search(rf"(?<![\w#]){re.escape(spelling)}\s*=\s*(:\w+)", condition)
        found = found or re.search(rf"(:\w+)\s*=\s*{re.escape(spelling)}(?!\w)", condition)
        if found and found[1] in values:
            return [_scalar(values[found[1]])]
    return []


def _statement(asked: Asked, text: str, context: Mapping[str, ContextValue]) -> Authorisation:
    found = _STATEMENT.match(text)
    if found is None:
        raise Unmapped(asked.service, asked.operation, "the PartiQL statement names no table")
    verb = next(name for name in ("select", "insert", "update", "delete") if found[name])
    table = _named(asked, found["table"])
    resource = f"{table}/index/{found['index']}" if found["index"] else table
    extra: dict[str, ContextValue] = dict(context)
    if verb == "select" and not re.search(r"\bwhere\b", text, re.IGNORECASE):
        extra["dynamodb:FullTableScan"] = "true"
    return _on(asked, _VERBS[verb.upper()], resource, extra)
