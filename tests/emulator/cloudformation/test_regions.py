"""Types that reach into other regions, from nothing to nothing, through CloudFormation's API."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

import sandbox.emulator.dynamodb.patches  # noqa: F401 (registers them)
from sandbox.emulator import patches
from sandbox.emulator.dynamodb.expiry import Expiry
from sandbox.emulator.dynamodb.replication import GlobalTables
from sandbox.emulator.fabric.kms import Keys
from sandbox.emulator.fabric.s3.notifications import Notifications
from sandbox.emulator.fabric.s3.replication import Replication
from sandbox.emulator.fabric.secretsmanager import SecretReplicas, Secrets
from sandbox.emulator.fabric.sqs import SqsService
from sandbox.emulator.fabric.streams import Streams
from sandbox.emulator.links import Links
from tests.emulator.cloudformation.engine import Engine
from tests.emulator.cloudformation.test_types import changed, made, of, removed
from tests.emulator.fabric.fakes import RecordingFunctions
from tests.emulator.fabric.s3.conftest import RecordingBus

HERE, THERE, ELSEWHERE = "eu-north-1", "us-east-1", "ap-southeast-2"


@pytest.fixture
def regions(engine: Engine) -> Engine:
    patches.apply_all()
    account = engine.account
    links, expiry = Links(account.faults), Expiry(account.core)
    tables = GlobalTables(account.core, Streams(account.core), links, expiry)
    queues = SqsService(account.core)
    notifications = Notifications(account.core, RecordingFunctions(), queues.mailroom, RecordingBus())
    copies = Replication(account.core, notifications, links)
    secrets = Secrets(account.core, RecordingFunctions()), SecretReplicas(account.core, links)
    for service in (expiry, tables, Keys(account.core), queues, notifications, copies, *secrets):
        account.add(service.handlers())
    return engine


def carts(*regions: str, **more: Any) -> dict[str, Any]:
    replicas = [
        {
            "Region": region,
            "Tags": [{"Key": "in", "Value": region}],
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        }
        for region in regions
    ]
    return of(
        Carts=(
            "DynamoDB::GlobalTable",
            {
                "TableName": "carts",
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
                "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
                "TimeToLiveSpecification": {"AttributeName": "until", "Enabled": True},
                "Replicas": replicas,
                **more,
            },
        )
    )


def replicas(engine: Engine) -> dict[str, str]:
    found = engine.account.client("dynamodb").describe_table(TableName="carts")["Table"]
    return {each["RegionName"]: each["ReplicaStatus"] for each in found.get("Replicas", [])}


def test_a_global_table_lives_in_several_regions(regions: Engine) -> None:
    made(regions, carts(HERE, THERE))
    here, there = (regions.account.client("dynamodb", region) for region in (HERE, THERE))
    here.put_item(TableName="carts", Item={"id": {"S": "1"}})
    regions.settle()
    assert there.get_item(TableName="carts", Key={"id": {"S": "1"}})["Item"] == {"id": {"S": "1"}}
    table = there.describe_table(TableName="carts")["Table"]
    tags = there.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    assert tags == [{"Key": "in", "Value": THERE}]
    backups = there.describe_continuous_backups(TableName="carts")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    lived = there.describe_time_to_live(TableName="carts")["TimeToLiveDescription"]
    assert lived["AttributeName"] == "until"

    changed(regions, carts(HERE, THERE, ELSEWHERE))
    assert replicas(regions) == {THERE: "ACTIVE", ELSEWHERE: "ACTIVE"}
    changed(regions, carts(HERE, ELSEWHERE))
    assert replicas(regions) == {ELSEWHERE: "ACTIVE"}

    removed(regions)
    for region in (HERE, THERE, ELSEWHERE):
        assert regions.account.client("dynamodb", region).list_tables()["TableNames"] == []


def test_a_provisioned_global_table_scales_as_it_is_told(regions: Engine) -> None:
    def scaling(kind: str, least: int) -> dict[str, Any]:
        limits = {"MinCapacity": least, "MaxCapacity": 9}
        policy = {"TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70}}
        return {f"{kind}CapacityAutoScalingSettings": {**limits, **policy}}

    template = carts(
        BillingMode="PROVISIONED",
        WriteProvisionedThroughputSettings=scaling("Write", 3),
        Replicas=[
            {"Region": HERE, "ReadProvisionedThroughputSettings": scaling("Read", 2)},
            {"Region": THERE, "ReadProvisionedThroughputSettings": {"ReadCapacityUnits": 7}},
        ],
    )
    made(regions, template)
    there = regions.account.client("dynamodb", THERE).describe_table(TableName="carts")["Table"]
    capacity = there["ProvisionedThroughput"]
    assert (capacity["ReadCapacityUnits"], capacity["WriteCapacityUnits"]) == (7, 3)
    removed(regions)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (carts(HERE, THERE, StreamSpecification=None), "StreamSpecification is needed"),
        (carts(HERE, THERE, StreamSpecification={"StreamViewType": "KEYS_ONLY"}), "NEW_AND_OLD_IMAGES"),
    ],
)
def test_a_failed_replica_leaves_nothing_behind(regions: Engine, template: Any, reason: str) -> None:
    table = template["Resources"]["Carts"]["Properties"]
    template["Resources"]["Carts"]["Properties"] = {k: v for k, v in table.items() if v is not None}
    regions.create(template)
    assert reason in regions.reasons()["Carts"]
    assert regions.account.client("dynamodb").list_tables()["TableNames"] == []


def test_replicas_come_and_go_one_at_a_time(regions: Engine) -> None:
    made(regions, carts(HERE))
    with pytest.raises(AssertionError, match="only one replica"):
        changed(regions, carts(HERE, THERE, ELSEWHERE))
    with pytest.raises(ClientError):
        regions.account.client("dynamodb", THERE).describe_table(TableName="carts")


def test_a_replica_key_lives_in_the_stacks_region_and_can_be_replaced(regions: Engine) -> None:
    keys = regions.account.client("kms", THERE)
    first, second = (keys.create_key(MultiRegion=True)["KeyMetadata"] for _ in range(2))

    def replica(primary: dict[str, Any], **more: Any) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        properties = {"PrimaryKeyArn": primary["Arn"], "KeyPolicy": policy, "PendingWindowInDays": 7, **more}
        return {
            **of(Key=("KMS::ReplicaKey", properties)),
            "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}},
        }

    ids = made(regions, replica(first, Description="one"))
    here = regions.account.client("kms")
    assert ids["Key"] == first["KeyId"]
    assert regions.outputs()["Arn"] == first["Arn"].replace(THERE, HERE)
    blob = keys.encrypt(KeyId=first["KeyId"], Plaintext=b"hello")["CiphertextBlob"]
    assert here.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"

    assert changed(regions, replica(first, Description="two", Enabled=False)) == ids
    told = here.describe_key(KeyId=ids["Key"])["KeyMetadata"]
    assert (told["Description"], told["KeyState"]) == ("two", "Disabled")

    assert changed(regions, replica(second))["Key"] == second["KeyId"]
    assert here.describe_key(KeyId=first["KeyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion"
    removed(regions)
    assert here.describe_key(KeyId=second["KeyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_a_replica_of_a_key_that_is_none_is_refused(regions: Engine) -> None:
    single = regions.account.client("kms", THERE).create_key()["KeyMetadata"]["Arn"]
    policy = {"Version": "2012-10-17", "Statement": []}
    regions.create(of(Key=("KMS::ReplicaKey", {"PrimaryKeyArn": single, "KeyPolicy": policy})))
    assert "is not a multi-Region key" in regions.reasons()["Key"]


def tickets(**more: Any) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}
    rights = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    role = {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "Policies": [
            {"PolicyName": "copy", "PolicyDocument": {"Version": "2012-10-17", "Statement": [rights]}}
        ],
    }
    rule = {
        "Id": "paid",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {"And": {"Prefix": "pdf/", "TagFilters": [{"Key": "paid", "Value": "yes"}]}},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": "arn:aws:s3:::copies", "StorageClass": "STANDARD_IA"},
        **more,
    }
    bucket = {
        "BucketName": "tickets",
        "VersioningConfiguration": {"Status": "Enabled"},
        "ReplicationConfiguration": {"Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Rules": [rule]},
    }
    return of(Role=("IAM::Role", role), Bucket=("S3::Bucket", bucket))


def test_a_bucket_is_copied_as_its_template_says(regions: Engine) -> None:
    s3 = regions.account.client("s3", THERE)
    s3.create_bucket(Bucket="copies")
    s3.put_bucket_versioning(Bucket="copies", VersioningConfiguration={"Status": "Enabled"})
    made(regions, tickets(), Capabilities=["CAPABILITY_IAM"])
    s3.put_object(Bucket="tickets", Key="pdf/1", Body=b"x", Tagging="paid=yes")
    s3.put_object(Bucket="tickets", Key="pdf/2", Body=b"x")
    regions.settle()
    [copied] = s3.list_objects_v2(Bucket="copies")["Contents"]
    assert (copied["Key"], copied["StorageClass"]) == ("pdf/1", "STANDARD_IA")

    template = tickets(Filter={"Prefix": ""})
    regions.update(template, Capabilities=["CAPABILITY_IAM"])
    told = s3.get_bucket_replication(Bucket="tickets")["ReplicationConfiguration"]["Rules"]
    assert [rule["Filter"] for rule in told] == [{"Prefix": ""}]

    del template["Resources"]["Bucket"]["Properties"]["ReplicationConfiguration"]
    regions.update(template, Capabilities=["CAPABILITY_IAM"])
    with pytest.raises(ClientError, match="configuration was not found"):
        s3.get_bucket_replication(Bucket="tickets")


def test_a_bucket_that_can_not_be_copied_is_not_left_behind(regions: Engine) -> None:
    regions.create(tickets(), Capabilities=["CAPABILITY_IAM"])
    assert "Destination bucket must exist" in regions.reasons()["Bucket"]
    assert regions.account.client("s3").list_buckets()["Buckets"] == []


def test_a_secret_is_copied_as_its_template_says(regions: Engine) -> None:
    def secret(value: str, *places: str) -> dict[str, Any]:
        copies = [{"Region": place} for place in places]
        properties = {"Name": "db", "SecretString": value, "ReplicaRegions": copies}
        return of(Secret=("SecretsManager::Secret", properties))

    def value(region: str) -> str:
        found = regions.account.client("secretsmanager", region).get_secret_value(SecretId="db")
        return str(found["SecretString"])

    made(regions, secret("first", THERE))
    assert value(THERE) == "first"
    changed(regions, secret("second", THERE, ELSEWHERE))
    assert (value(THERE), value(ELSEWHERE)) == ("second", "second")
    changed(regions, secret("second", ELSEWHERE))
    with pytest.raises(ClientError, match="can't find"):
        value(THERE)
    removed(regions)
    with pytest.raises(ClientError, match="can't find"):
        value(ELSEWHERE)
