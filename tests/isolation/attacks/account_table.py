"""Attacks on what serves a function: its Runtime API and its AWS endpoint. Rows of the same table.

They are tried by a real function of an account, invoked through the API.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountAttack:
    """A row; ``code`` is the function's module, whose handler returns what came of each attempt."""

    name: str
    tries: str
    contained: str
    code: str


_BEGIN = """
import http.client, json, os, socket, threading, urllib.request

API = os.environ["AWS_LAMBDA_RUNTIME_API"]


def post(path, body=b"{}", headers=None):
    connection = http.client.HTTPConnection(API, timeout=5)
    connection.request("POST", "/2018-06-01/runtime" + path, body, headers or {})
    return connection.getresponse().status


def ask(path, headers=None, method="GET", body=None):
    address = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=5)
    connection.request(method, path, body, headers or {})
    return connection.getresponse().status
"""

ATTACKS = (
    AccountAttack(
        "forged-request-id",
        "answer invocations that are not its own, by a request id it makes up or had before",
        "refused; the caller gets the true answer",
        _BEGIN
        + """
before = []


def handler(event, context):
    forged = ["00000000-0000-4000-8000-000000000000", "../next", *before]
    before.append(context.aws_request_id)
    return {
        "statuses": [post(f"/invocation/{each}/response", b'"forged"') for each in forged]
        + [post(f"/invocation/{each}/error", b"{}") for each in forged],
    }
""",
    ),
    AccountAttack(
        "seven-megabyte-response",
        "answer with 7 MB",
        "`Function.ResponseSizeTooLarge`",
        "def handler(event, context):\n    return 'x' * (7 << 20)\n",
    ),
    AccountAttack(
        "header-flood",
        "a request head of 10 MB, one that never ends, one that is no HTTP, to both endpoints",
        "hung up on; its own invocation goes on",
        _BEGIN
        + """
def flood(address, data):
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as stream:
        try:
            stream.sendall(data)
            stream.settimeout(0.5)
            return stream.recv(16)[:12].decode("latin-1") or "closed"
        except TimeoutError:
            return "waits"
        except OSError:
            return "closed"


def handler(event, context):
    said = []
    for address in (API, os.environ["AWS_ENDPOINT_URL"]):
        said.append(flood(address, b"GET / HTTP/1.1\\r\\n" + b"X: " + b"x" * (10 << 20)))
        said.append(flood(address, b"\\x00\\x01\\x02\\r\\n\\r\\n"))
        said.append(flood(address, b"GET / HTTP/1.1\\r\\nX: "))
    return {"said": said}
""",
    ),
    AccountAttack(
        "connection-flood",
        "900 connections to the Runtime API and to the AWS endpoint, kept open",
        "its own share fills; another function answers meanwhile",
        _BEGIN
        + """
held = []


def handler(event, context):
    for address in (API, os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")):
        host, port = address.split(":")
        for _ in range(450):
            stream = socket.socket()
            stream.setblocking(False)
            try:
                stream.connect((host, int(port)))
            except BlockingIOError:
                pass
            held.append(stream)
    return {"held": len(held)}
""",
    ),
    AccountAttack(
        "emulator-administration",
        "`/moto-api/*`, metadata paths and `x-moto-account-id` on the AWS endpoint",
        "refused; nothing is reset",
        _BEGIN
        + """
def handler(event, context):
    paths = ["/moto-api/reset", "/moto-api/data.json", "/moto-api/state-manager/set-transition", "/moto-api",
             "/latest/meta-data/iam/security-credentials/", "/latest/api/token", "/latest/user-data",
             "//moto-api/reset", "/x/../moto-api/reset", "/%6doto-api/reset"]
    statuses = {
        f"{method} {path}": ask(path, method=method) for path in paths for method in ("GET", "POST", "PUT")
    }
    spoofed = {"x-moto-account-id": "123456789012", "X-Amz-Target": "AmazonSSM.PutParameter"}
    statuses["another account"] = ask("/", spoofed, "POST", b"{}")
    return {"statuses": statuses}
""",
    ),
    AccountAttack(
        "keys-of-others",
        "AWS calls without keys, with invented ones, and with another account's",
        "refused with 400 or 403",
        _BEGIN
        + """
import boto3, botocore.exceptions


def code(**keys):
    client = boto3.client("sts", region_name="eu-north-1", **keys)
    try:
        return client.get_caller_identity()["Arn"]
    except botocore.exceptions.ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]


def handler(event, context):
    own = {"aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
           "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
           "aws_session_token": os.environ["AWS_SESSION_TOKEN"]}
    return {
        "own": code(**own),
        "refused": [
            code(**{**own, "aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_session_token": None}),
            code(**{**own, "aws_secret_access_key": "x" * 40}),
            code(**{**own, "aws_session_token": "forged"}),
            ask("/?Action=GetCallerIdentity&Version=2011-06-15"),
        ],
    }
""",
    ),
    AccountAttack(
        "calls-after-the-response",
        "threads and daemons that keep calling AWS when the invocation is over",
        "frozen: no call until the next invocation",
        _BEGIN
        + """
import boto3


def call():
    sts = boto3.client("sts")
    while True:
        sts.get_caller_identity()


def handler(event, context):
    threading.Thread(target=call, daemon=True).start()
    boto3.client("sts").get_caller_identity()
    return {}
""",
    ),
    AccountAttack(
        "authority-key",
        "read the key of the authority it trusts: where it lies, by `/proc/1/root`, in a search of files",
        "it is nowhere; what is trusted is read-only",
        _BEGIN
        + """
import hashlib


def attempt(path, mode="rb"):
    try:
        open(path, mode).close()
    except OSError as error:
        return f"refused: {error.strerror}"
    return "done"


def search(digest):
    found, seen = [], 0
    for folder, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/usr", "/dev")]
        for name in files:
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    lines = file.read(1 << 20).split(b"\\n")
            except OSError:
                continue
            seen += 1
            if any(hashlib.sha256(line).hexdigest() == digest for line in lines if len(line) == 64):
                found.append(os.path.join(folder, name))
    return {"found": found, "seen": seen}


def handler(event, context):
    places = [root + event["key"] for root in ("", "/proc/1/root", "/proc/self/root", "/.host")]
    trusted = ["/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/java/cacerts", "/etc/resolv.conf"]
    return {
        "read": [attempt(place) for place in places],
        "written": [attempt(place, "ab") for place in trusted],
        "trusted": [attempt(place) for place in trusted],
        **search(event["digest"]),
    }
""",
    ),
    AccountAttack(
        "other-names",
        "names outside AWS and of another account's zone, by UDP and TCP; TLS to other addresses, under "
        "other names and under one of a zone; to serve AWS's",
        "no such name; no route; no certificate for it; refused",
        _BEGIN
        + """
import ssl


def attempt(what, *arguments):
    try:
        what(*arguments)
    except OSError as error:
        return f"refused: {error}"
    return "done"


def tls(address, name):
    context = ssl.create_default_context()
    with socket.create_connection((address, 443), 3) as stream:
        context.wrap_socket(stream, server_hostname=name).close()


def asked(name, by_stream=False):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    query = b"\\x00\\x07\\x01\\x00\\x00\\x01" + bytes(6) + labels + b"\\x00\\x00\\x01\\x00\\x01"
    with socket.socket(type=socket.SOCK_STREAM if by_stream else socket.SOCK_DGRAM) as client:
        client.settimeout(3)
        client.connect(("127.0.0.1", 53))
        client.sendall(len(query).to_bytes(2, "big") + query if by_stream else query)
        said = client.recv(512)[2 if by_stream else 0:]
    if said[3] & 15 or said[7] == 0:
        raise OSError(f"code {said[3] & 15}")


def serve(kind, address, port):
    with socket.socket(type=kind) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((address, port))


def handler(event, context):
    answers = {"AWS by TLS": attempt(tls, "127.0.0.1", "sqs.eu-north-1.amazonaws.com")}
    for by_stream in (False, True):
        answers[f"AWS by {by_stream}"] = attempt(asked, "SQS.eu-north-1.AmazonAWS.com", by_stream)
        answers[f"a zone by {by_stream}"] = attempt(asked, event["own"], by_stream)
    refused = {f"TLS as {event['own']}": attempt(tls, "127.0.0.1", event["own"])}
    others = ("example.com", "amazonaws.com", "notamazonaws.com", "s3.amazonaws.com.cn", "sandbox")
    for name in (*others, event["foreign"]):
        for by_stream in (False, True):
            refused[f"{name} by {by_stream}"] = attempt(asked, name, by_stream)
    for name in ("example.com", "a.b.s3.eu-north-1.amazonaws.com", "amazonaws.com.example.com"):
        refused[f"TLS as {name}"] = attempt(tls, "127.0.0.1", name)
    for address in ("192.0.2.1", "169.254.169.254"):
        refused[f"TLS to {address}"] = attempt(tls, address, "sqs.eu-north-1.amazonaws.com")
    for kind, port in ((socket.SOCK_DGRAM, 53), (socket.SOCK_STREAM, 53), (socket.SOCK_STREAM, 443)):
        for address in ("127.0.0.1", "0.0.0.0", "127.0.0.2"):
            refused[f"{kind.name} {address}:{port}"] = attempt(serve, kind, address, port)
    return {"answers": answers, "refused": refused}
""",
    ),
    AccountAttack(
        "flood-of-names",
        "10,000 DNS messages that are none; 400 connections to ports 53 and 443: TLS begun and left, no TLS",
        "its own share fills; it and another function go on",
        _BEGIN
        + """
held = []
WORDS = (b"\\x16\\x03\\x01\\x02\\x00\\x01", b"GET / HTTP/1.1\\r\\n\\r\\n", os.urandom(300))


def handler(event, context):
    datagrams = socket.socket(type=socket.SOCK_DGRAM)
    datagrams.connect(("127.0.0.1", 53))
    for number in range(10_000):
        try:
            datagrams.send(os.urandom(number % 700))
        except OSError:
            pass
    for number in range(400):
        stream = socket.socket()
        stream.settimeout(0.2)
        try:
            stream.connect(("127.0.0.1", 53 if number % 4 == 0 else 443))
            stream.send(WORDS[number % 3])
        except OSError:
            pass
        held.append(stream)
    if event.get("close"):
        for stream in held:
            stream.close()
    return {"held": len(held), "still": socket.getaddrinfo("sqs.eu-north-1.amazonaws.com", 443)[0][4][0]}
""",
    ),
)
