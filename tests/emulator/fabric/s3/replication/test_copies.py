"""Objects are copied to another bucket as a rule says, later, with the role's rights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

import sandbox.emulator.bucket_defaults  # noqa: F401 (registers its patches)
from sandbox.emulator import patches
from sandbox.emulator.fabric.s3.notifications import Notifications
from sandbox.emulator.fabric.s3.replication import Replication
from sandbox.emulator.fabric.sqs import SqsService
from sandbox.emulator.links import Links
from tests.emulator.fabric.fakes import RecordingFunctions, take_bodies
from tests.emulator.fabric.s3.conftest import RecordingBus

HERE, THERE = "eu-north-1", "us-east-1"
RIGHTS: dict[str, list[str]] = {
    "arn:aws:s3:::tickets": ["s3:GetReplicationConfiguration", "s3:ListBucket"],
    "arn:aws:s3:::tickets/*": [
        "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionTagging",
    ],
    "arn:aws:s3:::copies/*": ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"],
}


@dataclass
class World:
    """The bucket `tickets` here and the bucket `copies` there."""

    account: Any
    role: str = ""

    @property
    def s3(self) -> Any:
        return self.account.client("s3")

    def bucket(self, name: str, region: str, *, versioned: bool = True) -> None:
        placed = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region != THERE else {}
        self.account.client("s3", region).create_bucket(Bucket=name, **placed)
        if versioned:
            self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def allow(self, without: str = "", trusted: str = "s3.amazonaws.com") -> None:
        """The role as AWS's guide has it, but for one action."""
        iam = self.account.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": trusted}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        self.role = iam.create_role(RoleName="copier", AssumeRolePolicyDocument=document)["Role"]["Arn"]
        statements = [
            {"Effect": "Allow", "Action": kept, "Resource": resource}
            for resource, actions in RIGHTS.items()
            if (kept := [action for action in actions if action != without])
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName="copier", PolicyName="copy", PolicyDocument=policy)

    def rule(self, **more: Any) -> dict[str, Any]:
        return {
            "ID": "all",
            "Priority": 1,
            "Status": "Enabled",
            "Filter": {},
            "DeleteMarkerReplication": {"Status": "Disabled"},
            "Destination": {"Bucket": "arn:aws:s3:::copies"},
            **more,
        }

    def replicate(self, *rules: Any, bucket: str = "tickets") -> None:
        configuration = {"Role": self.role, "Rules": list(rules or [self.rule()])}
        self.s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration=configuration)

    def put(self, key: str, body: str = "x", **more: Any) -> str:
        return str(self.s3.put_object(Bucket="tickets", Key=key, Body=body, **more)["VersionId"])

    def cut(self) -> None:
        """From now on nothing gets there."""
        self.account.faults.begin("cut_replication", {"source": HERE, "target": THERE})

    def status(self, key: str, bucket: str = "tickets") -> str | None:
        """The status of replication that HEAD tells; `absent` when there is no such object."""
        try:
            return self.s3.head_object(Bucket=bucket, Key=key).get("ReplicationStatus")
        except ClientError:
            return "absent"


@pytest.fixture
def world(account: Any) -> World:
    patches.apply_all()
    queues = SqsService(account.core)
    account.add(queues.handlers())
    notifications = Notifications(account.core, RecordingFunctions(), queues.mailroom, RecordingBus())
    account.add(notifications.handlers())
    account.add(Replication(account.core, notifications, Links(account.faults)).handlers())
    made = World(account)
    made.bucket("tickets", HERE)
    made.bucket("copies", THERE)
    return made


@pytest.fixture
def tickets(world: World) -> World:
    """Everything is copied."""
    world.allow()
    world.replicate()
    return world


def test_an_object_is_copied_a_second_later_with_all_that_it_has(tickets: World) -> None:
    version = tickets.put(
        "a.txt", "hello", ContentType="text/plain", Metadata={"order": "7"}, Tagging="team=sales"
    )
    assert (tickets.status("a.txt"), tickets.status("a.txt", "copies")) == ("PENDING", "absent")
    tickets.account.settle()
    assert (tickets.status("a.txt"), tickets.status("a.txt", "copies")) == ("COMPLETED", "REPLICA")
    found = tickets.s3.get_object(Bucket="copies", Key="a.txt")
    assert found["Body"].read() == b"hello"
    assert (found["VersionId"], found["ContentType"], found["Metadata"]) == (
        version,
        "text/plain",
        {"order": "7"},
    )
    assert found["ReplicationStatus"] == "REPLICA"
    tags = tickets.s3.get_object_tagging(Bucket="copies", Key="a.txt")["TagSet"]
    assert tags == [{"Key": "team", "Value": "sales"}]


def test_copies_and_large_uploads_are_copied_too_and_old_objects_are_not(world: World) -> None:
    world.allow()
    world.put("old")
    world.replicate()
    world.s3.copy_object(Bucket="tickets", Key="copied", CopySource="tickets/old")
    upload = world.s3.create_multipart_upload(Bucket="tickets", Key="large")["UploadId"]
    named = {"Bucket": "tickets", "Key": "large", "UploadId": upload}
    etag = world.s3.upload_part(PartNumber=1, Body=b"y" * 100, **named)["ETag"]
    world.s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **named)
    world.account.advance(2)
    copies = [world.status(key, "copies") for key in ("old", "copied", "large")]
    assert copies == ["absent", "REPLICA", "REPLICA"]
    assert world.status("old") is None
    etags = {world.s3.head_object(Bucket=bucket, Key="large")["ETag"] for bucket in ("tickets", "copies")}
    assert len(etags) == 1


def test_rules_choose_by_prefix_and_tags_and_the_higher_priority_wins(world: World) -> None:
    world.allow()
    there = {"Bucket": "arn:aws:s3:::copies"}
    both = {"And": {"Prefix": "pdf/", "Tags": [{"Key": "keep", "Value": "yes"}]}}
    world.replicate(
        world.rule(ID="few", Priority=1, Filter=both),
        world.rule(
            ID="cheap",
            Priority=2,
            Filter={"Prefix": "raw/"},
            Destination={**there, "StorageClass": "GLACIER"},
        ),
        world.rule(ID="dear", Priority=3, Filter={"Prefix": "raw/best/"}),
        world.rule(ID="off", Priority=4, Filter={"Prefix": "none/"}, Status="Disabled"),
    )
    world.put("pdf/a", Tagging="keep=yes&x=1")
    for key in ("pdf/b", "raw/c", "raw/best/d", "none/e"):
        world.put(key)
    world.account.advance(2)
    keys = ("pdf/a", "pdf/b", "raw/c", "raw/best/d", "none/e")
    copied = [world.status(key, "copies") for key in keys]
    assert copied == ["REPLICA", "absent", "REPLICA", "REPLICA", "absent"]
    kinds = [
        world.s3.head_object(Bucket="copies", Key=key).get("StorageClass") for key in ("raw/c", "raw/best/d")
    ]
    assert kinds == ["GLACIER", None]


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        ({"DeleteMarkerReplication": {"Status": "Enabled"}}, True),
        ({}, False),
        ({"Filter": None, "Priority": None, "DeleteMarkerReplication": None, "Prefix": ""}, True),
    ],
    ids=["rule says so", "rule says no", "earlier schema"],
)
def test_delete_markers_are_copied_by_rule_and_removed_versions_never(
    world: World, rule: dict[str, Any], gone: bool
) -> None:
    world.allow()
    world.replicate({key: value for key, value in world.rule(**rule).items() if value is not None})
    first = world.put("a")
    world.put("b")
    world.account.advance(2)
    marker = world.s3.delete_object(Bucket="tickets", Key="a")["VersionId"]
    [version] = world.s3.list_object_versions(Bucket="tickets", Prefix="b")["Versions"]
    world.s3.delete_object(Bucket="tickets", Key="b", VersionId=version["VersionId"])
    world.account.advance(2)
    assert world.status("a", "copies") == ("absent" if gone else "REPLICA")
    assert world.status("b", "copies") == "REPLICA"
    held = world.s3.list_object_versions(Bucket="copies", Prefix="a")
    assert [each["VersionId"] for each in held["Versions"]] == [first]
    assert [each["VersionId"] for each in held.get("DeleteMarkers", [])] == ([marker] if gone else [])


def test_replicas_go_no_further_and_two_way_copies_do_not_circle(tickets: World) -> None:
    tickets.bucket("third", HERE)
    tickets.replicate(
        tickets.rule(ID="back", Destination={"Bucket": "arn:aws:s3:::tickets"}),
        tickets.rule(ID="on", Priority=2, Destination={"Bucket": "arn:aws:s3:::third"}),
        bucket="copies",
    )
    tickets.put("a")
    tickets.account.advance(10)
    assert tickets.status("a", "third") == "absent"
    assert len(tickets.s3.list_object_versions(Bucket="tickets")["Versions"]) == 1
    assert tickets.status("a", "copies") == "REPLICA"


def test_tags_that_change_follow(tickets: World) -> None:
    tickets.put("a")
    tickets.account.advance(2)
    tags = [{"Key": "paid", "Value": "yes"}]
    tickets.s3.put_object_tagging(Bucket="tickets", Key="a", Tagging={"TagSet": tags})
    tickets.account.advance(2)
    assert tickets.s3.get_object_tagging(Bucket="copies", Key="a")["TagSet"] == tags


@pytest.mark.parametrize(
    ("without", "reason"),
    [
        ("s3:GetReplicationConfiguration", "SrcBucketReplicationConfigMissing"),
        ("s3:GetObjectVersionForReplication", "SrcGetObjectNotPermitted"),
        ("s3:GetObjectVersionAcl", "SrcGetAclNotPermitted"),
        ("s3:ReplicateObject", "DstPutObjectNotPermitted"),
        ("trust", "AssumeRoleNotPermitted"),
    ],
)
def test_what_the_role_may_not_do_fails(world: World, without: str, reason: str) -> None:
    world.allow(without, trusted="lambda.amazonaws.com" if without == "trust" else "s3.amazonaws.com")
    world.replicate()
    world.put("a")
    world.account.advance(2)
    assert (world.status("a"), world.status("a", "copies")) == ("FAILED", "absent")
    [event] = world.account.events("replication")
    assert event.outcome == reason
    assert event.detail["reason"]


def test_without_the_right_to_tags_an_object_is_copied_without_them(world: World) -> None:
    world.allow("s3:ReplicateTags")
    world.replicate()
    world.put("a", Tagging="team=sales")
    world.account.advance(2)
    assert world.status("a") == "COMPLETED"
    assert world.s3.get_object_tagging(Bucket="copies", Key="a")["TagSet"] == []


def test_the_destinations_policy_has_a_say(tickets: World) -> None:
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:ReplicateObject",
        "Resource": "arn:aws:s3:::copies/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    tickets.s3.put_bucket_policy(Bucket="copies", Policy=policy)
    tickets.put("a")
    tickets.account.advance(2)
    assert tickets.status("a") == "FAILED"


def test_objects_under_kms_are_copied_only_by_a_rule_that_names_a_key(world: World) -> None:
    world.allow()
    keys = {
        region: world.account.client("kms", region).create_key()["KeyMetadata"]["Arn"]
        for region in (HERE, THERE)
    }
    locked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": keys[HERE]}
    world.replicate()
    world.put("plain-rule", **locked)
    world.account.advance(2)
    assert (world.status("plain-rule"), world.status("plain-rule", "copies")) == (None, "absent")

    encrypted = world.rule(
        SourceSelectionCriteria={"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        Destination={
            "Bucket": "arn:aws:s3:::copies",
            "EncryptionConfiguration": {"ReplicaKmsKeyID": keys[THERE]},
        },
    )
    world.replicate(encrypted)
    world.put("no-right", **locked)
    world.account.advance(2)
    assert world.status("no-right") == "FAILED"

    statements = [
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": keys[HERE]},
        {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": keys[THERE]},
    ]
    world.account.client("iam").put_role_policy(
        RoleName="copier",
        PolicyName="keys",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )
    world.put("a", **locked)
    world.account.advance(2)
    assert world.status("a") == "COMPLETED"
    assert world.s3.head_object(Bucket="copies", Key="a")["SSEKMSKeyId"] == keys[THERE]
    world.account.client("kms", THERE).disable_key(KeyId=keys[THERE].split("/")[-1])
    world.put("b", **locked)
    world.account.advance(2)
    told = [event.outcome for event in world.account.events("replication")]
    assert told == ["SrcGetObjectNotPermitted", "ok", "DstKmsKeyInvalidState"]


def test_a_cut_holds_copies_up_and_they_go_on_when_it_heals(tickets: World) -> None:
    tickets.cut()
    tickets.put("a", "1")
    tickets.put("a", "2")
    tickets.account.advance(100)
    assert (tickets.status("a"), tickets.status("a", "copies")) == ("PENDING", "absent")
    tickets.account.faults.clear()
    tickets.account.settle()
    assert tickets.s3.get_object(Bucket="copies", Key="a")["Body"].read() == b"2"
    assert len(tickets.s3.list_object_versions(Bucket="copies")["Versions"]) == 2
    told = [event.outcome for event in tickets.account.events("replication")]
    assert told == ["held up", "ok", "ok"]


def test_both_buckets_tell_of_what_happens(tickets: World) -> None:
    sqs = tickets.account.client("sqs", THERE)
    url = sqs.create_queue(QueueName="arrivals")["QueueUrl"]
    arn = f"arn:aws:sqs:{THERE}:{tickets.account.core.account_id}:arrivals"
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    tickets.account.client("s3", THERE).put_bucket_notification_configuration(
        Bucket="copies",
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    tickets.account.settle()
    take_bodies(sqs, url)
    tickets.put("a", "hello")
    tickets.account.advance(2)
    [body] = take_bodies(sqs, url)
    [record] = json.loads(body)["Records"]
    assert (record["eventName"], record["awsRegion"]) == ("ObjectCreated:Put", THERE)
    assert record["s3"]["object"]["key"] == "a"


def test_failures_and_delays_are_events_where_metrics_are_on(world: World) -> None:
    sqs = world.account.client("sqs")
    url = sqs.create_queue(QueueName="troubles")["QueueUrl"]
    arn = f"arn:aws:sqs:{HERE}:{world.account.core.account_id}:troubles"
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    world.s3.put_bucket_notification_configuration(
        Bucket="tickets",
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:Replication:*"]}]
        },
    )
    world.account.settle()
    take_bodies(sqs, url)
    world.allow()
    minutes = {"Minutes": 15}
    timed = {
        "Bucket": "arn:aws:s3:::copies",
        "ReplicationTime": {"Status": "Enabled", "Time": minutes},
        "Metrics": {"Status": "Enabled", "EventThreshold": minutes},
    }
    world.replicate(world.rule(Destination=timed))
    world.cut()
    world.put("late")
    world.account.advance(17 * 60)
    world.account.faults.clear()
    world.account.settle()
    world.account.client("iam").delete_role_policy(RoleName="copier", PolicyName="copy")
    world.put("failing")
    world.account.advance(2)
    records = [json.loads(body)["Records"][0] for body in take_bodies(sqs, url)]
    assert [(r["eventName"], r["s3"]["object"]["key"]) for r in records] == [
        ("Replication:OperationMissedThreshold", "late"),
        ("Replication:OperationReplicatedAfterThreshold", "late"),
        ("Replication:OperationFailedReplication", "failing"),
    ]
    told = records[-1]["replicationEventData"]
    assert (told["replicationRuleId"], told["s3Operation"], told["failureReason"]) == (
        "all",
        "OBJECT_PUT",
        "SrcBucketReplicationConfigMissing",
    )


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"Destination": {"Bucket": "arn:aws:s3:::nowhere"}}], "Destination bucket must exist"),
        ([{"Destination": {"Bucket": "arn:aws:s3:::plain"}}], "must have versioning enabled"),
        ([{"Destination": {"Bucket": "arn:aws:s3:::tickets"}}], "cannot be the same"),
        ([{"Priority": None}], "Priority must be specified"),
        ([{"DeleteMarkerReplication": None}], "DeleteMarkerReplication must be specified"),
        (
            [
                {
                    "Filter": {"Tag": {"Key": "a", "Value": "b"}},
                    "DeleteMarkerReplication": {"Status": "Enabled"},
                }
            ],
            "not supported if any Tag filter",
        ),
        ([{"ID": "a"}, {"ID": "b"}], "duplicate priorities"),
        ([{}, {"Priority": 2}], "Rule ID must be unique"),
        (
            [{"SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}}}],
            "EncryptionConfiguration must be specified",
        ),
    ],
)
def test_what_s3_refuses_is_refused(world: World, rules: list[dict[str, Any]], message: str) -> None:
    world.allow()
    world.bucket("plain", THERE, versioned=False)
    with pytest.raises(ClientError, match=message):
        world.replicate(*({k: v for k, v in world.rule(**rule).items() if v is not None} for rule in rules))
    with pytest.raises(ClientError, match="configuration was not found"):
        world.s3.get_bucket_replication(Bucket="tickets")


def test_a_configuration_is_shown_kept_and_removed(tickets: World) -> None:
    told = tickets.s3.get_bucket_replication(Bucket="tickets")["ReplicationConfiguration"]
    assert told == {"Role": tickets.role, "Rules": [tickets.rule()]}
    with pytest.raises(ClientError, match="cannot change the versioning state"):
        tickets.s3.put_bucket_versioning(Bucket="tickets", VersioningConfiguration={"Status": "Suspended"})
    tickets.s3.delete_bucket_replication(Bucket="tickets")
    tickets.put("a")
    tickets.account.advance(2)
    assert tickets.status("a", "copies") == "absent"
    tickets.bucket("plain", HERE, versioned=False)
    with pytest.raises(ClientError, match="Versioning must be 'Enabled'"):
        tickets.replicate(bucket="plain")
