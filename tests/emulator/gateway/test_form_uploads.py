"""Uploads by HTML forms: the policy that was signed decides, and then IAM does."""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.config import Config

from tests.emulator.gateway.conftest import Connect, session_keys

BOUNDARY = "----a-boundary"
V4 = Config(signature_version="s3v4", s3={"addressing_style": "path"})
V2 = Config(signature_version="s3", s3={"addressing_style": "path"})


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def form(fields: Mapping[str, str], file: bytes | None = b"picture", name: str = "a b.png") -> bytes:
    """A form as a browser sends it."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    if file is not None:
        head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: image/png'
        parts.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + file + b"\r\n")
        late = 'Content-Disposition: form-data; name="submit"\r\n\r\nUpload'
        parts.append(f"--{BOUNDARY}\r\n{late}\r\n".encode())
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def send(url: str, body: bytes) -> tuple[int, dict[str, str], str]:
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    request = urllib.request.Request(url, body, {"Content-Type": kind}, method="POST")
    try:
        with urllib.request.build_opener(NoRedirect).open(request) as answer:
            return answer.status, _headers(answer), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _headers(error), error.read().decode()


def _headers(answer: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


def error_of(answer: tuple[int, dict[str, str], str]) -> tuple[int, str, str]:
    code, message = (re.search(f"<{tag}>([^<]*)", answer[2]) for tag in ("Code", "Message"))
    assert code is not None
    assert message is not None
    return answer[0], code[1], message[1].replace("&quot;", '"')


@pytest.fixture
def s3(connect: Connect) -> Any:
    client = connect("s3", config=V4)
    client.create_bucket(Bucket="uploads", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
    return client


@pytest.mark.parametrize("config", [V4, V2], ids=["v4", "v2"])
def test_a_form_of_boto3_s_is_an_object(s3: Any, connect: Connect, config: Config) -> None:
    post = connect("s3", config=config).generate_presigned_post(
        "uploads",
        "in/${filename}",
        Fields={"Content-Type": "image/png", "x-amz-meta-who": "ann", "acl": "private"},
        Conditions=[
            ["starts-with", "$Content-Type", "image/"],
            {"x-amz-meta-who": "ann"},
            {"acl": "private"},
            ["content-length-range", 1, 10],
        ],
    )
    status, headers, body = send(post["url"], form(post["fields"]))
    assert (status, body) == (204, "")
    found = s3.get_object(Bucket="uploads", Key="in/a b.png")
    assert found["Body"].read() == b"picture"
    assert (found["ContentType"], found["Metadata"]) == ("image/png", {"who": "ann"})
    assert headers["etag"] == found["ETag"]
    assert headers["location"].endswith("/uploads/in%2Fa%20b.png")


def test_what_the_sender_is_answered(s3: Any) -> None:
    def post(**fields: str) -> tuple[int, dict[str, str], str]:
        made = s3.generate_presigned_post("uploads", "k", Fields=fields, Conditions=[fields])
        return send(made["url"], form(made["fields"]))

    status, _, body = post(success_action_status="201")
    assert status == 201
    assert re.search(r"<PostResponse><Location>.*/k</Location><Bucket>uploads</Bucket><Key>k</Key>", body)
    assert post(success_action_status="200")[0] == 200
    assert post(success_action_status="418")[0] == 204
    status, headers, _ = post(success_action_redirect="https://example.com/done?a=1")
    assert status == 303
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(headers["location"]).query)
    etag = s3.head_object(Bucket="uploads", Key="k")["ETag"]
    assert query == {"a": ["1"], "bucket": ["uploads"], "key": ["k"], "etag": [etag]}


@pytest.mark.parametrize(
    ("changed", "file", "expected"),
    [
        (
            {"key": "out/x"},
            b"ok",
            (
                403,
                "AccessDenied",
                'Invalid according to Policy: Policy Condition failed: ["starts-with", "$key", "in/"]',
            ),
        ),
        (
            {"x-amz-meta-who": "bob"},
            b"ok",
            (403, "AccessDenied", "Invalid according to Policy: Extra input fields: x-amz-meta-who"),
        ),
        ({}, b"x" * 11, (400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")),
        ({}, b"", (400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")),
        (
            {},
            None,
            (
                400,
                "IncorrectNumberOfFilesInPostRequest",
                "POST requires exactly one file upload per request.",
            ),
        ),
        ({"policy": "e30="}, b"ok", (403, "SignatureDoesNotMatch", "")),
        ({"x-amz-signature": "0" * 64}, b"ok", (403, "SignatureDoesNotMatch", "")),
        ({"policy": ""}, b"ok", (400, "InvalidArgument", "Bucket POST must contain a field named 'policy'.")),
        ({"key": ""}, b"ok", (400, "InvalidArgument", "Bucket POST must contain a field named 'key'.")),
        ({"x-amz-credential": ""}, b"ok", (403, "AccessDenied", "Access Denied")),
    ],
)
def test_what_is_not_as_the_policy_says_is_refused(
    s3: Any, changed: dict[str, str], file: bytes | None, expected: tuple[int, str, str]
) -> None:
    made = s3.generate_presigned_post(
        "uploads",
        "in/${filename}",
        Conditions=[["starts-with", "$key", "in/"], ["content-length-range", 1, 10]],
    )
    status, code, message = error_of(send(made["url"], form({**made["fields"], **changed}, file)))
    assert (status, code) == expected[:2]
    assert message.startswith(expected[2])
    assert "Contents" not in s3.list_objects_v2(Bucket="uploads")


def test_a_policy_runs_out_in_the_accounts_time(s3: Any, account: Any) -> None:
    made = s3.generate_presigned_post("uploads", "k", ExpiresIn=60)
    account.advance(90)
    assert error_of(send(made["url"], form(made["fields"]))) == (
        403,
        "AccessDenied",
        "Invalid according to Policy: Policy expired.",
    )


def test_what_is_no_form_is_refused(s3: Any) -> None:
    made = s3.generate_presigned_post("uploads", "k")
    assert error_of(send(made["url"], b"nothing of the kind"))[1] == "MalformedPOSTRequest"
    document = json.loads(base64.b64decode(made["fields"]["policy"]))
    assert {"bucket": "uploads"} in document["conditions"]
    many = {"x-ignore-this": "x" * 21_000, **made["fields"]}
    assert error_of(send(made["url"], form(many)))[1] == "MaxPostPreDataLengthExceeded"


def test_who_signed_needs_the_right_to_put(s3: Any, account: Any, connect: Connect) -> None:
    iam = account.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="web", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    allow = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::uploads/in/*"}
    iam.put_role_policy(
        RoleName="web",
        PolicyName="put",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
    )
    keys = connect("sts").assume_role(RoleArn=role, RoleSessionName="form")["Credentials"]
    web = connect("s3", session_keys(keys), config=V4)

    def upload(key: str, **changed: str) -> tuple[int, dict[str, str], str]:
        made = web.generate_presigned_post("uploads", key)
        return send(made["url"], form({**made["fields"], **changed}))

    assert upload("in/a")[0] == 204
    status, code, message = error_of(upload("out/a"))
    assert (status, code) == (403, "AccessDenied")
    assert "is not authorized to perform: s3:PutObject" in message
    assert error_of(upload("in/b", **{"x-amz-security-token": "another"}))[1] == "InvalidToken"
    names = [event.subject for event in account.events("api") if event.outcome == "ok"]
    assert "s3:PostObject" in names
