"""Nobody gets past the gateway without a signature made with a key that the account issued."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.emulator.gateway.conftest import Connect, session_keys

TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},'
    '"Action":"sts:AssumeRole"}]}'
)


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def fetch(
    url: str, method: str = "GET", body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data=body or None, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def signed(account: Any, url: str, service: str, method: str = "POST", body: str = "", **headers: str) -> Any:
    """A request signed with the owner's key, which may say anything else."""
    request = AWSRequest(method, url, data=body, headers=headers)
    keys = Credentials(account.keys.access_key_id, account.keys.secret_access_key)
    SigV4Auth(keys, service, "eu-north-1").add_auth(request)
    prepared = request.prepare()
    return fetch(prepared.url, method, body.encode(), dict(prepared.headers.items()))


def test_a_signed_call_is_made_by_the_key_s_owner(connect: Connect) -> None:
    assert connect("sts").get_caller_identity() | {"ResponseMetadata": None} == {
        "UserId": "111122223333",
        "Account": "111122223333",
        "Arn": "arn:aws:iam::111122223333:root",
        "ResponseMetadata": None,
    }


def test_a_wrong_secret_is_refused(connect: Connect, account: Any) -> None:
    forged = {"aws_access_key_id": account.keys.access_key_id, "aws_secret_access_key": "guessed"}
    with pytest.raises(ClientError) as error:
        connect("sqs", forged).list_queues()
    assert code_of(error) == "InvalidSignatureException"


def test_a_key_that_was_never_issued_is_refused(connect: Connect) -> None:
    unknown = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "x"}
    with pytest.raises(ClientError) as error:
        connect("dynamodb", unknown).list_tables()
    assert code_of(error) == "UnrecognizedClientException"


def test_a_session_needs_its_token(connect: Connect) -> None:
    keys = session_keys(connect("sts").get_session_token()["Credentials"])
    assert connect("sqs", keys).list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
    with pytest.raises(ClientError) as error:
        connect("sqs", {**keys, "aws_session_token": "another"}).list_queues()
    assert code_of(error) == "InvalidClientTokenId"


def test_session_keys_end_in_the_account_s_time(connect: Connect, account: Any) -> None:
    keys = session_keys(connect("sts").get_session_token(DurationSeconds=900)["Credentials"])
    account.advance(901)
    with pytest.raises(ClientError) as error:
        connect("sqs", keys).list_queues()
    assert code_of(error) == "ExpiredToken"


def test_a_role_session_is_who_it_assumed(connect: Connect) -> None:
    role = connect("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    session = connect("sts").assume_role(RoleArn=role, RoleSessionName="night-shift")
    who = connect("sts", session_keys(session["Credentials"])).get_caller_identity()
    assert who["Arn"] == "arn:aws:sts::111122223333:assumed-role/worker/night-shift"


def test_a_role_that_does_not_exist_can_t_be_assumed(connect: Connect) -> None:
    with pytest.raises(ClientError) as error:
        connect("sts").assume_role(RoleArn="arn:aws:iam::111122223333:role/none", RoleSessionName="day-shift")
    assert code_of(error) == "AccessDenied"


def test_an_iam_user_s_key_ends_with_the_key(connect: Connect) -> None:
    iam = connect("iam")
    iam.create_user(UserName="ada")
    made = iam.create_access_key(UserName="ada")["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    assert connect("sts", keys).get_caller_identity()["Arn"] == "arn:aws:iam::111122223333:user/ada"
    iam.delete_access_key(UserName="ada", AccessKeyId=made["AccessKeyId"])
    with pytest.raises(ClientError) as error:
        connect("sts", keys).get_caller_identity()
    assert code_of(error) == "UnrecognizedClientException"


@pytest.mark.parametrize("key", ["plain.txt", "with space/and+plus", "50%/naïve-ü.csv", "a//b"])
def test_a_presigned_link_opens_one_object_for_a_while(connect: Connect, account: Any, key: str) -> None:
    s3 = connect("s3")
    s3.create_bucket(Bucket="intake-1", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
    s3.put_object(Bucket="intake-1", Key=key, Body=b"rows")
    link = s3.generate_presigned_url("get_object", {"Bucket": "intake-1", "Key": key}, ExpiresIn=600)
    assert fetch(link) == (200, b"rows")
    assert fetch(link.replace("intake-1", "intake-2"))[0] == 403
    account.advance(601)
    status, body = fetch(link)
    assert (status, b"Request has expired" in body) == (403, True)


def test_a_link_of_the_old_signature_opens_what_it_was_made_for(connect: Connect, account: Any) -> None:
    """As boto3 makes them by default in us-east-1, for a role's session and with a content type."""
    connect("s3").create_bucket(
        Bucket="intake-1", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"}
    )
    old = Config(signature_version="s3", s3={"addressing_style": "path"})
    s3 = connect("s3", session_keys(connect("sts").get_session_token()["Credentials"]), config=old)
    put = s3.generate_presigned_url(
        "put_object", {"Bucket": "intake-1", "Key": "a é.csv", "ContentType": "text/csv"}, ExpiresIn=600
    )
    get = s3.generate_presigned_url(
        "get_object", {"Bucket": "intake-1", "Key": "a é.csv", "ResponseContentType": "text/plain"}
    )
    assert "AWSAccessKeyId=" in put

    assert fetch(put, "PUT", b"rows", {"Content-Type": "text/html"})[0] == 403, "another type was signed"
    assert fetch(put, "PUT", b"rows", {"Content-Type": "text/csv"})[0] == 200
    assert fetch(get) == (200, b"rows")
    assert fetch(get.replace("text%2Fplain", "text%2Fhtml"))[0] == 403
    assert fetch(put, "GET")[0] == 403
    for part in "acl", "tagging", "retention", "legal-hold", "retention=x":
        assert fetch(f"{get}&{part}")[0] == 403, "nor was another part of the object"
        assert fetch(get.replace("?", f"?{part}&"))[0] == 403
    assert fetch(get.replace("intake-1", "intake-2"))[0] == 403
    assert fetch(get.replace("Expires=", "Expires=1"))[0] == 403, "a later end was not signed"
    account.advance(601)
    status, body = fetch(put, "PUT", b"rows", {"Content-Type": "text/csv"})
    assert (status, b"Request has expired" in body) == (403, True)


def test_a_body_other_than_the_signed_one_is_refused(account: Any, endpoint: str) -> None:
    request = AWSRequest("PUT", f"{endpoint}/intake/a", data=b"honest", headers={"x-amz-content-sha256": ""})
    keys = Credentials(account.keys.access_key_id, account.keys.secret_access_key)
    SigV4Auth(keys, "sqs", "eu-north-1").add_auth(request)
    prepared = request.prepare()
    assert fetch(prepared.url, "PUT", b"forged", dict(prepared.headers.items()))[0] == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/moto-api/reset"),
        ("GET", "/moto-api/data.json"),
        ("GET", "/latest/meta-data/iam/security-credentials/"),
        ("GET", "/"),
        ("PUT", "/some-bucket"),
    ],
)
def test_an_unsigned_request_reaches_nothing(account: Any, endpoint: str, method: str, path: str) -> None:
    account.client("sqs").create_queue(QueueName="kept")
    status, body = fetch(f"{endpoint}{path}", method)
    assert status in (403, 404)
    assert b"Traceback" not in body
    assert account.client("sqs").list_queues()["QueueUrls"]


def test_administration_is_refused_to_those_who_sign_as_well(account: Any, endpoint: str) -> None:
    assert signed(account, f"{endpoint}/moto-api/reset", "s3")[0] == 404


@pytest.mark.parametrize(
    ("service", "path", "body", "headers"),
    [
        ("iam", "/?Action=ListRoles", "Action=CreateUser&UserName=eve&Version=2010-05-08", {}),
        ("iam", "/", "Action=ListRoles&Action=CreateUser&UserName=eve&Version=2010-05-08", {}),
        ("iam", "/", "Action=ListRoles&Version=2010-05-08", {"X-Amz-Target": "x.CreateUser"}),
        ("lambda", "/2015-03-31/functions?Action=DeleteFunction", "", {}),
        ("lambda", "/2015-03-31/functions", "", {"X-Amz-Target": "AWSLambda.DeleteFunction"}),
        ("sqs", "/", "{}", {"X-Amz-Target": "AmazonSQS.ListQueues", "x-moto-account-id": "999999999999"}),
        ("dynamodb", "/", "{}", {"X-Amz-Target": "Foo_20120810.ListTables"}),
    ],
)
def test_a_request_that_names_two_operations_is_refused(
    account: Any, endpoint: str, service: str, path: str, body: str, headers: dict[str, str]
) -> None:
    kind = "application/x-www-form-urlencoded" if service == "iam" else "application/x-amz-json-1.0"
    kind = "application/json" if service == "lambda" else kind
    status, _body = signed(
        account, f"{endpoint}{path}", service, body=body, **{"Content-Type": kind, **headers}
    )
    assert status in (400, 404)
    assert account.client("iam").list_users()["Users"] == []
