"""One key in several regions, and what a key's state allows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator import patches
from sandbox.emulator.fabric.kms import Keys

HERE, THERE, ELSEWHERE = "eu-north-1", "us-east-1", "ap-southeast-2"
DAY_S = 86_400


@pytest.fixture
def keys(account: Any) -> Any:
    """Makes a client of a region; the key is multi-Region unless a test makes another."""
    patches.apply_all()
    account.add(Keys(account.core).handlers())
    return lambda region=HERE: account.client("kms", region)


@pytest.fixture
def key(account: Any, keys: Any) -> str:
    """The id of a primary key that has a replica."""
    made = keys().create_key(MultiRegion=True, Description="first")["KeyMetadata"]["KeyId"]
    keys().replicate_key(KeyId=made, ReplicaRegion=THERE)
    account.settle()
    return str(made)


def metadata(keys: Any, key: str, region: str = HERE) -> dict[str, Any]:
    return dict(keys(region).describe_key(KeyId=key)["KeyMetadata"])


def parts(keys: Any, key: str, *regions: str) -> list[tuple[str, str, list[str]]]:
    """Of each region's key: its part, its state, and where the replicas are."""
    found = [metadata(keys, key, region) for region in regions]
    return [
        (
            each["MultiRegionConfiguration"]["MultiRegionKeyType"],
            each["KeyState"],
            [replica["Region"] for replica in each["MultiRegionConfiguration"]["ReplicaKeys"]],
        )
        for each in found
    ]


def code(call: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**params)
    told = error.value.response["Error"]
    return told["Code"], told["Message"]


def test_what_one_region_encrypts_the_other_decrypts(keys: Any, key: str) -> None:
    assert len(key) == len("mrk-") + 32
    assert key.startswith("mrk-")
    context = {"a": "b"}
    for sender, receiver in ((HERE, THERE), (THERE, HERE), (HERE, HERE)):
        sent = keys(sender).encrypt(KeyId=key, Plaintext=b"hello", EncryptionContext=context)
        found = keys(receiver).decrypt(CiphertextBlob=sent["CiphertextBlob"], EncryptionContext=context)
        assert found["Plaintext"] == b"hello"
        assert found["KeyId"].split(":")[3] == receiver
    data = keys().generate_data_key(KeyId=key, KeySpec="AES_256")
    assert keys(THERE).decrypt(CiphertextBlob=data["CiphertextBlob"])["Plaintext"] == data["Plaintext"]


def test_a_key_of_one_region_stays_there(account: Any, keys: Any) -> None:
    made = keys().create_key()["KeyMetadata"]
    blob = keys().encrypt(KeyId=made["KeyId"], Plaintext=b"hello")["CiphertextBlob"]
    assert code(keys(THERE).decrypt, CiphertextBlob=blob)[0] == "AccessDeniedException"
    assert code(keys().replicate_key, KeyId=made["KeyId"], ReplicaRegion=THERE)[0] == (
        "UnsupportedOperationException"
    )


def test_an_arn_of_another_region_is_not_taken_even_for_a_related_key(keys: Any, key: str) -> None:
    arn = metadata(keys, key)["Arn"]
    assert code(keys(THERE).encrypt, KeyId=arn, Plaintext=b"x") == (
        "NotFoundException",
        f"Invalid arn {HERE}",
    )


def test_a_replica_has_its_own_policy_description_tags_and_state(account: Any, keys: Any) -> None:
    primary = keys().create_key(MultiRegion=True, Description="first")["KeyMetadata"]["KeyId"]
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = keys().replicate_key(
        KeyId=primary,
        ReplicaRegion=THERE,
        Policy=policy,
        Description="second",
        Tags=[{"TagKey": "in", "TagValue": THERE}],
    )
    assert made["ReplicaKeyMetadata"]["KeyState"] == "Creating"
    assert made["ReplicaKeyMetadata"]["KeyId"] == primary
    assert code(keys(THERE).encrypt, KeyId=primary, Plaintext=b"x")[0] == "KMSInvalidStateException"
    account.settle()
    there = metadata(keys, primary, THERE)
    assert (there["Description"], there["KeyState"]) == ("second", "Enabled")
    assert keys(THERE).get_key_policy(KeyId=primary, PolicyName="default")["Policy"] == policy
    assert keys().get_key_policy(KeyId=primary, PolicyName="default")["Policy"] != policy
    assert keys(THERE).list_resource_tags(KeyId=primary)["Tags"] == [{"TagKey": "in", "TagValue": THERE}]
    assert keys().list_resource_tags(KeyId=primary)["Tags"] == []

    keys(THERE).disable_key(KeyId=there["Arn"])
    assert code(keys(THERE).encrypt, KeyId=primary, Plaintext=b"x") == (
        "DisabledException",
        f"{there['Arn']} is disabled.",
    )
    blob = keys().encrypt(KeyId=primary, Plaintext=b"x")["CiphertextBlob"]
    assert code(keys(THERE).decrypt, CiphertextBlob=blob)[0] == "DisabledException"
    keys(THERE).enable_key(KeyId=primary)
    assert keys(THERE).decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_only_the_primary_is_replicated_and_once_per_region(keys: Any, key: str) -> None:
    assert parts(keys, key, HERE, THERE) == [
        ("PRIMARY", "Enabled", [THERE]),
        ("REPLICA", "Enabled", [THERE]),
    ]
    assert code(keys().replicate_key, KeyId=key, ReplicaRegion=THERE)[0] == "AlreadyExistsException"
    assert code(keys(THERE).replicate_key, KeyId=key, ReplicaRegion=ELSEWHERE)[0] == (
        "UnsupportedOperationException"
    )


def test_the_primary_can_move(account: Any, keys: Any, key: str) -> None:
    keys().update_primary_region(KeyId=key, PrimaryRegion=THERE)
    assert parts(keys, key, HERE, THERE) == [("REPLICA", "Updating", [HERE]), ("PRIMARY", "Updating", [HERE])]
    keys().encrypt(KeyId=key, Plaintext=b"works meanwhile")
    assert code(keys(THERE).replicate_key, KeyId=key, ReplicaRegion=ELSEWHERE)[0] == (
        "KMSInvalidStateException"
    )
    account.settle()
    assert [state for _, state, _ in parts(keys, key, HERE, THERE)] == ["Enabled", "Enabled"]
    keys(THERE).replicate_key(KeyId=key, ReplicaRegion=ELSEWHERE)
    assert code(keys().update_primary_region, KeyId=key, PrimaryRegion=THERE)[0] == (
        "UnsupportedOperationException"
    )


def test_rotation_is_shared_and_the_primary_has_the_say(keys: Any, key: str) -> None:
    assert code(keys(THERE).enable_key_rotation, KeyId=key)[0] == "UnsupportedOperationException"
    keys().enable_key_rotation(KeyId=key)
    assert keys(THERE).get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True


def test_the_primary_goes_after_its_replicas(account: Any, keys: Any, key: str) -> None:
    told = keys().schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert told["KeyState"] == "PendingReplicaDeletion"
    assert code(keys().encrypt, KeyId=key, Plaintext=b"x")[0] == "KMSInvalidStateException"
    blob = keys(THERE).encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert keys(THERE).decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"

    told = keys(THERE).schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert told["KeyState"] == "PendingDeletion"
    account.advance(7 * DAY_S + 1)
    with pytest.raises(ClientError, match="does not exist"):
        metadata(keys, key, THERE)
    assert parts(keys, key, HERE) == [("PRIMARY", "PendingDeletion", [])]
    account.advance(7 * DAY_S + 1)
    with pytest.raises(ClientError, match="does not exist"):
        metadata(keys, key)


def test_a_deletion_can_be_called_off(account: Any, keys: Any) -> None:
    key = keys().create_key()["KeyMetadata"]["KeyId"]
    keys().schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    keys().cancel_key_deletion(KeyId=key)
    account.advance(8 * DAY_S)
    assert metadata(keys, key)["KeyState"] == "Disabled"
