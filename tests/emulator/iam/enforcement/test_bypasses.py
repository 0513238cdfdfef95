"""Ways around a gateway that are known to work elsewhere; none does here."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from werkzeug.serving import make_server

from tests.emulator.conftest import ACCOUNT_ID, REGION
from tests.emulator.iam.enforcement.conftest import Country, allow, document


class Intruder:
    """Real HTTP with the keys of a user who may list users and nothing else."""

    def __init__(self, country: Country, url: str) -> None:
        country.user("eve", allow(["iam:ListUsers", "dynamodb:ListTables", "s3:GetObject"]))
        key = country.root("iam").create_access_key(UserName="eve")["AccessKey"]
        self.url = url
        self.keys = Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def send(
        self,
        service: str,
        method: str = "POST",
        path: str = "/",
        body: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """A signed request; what is signed is what is sent."""
        request = AWSRequest(method, f"{self.url}{path}", data=body, headers=dict(headers or {}))
        SigV4Auth(self.keys, service, REGION).add_auth(request)
        return requests.request(
            method, f"{self.url}{path}", data=body, headers=dict(request.headers.items()), timeout=10
        )


@pytest.fixture
def intruder(country: Country) -> Iterator[Intruder]:
    server = make_server("127.0.0.1", 0, country.account.gateway.application(), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Intruder(country, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()


def users(country: Country) -> list[str]:
    return [user["UserName"] for user in country.root("iam").list_users()["Users"]]


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_what_is_allowed_gets_through(intruder: Intruder) -> None:
    answer = intruder.send("iam", body="Action=ListUsers&Version=2010-05-08", headers=FORM)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/?Action=ListUsers&Version=2010-05-08", "Action=CreateUser&UserName=new&Version=2010-05-08"),
        ("/?Action=ListUsers&Action=CreateUser&UserName=new&Version=2010-05-08", ""),
        ("/", "Action=ListUsers&Version=2010-05-08&Action=CreateUser&UserName=new"),
        ("/", "Version=2010-05-08&%41ction=CreateUser&UserName=new&Action=ListUsers"),
    ],
)
def test_two_operations_in_one_request_are_none(
    country: Country, intruder: Intruder, path: str, body: str
) -> None:
    answer = intruder.send("iam", path=path, body=body, headers=FORM)

    assert answer.status_code >= 400
    assert "new" not in users(country)


def test_an_operation_of_another_prefix_is_none(intruder: Intruder) -> None:
    headers = {"X-Amz-Target": "Foo_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}

    assert intruder.send("dynamodb", body="{}", headers=headers).status_code >= 400


def test_a_target_header_beside_an_action_is_refused(country: Country, intruder: Intruder) -> None:
    headers = {**FORM, "X-Amz-Target": "DynamoDB_20120810.ListTables"}

    answer = intruder.send("iam", body="Action=ListUsers&Version=2010-05-08", headers=headers)

    assert answer.status_code >= 400


@pytest.mark.parametrize("path", ["/moto-api/reset", "/moto-api/data.json", "/latest/meta-data/"])
def test_administration_is_not_served(country: Country, intruder: Intruder, path: str) -> None:
    assert requests.post(f"{intruder.url}{path}", timeout=10).status_code == 404
    assert intruder.send("s3", path=path).status_code >= 400
    assert users(country) == ["eve"]


@pytest.mark.parametrize("path", ["/", "/?Action=CreateUser&UserName=new", "/2015-03-31/functions"])
def test_an_unsigned_call_is_nobodys(country: Country, intruder: Intruder, path: str) -> None:
    answer = requests.get(f"{intruder.url}{path}", timeout=10)

    assert answer.status_code == 403
    assert "new" not in users(country)


def test_a_header_does_not_choose_the_account(country: Country, intruder: Intruder) -> None:
    headers = {**FORM, "x-moto-account-id": "999900001111"}

    answer = intruder.send("iam", body="Action=ListUsers&Version=2010-05-08", headers=headers)

    assert answer.status_code == 400
    assert "not one of AWS" in answer.text


def test_a_method_override_changes_nothing(country: Country, intruder: Intruder) -> None:
    s3 = country.root("s3")
    s3.create_bucket(Bucket="papers", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="papers", Key="a", Body=b"kept")

    intruder.send("s3", "GET", "/papers/a", headers={"X-HTTP-Method-Override": "DELETE"})
    answer = intruder.send("s3", "DELETE", "/papers/a")

    assert answer.status_code == 403
    assert s3.get_object(Bucket="papers", Key="a")["Body"].read() == b"kept"


def test_several_subresources_of_s3_in_one_request_are_refused(country: Country, intruder: Intruder) -> None:
    s3 = country.root("s3")
    s3.create_bucket(Bucket="papers", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="papers", Key="a", Body=b"kept")

    answer = intruder.send("s3", "GET", "/papers/a?acl&tagging")

    assert answer.status_code == 400


def test_the_scope_of_a_signature_is_no_identity(country: Country, intruder: Intruder) -> None:
    """The key says who calls, whatever service and region the scope claims."""
    answer = intruder.send("sqs", body="Action=CreateUser&UserName=new&Version=2010-05-08", headers=FORM)

    assert answer.status_code >= 400
    assert "new" not in users(country)


def test_a_presigned_link_can_do_what_its_signer_can(country: Country, intruder: Intruder) -> None:
    s3 = country.root("s3")
    s3.create_bucket(Bucket="papers", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="papers", Key="a", Body=b"x")
    eve = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=intruder.url,
        aws_access_key_id=intruder.keys.access_key,
        aws_secret_access_key=intruder.keys.secret_key,
    )
    read = eve.generate_presigned_url("get_object", {"Bucket": "papers", "Key": "a"})
    remove = eve.generate_presigned_url("delete_object", {"Bucket": "papers", "Key": "a"})

    assert requests.get(read, timeout=10).content == b"x"
    assert requests.delete(remove, timeout=10).status_code == 403


def test_moto_performs_only_what_was_authorised(country: Country, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the gateway ever misname a request, moto's own name for it stops the call."""
    from sandbox.emulator.gateway import operations

    real = operations.name_operation

    def misnamed(request: Any, service: str, **how: Any) -> Any:
        named = real(request, service, **how)
        if named.name != "CreateUser":
            return named
        model = named.model.service_model.operation_model("ListUsers")
        return operations.Operation(service, "ListUsers", named.protocol, model, {})

    eve = country.user("eve", allow("iam:ListUsers"))("iam")
    monkeypatch.setattr(operations, "name_operation", misnamed)

    with pytest.raises(ClientError, match="would be performed as CreateUser") as caught:
        eve.create_user(UserName="new")

    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    monkeypatch.undo()
    assert users(country) == ["eve"]


def test_a_session_of_a_deleted_role_may_nothing(country: Country) -> None:
    worker = country.role("worker", allow("sqs:*"))("sqs")
    worker.list_queues()
    iam = country.root("iam")
    iam.delete_role_policy(RoleName="worker", PolicyName="own")
    iam.delete_role(RoleName="worker")

    with pytest.raises(ClientError, match="not authorized"):
        worker.list_queues()


def test_an_account_does_not_reach_into_another(country: Country) -> None:
    url = country.root("sqs").create_queue(QueueName="ours")["QueueUrl"]
    other = country.account.gateway.root_keys("444455556666").principal
    sqs = country.account.core.clients.client("sqs", region=REGION, principal=other)

    with pytest.raises(ClientError, match="resource-based policy"):
        sqs.send_message(QueueUrl=url, MessageBody="x")

    statement = allow("sqs:SendMessage", Principal={"AWS": "444455556666"})
    country.root("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(statement)})
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert json.loads(document(statement))
    assert url.split("/")[-2] == ACCOUNT_ID
