"""``coldstart sandbox fault``: break something in a kept sandbox, see what is broken, and undo it."""

from __future__ import annotations

import base64
import datetime as dt
import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from pydantic.fields import FieldInfo

from cli.kept import Duration, kept, named, sandbox_errors, say
from cli.output import BAD_INPUT, stop
from sandbox.faults import BadFault, Fault, kinds, read


class _Listing(click.Command):
    """Its help ends with every fault and its settings."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the faults."""
        for fault in kinds().values():
            with formatter.section(f"{fault.name}{'' if fault.on_aws else ' (emulator only)'}"):
                formatter.write_text(summary(fault))
                formatter.write_dl([(name, described(field)) for name, field in settings(fault)])


def summary(fault: type[Fault]) -> str:
    """What a fault does, in a sentence."""
    return " ".join((fault.__doc__ or "").strip().split("\n\n")[0].split())


def settings(fault: type[Fault]) -> list[tuple[str, FieldInfo]]:
    """A fault's settings: its own, then those that others have as well."""
    own = inspect.get_annotations(fault)
    return sorted(fault.model_fields.items(), key=lambda item: item[0] not in own)


def described(field: FieldInfo) -> str:
    """A setting, with what it is when it is not given."""
    if field.is_required():
        return f"{field.description} (required)"
    if field.default in ("", None, False):
        return str(field.description)
    default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    plain = f"{default:g}" if isinstance(default, float) else default
    return f"{field.description} [{plain}]"


@click.group("fault")
def command() -> None:
    """Break something in a sandbox, on purpose and for a while.

    \b
    coldstart sandbox fault set throttle_calls service=dynamodb operation=PutItem first=3
    coldstart sandbox fault set region-outage region=eu-west-1 --for 10m
    coldstart sandbox fault list
    coldstart sandbox fault clear

    `coldstart sandbox fault set --help` has every fault and its settings.
    """


@command.command("set", cls=_Listing)
@click.argument("fault", metavar="NAME")
@click.argument("given", metavar="[KEY=VALUE]...", nargs=-1)
@named
@click.option("--for", "for_s", type=Duration(), help="End it after so much of the account's time: 90s, 10m.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def set_fault(
    fault: str, given: tuple[str, ...], name: str | None, for_s: float | None, as_json: bool
) -> None:
    """Switch the fault NAME on and print its id.

    KEY=@FILE takes the value from a file. Several values of one setting are separated by commas.
    """
    with sandbox_errors():
        try:
            wanted = read(fault, _read_settings(given)).given()
        except BadFault as error:
            stop(str(error), BAD_INPUT)
        account = kept().get(name or "")
        fault_id = account.begin_fault(fault, wanted, for_s or 0.0)
        if as_json:
            found = next((each for each in account.active_faults() if each["id"] == fault_id), None)
            click.echo(json.dumps(_stamped(found) if found else {"id": fault_id}))
        else:
            click.echo(fault_id)


def _read_settings(given: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for setting in given:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            stop(f"`{setting}` is no setting. Write it like key=value.", BAD_INPUT)
        if key in found:
            stop(f"`{key}` is given twice.", BAD_INPUT)
        found[key] = _content(value[1:]) if value.startswith("@") else value
    return found


def _content(path: str) -> str:
    """A file's text; what is no text in Base64."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        stop(f"{path} can't be read: {error.strerror}.", BAD_INPUT)
    try:
        return content.decode() if not content.startswith(b"PK") else base64.b64encode(content).decode()
    except UnicodeDecodeError:
        return base64.b64encode(content).decode()


@command.command("list")
@named
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_faults(name: str | None, as_json: bool) -> None:
    """Print the faults that are on, the earliest first."""
    with sandbox_errors():
        found = [_stamped(each) for each in kept().get(name or "").active_faults()]
    if as_json:
        click.echo(json.dumps({"faults": found}))
        return
    if not found:
        say("No fault is on.")
    for each in found:
        told = "".join(f" {key}={_plain(value)}" for key, value in each["settings"].items())
        until = f"  until {each['ends']}" if each["ends"] else ""
        struck = f"  struck {each['struck']}×" if each["struck"] else ""
        click.echo(f"{each['id']} {told}  since {each['began']}{until}{struck}")


@command.command("clear")
@click.argument("fault_id", metavar="[ID]", required=False)
@named
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def clear(fault_id: str | None, name: str | None, as_json: bool) -> None:
    """Undo the fault ID, or every fault."""
    with sandbox_errors():
        account = kept().get(name or "")
        if fault_id:
            account.end_fault(fault_id)
            ended = [fault_id]
        else:
            ended = account.clear_faults()
    if as_json:
        click.echo(json.dumps({"ended": ended}))
    else:
        say(f"Undone: {', '.join(ended)}." if ended else "No fault was on.")


def _stamped(fault: dict[str, Any]) -> dict[str, Any]:
    """Its times as people write them."""
    return {**fault, "began": _moment(fault["began"]), "ends": _moment(fault["ends"])}


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
