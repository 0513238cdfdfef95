"""Buckets that stacks make."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def test_a_bucket_has_its_template_settings(stack: Any) -> None:
    bucket = stack.create(
        "S3::Bucket",
        {
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": "true"}
                ]
            },
            "PublicAccessBlockConfiguration": {"BlockPublicAcls": "true", "BlockPublicPolicy": True},
            "VersioningConfiguration": {"Status": "Enabled"},
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "CorsConfiguration": {
                "CorsRules": [
                    {
                        "AllowedMethods": ["GET"],
                        "AllowedOrigins": ["*"],
                        "ExposedHeaders": ["ETag"],
                        "MaxAge": "60",
                    }
                ]
            },
            "Tags": [{"Key": "team", "Value": "shop"}],
        },
        "UploadBucket",
    )

    s3, name = stack.client("s3"), bucket.physical_id
    assert name.startswith("shop-uploadbucket-")
    assert name == name.lower()
    assert bucket.attributes["Arn"] == f"arn:aws:s3:::{name}"
    assert bucket.attributes["DomainName"] == f"{name}.s3.amazonaws.com"
    assert bucket.attributes["RegionalDomainName"] == f"{name}.s3.{stack.region}.amazonaws.com"
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == stack.region
    rule = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert rule["BucketKeyEnabled"] is True
    assert s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": False,
    }
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    ownership = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]
    assert ownership["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    cors = s3.get_bucket_cors(Bucket=name)["CORSRules"][0]
    assert (cors["ExposeHeaders"], cors["MaxAgeSeconds"]) == (["ETag"], 60)
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "team", "Value": "shop"}]


def test_lifecycle_rules_keep_every_part(stack: Any) -> None:
    bucket = stack.create(
        "S3::Bucket",
        {
            "LifecycleConfiguration": {
                "Rules": [
                    {
                        "Id": "old",
                        "Status": "Enabled",
                        "Prefix": "logs/",
                        "ExpirationInDays": "30",
                        "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 7}],
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 3},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                    },
                    {
                        "Id": "tagged",
                        "Status": "Disabled",
                        "Prefix": "tmp/",
                        "TagFilters": [{"Key": "kind", "Value": "scratch"}],
                        "ExpirationInDays": 1,
                    },
                ]
            }
        },
    )

    found = stack.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket.physical_id)["Rules"]
    assert found[0] == {
        "ID": "old",
        "Status": "Enabled",
        "Filter": {"Prefix": "logs/"},
        "Expiration": {"Days": 30},
        "Transitions": [{"StorageClass": "GLACIER", "Days": 7}],
        "NoncurrentVersionExpiration": {"NoncurrentDays": 3},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    assert found[1]["Filter"]["And"] == {"Prefix": "tmp/", "Tags": [{"Key": "kind", "Value": "scratch"}]}
    assert found[1]["Status"] == "Disabled"


def test_notifications_of_a_bucket(stack: Any) -> None:
    queue = stack.create("SQS::Queue", {"QueueName": "uploads"})
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "s3.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue.attributes["Arn"],
            }
        ],
    }
    stack.create("SQS::QueuePolicy", {"Queues": [queue.physical_id], "PolicyDocument": policy})
    rules = [{"Name": "suffix", "Value": ".jpg"}]
    old = {
        "NotificationConfiguration": {
            "QueueConfigurations": [
                {
                    "Event": "s3:ObjectCreated:*",
                    "Queue": queue.attributes["Arn"],
                    "Filter": {"S3Key": {"Rules": rules}},
                }
            ],
            "EventBridgeConfiguration": {"EventBridgeEnabled": "true"},
        }
    }
    bucket = stack.create("S3::Bucket", old)

    s3 = stack.client("s3")
    found = s3.get_bucket_notification_configuration(Bucket=bucket.physical_id)
    entry = found["QueueConfigurations"][0]
    assert (entry["QueueArn"], entry["Events"]) == (queue.attributes["Arn"], ["s3:ObjectCreated:*"])
    assert [rule["Value"] for rule in entry["Filter"]["Key"]["FilterRules"]] == [".jpg"]
    assert "EventBridgeConfiguration" in found

    stack.update("S3::Bucket", bucket, old, {})

    found = s3.get_bucket_notification_configuration(Bucket=bucket.physical_id)
    assert "QueueConfigurations" not in found


def test_settings_that_left_the_template_are_taken_back(stack: Any) -> None:
    old = {
        "VersioningConfiguration": {"Status": "Enabled"},
        "CorsConfiguration": {"CorsRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]},
        "LifecycleConfiguration": {"Rules": [{"Status": "Enabled", "ExpirationInDays": 1}]},
        "PublicAccessBlockConfiguration": {"BlockPublicAcls": False},
        "Tags": [{"Key": "team", "Value": "shop"}],
    }
    bucket = stack.create("S3::Bucket", old)

    stack.update("S3::Bucket", bucket, old, {})

    s3, name = stack.client("s3"), bucket.physical_id
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Suspended"
    assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
    for read in (s3.get_bucket_cors, s3.get_bucket_lifecycle_configuration, s3.get_bucket_tagging):
        with pytest.raises(ClientError):
            read(Bucket=name)


def test_a_bucket_with_objects_stays_and_aws_says_why(stack: Any) -> None:
    bucket = stack.create("S3::Bucket", {"BucketName": "kept"})
    s3 = stack.client("s3")
    s3.put_object(Bucket="kept", Key="a", Body=b"a")

    with pytest.raises(ClientError, match="The bucket you tried to delete is not empty"):
        stack.delete("S3::Bucket", bucket, {})

    s3.delete_object(Bucket="kept", Key="a")
    stack.delete("S3::Bucket", bucket, {})
    assert s3.list_buckets()["Buckets"] == []


def test_a_bucket_that_can_not_be_set_up_leaves_nothing_behind(stack: Any) -> None:
    nowhere = {"Event": "s3:Never", "Queue": f"arn:aws:sqs:{stack.region}:111122223333:none"}
    with pytest.raises(ClientError):
        stack.create("S3::Bucket", {"NotificationConfiguration": {"QueueConfigurations": [nowhere]}})

    assert stack.client("s3").list_buckets()["Buckets"] == []


def test_a_bucket_policy_comes_and_goes(stack: Any) -> None:
    bucket = stack.create("S3::Bucket", {"BucketName": "shared"})
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": "arn:aws:s3:::shared/*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
    properties = {"Bucket": "shared", "PolicyDocument": document}

    policy = stack.create("S3::BucketPolicy", properties)

    s3 = stack.client("s3")
    assert policy.physical_id == bucket.physical_id
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket="shared")["Policy"]
    stack.delete("S3::BucketPolicy", policy, properties)
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket="shared")


def test_a_new_bucket_is_closed_and_encrypted_without_being_told(stack: Any) -> None:
    name = stack.create("S3::Bucket", {}).physical_id

    s3 = stack.client("s3")
    assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
    rule = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    ownership = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_a_bucket_can_not_notify_a_function_that_does_not_let_it(stack: Any) -> None:
    role = stack.role()
    code = {"ZipFile": "def handler(event, context): pass"}
    made = stack.create(
        "Lambda::Function",
        {"Role": role, "Runtime": "python3.12", "Handler": "index.handler", "Code": code},
    )
    entry = {"Event": "s3:ObjectCreated:*", "Function": made.attributes["Arn"]}

    with pytest.raises(ClientError, match="Unable to validate the following destination configurations"):
        stack.create("S3::Bucket", {"NotificationConfiguration": {"LambdaConfigurations": [entry]}})

    assert stack.client("s3").list_buckets()["Buckets"] == []
