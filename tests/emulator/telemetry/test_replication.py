"""How far other regions are behind is a metric, and an alarm on it rings while nothing gets through."""

from __future__ import annotations

import json
from typing import Any

import pytest

import sandbox.emulator.dynamodb.patches
import sandbox.emulator.fabric.streams.patches  # noqa: F401 (both register patches)
from sandbox.emulator import patches
from sandbox.emulator.dynamodb.expiry import Expiry
from sandbox.emulator.dynamodb.replication import GlobalTables
from sandbox.emulator.fabric.s3.notifications import Notifications
from sandbox.emulator.fabric.s3.replication import Replication
from sandbox.emulator.fabric.sqs import SqsService
from sandbox.emulator.fabric.streams import Streams
from sandbox.emulator.links import Links
from tests.emulator.fabric.fakes import RecordingFunctions
from tests.emulator.fabric.s3.conftest import RecordingBus
from tests.emulator.telemetry.conftest import Watch

HERE, THERE = "eu-north-1", "us-east-1"


@pytest.fixture
def copied(account: Any, watch: Watch) -> Watch:
    """The table `carts` and the bucket `files` have copies there."""
    patches.apply_all()
    links = Links(account.faults)
    expiry = Expiry(account.core)
    account.add(GlobalTables(account.core, Streams(account.core), links, expiry).handlers())
    mailroom = SqsService(account.core).mailroom
    notifications = Notifications(account.core, RecordingFunctions(), mailroom, RecordingBus())
    account.add(Replication(account.core, notifications, links).handlers())
    copied_table(account)
    copied_bucket(account)
    account.advance(2)
    return watch


def copied_table(account: Any) -> None:
    tables = account.client("dynamodb")
    tables.create_table(
        TableName="carts",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    tables.update_table(TableName="carts", ReplicaUpdates=[{"Create": {"RegionName": THERE}}])


def copied_bucket(account: Any) -> None:
    s3, iam = account.client("s3"), account.client("iam")
    s3.create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": HERE})
    account.client("s3", THERE).create_bucket(Bucket="copies")
    for bucket in ("files", "copies"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    trust = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}
    rights = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    trusting, allowing = (json.dumps({"Version": "2012-10-17", "Statement": [s]}) for s in (trust, rights))
    role = iam.create_role(RoleName="copier", AssumeRolePolicyDocument=trusting)["Role"]["Arn"]
    iam.put_role_policy(RoleName="copier", PolicyName="copy", PolicyDocument=allowing)
    rule = {
        "ID": "all",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {
            "Bucket": "arn:aws:s3:::copies",
            "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}},
        },
    }
    configuration = {"Role": role, "Rules": [rule]}
    s3.put_bucket_replication(Bucket="files", ReplicationConfiguration=configuration)


def test_the_lag_is_a_metric_that_grows_during_a_cut(copied: Watch) -> None:
    watch = copied
    table = {"TableName": "carts", "ReceivingRegion": THERE}
    bucket = {"SourceBucket": "files", "DestinationBucket": "copies", "RuleId": "all"}
    watch.client.put_metric_alarm(
        AlarmName="behind",
        Namespace="AWS/DynamoDB",
        MetricName="ReplicationLatency",
        Dimensions=[{"Name": name, "Value": value} for name, value in table.items()],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=30_000,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )

    def state() -> str:
        [alarm] = watch.client.describe_alarms(AlarmNames=["behind"])["MetricAlarms"]
        return str(alarm["StateValue"])

    def write(key: str) -> None:
        watch.account.client("dynamodb").put_item(TableName="carts", Item={"id": {"S": key}})
        watch.account.client("s3").put_object(Bucket="files", Key=key, Body=b"x")

    write("a")
    watch.account.advance(120)
    assert state() == "OK"
    watch.account.faults.begin("cut_replication", {"source": HERE, "target": THERE})
    write("b")
    watch.account.advance(240)
    assert state() == "ALARM"
    found = watch.read(
        ("t", "AWS/DynamoDB", "ReplicationLatency", "Maximum", table),
        ("b", "AWS/S3", "ReplicationLatency", "Maximum", bucket),
        ("w", "AWS/S3", "OperationsPendingReplication", "Maximum", bucket),
    )
    assert found["t"][0] < 1_500
    assert max(found["t"]) > 120_000
    assert found["b"][0] < 1.5
    assert max(found["b"]) > 120
    assert (found["w"][0], found["w"][-1]) == (0, 1)
