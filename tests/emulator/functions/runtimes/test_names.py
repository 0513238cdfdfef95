"""Code that ignores the endpoint variable goes where AWS's names lead, and arrives; in every language."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.emulator.gateway import edge
from tests.emulator.functions.runtimes import go_builds
from tests.emulator.functions.runtimes.conftest import LanguageAccount
from tests.emulator.functions.runtimes.java_builds import missing
from tests.emulator.functions.runtimes.test_custom import package
from tests.emulator.functions.test_own_names import NAME, Town

PYTHON = """
import boto3, socket, urllib.request


def refusal(attempt, *arguments):
    try:
        attempt(*arguments)
    except OSError as error:
        return f"refused: {error}"
    return "reached"


def handler(event, context):
    s3 = boto3.client("s3")
    s3.put_object(Bucket=event["bucket"], Key="a/ü.txt", Body=b"hello")
    return {
        "stored": s3.get_object(Bucket=event["bucket"], Key="a/ü.txt")["Body"].read().decode(),
        "answered": urllib.request.urlopen(event["url"]).read().decode(),
        "elsewhere": refusal(socket.getaddrinfo, event["elsewhere"], 443),
        "address": refusal(socket.create_connection, (event["address"], 443), 2),
    }
"""
NODE = """
const https = require("node:https"), net = require("node:net"), dns = require("node:dns/promises");
const { S3Client, PutObjectCommand, GetObjectCommand } = require("@aws-sdk/client-s3");

const refusal = (attempt) => attempt.then(() => "reached", (error) => `refused: ${error}`);
const read = (url) => new Promise((resolve, reject) => https.get(url, (answer) => {
  let body = "";
  answer.on("data", (part) => (body += part)).on("end", () => resolve(body));
}).on("error", reject));
const connect = (host) => new Promise((resolve, reject) =>
  net.connect({ host, port: 443, timeout: 2000 }, resolve).on("error", reject));

exports.handler = async ({ bucket: Bucket, url, elsewhere, address }) => {
  const s3 = new S3Client({});
  await s3.send(new PutObjectCommand({ Bucket, Key: "a/ü.txt", Body: "hello" }));
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: "a/ü.txt" }));
  return {
    stored: await Body.transformToString(),
    answered: await read(url),
    elsewhere: await refusal(dns.lookup(elsewhere)),
    address: await refusal(connect(address)),
  };
};
"""
Make = Callable[..., Any]


def make_python(functions: LanguageAccount, **settings: Any) -> None:
    functions.create(PYTHON, **settings)


def make_node(functions: LanguageAccount, **settings: Any) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    functions.node(NODE, **settings)


def make_java(functions: LanguageAccount, **settings: Any) -> None:
    if missing():
        pytest.skip(missing())
    functions.java("shop.Naming::handle", fixture="sdk", **settings)


def make_go(functions: LanguageAccount, **settings: Any) -> None:
    code = package({"bootstrap": go_builds.built("names")})
    functions.create(Runtime="provided.al2023", Code={"ZipFile": code}, **settings)


LANGUAGES: dict[str, Make] = {
    "Python": make_python,
    "Node.js": make_node,
    "Java": make_java,
    "Go": make_go,
}


class Shop:
    """An address of AWS that answers, without an application behind it."""

    def find(self, host: str, path: str) -> bool:
        return host == "shop.execute-api.eu-north-1.amazonaws.com"

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{environ['PATH_INFO']}".encode()]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("make", LANGUAGES.values(), ids=LANGUAGES.keys())
def test_code_that_ignores_the_endpoint_reaches_the_account_by_awss_names(
    functions: LanguageAccount, make: Make
) -> None:
    shop: edge.DataPlane = Shop()
    functions.account.gateway.data_planes.append(shop)
    s3 = functions.account.client("s3")
    region = functions.core.region
    s3.create_bucket(Bucket="made-before", CreateBucketConfiguration={"LocationConstraint": region})
    # What an SDK is to ignore leads nowhere here, so that nothing can have gone that way.
    nowhere = {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    make(functions, Environment={"Variables": nowhere}, MemorySize=512, Timeout=60)
    url = f"https://shop.execute-api.{region}.amazonaws.com/a/b"

    answer = functions.invoke(
        {"bucket": "made-before", "url": url, "elsewhere": "example.com", "address": "192.0.2.1"}
    )
    assert "FunctionError" not in answer, answer["Payload"]
    seen = answer["Payload"]

    assert seen["stored"] == "hello"
    assert seen["answered"] == url
    assert seen["elsewhere"].startswith("refused")
    assert seen["address"].startswith("refused")
    assert s3.get_object(Bucket="made-before", Key="a/ü.txt")["Body"].read() == b"hello"
    calls = [event for event in functions.events("api") if event.subject == "s3:PutObject"]
    assert [call.detail["environment_id"] != "" for call in calls] == [True]


def test_node_js_trusts_a_custom_domain_name_of_the_account(functions: Any) -> None:
    Town(functions).open_shops()
    code = b"exports.handler = async ({ url }) => { const a = await fetch(url); return a.text() };"
    settings = {"Runtime": "nodejs22.x", "Handler": "index.handler", "MemorySize": 256}
    functions.create(files={"index.js": code}, **settings)
    assert functions.invoke({"url": f"https://{NAME}/sale"})["Payload"] == "eu-west-1/sale"
