"""``coldstart sandbox``: an emulated AWS account that stays, and what drives it."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

import click

from cli import faults
from cli.kept import Duration, kept, named, sandbox_errors, say
from cli.output import BAD_INPUT, NOT_PASSED, stop
from graders.timeline import page, traces
from graders.timeline.recording import record
from sandbox.account import Quiet
from sandbox.providers.emulated import EmulatedAccount

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_FOLLOW_S = 0.25


@click.group("sandbox")
def command() -> None:
    """Start an emulated AWS account that stays, and drive it.

    \b
    eval "$(coldstart sandbox up)"
    aws s3 ls

    A command without --name means the sandbox in $COLDSTART_SANDBOX, else the only one running.
    """


command.add_command(faults.command)


@command.command("up")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--name", default="", help="Its name; by default one that is free.")
@click.option("--region", default="us-east-1", show_default=True, help="Its region.")
def up(as_json: bool, name: str, region: str) -> None:
    """Start an account and print how to reach it, as shell exports."""
    if name and not _NAME.fullmatch(name):
        stop(
            f"`{name}` can't be a sandbox's name. Use up to 40 lower-case letters, digits and hyphens.",
            BAD_INPUT,
        )
    if not _REGION.fullmatch(region):
        stop(f"`{region}` is not a region's name. An example is us-east-1.", BAD_INPUT)
    with sandbox_errors():
        account = kept().up(name, region)
    variables = _variables(account)
    if as_json:
        described = {"account_id": account.account_id, "name": account.name, "pid": account.pid}
        click.echo(json.dumps({**variables, **described}, indent=2))
        return
    variables |= {
        "AWS_ACCOUNT_ID": account.account_id,
        # Some operations (StartLiveTail, StartSyncExecution) put a prefix before the host; there is but one.
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "COLDSTART_SANDBOX": account.name,
    }
    for key, value in variables.items():
        click.echo(f"export {key}={shlex.quote(value)};")
    say(f"Sandbox {account.name}: account {account.account_id} in {account.region} at {account.endpoint_url}")
    if sys.stdout.isatty():
        say('To use it in this shell: eval "$(coldstart sandbox up)"')


def _variables(account: EmulatedAccount) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": account.endpoint_url,
        "AWS_ACCESS_KEY_ID": account.keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": account.keys.secret_access_key,
        "AWS_SESSION_TOKEN": account.keys.session_token,
        "AWS_DEFAULT_REGION": account.region,
    }


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_command(as_json: bool) -> None:
    """List the sandboxes that are running."""
    with sandbox_errors():
        running = kept().running()
    rows = [
        {
            "name": account.name,
            "account_id": account.account_id,
            "region": account.region,
            "endpoint_url": account.endpoint_url,
            "pid": account.pid,
        }
        for account in running
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        say("No sandbox is running. Start one: coldstart sandbox up")
    widths = {key: max(len(str(row[key])) for row in rows) for key in rows[0]} if rows else {}
    for row in rows:
        click.echo("  ".join(str(row[key]).ljust(width) for key, width in widths.items()).rstrip())


@command.command("down")
@named
@click.option("--all", "every", is_flag=True, help="All that are running.")
def down(name: str | None, every: bool) -> None:
    """End a sandbox and everything in it."""
    with sandbox_errors():
        sandboxes = kept()
        for account in sandboxes.running() if every else [sandboxes.get(name or "")]:
            sandboxes.down(account.name)
            say(f"Sandbox {account.name} is down.")


@command.command("settle")
@named
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0), default=30, show_default=True, help="Seconds."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def settle(name: str | None, timeout_s: float, as_json: bool) -> None:
    """Return when nothing is in flight and nothing is due."""
    with sandbox_errors():
        _tell(kept().get(name or "").settle(timeout_s), as_json)


@command.command("advance")
@click.argument("duration", type=Duration())
@named
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0), default=60, show_default=True, help="Seconds."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def advance(duration: float, name: str | None, timeout_s: float, as_json: bool) -> None:
    """Let DURATION (90s, 5m, 6h) of the account's time pass, delivering what falls due."""
    with sandbox_errors():
        _tell(kept().get(name or "").advance(duration, timeout_s), as_json)


def _tell(quiet: Quiet, as_json: bool) -> None:
    now = _stamp(quiet.now)
    if as_json:
        document = {
            "settled": quiet.settled,
            "now": now,
            "running": list(quiet.running),
            "next_due_s": quiet.next_due_s,
        }
        click.echo(json.dumps(document))
    elif quiet.settled:
        coming = "" if quiet.next_due_s is None else f"; next due in {quiet.next_due_s:.1f} s"
        click.echo(f"{now} settled{coming}")
    if not quiet.settled:
        stop(
            f"Not settled in time; still running: {', '.join(quiet.running) or 'what is due now'}.",
            NOT_PASSED,
        )


def _stamp(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@command.command("events")
@named
@click.option("--since", type=click.IntRange(min=0), default=0, help="Only those after this sequence number.")
@click.option("--follow", "-f", is_flag=True, help="Go on until interrupted.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@click.option(
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page instead, with logs, metrics, alarms and traces, to look through.",
)
def events(name: str | None, since: int, follow: bool, as_json: bool, html_file: Path | None) -> None:
    """Print what happened: calls, deliveries, invocations, deployments, faults, clock moves."""
    with sandbox_errors():
        account = kept().get(name or "")
        if html_file:
            html_file.write_text(page.render(record(account), f"Sandbox {account.name}"), "utf-8")
            say(f"Open {html_file} in a browser.")
            return
        while True:
            for event in account.timeline(since):
                since = event["sequence"]
                click.echo(json.dumps(event) if as_json else _line(event))
            if not follow:
                return
            sys.stdout.flush()
            time.sleep(_FOLLOW_S)


def _line(event: dict[str, Any]) -> str:
    reason = f"{event['detail']['reason']}  " if event["detail"].get("reason") else ""
    detail = reason + " ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in event["detail"].items()
        if value not in (None, "", [], {}) and key != "reason"
    )
    outcome = "" if event["outcome"] == "ok" else f" [{event['outcome']}]"
    clock = event["at"][11:23]
    text = (
        f"{event['sequence']:>5} {clock} {event['kind']:<10} {event['subject']}{outcome}  {detail}".rstrip()
    )
    return text if len(text) <= 400 else text[:399] + "…"


@command.command("logs")
@click.argument("function", metavar="[FN]", required=False)
@named
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def logs(function: str | None, name: str | None, as_json: bool) -> None:
    """Print the CloudWatch log lines of function FN, or of every log group."""
    with sandbox_errors():
        client = kept().get(name or "").client("logs")
        groups = _log_groups(client, function)
        lines = sorted(
            (event["timestamp"], group, event["logStreamName"], event["message"])
            for group in groups
            for page in client.get_paginator("filter_log_events").paginate(logGroupName=group)
            for event in page["events"]
        )
        if function and not groups:
            stop(f"There are no logs of a function named {function}.", BAD_INPUT)
    for timestamp, group, stream, message in lines:
        at = datetime.fromtimestamp(timestamp / 1000).astimezone()
        if as_json:
            document = {"timestamp": timestamp, "log_group": group, "log_stream": stream, "message": message}
            click.echo(json.dumps(document))
        else:
            shown = "" if function else f"{group}  "
            click.echo(f"{at:%H:%M:%S}.{timestamp % 1000:03d}  {shown}{message.rstrip()}")


def _log_groups(client: Any, function: str | None) -> list[str]:
    prefix = {"logGroupNamePrefix": f"/aws/lambda/{function}"} if function else {}
    pages = client.get_paginator("describe_log_groups").paginate(**prefix)
    found = [str(group["logGroupName"]) for page in pages for group in page["logGroups"]]
    return [group for group in found if not function or group == f"/aws/lambda/{function}"]


@command.command("traces")
@click.argument("expression", required=False, default="")
@named
@click.option(
    "--since", type=Duration(), default="24h", show_default=True, help="How far back, in the account's time."
)
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def print_traces(expression: str, name: str | None, since: float, as_json: bool) -> None:
    """Print X-Ray traces, those that match the filter EXPRESSION if there is one.

    \b
    coldstart sandbox traces 'fault AND service("checkout")'
    """
    with sandbox_errors():
        account = kept().get(name or "")
        now = account.now() + timedelta(seconds=1)
        try:
            for trace in traces.find_traces(account.client("xray"), now, since + 1, expression):
                for line in [json.dumps(traces.as_json(trace))] if as_json else traces.lines(trace):
                    click.echo(line)
        except account.client("xray").exceptions.InvalidRequestException as refused:
            stop(str(refused.response["Error"]["Message"]), BAD_INPUT)


@command.command("inject")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@named
def inject(file: IO[str], name: str | None) -> None:
    """Place the event in FILE (JSON; a list places several; - is stdin) on the default bus.

    Its source begins with `aws.`: PutEvents refuses such events, as on AWS.
    """
    try:
        found = json.load(file)
    except ValueError as error:
        stop(f"{file.name} is not JSON: {error}", BAD_INPUT)
    placed = found if isinstance(found, list) else [found]
    for event in placed:
        if not isinstance(event, dict):
            stop(f"{file.name}: an event is a JSON object.", BAD_INPUT)
    with sandbox_errors():
        account = kept().get(name or "")
        for event in placed:
            account.inject(event)
    say(f"{len(placed)} event{'' if len(placed) == 1 else 's'} placed.")


@command.command("iam")
@named
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def iam(name: str | None, as_json: bool) -> None:
    """Print what each role and user is granted, what it used and what it was refused."""
    with sandbox_errors():
        found = kept().get(name or "").iam()
    if as_json:
        click.echo(json.dumps({"principals": found}))
        return
    for each in found:
        click.echo(f"{each['kind']} {each['name']}")
        for statement in each["granted"]:
            actions = _listed(statement.get("Action", statement.get("NotAction", ())))
            resources = _listed(statement.get("Resource", statement.get("NotResource", ())))
            inverted = " (all but)" if "NotAction" in statement else ""
            click.echo(f"  {statement['Effect'].lower():<7}{inverted} {actions} on {resources}")
        for word in ("used", "denied"):
            for use in each[word]:
                click.echo(f"  {word:<7} {use['action']} on {use['resource']} ×{use['times']}")


def _listed(value: Any) -> str:
    return value if isinstance(value, str) else ", ".join(value)


@command.command("url")
@click.argument("address", metavar="URL")
@named
def url(address: str, name: str | None) -> None:
    """Turn an AWS address (API, function URL, bucket, queue, name of a zone) into one that answers here."""
    with sandbox_errors():
        account = kept().get(name or "")
        turned = account.url(address)
        if turned == address and not address.startswith(account.endpoint_url):
            stop(f"{address} is not an address of AWS, nor a name in a hosted zone.", BAD_INPUT)
        click.echo(turned)
