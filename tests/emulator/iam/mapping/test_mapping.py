"""What particular requests must be allowed for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.emulator.iam.mapping import Asked, NoFacts, Unmapped, authorisations

ACCOUNT, REGION = "111122223333", "eu-north-1"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/orders"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:fulfil"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"


class Keys(NoFacts):
    """Tables whose partition key is ``pk``, any secret, any deployment of one group, and one task's token."""

    def partition_key(self, table_arn: str) -> str | None:
        return "pk"

    def find_arn(self, kind: str, name: str, *, account_id: str, region: str) -> str | None:
        known = {
            "secret": f"arn:aws:secretsmanager:{region}:{account_id}:secret:{name}-AbCdEf",
            "deployment": f"arn:aws:codedeploy:{region}:{account_id}:deploymentgroup:app/group",
            "task-token": MACHINE if name == "given" else None,
        }
        return known.get(kind)


def mapped(service: str, operation: str, **params: Any) -> list[tuple[str, str]]:
    """(action, resource) of each authorisation, in order."""
    return [(each.action, each.resource) for each in found(service, operation, **params)]


def found(service: str, operation: str, **params: Any) -> tuple[Any, ...]:
    return authorisations(Asked(service, operation, params, ACCOUNT, REGION, Keys()))


def context(service: str, operation: str, **params: Any) -> Mapping[str, Any]:
    return dict(found(service, operation, **params)[0].context)


S3 = [
    ("HeadObject", {"Bucket": "b", "Key": "k"}, [("s3:GetObject", "arn:aws:s3:::b/k")]),
    (
        "GetObject",
        {"Bucket": "b", "Key": "k", "VersionId": "1"},
        [("s3:GetObjectVersion", "arn:aws:s3:::b/k")],
    ),
    ("HeadBucket", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
    ("ListObjectsV2", {"Bucket": "b", "Prefix": "in/"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
    ("ListBuckets", {}, [("s3:ListAllMyBuckets", "*")]),
    (
        "CopyObject",
        {"Bucket": "to", "Key": "k2", "CopySource": "from/a%20b"},
        [("s3:GetObject", "arn:aws:s3:::from/a b"), ("s3:PutObject", "arn:aws:s3:::to/k2")],
    ),
    (
        "DeleteObjects",
        {"Bucket": "b", "Delete": {"Objects": [{"Key": "1"}, {"Key": "2", "VersionId": "v"}]}},
        [("s3:DeleteObject", "arn:aws:s3:::b/1"), ("s3:DeleteObjectVersion", "arn:aws:s3:::b/2")],
    ),
    ("UploadPart", {"Bucket": "b", "Key": "k"}, [("s3:PutObject", "arn:aws:s3:::b/k")]),
    (
        "PutObject",
        {"Bucket": "b", "Key": "k", "ACL": "public-read", "Tagging": "team=a"},
        [
            ("s3:PutObject", "arn:aws:s3:::b/k"),
            ("s3:PutObjectAcl", "arn:aws:s3:::b/k"),
            ("s3:PutObjectTagging", "arn:aws:s3:::b/k"),
        ],
    ),
    ("GetBucketEncryption", {"Bucket": "b"}, [("s3:GetEncryptionConfiguration", "arn:aws:s3:::b")]),
]


@pytest.mark.parametrize(("operation", "params", "wanted"), S3, ids=[each[0] for each in S3])
def test_s3(operation: str, params: dict[str, Any], wanted: list[tuple[str, str]]) -> None:
    assert mapped("s3", operation, **params) == wanted


DYNAMODB = [
    ("GetItem", {"TableName": TABLE, "Key": {"pk": {"S": "1"}}}, [("dynamodb:GetItem", TABLE)]),
    ("Query", {"TableName": "orders", "IndexName": "by-day"}, [("dynamodb:Query", f"{TABLE}/index/by-day")]),
    (
        "BatchWriteItem",
        {"RequestItems": {"orders": [], "other": []}},
        [("dynamodb:BatchWriteItem", TABLE), ("dynamodb:BatchWriteItem", TABLE.replace("orders", "other"))],
    ),
    (
        "TransactWriteItems",
        {
            "TransactItems": [
                {"Put": {"TableName": "orders", "Item": {"pk": {"S": "1"}}}},
                {"ConditionCheck": {"TableName": "orders", "Key": {"pk": {"S": "2"}}}},
            ]
        },
        [("dynamodb:PutItem", TABLE), ("dynamodb:ConditionCheckItem", TABLE)],
    ),
    (
        "ExecuteStatement",
        {"Statement": 'SELECT * FROM "orders"."by-day" WHERE day = \'1\''},
        [("dynamodb:PartiQLSelect", f"{TABLE}/index/by-day")],
    ),
    (
        "ExecuteStatement",
        {"Statement": "INSERT INTO orders VALUE {'pk': '1'}"},
        [("dynamodb:PartiQLInsert", TABLE)],
    ),
]


@pytest.mark.parametrize(("operation", "params", "wanted"), DYNAMODB)
def test_dynamodb(operation: str, params: dict[str, Any], wanted: list[tuple[str, str]]) -> None:
    assert mapped("dynamodb", operation, **params) == wanted


LAMBDA = "arn:aws:lambda:eu-north-1:111122223333:function:fn"
GROUP = f"arn:aws:codedeploy:{REGION}:{ACCOUNT}:deploymentgroup:app/group"
OTHERS = [
    ("lambda", "Invoke", {"FunctionName": "fn"}, [("lambda:InvokeFunction", LAMBDA)]),
    (
        "lambda",
        "Invoke",
        {"FunctionName": f"{ACCOUNT}:function:fn:live"},
        [("lambda:InvokeFunction", f"{LAMBDA}:live")],
    ),
    (
        "lambda",
        "CreateFunction",
        {"FunctionName": "fn", "Role": ROLE},
        [("lambda:CreateFunction", LAMBDA), ("iam:PassRole", ROLE)],
    ),
    (
        "sqs",
        "SendMessageBatch",
        {"QueueUrl": f"http://127.0.0.1:4566/{ACCOUNT}/q"},
        [("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:q")],
    ),
    (
        "events",
        "PutEvents",
        {"Entries": [{"Source": "a"}, {"Source": "b", "EventBusName": "own"}, {"Source": "c"}]},
        [
            ("events:PutEvents", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"),
            ("events:PutEvents", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/own"),
        ],
    ),
    (
        "events",
        "PutTargets",
        {"Rule": "r", "EventBusName": "own", "Targets": [{"Id": "1", "Arn": "x", "RoleArn": ROLE}]},
        [
            ("events:PutTargets", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/own/r"),
            ("iam:PassRole", ROLE),
        ],
    ),
    (
        "logs",
        "PutRetentionPolicy",
        {"logGroupName": "/g", "retentionInDays": 7},
        [("logs:PutRetentionPolicy", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/g:log-stream:")],
    ),
    (
        "logs",
        "PutLogEvents",
        {"logGroupName": "/g", "logStreamName": "s"},
        [("logs:PutLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/g:log-stream:s")],
    ),
    (
        "secretsmanager",
        "GetSecretValue",
        {"SecretId": "db"},
        [("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-AbCdEf")],
    ),
    (
        "apigateway",
        "GetResources",
        {"restApiId": "a1"},
        [("apigateway:GET", f"arn:aws:apigateway:{REGION}::/restapis/a1/resources")],
    ),
    (
        "apigatewayv2",
        "CreateRoute",
        {"ApiId": "a1", "RouteKey": "GET /"},
        [("apigateway:POST", f"arn:aws:apigateway:{REGION}::/apis/a1/routes")],
    ),
    (
        "ssm",
        "GetParameters",
        {"Names": ["/app/a", "b:2"]},
        [
            ("ssm:GetParameters", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/app/a"),
            ("ssm:GetParameters", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/b"),
        ],
    ),
    (
        "kms",
        "ReEncrypt",
        {"SourceKeyId": "1", "DestinationKeyId": "2"},
        [
            ("kms:ReEncryptFrom", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"),
            ("kms:ReEncryptTo", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/2"),
        ],
    ),
    ("sts", "AssumeRole", {"RoleArn": ROLE}, [("sts:AssumeRole", ROLE)]),
    ("sts", "GetCallerIdentity", {}, []),
    (
        "stepfunctions",
        "StartExecution",
        {"stateMachineArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:m:live"},
        [("states:StartExecution", f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:m")],
    ),
    (
        "cloudformation",
        "CreateStack",
        {"StackName": "shop", "RoleARN": ROLE},
        [
            ("cloudformation:CreateStack", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/shop/*"),
            ("iam:PassRole", ROLE),
        ],
    ),
    (
        "scheduler",
        "CreateSchedule",
        {"Name": "s", "Target": {"Arn": "x", "RoleArn": ROLE}},
        [
            ("scheduler:CreateSchedule", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/s"),
            ("iam:PassRole", ROLE),
        ],
    ),
    (
        "codedeploy",
        "CreateDeploymentGroup",
        {"applicationName": "app", "deploymentGroupName": "group", "serviceRoleArn": ROLE},
        [("codedeploy:CreateDeploymentGroup", GROUP), ("iam:PassRole", ROLE)],
    ),
    ("codedeploy", "GetDeployment", {"deploymentId": "d-1"}, [("codedeploy:GetDeployment", GROUP)]),
    (
        "codedeploy",
        "PutLifecycleEventHookExecutionStatus",
        {"deploymentId": "d-1", "lifecycleEventHookExecutionId": "x", "status": "Succeeded"},
        [("codedeploy:PutLifecycleEventHookExecutionStatus", GROUP)],
    ),
    ("codedeploy", "StopDeployment", {"deploymentId": "d-1"}, [("codedeploy:StopDeployment", "*")]),
]


@pytest.mark.parametrize(
    ("service", "operation", "params", "wanted"), OTHERS, ids=[f"{each[0]}-{each[1]}" for each in OTHERS]
)
def test_other_services(
    service: str, operation: str, params: dict[str, Any], wanted: list[tuple[str, str]]
) -> None:
    assert mapped(service, operation, **params) == wanted


def test_replicas_take_rights_in_their_own_regions() -> None:
    there = TABLE.replace(REGION, "us-east-1")
    update = {"TableName": "orders", "ReplicaUpdates": [{"Create": {"RegionName": "us-east-1"}}]}
    wanted = mapped("dynamodb", "UpdateTable", **update)
    assert wanted[0] == ("dynamodb:UpdateTable", TABLE)
    assert {("dynamodb:CreateTable", there), ("dynamodb:CreateTableReplica", there)} <= set(wanted)
    role = "AWSServiceRoleForDynamoDBReplication"
    path = f"role/aws-service-role/replication.dynamodb.amazonaws.com/{role}"
    assert wanted[-1] == ("iam:CreateServiceLinkedRole", f"arn:aws:iam::{ACCOUNT}:{path}")
    update = {"TableName": TABLE, "ReplicaUpdates": [{"Delete": {"RegionName": "us-east-1"}}]}
    assert mapped("dynamodb", "UpdateTable", **update) == [
        ("dynamodb:UpdateTable", TABLE),
        ("dynamodb:DeleteTable", there),
        ("dynamodb:DeleteTableReplica", there),
    ]
    context = found("dynamodb", "UpdateTable", **update)[1].context
    assert context["aws:RequestedRegion"] == "us-east-1"


def test_related_keys_are_authorised_in_both_regions() -> None:
    here, there = (f"arn:aws:kms:{region}:{ACCOUNT}:key/mrk-1" for region in (REGION, "us-east-1"))
    assert mapped("kms", "ReplicateKey", KeyId="mrk-1", ReplicaRegion="us-east-1") == [
        ("kms:ReplicateKey", here),
        ("kms:CreateKey", "*"),
    ]
    assert mapped("kms", "UpdatePrimaryRegion", KeyId=here, PrimaryRegion="us-east-1") == [
        ("kms:UpdatePrimaryRegion", here),
        ("kms:UpdatePrimaryRegion", there),
    ]


def test_a_secret_with_copies_takes_the_right_to_make_them() -> None:
    arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-AbCdEf"
    wanted = {"Name": "db", "AddReplicaRegions": [{"Region": "us-east-1"}]}
    assert mapped("secretsmanager", "CreateSecret", **wanted) == [
        ("secretsmanager:CreateSecret", arn),
        ("secretsmanager:ReplicateSecretToRegions", arn),
    ]
    assert context("secretsmanager", "CreateSecret", **wanted)["secretsmanager:AddReplicaRegions"] == [
        "us-east-1"
    ]


def test_a_passed_role_names_who_gets_it() -> None:
    passed = found("stepfunctions", "CreateStateMachine", name="m", roleArn=ROLE)[-1]

    assert passed.action == "iam:PassRole"
    assert passed.context == {"iam:PassedToService": "states.amazonaws.com"}


def test_leading_keys_are_the_partition_keys_of_every_item() -> None:
    batch = {"orders": [{"PutRequest": {"Item": {"pk": {"S": k}, "v": {"N": "1"}}}} for k in ("a", "b")]}

    keys = context("dynamodb", "BatchWriteItem", RequestItems=batch)

    assert keys["dynamodb:LeadingKeys"] == ["a", "b"]
    assert keys["dynamodb:Attributes"] == ["pk", "v"]


def test_a_query_names_its_partition_key_through_aliases() -> None:
    keys = context(
        "dynamodb",
        "Query",
        TableName="orders",
        KeyConditionExpression="#p = :p AND sk > :s",
        ProjectionExpression="total, #n.city",
        ExpressionAttributeNames={"#p": "pk", "#n": "address"},
        ExpressionAttributeValues={":p": {"S": "ada"}, ":s": {"S": "0"}},
    )

    assert keys["dynamodb:LeadingKeys"] == ["ada"]
    assert set(keys["dynamodb:Attributes"]) == {"pk", "sk", "total", "address"}


def test_a_listing_says_its_prefix_only_when_it_has_one() -> None:
    assert context("s3", "ListObjectsV2", Bucket="b", Prefix="") == {"s3:prefix": ""}
    assert context("s3", "ListObjectsV2", Bucket="b") == {}


@pytest.mark.parametrize(
    ("service", "operation", "params", "key", "value"),
    [
        ("s3", "PutObject", {"Bucket": "b", "Key": "k", "ACL": "private"}, "s3:x-amz-acl", "private"),
        (
            "s3",
            "PutObject",
            {"Bucket": "b", "Key": "k", "ServerSideEncryption": "aws:kms"},
            "s3:x-amz-server-side-encryption",
            "aws:kms",
        ),
        ("cloudwatch", "PutMetricData", {"Namespace": "Shop"}, "cloudwatch:namespace", "Shop"),
        ("sns", "Subscribe", {"TopicArn": "t", "Protocol": "sqs"}, "sns:Protocol", "sqs"),
        ("sqs", "CreateQueue", {"QueueName": "q", "tags": {"team": "a"}}, "aws:RequestTag/team", "a"),
        ("lambda", "TagResource", {"Resource": LAMBDA, "Tags": {"team": "a"}}, "aws:TagKeys", ["team"]),
        (
            "kms",
            "Decrypt",
            {"KeyId": "1", "EncryptionContext": {"app": "x"}},
            "kms:EncryptionContext:app",
            "x",
        ),
        (
            "lambda",
            "CreateEventSourceMapping",
            {"FunctionName": "fn", "EventSourceArn": "x"},
            "lambda:FunctionArn",
            LAMBDA,
        ),
        ("iam", "AttachRolePolicy", {"RoleName": "r", "PolicyArn": "p"}, "iam:PolicyARN", "p"),
        ("events", "PutEvents", {"Entries": [{"Source": "shop"}]}, "events:source", ["shop"]),
        ("sts", "AssumeRole", {"RoleArn": ROLE, "ExternalId": "x"}, "sts:ExternalId", "x"),
    ],
)
def test_condition_keys(service: str, operation: str, params: dict[str, Any], key: str, value: Any) -> None:
    assert context(service, operation, **params)[key] == value


def test_an_operation_without_a_mapping_says_why() -> None:
    with pytest.raises(Unmapped, match="does not know it yet"):
        found("kinesis", "CreateQueue")


@pytest.mark.parametrize(("token", "resource"), [("given", MACHINE), ("made up", "*")])
def test_who_reports_about_a_task_needs_the_machine_that_waits(token: str, resource: str) -> None:
    assert mapped("stepfunctions", "SendTaskSuccess", taskToken=token, output="{}") == [
        ("states:SendTaskSuccess", resource)
    ]
