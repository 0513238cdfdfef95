"""Who gets in, who does not, and what they are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.conftest import ACCOUNT_ID, REGION
from tests.emulator.iam.enforcement.conftest import Country, allow, deny, document

TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/orders"
WORKER = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/worker/worker-fn"


def refused(call: Any, **parameters: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value


def message(call: Any, **parameters: Any) -> str:
    return str(refused(call, **parameters).response["Error"]["Message"])


def code(call: Any, **parameters: Any) -> tuple[str, int]:
    answer = refused(call, **parameters).response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def table(country: Country) -> None:
    country.root("dynamodb").create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def bucket(country: Country, *statements: Any, name: str = "papers") -> None:
    s3 = country.root("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    if statements:
        s3.put_bucket_policy(Bucket=name, Policy=document(*statements))


def test_a_role_does_what_its_policy_allows_and_no_more(country: Country) -> None:
    table(country)
    worker = country.role("worker", allow("dynamodb:PutItem", TABLE))("dynamodb")

    worker.put_item(TableName="orders", Item={"pk": {"S": "1"}})

    assert message(worker.get_item, TableName="orders", Key={"pk": {"S": "1"}}) == (
        f"User: {WORKER} is not authorized to perform: dynamodb:GetItem on resource: {TABLE} "
        "because no identity-based policy allows the dynamodb:GetItem action"
    )


def test_removing_one_permission_makes_exactly_that_call_fail(country: Country) -> None:
    table(country)
    worker = country.role("worker", allow(["dynamodb:PutItem", "dynamodb:GetItem"], TABLE))("dynamodb")
    item = {"pk": {"S": "1"}}
    worker.put_item(TableName="orders", Item=item)
    worker.get_item(TableName="orders", Key=item)

    country.root("iam").put_role_policy(
        RoleName="worker", PolicyName="own", PolicyDocument=document(allow("dynamodb:GetItem", TABLE))
    )

    worker.get_item(TableName="orders", Key=item)
    assert code(worker.put_item, TableName="orders", Item=item) == ("AccessDeniedException", 400)


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "wanted"),
    [
        ("dynamodb", "list_tables", {}, ("AccessDeniedException", 400)),
        ("s3", "list_buckets", {}, ("AccessDenied", 403)),
        ("iam", "list_users", {}, ("AccessDenied", 403)),
        ("lambda", "list_functions", {}, ("AccessDeniedException", 403)),
        ("sns", "list_topics", {}, ("AuthorizationError", 403)),
        ("sqs", "list_queues", {}, ("AccessDenied", 403)),
        ("ssm", "get_parameter", {"Name": "/a"}, ("AccessDeniedException", 400)),
        ("secretsmanager", "get_secret_value", {"SecretId": "a"}, ("AccessDeniedException", 400)),
        ("logs", "describe_log_groups", {}, ("AccessDeniedException", 400)),
        ("events", "list_rules", {}, ("AccessDeniedException", 400)),
        ("kms", "list_keys", {}, ("AccessDeniedException", 400)),
        ("cloudwatch", "list_metrics", {}, ("AccessDenied", 403)),
        ("apigateway", "get_rest_apis", {}, ("AccessDeniedException", 403)),
        ("stepfunctions", "list_state_machines", {}, ("AccessDeniedException", 400)),
        ("kinesis", "list_streams", {}, ("AccessDeniedException", 400)),
        ("sts", "assume_role", {"RoleArn": WORKER, "RoleSessionName": "xx"}, ("AccessDenied", 403)),
    ],
)
def test_each_protocol_has_its_own_refusal(
    country: Country, service: str, operation: str, parameters: dict[str, Any], wanted: tuple[str, int]
) -> None:
    nobody = country.user("nobody")

    assert code(getattr(nobody(service), operation), **parameters) == wanted


def test_services_spell_their_actions_as_they_do(country: Country) -> None:
    nobody = country.user("nobody")

    assert "perform: SNS:ListTopics" in message(nobody("sns").list_topics)
    assert "perform: sqs:listqueues" in message(nobody("sqs").list_queues)
    assert 'on resource: "arn:aws:s3:::papers/a"' in message(
        nobody("s3").get_object, Bucket="papers", Key="a"
    )


def test_a_group_speaks_for_its_users(country: Country) -> None:
    ada = country.user("ada")
    iam = country.root("iam")
    iam.create_group(GroupName="readers")
    iam.put_group_policy(
        GroupName="readers", PolicyName="read", PolicyDocument=document(allow("iam:ListUsers"))
    )
    assert code(ada("iam").list_users) == ("AccessDenied", 403)

    iam.add_user_to_group(GroupName="readers", UserName="ada")

    assert [user["UserName"] for user in ada("iam").list_users()["Users"]] == ["ada"]


def test_a_boundary_narrows(country: Country) -> None:
    iam = country.root("iam")
    boundary = iam.create_policy(PolicyName="edge", PolicyDocument=document(allow("sqs:*")))["Policy"]["Arn"]
    ada = country.user("ada", allow("*"))
    ada("iam").list_users()

    iam.put_user_permissions_boundary(UserName="ada", PermissionsBoundary=boundary)

    ada("sqs").list_queues()
    assert message(ada("iam").list_users).endswith(
        "because no permissions boundary allows the iam:ListUsers action"
    )


def test_a_session_policy_narrows_the_session(country: Country) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"},
        "Action": "sts:AssumeRole",
    }
    country.root("iam").create_role(RoleName="ops", AssumeRolePolicyDocument=document(trust))
    country.root("iam").put_role_policy(RoleName="ops", PolicyName="own", PolicyDocument=document(allow("*")))
    role = f"arn:aws:iam::{ACCOUNT_ID}:role/ops"
    ada = country.user("ada", allow("sts:AssumeRole", role))

    made = ada("sts").assume_role(
        RoleArn=role, RoleSessionName="ada", Policy=document(allow("sqs:ListQueues"))
    )["Credentials"]

    issued = country.account.gateway.keys.find(made["AccessKeyId"])
    client = country.account.core.clients.client
    client("sqs", region=REGION, principal=issued.principal).list_queues()
    assert message(client("iam", region=REGION, principal=issued.principal).list_users).endswith(
        "because no session policy allows the iam:ListUsers action"
    )


def test_a_role_that_does_not_trust_is_not_assumed(country: Country) -> None:
    country.role("worker", allow("*"))
    ada = country.user("ada", allow("*"))
    role = f"arn:aws:iam::{ACCOUNT_ID}:role/worker"

    assert message(ada("sts").assume_role, RoleArn=role, RoleSessionName="ada") == (
        f"User: arn:aws:iam::{ACCOUNT_ID}:user/ada is not authorized to perform: sts:AssumeRole "
        f"on resource: {role}"
    )


def test_everybody_may_ask_who_they_are(country: Country) -> None:
    nobody = country.user("nobody", deny("*"))

    assert nobody("sts").get_caller_identity()["Arn"].endswith(":user/nobody")


def test_a_bucket_policy_lets_a_user_in_and_keeps_everybody_out(country: Country) -> None:
    who = {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:user/ada"}
    ada = country.user("ada")("s3")
    bucket(country, allow("s3:PutObject", "arn:aws:s3:::papers/in/*", Principal=who))

    ada.put_object(Bucket="papers", Key="in/1", Body=b"x")

    assert code(ada.put_object, Bucket="papers", Key="out/1", Body=b"x") == ("AccessDenied", 403)


def test_an_explicit_deny_of_a_bucket_holds_for_the_owner_of_the_account_too(country: Country) -> None:
    bucket(country, deny("s3:DeleteObject", "arn:aws:s3:::papers/*", Principal="*"))
    country.root("s3").put_object(Bucket="papers", Key="kept", Body=b"x")

    assert message(country.root("s3").delete_object, Bucket="papers", Key="kept").endswith(
        "with an explicit deny in a resource-based policy"
    )


def test_tls_is_what_the_endpoint_stands_for(country: Country) -> None:
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    bucket(country, deny("s3:*", "arn:aws:s3:::papers/*", Principal="*", Condition=insecure))

    country.root("s3").put_object(Bucket="papers", Key="a", Body=b"x")


def test_each_deleted_object_is_authorised(country: Country) -> None:
    bucket(country)
    ada = country.user("ada", allow("s3:DeleteObject", "arn:aws:s3:::papers/mine/*"))("s3")
    several = {"Objects": [{"Key": "mine/1"}, {"Key": "yours/1"}]}

    assert "yours/1" in message(ada.delete_objects, Bucket="papers", Delete=several)
    ada.delete_objects(Bucket="papers", Delete={"Objects": several["Objects"][:1]})


def test_a_missing_object_is_denied_to_those_who_may_not_list(country: Country) -> None:
    """S3 does not tell whether an object exists to somebody who may not list the bucket."""
    bucket(country)
    reader = country.user("reader", allow("s3:GetObject", "arn:aws:s3:::papers/*"))("s3")
    lister = country.user("lister", allow(["s3:GetObject", "s3:ListBucket"]))("s3")

    assert code(reader.get_object, Bucket="papers", Key="none") == ("AccessDenied", 403)
    assert code(reader.head_object, Bucket="papers", Key="none") == ("403", 403)
    assert code(lister.get_object, Bucket="papers", Key="none") == ("NoSuchKey", 404)


def test_leading_keys_separate_tenants(country: Country) -> None:
    table(country)
    own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"]}}
    worker = country.role("worker", allow("dynamodb:*", TABLE, Condition=own))("dynamodb")

    worker.put_item(TableName="orders", Item={"pk": {"S": "a"}})

    assert code(worker.put_item, TableName="orders", Item={"pk": {"S": "b"}})[0] == "AccessDeniedException"


def test_tags_of_a_resource_decide(country: Country) -> None:
    sqs = country.root("sqs")
    ours = sqs.create_queue(QueueName="ours", tags={"team": "a"})["QueueUrl"]
    theirs = sqs.create_queue(QueueName="theirs", tags={"team": "b"})["QueueUrl"]
    tagged = {"StringEquals": {"aws:ResourceTag/team": "a"}}
    worker = country.role("worker", allow("sqs:SendMessage", Condition=tagged))("sqs")

    worker.send_message(QueueUrl=ours, MessageBody="x")

    assert code(worker.send_message, QueueUrl=theirs, MessageBody="x")[0].endswith("AccessDenied")


def test_a_key_policy_has_to_allow_and_counts_for_what_a_service_decrypts(country: Country) -> None:
    kms = country.root("kms")
    owner = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    key = kms.create_key(Policy=document(owner))["KeyMetadata"]
    url = country.root("sqs").create_queue(QueueName="closed", Attributes={"KmsMasterKeyId": key["KeyId"]})[
        "QueueUrl"
    ]
    worker = country.role("worker", allow("sqs:*"))("sqs")
    assert "kms:GenerateDataKey" in message(worker.send_message, QueueUrl=url, MessageBody="x")

    through_sqs = {"StringEquals": {"kms:ViaService": f"sqs.{REGION}.amazonaws.com"}}
    country.root("iam").put_role_policy(
        RoleName="worker",
        PolicyName="key",
        PolicyDocument=document(
            allow(["kms:GenerateDataKey", "kms:Decrypt"], key["Arn"], Condition=through_sqs)
        ),
    )

    worker.send_message(QueueUrl=url, MessageBody="x")
    last = country.decisions("SendMessage")[-1]
    assert [each["via"] for each in last["authorisations"]] == ["", *[f"sqs.{REGION}.amazonaws.com"] * 2]


def test_a_service_control_policy_holds_for_the_accounts_owner(country: Country) -> None:
    master = country.root("organizations")
    master.create_organization(FeatureSet="ALL")
    other = master.create_account(AccountName="team", Email="team@example.com")["CreateAccountStatus"]
    owner = country.account.gateway.root_keys(other["AccountId"]).principal
    sqs = country.account.core.clients.client("sqs", region=REGION, principal=owner)
    sqs.list_queues()
    policy = master.create_policy(
        Content=document(deny("sqs:*")),
        Description="no queues",
        Name="no-queues",
        Type="SERVICE_CONTROL_POLICY",
    )["Policy"]["PolicySummary"]["Id"]

    master.attach_policy(PolicyId=policy, TargetId=other["AccountId"])

    assert message(sqs.list_queues).endswith("with an explicit deny in a service control policy")
    country.root("sqs").list_queues()  # The management account is never bound.


def test_passing_a_role_needs_permission_for_that_role_and_that_service(country: Country) -> None:
    country.role("worker")
    role = f"arn:aws:iam::{ACCOUNT_ID}:role/worker"
    to_pipes = {"StringEquals": {"iam:PassedToService": "pipes.amazonaws.com"}}
    ada = country.user("ada", allow("states:*"), allow("iam:PassRole", role, Condition=to_pipes))
    machine = {
        "name": "m",
        "roleArn": role,
        "definition": json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}),
    }

    assert "perform: iam:PassRole" in message(ada("stepfunctions").create_state_machine, **machine)


def test_an_unmapped_operation_is_refused_as_our_gap(country: Country) -> None:
    ada = country.user("ada", allow("*"))

    assert code(ada("kinesis").list_queues) == ("NotEmulated", 501)

    (gap,) = country.account.events("gap")
    assert "our gap" in gap.detail["message"]


def test_time_based_conditions_follow_the_accounts_clock(country: Country) -> None:
    later = country.account.core.clock.time() + 3600
    after = {"NumericGreaterThan": {"aws:EpochTime": str(int(later))}}
    ada = country.user("ada", allow("iam:ListUsers", Condition=after))("iam")
    assert code(ada.list_users) == ("AccessDenied", 403)

    country.account.advance(7200)

    ada.list_users()
