"""Secrets in several regions: copies follow, and only their primary may be changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.fabric.secretsmanager import SecretReplicas, Secrets
from sandbox.emulator.links import Links
from tests.emulator.fabric.fakes import RecordingFunctions
from tests.emulator.fabric.secretsmanager.test_rotation import Vault

HERE, THERE, ELSEWHERE = "eu-north-1", "us-east-1", "ap-southeast-2"
NOT_HERE = "Operation not permitted on a replica secret. Call must be made in primary secret's region."

ALLOW = {"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [ALLOW]})


class World:
    """Secrets of an account."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.functions = RecordingFunctions()
        secrets = Secrets(account.core, self.functions)
        replicas = SecretReplicas(account.core, Links(account.faults))
        secrets.changed = replicas.changed
        account.add(secrets.handlers())
        account.add(replicas.handlers())

    def api(self, region: str = HERE) -> Any:
        return self.account.client("secretsmanager", region)

    def create(self, *regions: str, name: str = "db", **more: Any) -> Any:
        added = [{"Region": region} for region in regions]
        return self.api().create_secret(Name=name, SecretString="first", AddReplicaRegions=added, **more)

    def cut(self) -> None:
        """From now on nothing gets there."""
        self.account.faults.begin("cut_replication", {"source": HERE, "target": THERE})

    def value(self, region: str = THERE, **which: Any) -> str:
        return str(self.api(region).get_secret_value(SecretId="db", **which)["SecretString"])

    def statuses(self) -> dict[str, str]:
        told = self.api().describe_secret(SecretId="db").get("ReplicationStatus", [])
        return {each["Region"]: each["Status"] for each in told}


@pytest.fixture
def world(account: Any) -> World:
    return World(account)


def test_a_copy_has_the_same_name_and_a_new_value_a_second_later(world: World) -> None:
    made = world.create(
        THERE, ELSEWHERE, Tags=[{"Key": "team", "Value": "sales"}], Description="the database"
    )
    assert [(each["Region"], each["Status"]) for each in made["ReplicationStatus"]] == [
        (THERE, "InProgress"),
        (ELSEWHERE, "InProgress"),
    ]
    with pytest.raises(ClientError, match="can't find the specified secret"):
        world.value()
    world.account.settle()
    assert world.statuses() == {THERE: "InSync", ELSEWHERE: "InSync"}
    told = world.api(THERE).describe_secret(SecretId="db")
    assert (told["ARN"], told["PrimaryRegion"]) == (made["ARN"].replace(HERE, THERE), HERE)
    assert (told["Tags"], told["Description"]) == ([{"Key": "team", "Value": "sales"}], "the database")
    assert world.value(ELSEWHERE) == "first"

    version = world.api().put_secret_value(SecretId="db", SecretString="second")["VersionId"]
    assert (world.value(), world.statuses()[THERE]) == ("first", "InProgress")
    world.account.advance(2)
    found = world.api(THERE).get_secret_value(SecretId=told["ARN"])
    assert (found["SecretString"], found["VersionId"], found["ARN"]) == ("second", version, told["ARN"])
    assert world.value(VersionStage="AWSPREVIOUS") == "first"


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("put_secret_value", {"SecretString": "x"}),
        ("update_secret", {"SecretString": "x"}),
        ("delete_secret", {"ForceDeleteWithoutRecovery": True}),
        ("tag_resource", {"Tags": [{"Key": "a", "Value": "b"}]}),
        ("put_resource_policy", {"ResourcePolicy": POLICY}),
        ("rotate_secret", {"RotationLambdaARN": f"arn:aws:lambda:{THERE}:111122223333:function:rotate"}),
        ("replicate_secret_to_regions", {"AddReplicaRegions": [{"Region": ELSEWHERE}]}),
        ("remove_regions_from_replication", {"RemoveReplicaRegions": [THERE]}),
    ],
)
def test_a_copy_is_changed_through_its_primary_alone(world: World, operation: str, params: Any) -> None:
    world.create(THERE)
    world.account.advance(2)
    with pytest.raises(ClientError) as error:
        getattr(world.api(THERE), operation)(SecretId="db", **params)
    told = error.value.response["Error"]
    assert (told["Code"], told["Message"]) == ("InvalidParameterException", NOT_HERE)
    world.account.advance(2)
    assert world.value() == "first"


def test_rotation_reaches_the_copies(account: Any) -> None:
    world = World(account)
    vault = Vault(account, world.functions)
    vault.allow()
    world.api().replicate_secret_to_regions(SecretId="db", AddReplicaRegions=[{"Region": THERE}])
    account.advance(5)
    vault.rotate()
    account.advance(5)
    assert vault.value() == world.value() == "number 2"
    stages = world.api(THERE).describe_secret(SecretId="db")["VersionIdsToStages"]
    assert stages == vault.stages()


def test_policies_and_keys_are_those_of_the_region(world: World) -> None:
    key = world.account.client("kms", THERE).create_key()["KeyMetadata"]["KeyId"]
    world.create()
    world.api().replicate_secret_to_regions(
        SecretId="db", AddReplicaRegions=[{"Region": THERE, "KmsKeyId": key}]
    )
    world.api().put_resource_policy(SecretId="db", ResourcePolicy=POLICY)
    world.account.advance(2)
    assert world.api(THERE).get_resource_policy(SecretId="db")["ResourcePolicy"] == POLICY
    assert world.api(THERE).describe_secret(SecretId="db")["KmsKeyId"] == key
    assert "KmsKeyId" not in world.api().describe_secret(SecretId="db")
    world.value()
    used = [
        verdict.request.resource
        for record in world.account.gateway.guard.log.since(0)
        if record.operation == "GetSecretValue"
        for verdict in record.verdicts
        if verdict.request.action == "kms:Decrypt"
    ]
    assert used == [f"arn:aws:kms:{THERE}:{world.account.core.account_id}:key/{key}"]


def test_a_name_that_is_taken_fails_unless_it_may_be_overwritten(world: World) -> None:
    world.api(THERE).create_secret(Name="db", SecretString="mine")
    world.create(THERE)
    world.account.advance(2)
    [told] = world.api().describe_secret(SecretId="db")["ReplicationStatus"]
    assert told["Status"] == "Failed"
    assert told["StatusMessage"] == f"Replication failed: Secret name db already exists in region {THERE}."
    assert world.value() == "mine"

    world.api().remove_regions_from_replication(SecretId="db", RemoveReplicaRegions=[THERE])
    world.api().replicate_secret_to_regions(
        SecretId="db", AddReplicaRegions=[{"Region": THERE}], ForceOverwriteReplicaSecret=True
    )
    world.account.advance(2)
    assert world.value() == "first"


def test_a_copy_can_be_given_up_or_made_a_secret_of_its_own(world: World) -> None:
    world.create(THERE, ELSEWHERE)
    world.account.advance(2)
    with pytest.raises(ClientError, match="still has replica regions"):
        world.api().delete_secret(SecretId="db", ForceDeleteWithoutRecovery=True)
    left = world.api().remove_regions_from_replication(SecretId="db", RemoveReplicaRegions=[ELSEWHERE])
    assert [each["Region"] for each in left["ReplicationStatus"]] == [THERE]
    with pytest.raises(ClientError, match="can't find the specified secret"):
        world.value(ELSEWHERE)

    world.cut()
    world.api().put_secret_value(SecretId="db", SecretString="unheard")
    arn = world.api(THERE).stop_replication_to_replica(SecretId="db")["ARN"]
    assert world.statuses() == {}
    world.api(THERE).put_secret_value(SecretId=arn, SecretString="own")
    world.account.faults.clear()
    world.account.advance(5)
    assert (world.value(), world.value(HERE)) == ("own", "unheard")
    assert world.value(VersionStage="AWSPREVIOUS") == "first"
    assert "PrimaryRegion" not in world.api(THERE).describe_secret(SecretId="db")
    for region in (HERE, THERE):
        world.api(region).delete_secret(SecretId="db", ForceDeleteWithoutRecovery=True)
    with pytest.raises(ClientError, match="can't find"):
        world.api(THERE).stop_replication_to_replica(SecretId="db")


def test_a_cut_leaves_copies_behind_until_it_heals(world: World) -> None:
    world.create(THERE)
    world.account.advance(2)
    world.cut()
    world.api().update_secret(SecretId="db", SecretString="second")
    world.account.advance(60)
    assert (world.value(), world.statuses()) == ("first", {THERE: "InProgress"})
    world.account.faults.clear()
    world.account.advance(2)
    assert (world.value(), world.statuses()) == ("second", {THERE: "InSync"})


@pytest.mark.parametrize("region", [HERE, "mars-1"])
def test_there_is_no_copy_in_the_primarys_region_or_nowhere(world: World, region: str) -> None:
    with pytest.raises(ClientError, match="Invalid replica region"):
        world.create(region)
    with pytest.raises(ClientError, match="can't find"):
        world.value(HERE)


def test_a_region_has_one_copy(world: World) -> None:
    world.create(THERE)
    with pytest.raises(ClientError, match="already replicated"):
        world.api().replicate_secret_to_regions(SecretId="db", AddReplicaRegions=[{"Region": THERE}])
