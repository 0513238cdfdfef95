"""Faults that are made of AWS's API calls: what they break, and that all is as before afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from graders.errors import NotAssessed
from graders.faults import Faults
from sandbox.supervisor.wire import BadRequest
from tests.triggers.world import World

COUNTS = """
import json
seen = 0
def handler(event, context):
    global seen
    seen += 1
    return {"seen": seen, "event": event}
"""
TAKES = """
import boto3, os, base64
def handler(event, context):
    sqs = boto3.client("sqs")
    for record in event["Records"]:
        told = record["kinesis"]
        text = base64.b64decode(told["data"]).decode()
        sqs.send_message(QueueUrl=os.environ["LEDGER"], MessageBody=f'"{told["partitionKey"]} {text}"')
"""


class AsOnAws:
    """The account as a real one: nothing but its API."""

    backend = "aws"

    def __init__(self, account: Any) -> None:
        self.capabilities = account.capabilities
        self.client = account.client


@pytest.fixture(params=["emulated", "aws"])
def faults(request: pytest.FixtureRequest, world: World) -> Faults:
    """What checks use, on the emulator and as it works on a real account."""
    return Faults(world.account if request.param == "emulated" else AsOnAws(world.account))  # type: ignore[arg-type]


@pytest.fixture
def counts(world: World) -> Iterator[Any]:
    """A function that counts its invocations in its environment; calling it invokes it."""
    world.function("counts", {}, code=COUNTS)

    def invoke(qualifier: str = "$LATEST") -> Any:
        answer = world.client("lambda").invoke(FunctionName="counts", Qualifier=qualifier, Payload=b"1")
        return json.loads(answer["Payload"].read())

    yield invoke
    world.client("lambda").delete_function(FunctionName="counts")


def test_a_right_is_taken_away_and_given_back(world: World, faults: Faults) -> None:
    iam, api = world.client("iam"), world.client("lambda")
    with (
        faults.on("deny", function="works", actions=["sqs:SendMessage"]),
        faults.on("deny", role="triggers", actions=["s3:*"]),
    ):
        assert len(iam.list_role_policies(RoleName="triggers")["PolicyNames"]) == 2
        assert "FunctionError" in api.invoke(FunctionName="works", Payload=b"{}")
    assert iam.list_role_policies(RoleName="triggers")["PolicyNames"] == []
    assert "FunctionError" not in api.invoke(FunctionName="works", Payload=b"{}")


def test_a_throttled_function_runs_nothing(world: World, faults: Faults) -> None:
    api = world.client("lambda")
    api.put_function_concurrency(FunctionName="works", ReservedConcurrentExecutions=7)
    with faults.on("throttle", function="works"), pytest.raises(api.exceptions.TooManyRequestsException):
        api.invoke(FunctionName="works", Payload=b"{}")
    assert api.get_function_concurrency(FunctionName="works")["ReservedConcurrentExecutions"] == 7
    api.delete_function_concurrency(FunctionName="works")


def test_overlapping_faults_give_back_what_was_there_whichever_ends_first(world: World) -> None:
    account, api = world.account, world.client("lambda")
    api.put_function_concurrency(FunctionName="works", ReservedConcurrentExecutions=7)
    first = account.begin_fault("throttle", {"function": "works"})
    second = account.begin_fault("throttle", {"function": "works", "concurrency": 3})

    account.end_fault(first)
    assert api.get_function_concurrency(FunctionName="works")["ReservedConcurrentExecutions"] == 3
    account.end_fault(second)

    assert api.get_function_concurrency(FunctionName="works")["ReservedConcurrentExecutions"] == 7
    api.delete_function_concurrency(FunctionName="works")


def test_a_consumer_that_is_stopped_takes_up_its_work_again(world: World, faults: Faults) -> None:
    queue = world.queue()
    with world.mapping(queue.arn, "works"):
        with faults.on("stop_consumer", function="works", source=queue.arn):
            queue.send("one")
            world.advance(60)
            assert world.ledger() == []
        assert [event["Records"][0]["body"] for event in world.ledger()] == ["one"]


def test_closed_resources_let_nobody_in_but_the_administrator(world: World, faults: Faults) -> None:
    learner, queue, bucket = world.account.learner_client, world.queue(), world.bucket()
    topic, (table, _stream) = world.topic(), world.table()
    secret = world.client("secretsmanager").create_secret(Name=world.name("secret"), SecretString="s")["ARN"]
    world.subscribe(topic, "sqs", queue.arn, RawMessageDelivery="true")
    with faults.on("close", resource=queue.arn):
        world.client("sns").publish(TopicArn=topic, Message="lost")
        world.settle()
        assert world.deliveries("refused")
    table_arn = f"arn:aws:dynamodb:us-east-1:{world.account.account_id}:table/{table}"
    closed = {
        f"arn:aws:s3:::{bucket}": ("s3", "put_object", {"Bucket": bucket, "Key": "k", "Body": b""}),
        topic: ("sns", "publish", {"TopicArn": topic, "Message": "m"}),
        table_arn: ("dynamodb", "put_item", {"TableName": table, "Item": {"pk": {"S": "k"}}}),
        secret: ("secretsmanager", "get_secret_value", {"SecretId": secret}),
    }
    role = world.client("sts").assume_role(RoleArn=_assumable(world), RoleSessionName="them")["Credentials"]
    for arn, (service, operation, parameters) in closed.items():
        with faults.on("close", resource=arn):
            with pytest.raises(learner(service).exceptions.ClientError, match=r"Denied|AuthorizationError"):
                getattr(_as(world, service, role), operation)(**parameters)
            getattr(world.client(service), operation)(**parameters)
        getattr(_as(world, service, role), operation)(**parameters)
    world.client("secretsmanager").delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)


def _assumable(world: World) -> str:
    iam = world.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": world.account.account_id}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    name = world.name("clerk")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    return str(made["Role"]["Arn"])


def _as(world: World, service: str, keys: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=world.account.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def test_a_closed_key_is_disabled(world: World, faults: Faults) -> None:
    kms = world.client("kms")
    key = kms.create_key()["KeyMetadata"]
    with faults.on("close", resource=key["Arn"]):
        assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Enabled"


def test_a_throttled_table_refuses_while_others_answer(world: World, broken: Any) -> None:
    (one, _), (other, _) = world.table(), world.table()
    client = world.account.learner_client("dynamodb")
    item = {"pk": {"S": "k"}}
    with broken("throttle_table", table=one, first=100):
        with pytest.raises(client.exceptions.ProvisionedThroughputExceededException):
            client.put_item(TableName=one, Item=item)
        client.put_item(TableName=other, Item=item)
        client.describe_table(TableName=one)
    client.put_item(TableName=one, Item=item)


def test_a_throttled_table_has_one_unit_on_aws(world: World) -> None:
    table, _ = world.table()
    client = world.client("dynamodb")
    with Faults(AsOnAws(world.account)).on("throttle_table", table=table):  # type: ignore[arg-type]
        found = client.describe_table(TableName=table)["Table"]
        assert found["ProvisionedThroughput"]["WriteCapacityUnits"] == 1
    found = client.describe_table(TableName=table)["Table"]
    assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_poison_is_taken_out_again_wherever_it_went(world: World, faults: Faults) -> None:
    queue, bucket, (table, _) = world.queue(dead=world.dead), world.bucket(), world.table()
    s3, dynamodb = world.client("s3"), world.client("dynamodb")
    s3.put_object(Bucket=bucket, Key="kept", Body=b"before")
    table_arn = f"arn:aws:dynamodb:us-east-1:{world.account.account_id}:table/{table}"
    with (
        world.mapping(queue.arn, "fails"),
        faults.on("poison", to=queue.arn, body="poison"),
        faults.on("poison", to=f"arn:aws:s3:::{bucket}", key="kept", body="{"),
        faults.on("poison", to=f"arn:aws:s3:::{bucket}", key="new", body="{"),
        faults.on("poison", to=table_arn, body='{"pk": "bad", "n": [1, null, true, {"x": "y"}]}'),
    ):
        world.advance(300)
        assert [event["Records"][0]["body"] for event in world.ledger()] == ["poison"] * 3
        assert world.deliveries("dead-lettered", to=world.dead.arn)
        assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"{"
        item = dynamodb.get_item(TableName=table, Key={"pk": {"S": "bad"}})["Item"]
        assert item["n"] == {"L": [{"N": "1"}, {"NULL": True}, {"BOOL": True}, {"M": {"x": {"S": "y"}}}]}
    assert world.dead.messages() == []
    assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"before"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["kept"]
    assert dynamodb.scan(TableName=table)["Items"] == []


def test_a_secret_is_rotated_and_back(world: World, faults: Faults) -> None:
    client = world.client("secretsmanager")
    name = world.name("secret")
    client.create_secret(Name=name, SecretString="old")
    with faults.on("rotate", secret=name, value="new"):
        assert client.get_secret_value(SecretId=name)["SecretString"] == "new"
        assert client.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"] == "old"
        for event in world.events("fault"):
            assert event["detail"]["settings"] == {"secret": name, "value": "***"}
    assert client.get_secret_value(SecretId=name)["SecretString"] == "old"
    client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def test_new_environments_keep_nothing(world: World, faults: Faults, counts: Any) -> None:
    assert [counts()["seen"], counts()["seen"]] == [1, 2]
    with faults.on("new_environments", function="counts"):
        assert counts()["seen"] == 1


@pytest.mark.parametrize("breaks", ["raises", "hangs"])
def test_a_bad_release_is_out_until_it_is_rolled_back(
    world: World, counts: Any, broken: Any, breaks: str
) -> None:
    api = world.client("lambda")
    api.update_function_configuration(FunctionName="counts", Timeout=1)
    version = api.publish_version(FunctionName="counts")["Version"]
    api.create_alias(FunctionName="counts", Name="live", FunctionVersion=version)
    sha = api.get_function_configuration(FunctionName="counts")["CodeSha256"]
    with broken("bad_release", function="counts:live", breaks=breaks):
        answer = counts("live")
        assert ("bad release" if breaks == "raises" else "timed out") in answer["errorMessage"]
    assert counts("live")["event"] == 1
    assert api.get_alias(FunctionName="counts", Name="live")["FunctionVersion"] == version
    assert api.get_function_configuration(FunctionName="counts")["CodeSha256"] == sha
    api.delete_alias(FunctionName="counts", Name="live")


def test_split_shards_are_drained_before_their_children_and_keys_keep_their_order(
    world: World, faults: Faults
) -> None:
    name, arn = world.stream()
    kinesis = world.client("kinesis")
    world.function("takes-records", {}, code=TAKES)

    def put(numbers: range) -> None:
        for n in numbers:
            for key in "abcdef":
                kinesis.put_record(StreamName=name, PartitionKey=key, Data=str(n).encode())

    # Nobody reads while it is split, so that there is something to drain.
    with world.mapping(arn, "takes-records", StartingPosition="TRIM_HORIZON", BatchSize=5):
        with faults.on("stop_consumer", function="takes-records"):
            put(range(3))
            with faults.on("split_shards", stream=name):
                put(range(3, 6))
            put(range(6, 8))
        seen = world.ledger()
    world.client("lambda").delete_function(FunctionName="takes-records")

    assert len(kinesis.list_shards(StreamName=name)["Shards"]) == 4, "one, two halves, and those merged"
    for key in "abcdef":
        assert [line for line in seen if line.startswith(key)] == [f"{key} {n}" for n in range(8)]


def test_a_stream_that_grows_and_shrinks_is_read_in_order(world: World, broken: Any) -> None:
    name, arn = world.stream()
    kinesis = world.client("kinesis")
    world.function("takes-counted", {}, code=TAKES)
    with world.mapping(arn, "takes-counted", StartingPosition="TRIM_HORIZON", BatchSize=4):
        with broken("stop_consumer", function="takes-counted"):
            for n, count in enumerate((2, 4, 2, 1)):
                for key in "abcdef":
                    kinesis.put_record(StreamName=name, PartitionKey=key, Data=str(n).encode())
                kinesis.update_shard_count(
                    StreamName=name, TargetShardCount=count, ScalingType="UNIFORM_SCALING"
                )
        seen = world.ledger()
    world.client("lambda").delete_function(FunctionName="takes-counted")

    for key in "abcdef":
        assert [line for line in seen if line.startswith(key)] == [f"{key} {n}" for n in range(4)]


def test_a_tables_stream_goes_on_in_a_new_shard_with_each_key_in_order(world: World, broken: Any) -> None:
    table, stream = world.table()
    put = world.client("dynamodb").put_item
    with world.mapping(stream, "works", StartingPosition="TRIM_HORIZON", BatchSize=3):
        with broken("stop_consumer", function="works"):
            for n in range(12):
                put(TableName=table, Item={"pk": {"S": "abc"[n % 3]}, "n": {"N": str(n)}})
                for _ in range({3: 1, 7: 2}.get(n, 0)):
                    world.account.begin_fault("roll_shard", {"table": table})
        seen = [record for event in world.ledger() for record in event["Records"]]
    numbers = [int(record["dynamodb"]["NewImage"]["n"]["N"]) for record in seen]
    assert numbers == list(range(12)), "each shard is read to its end before the next"
    with pytest.raises(BadRequest, match="no table nowhere with a stream"):
        world.account.begin_fault("roll_shard", {"table": "nowhere"})


def test_a_check_that_crashes_leaves_nothing_broken(world: World, faults: Faults) -> None:
    queue = world.queue()

    def check() -> None:
        with (
            faults.on("close", resource=queue.arn),
            faults.on("throttle", function="works"),
            faults.on("deny", function="works", actions=["sqs:*"]),
        ):
            raise KeyError("a defect of the check")

    asked = {"QueueUrl": queue.url, "AttributeNames": ["Policy"]}
    before = world.client("sqs").get_queue_attributes(**asked)["Attributes"]
    with pytest.raises(KeyError):
        check()

    assert world.client("sqs").get_queue_attributes(**asked)["Attributes"] == before
    reserved = world.client("lambda").get_function_concurrency(FunctionName="works")
    assert "ReservedConcurrentExecutions" not in reserved
    assert world.client("iam").list_role_policies(RoleName="triggers")["PolicyNames"] == []
    assert world.account.active_faults() == []


def test_other_faults_exist_on_the_emulator_alone(world: World) -> None:
    faults = Faults(AsOnAws(world.account))  # type: ignore[arg-type]
    with (
        pytest.raises(NotAssessed, match="`latency` exists on the emulator only"),
        faults.on("latency", seconds=1),
    ):
        pass


def test_what_aws_refuses_is_told_and_leaves_nothing_on(world: World) -> None:
    with pytest.raises(BadRequest, match=r"`throttle`: GetFunctionConcurrency was refused: .*nowhere"):
        world.account.begin_fault("throttle", {"function": "nowhere"})
    with pytest.raises(BadRequest, match="no such mapping that is enabled"):
        world.account.begin_fault("stop_consumer", {"function": "works"})
    with pytest.raises(BadRequest, match="it closes sqs, s3"):
        world.account.begin_fault("close", {"resource": "arn:aws:states:us-east-1:1:stateMachine:x"})
    assert world.account.active_faults() == []


def test_what_was_deleted_meanwhile_needs_no_undoing(world: World) -> None:
    world.function("gone", {}, code=COUNTS)
    fault = world.account.begin_fault("throttle", {"function": "gone"})
    world.client("lambda").delete_function(FunctionName="gone")

    world.account.end_fault(fault)

    assert world.account.active_faults() == []
