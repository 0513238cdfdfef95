"""Template values as API parameters, and what providers share."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.cloudformation.resources import convert
from sandbox.emulator.cloudformation.resources.base import ResourceFailed


class Recorder:
    """A botocore client that keeps what it would have sent."""

    def __init__(self, client: Any) -> None:
        self.meta = client.meta
        self.sent: dict[str, Any] = {}

    def create_function(self, **parameters: Any) -> dict[str, Any]:
        self.sent = parameters
        return {}

    put_bucket_policy = create_function


def test_names_are_found_in_any_case_and_values_become_what_the_api_wants(stack: Any) -> None:
    client = Recorder(stack.client("lambda"))

    convert.call(
        client,
        "CreateFunction",
        {"KmsKeyArn": "k", "Timeout": "30", "Publish": "true", "Layers": "one", "Description": None},
        Environment={"Variables": {"ON": True, "LIMIT": 7}},
    )

    assert client.sent == {
        "KMSKeyArn": "k",
        "Timeout": 30,
        "Publish": True,
        "Layers": ["one"],
        "Environment": {"Variables": {"ON": "true", "LIMIT": "7"}},
    }


def test_documents_become_json(stack: Any) -> None:
    client = Recorder(stack.client("s3"))

    convert.call(client, "PutBucketPolicy", {"Bucket": "b", "Policy": {"Version": "2012-10-17"}})

    assert client.sent["Policy"] == '{"Version": "2012-10-17"}'


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"Tracing": "Active"}, r"#: extraneous key \[Tracing\] is not permitted"),
        ({"TracingConfig": {"Kind": "x"}}, r"#/TracingConfig: extraneous key \[Kind\] is not permitted"),
        ({"TracingConfig": "Active"}, "#/TracingConfig: expected type: JSONObject, found: str"),
        ({"Timeout": "soon"}, '#/Timeout: expected type: Integer, found: "soon"'),
        ({"Timeout": 1.5}, "#/Timeout: expected type: Integer, found: 1.5"),
        ({"Publish": "yes"}, '#/Publish: expected type: Boolean, found: "yes"'),
    ],
)
def test_what_the_api_has_no_place_for_is_refused_and_never_dropped(
    stack: Any, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(ResourceFailed, match=told):
        convert.call(Recorder(stack.client("lambda")), "CreateFunction", given)


def test_the_template_s_own_tags_win_over_the_stack_s(stack: Any) -> None:
    context = stack.context("Thing", {"team": "stack", "cost": "7"})

    merged = convert.tags(context, [{"Key": "team", "Value": "shop"}])

    assert (merged["team"], merged["cost"]) == ("shop", "7")
    assert merged["aws:cloudformation:logical-id"] == "Thing"
    assert convert.tags(context, {"size": 1}, system=False) == {"team": "stack", "cost": "7", "size": "1"}


def test_a_failed_set_up_is_undone_and_still_fails() -> None:
    undone = []

    with pytest.raises(ResourceFailed, match="no"), convert.or_else(lambda: undone.append(True)):
        raise ResourceFailed("no")

    assert undone == [True]


def test_only_an_expected_absence_is_taken_as_one() -> None:
    missing = ClientError({"Error": {"Code": "NoSuchBucket"}}, "DeleteBucket")

    with convert.unless_absent("NoSuchBucket"):
        raise missing
    with pytest.raises(ClientError), convert.unless_absent("NoSuchKey"):
        raise missing


def test_what_never_stabilises_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "_STABLE_WITHIN_S", 0.0)

    with pytest.raises(ResourceFailed, match="The mapping did not stabilize"):
        convert.stabilised(lambda: False, "The mapping")
