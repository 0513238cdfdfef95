"""What services do for an account: polling and logging as the function's role, delivering as themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.cloudformation.service import CloudFormation
from sandbox.emulator.fabric.kms import Keys
from sandbox.emulator.fabric.mappings.service import EventSourceMappings
from sandbox.emulator.fabric.sns.service import Sns
from sandbox.emulator.fabric.sqs import SqsService
from tests.emulator.conftest import ACCOUNT_ID, REGION
from tests.emulator.fabric.fakes import RecordingFunctions, create_function
from tests.emulator.functions.conftest import functions, spawner_socket
from tests.emulator.iam.enforcement.conftest import Country, allow, document

__all__ = ["functions", "spawner_socket"]


@pytest.fixture
def triggered(account: Any) -> Country:
    """An account with queues, topics, mappings and a function that records what it gets."""
    account.gateway.guard.enforcing = True
    recording = RecordingFunctions()
    queues = SqsService(account.core)
    for service in (
        queues,
        EventSourceMappings(account.core, recording, queues.mailroom),
        Sns(account.core, recording, queues.mailroom),
        CloudFormation(account.core),
    ):
        account.add(service.handlers())
    create_function(account, "worker")
    return Country(account)


def queue(country: Country, name: str = "orders", **attributes: str) -> tuple[str, str]:
    url = country.root("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}"


def limit_role(country: Country, *statements: Any) -> None:
    """The function's role has these rights and no others."""
    iam = country.root("iam")
    for policy in iam.list_attached_role_policies(RoleName="runs-functions")["AttachedPolicies"]:
        iam.detach_role_policy(RoleName="runs-functions", PolicyArn=policy["PolicyArn"])
    for name in iam.list_role_policies(RoleName="runs-functions")["PolicyNames"]:
        iam.delete_role_policy(RoleName="runs-functions", PolicyName=name)
    if statements:
        iam.put_role_policy(RoleName="runs-functions", PolicyName="own", PolicyDocument=document(*statements))


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        ([], "ReceiveMessage"),
        (["sqs:ReceiveMessage"], "DeleteMessage"),
        (["sqs:ReceiveMessage", "sqs:DeleteMessage"], "GetQueueAttributes"),
    ],
)
def test_a_mapping_needs_the_functions_role_to_poll(
    triggered: Country, granted: list[str], missing: str
) -> None:
    _, arn = queue(triggered)
    limit_role(triggered, *([allow(granted, arn)] if granted else []))

    with pytest.raises(ClientError) as caught:
        triggered.root("lambda").create_event_source_mapping(FunctionName="worker", EventSourceArn=arn)

    assert caught.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert caught.value.response["Error"]["Message"] == (
        f"The provided execution role does not have permissions to call {missing} on SQS"
    )


def test_polling_ends_with_the_roles_rights_and_goes_on_with_them(triggered: Country) -> None:
    url, arn = queue(triggered)
    rights = allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], arn)
    limit_role(triggered, rights)
    mapping = triggered.root("lambda").create_event_source_mapping(FunctionName="worker", EventSourceArn=arn)
    triggered.account.settle()
    limit_role(triggered)

    triggered.root("sqs").send_message(QueueUrl=url, MessageBody="1")
    triggered.account.settle()

    shown = triggered.root("lambda").get_event_source_mapping(UUID=mapping["UUID"])
    assert shown["LastProcessingResult"].startswith("PROBLEM: User: arn:aws:sts::")
    kept = triggered.decisions("ReceiveMessage")[-1]
    assert (kept["source"], kept["decision"]) == ("platform", "Deny")

    limit_role(triggered, rights)
    triggered.account.advance(61)
    left = triggered.root("sqs").get_queue_attributes(
        QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    assert left["ApproximateNumberOfMessages"] == "0"


def test_a_topic_reaches_an_encrypted_queue_only_through_the_keys_policy(triggered: Country) -> None:
    kms = triggered.root("kms")
    owner = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    key = kms.create_key(Policy=document(owner))["KeyMetadata"]["KeyId"]
    sns_may = {"Principal": {"Service": "sns.amazonaws.com"}}
    url, arn = queue(
        triggered,
        KmsMasterKeyId=key,
        Policy=document(allow("sqs:SendMessage", "*", **sns_may)),
    )
    sns = triggered.root("sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def waiting() -> str:
        found = triggered.root("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return str(found["Attributes"]["ApproximateNumberOfMessages"])

    sns.publish(TopicArn=topic, Message="one")
    triggered.account.settle()
    assert waiting() == "0"

    kms.put_key_policy(
        KeyId=key,
        PolicyName="default",
        Policy=document(owner, allow(["kms:GenerateDataKey", "kms:Decrypt"], "*", **sns_may)),
    )
    sns.publish(TopicArn=topic, Message="two")
    triggered.account.settle()
    assert waiting() == "1"
    delivered = [each for each in triggered.decisions("SendMessage") if each["source"] == "delivery"]
    assert delivered[-1]["principal"] == "sns.amazonaws.com"
    assert delivered[-1]["authorisations"][0]["context"]["aws:SourceArn"] == topic


TEMPLATE = json.dumps(
    {"Resources": {"Jobs": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "jobs"}}}}
)


def stack_status(country: Country) -> tuple[str, list[str]]:
    cloudformation = country.root("cloudformation")
    status = cloudformation.describe_stacks(StackName="shop")["Stacks"][0]["StackStatus"]
    events = cloudformation.describe_stack_events(StackName="shop")["StackEvents"]
    return status, [event.get("ResourceStatusReason", "") for event in events]


def test_a_stack_is_made_with_the_rights_of_whoever_deploys_it(triggered: Country) -> None:
    ada = triggered.user("ada", allow("cloudformation:*"))

    ada("cloudformation").create_stack(StackName="shop", TemplateBody=TEMPLATE)
    triggered.account.settle()

    status, reasons = stack_status(triggered)
    assert status == "ROLLBACK_COMPLETE"
    assert any("User: arn:aws:iam::111122223333:user/ada is not authorized" in r for r in reasons), reasons


def test_a_stack_with_a_service_role_is_made_with_the_roles_rights(triggered: Country) -> None:
    triggered.role("deployer", allow("sqs:*"), service="cloudformation.amazonaws.com")
    role = f"arn:aws:iam::{ACCOUNT_ID}:role/deployer"
    ada = triggered.user("ada", allow("cloudformation:*"), allow("iam:PassRole", role))

    ada("cloudformation").create_stack(StackName="shop", TemplateBody=TEMPLATE, RoleARN=role)
    triggered.account.settle()

    assert stack_status(triggered)[0] == "CREATE_COMPLETE"
    made = triggered.decisions("CreateQueue")[-1]
    assert made["role_arn"] == role


def test_a_service_role_has_to_be_passed(triggered: Country) -> None:
    triggered.role("deployer", allow("sqs:*"), service="cloudformation.amazonaws.com")
    role = f"arn:aws:iam::{ACCOUNT_ID}:role/deployer"
    ada = triggered.user("ada", allow("cloudformation:*"))

    with pytest.raises(ClientError, match="perform: iam:PassRole on resource: " + role):
        ada("cloudformation").create_stack(StackName="shop", TemplateBody=TEMPLATE, RoleARN=role)


def test_a_function_that_may_not_log_has_no_log(functions: Any) -> None:
    functions.account.gateway.guard.enforcing = True
    functions.create("def handler(event, context):\n    print('hello')\n    return 1")
    iam = functions.account.client("iam")
    iam.detach_role_policy(
        RoleName="fn-role", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    )

    answer = functions.api.invoke(FunctionName="fn")

    assert json.loads(answer["Payload"].read()) == 1
    assert functions.account.client("logs").describe_log_groups()["logGroups"] == []
    (dropped,) = functions.account.events("delivery")
    assert dropped.outcome == "AccessDenied"
    assert "logs:CreateLogGroup" in dropped.detail["message"]


def test_a_role_that_trusts_somebody_else_starts_no_function(functions: Any) -> None:
    functions.create("def handler(event, context): ...")
    functions.account.client("iam").update_assume_role_policy(
        RoleName="fn-role",
        PolicyDocument=document(
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ),
    )

    with pytest.raises(ClientError) as caught:
        functions.api.invoke(FunctionName="fn")

    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "cannot be assumed by Lambda" in caught.value.response["Error"]["Message"]


def test_an_encrypted_parameter_is_read_with_the_right_to_its_key_alone(country: Country) -> None:
    key = country.root("kms").create_key()["KeyMetadata"]["Arn"]
    country.root("ssm").put_parameter(Name="/shop/word", Type="SecureString", KeyId=key, Value="mellon")
    reading = allow("ssm:GetParameter", "*")
    without, with_key = country.user("ada", reading), country.user("ben", reading, allow("kms:Decrypt", key))

    with pytest.raises(ClientError, match="AccessDenied"):
        without("ssm").get_parameter(Name="/shop/word", WithDecryption=True)

    found = with_key("ssm").get_parameter(Name="/shop/word", WithDecryption=True)
    assert found["Parameter"]["Value"] == "mellon"
    assert without("ssm").get_parameter(Name="/shop/word")["Parameter"]["Value"] != "mellon"


@pytest.mark.parametrize(
    ("state", "codes"),
    [
        (
            "disabled",
            {"s3": "KMS.DisabledException", "secretsmanager": "DecryptionFailure", "ssm": "InvalidKeyId"},
        ),
        (
            "deleted",
            {
                "s3": "KMS.KMSInvalidStateException",
                "secretsmanager": "DecryptionFailure",
                "ssm": "InvalidKeyId",
            },
        ),
    ],
)
def test_what_lies_under_a_key_that_does_not_work_can_not_be_read(
    country: Country, state: str, codes: dict[str, str]
) -> None:
    country.account.add(Keys(country.account.core).handlers())
    kms, s3 = country.root("kms"), country.root("s3")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket="locked", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="locked", Key="a", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    country.root("secretsmanager").create_secret(Name="db", SecretString="x", KmsKeyId=key)
    country.root("ssm").put_parameter(Name="pw", Value="x", Type="SecureString", KeyId=key)
    reads = {
        "s3": lambda: s3.get_object(Bucket="locked", Key="a"),
        "secretsmanager": lambda: country.root("secretsmanager").get_secret_value(SecretId="db"),
        "ssm": lambda: country.root("ssm").get_parameter(Name="pw", WithDecryption=True),
    }
    for read in reads.values():
        read()
    if state == "disabled":
        kms.disable_key(KeyId=key)
    else:
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    for service, read in reads.items():
        with pytest.raises(ClientError) as error:
            read()
        assert error.value.response["Error"]["Code"] == codes[service]
