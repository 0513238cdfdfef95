"""The real `aws` and `sam` commands against a sandbox, and an application deployed with them.

Nothing but the environment that `coldstart sandbox up` prints leads to the account.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import jmespath
from botocore.exceptions import ClientError

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("COLDSTART_HOME", ROOT / "var"))
APPLICATIONS = Path(__file__).parent
# Each in an environment of its own: their requirements are none of ours.
CLIENTS = {"aws": "awscli==1.46.3", "sam": "aws-sam-cli==1.170.0"}
COLDSTART = str(Path(sys.executable).with_name("coldstart"))
TIMEOUT_S = 300

# What can be left over: how each service lists it, and what names it.
KINDS = (
    ("lambda", "list_functions", "Functions[].FunctionName"),
    ("lambda", "list_layers", "Layers[].LayerName"),
    ("lambda", "list_event_source_mappings", "EventSourceMappings[].UUID"),
    ("apigateway", "get_rest_apis", "items[].id"),
    ("apigateway", "get_usage_plans", "items[].id"),
    ("apigatewayv2", "get_apis", "Items[].ApiId"),
    ("iam", "list_roles", "Roles[].RoleName"),
    ("dynamodb", "list_tables", "TableNames[]"),
    ("sqs", "list_queues", "QueueUrls[]"),
    ("sns", "list_topics", "Topics[].TopicArn"),
    ("s3", "list_buckets", "Buckets[].Name"),
    ("stepfunctions", "list_state_machines", "stateMachines[].name"),
    ("events", "list_event_buses", "EventBuses[].Name"),
    ("events", "list_rules", "Rules[].Name"),
    ("events", "list_archives", "Archives[].ArchiveName"),
    ("pipes", "list_pipes", "Pipes[].Name"),
)
# `sam deploy --resolve-s3` keeps the bucket for packages in a stack of its own.
SAMS_OWN = "aws-sam-cli-managed-default"


def install(command: str) -> Path:
    """The command's program, installed on demand into an environment that is kept for the next run."""
    wanted = CLIENTS[command]
    place = HOME / "clients" / wanted
    program = place / "bin" / command
    if not program.exists():
        shutil.rmtree(place, ignore_errors=True)
        venv.create(place, with_pip=True)
        pip = [str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", wanted]
        subprocess.run(pip, check=True, timeout=900)
    return program


class Shell:
    """A newcomer's shell: an ordinary PATH, a home without AWS settings, and what `sandbox up` printed."""

    def __init__(self, home: Path, exports: Mapping[str, str]) -> None:
        self.home = home
        self.programs = {name: str(install(name)) for name in CLIENTS}
        self.programs["coldstart"] = COLDSTART
        python = str(Path(sys.base_prefix, "bin"))
        self.environment = {
            "PATH": f"{python}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.5",
            **exports,
        }

    def run(self, *words: str, cwd: Path | None = None, succeeds: bool = True) -> str:
        """What the command printed on standard output."""
        done = subprocess.run(
            [self.programs[words[0]], *words[1:]],
            env=self.environment,
            cwd=cwd or self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        told = f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        assert (done.returncode == 0) == succeeds, told
        return done.stdout if succeeds else told

    def aws(self, *words: str) -> Any:
        """The command's answer as JSON."""
        said = self.run("aws", *words, "--output", "json")
        return json.loads(said) if said.strip() else None

    def client(self, service: str, region: str = "") -> Any:
        """A boto3 client, for looking."""
        return boto3.client(
            service,
            region_name=region or self.environment["AWS_DEFAULT_REGION"],
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=self.environment["AWS_SESSION_TOKEN"] or None,
        )

    def settle(self) -> None:
        """Return when nothing is in flight and nothing is due."""
        self.run("coldstart", "sandbox", "settle")

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What the account's timeline holds of one kind."""
        lines = self.run("coldstart", "sandbox", "events", "--json").splitlines()
        return [event for event in map(json.loads, lines) if event["kind"] == kind]


@contextmanager
def sandbox(home: Path, name: str) -> Iterator[Shell]:
    """A sandbox, and a shell that `eval "$(coldstart sandbox up)"` was typed into."""
    home.mkdir()
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "COLDSTART_"))}
    plain["COLDSTART_HOME"] = str(HOME)
    script = f'eval "$({COLDSTART} sandbox up --name {name}-{os.getpid()})" && env -0'
    done = subprocess.run(["sh", "-c", script], env=plain, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    exported = dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)
    kept = {key: value for key, value in exported.items() if key.startswith(("AWS_", "COLDSTART_"))}
    try:
        yield Shell(home, kept)
    finally:
        down = [COLDSTART, "sandbox", "down"]
        subprocess.run(down, env={**os.environ, **kept}, check=True, capture_output=True, timeout=60)


@dataclass(frozen=True)
class Answer:
    """What a web server said."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Application:
    """A stack that a real client has deployed."""

    shell: Shell
    stack: str
    folder: Path

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", ())}

    def client(self, service: str, region: str = "") -> Any:
        """A boto3 client, for stimulating and looking."""
        return self.shell.client(service, region)

    def ask(self, method: str, address: str, body: Any = None, **headers: str) -> Answer:
        """Send a request to an address of AWS, as `curl` would there; underscores are hyphens."""
        there = urlsplit(address)
        url = (
            self.shell.environment["AWS_ENDPOINT_URL"] + there.path + (f"?{there.query}" * bool(there.query))
        )
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"Host": there.netloc} | {key.replace("_", "-"): text for key, text in headers.items()}
        if data is not None and "content-type" not in map(str.lower, fields):
            fields["Content-Type"] = "application/json"
        request = urllib.request.Request(url, data, fields, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, refused.headers, refused.read())

    def invoke(self, function: str, event: Any = None) -> Any:
        """What a function answers; its error fails the test."""
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload

    def logs(self, function: str) -> list[str]:
        """What a function, by its name or ARN, wrote and the platform about it."""
        told = self.shell.run("coldstart", "sandbox", "logs", function.rsplit(":", 1)[-1], "--json")
        return [json.loads(line)["message"] for line in told.splitlines()]

    def eventually(self, look: Callable[[], Any], within_s: float = 60) -> Any:
        """What ``look`` finds, once it finds something."""
        until = time.monotonic() + within_s
        while not (found := look()):
            assert time.monotonic() < until, f"not seen within {within_s} s"
            self.shell.settle()
        return found


def existing(shell: Shell) -> set[tuple[str, str]]:
    """What exists in the account, as pairs of service and name."""
    found = set()
    for service, operation, names in KINDS:
        listed = getattr(shell.client(service), operation)()
        found |= {(service, name) for name in jmespath.search(names, listed) or () if SAMS_OWN not in name}
    return found


@contextmanager
def by_sam(shell: Shell, name: str, *deploy: str, deletable: bool = True) -> Iterator[Application]:
    """An application of ours, deployed by `sam` as its samconfig.toml says; deleted in the end.

    One that `sam delete` itself can't delete, wherever it is, is not ``deletable`` by it.
    """
    with _placed(shell, name) as application:
        shell.run("sam", "build", cwd=application.folder)
        words = ("--stack-name", name, "--resolve-s3", "--no-confirm-changeset", "--no-progressbar", *deploy)
        shell.run("sam", "deploy", *words, cwd=application.folder)
        yield application
        if deletable:
            shell.run("sam", "delete", "--stack-name", name, "--no-prompts", cwd=application.folder)
        else:
            _delete_by_aws(shell, name)


@contextmanager
def by_aws(shell: Shell, name: str, *deploy: str) -> Iterator[Application]:
    """An application of ours, packaged and deployed by `aws cloudformation`; deleted in the end."""
    with _placed(shell, name) as application:
        bucket = f"{name}-packages"
        shell.client("s3").create_bucket(Bucket=bucket)
        package = ("--template-file", "template.yaml", "--output-template-file", "packaged.yaml")
        words = ("aws", "cloudformation", "package", *package, "--s3-bucket", bucket)
        shell.run(*words, cwd=application.folder)
        words = ("aws", "cloudformation", "deploy", "--template-file", "packaged.yaml", "--stack-name", name)
        capable = ("--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND", "CAPABILITY_NAMED_IAM")
        shell.run(*words, *capable, *deploy, cwd=application.folder)
        yield application
        _delete_by_aws(shell, name)
        shell.run("aws", "s3", "rb", "--force", f"s3://{bucket}")


def _delete_by_aws(shell: Shell, stack: str) -> None:
    shell.run("aws", "cloudformation", "delete-stack", "--stack-name", stack)
    shell.run("aws", "cloudformation", "wait", "stack-delete-complete", "--stack-name", stack)


@contextmanager
def _placed(shell: Shell, name: str) -> Iterator[Application]:
    folder = shell.home / name
    shutil.copytree(APPLICATIONS / name, folder)
    before = existing(shell)
    try:
        yield Application(shell, name, folder)
    except Exception as error:
        error.add_note(_failures(shell, name))
        raise
    shell.settle()
    assert existing(shell) == before, "something is left over"
    assert shell.events("gap") == [], "something is not emulated"


def _failures(shell: Shell, stack: str) -> str:
    """Why resources of a stack failed, and the last that happened in the account."""
    try:
        events = shell.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    except ClientError:
        events = []
    reasons = [event["ResourceStatusReason"] for event in events if "FAILED" in event["ResourceStatus"]]
    told = shell.run("coldstart", "sandbox", "events").splitlines()
    return "\n".join([*reasons, *(line[:200] for line in told[-25:])])
