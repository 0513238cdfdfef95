"""Faults of functions: throttled, cut off from their source, in new environments, badly released."""

from __future__ import annotations

import base64
import binascii
import functools
import io
import zipfile
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from sandbox.faults.made import Hands, MadeFault, function_name, wait_for_update, wait_until
from sandbox.faults.model import BadFault

_FUNCTION = "its name or ARN"


def _unpacked(value: Any) -> Any:
    """A zip as it is, or in Base64 where only text goes."""
    if isinstance(value, bytes) and value.startswith(b"PK"):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError):
        raise ValueError("should be a zip, in Base64") from None


Package = Annotated[
    bytes, BeforeValidator(_unpacked), PlainSerializer(lambda zipped: base64.b64encode(zipped).decode())
]
_RAISES = {
    "python": "def {function}(event, context):\n    raise RuntimeError('bad release')\n",
    "nodejs": "exports.{function} = async () => {{ throw new Error('bad release'); }};\n",
}
_HANGS = {
    "python": "import time\ndef {function}(event, context):\n    time.sleep(900)\n",
    "nodejs": "exports.{function} = () => new Promise(() => setInterval(() => {{}}, 1000));\n",
}


class Throttle(MadeFault):
    """A function gets no more than so many environments at once, by its reserved concurrency."""

    name: ClassVar[str] = "throttle"

    function: str = Field(min_length=1, description=_FUNCTION)
    concurrency: int = Field(default=0, ge=0, description="how many at once; 0: none runs")

    def make(self, aws: Hands) -> None:
        """Reserve; what was reserved before comes back."""
        client, (name, _) = aws.client("lambda", self.region), function_name(self.function)
        before = client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=self.concurrency)

        def give_back() -> None:
            if before is None:
                client.delete_function_concurrency(FunctionName=name)
            else:
                client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=before)

        aws.undo(f"concurrency of {name}", give_back)


class StopConsumer(MadeFault):
    """A function's event source mappings are disabled: nothing is taken from its queue or stream."""

    name: ClassVar[str] = "stop_consumer"

    function: str = Field(min_length=1, description=_FUNCTION)
    source: str = Field(default="", description="only the mapping of this queue or stream (ARN)")

    def make(self, aws: Hands) -> None:
        """Disable those that are enabled."""
        client = aws.client("lambda", self.region)
        pages = client.get_paginator("list_event_source_mappings").paginate(FunctionName=self.function)
        enabled = [
            each["UUID"]
            for page in pages
            for each in page["EventSourceMappings"]
            if each["State"] in ("Enabled", "Enabling", "Creating", "Updating")
            and self.source in ("", each.get("EventSourceArn"))
        ]
        if not enabled:
            raise BadFault(f"Fault `stop_consumer`: {self.function} has no such mapping that is enabled.")
        for uuid in enabled:
            _wait_for(client, uuid, "Enabled")
            client.update_event_source_mapping(UUID=uuid, Enabled=False)
            aws.undo(f"mapping {uuid}", functools.partial(_enable, client, uuid))
        for uuid in enabled:
            _wait_for(client, uuid, "Disabled")


def _wait_for(client: Any, uuid: str, state: str) -> None:
    wait_until(
        lambda: bool(client.get_event_source_mapping(UUID=uuid)["State"] == state),
        f"{state} of the mapping {uuid}",
    )


def _enable(client: Any, uuid: str) -> None:
    client.update_event_source_mapping(UUID=uuid, Enabled=True)
    _wait_for(client, uuid, "Enabled")


class NewEnvironments(MadeFault):
    """Every later invocation of a function starts in a new environment: what was kept in one is gone."""

    name: ClassVar[str] = "new_environments"

    function: str = Field(min_length=1, description=_FUNCTION)

    def make(self, aws: Hands) -> None:
        """Recycle all there are."""
        aws.renew(self.function, self.region)


class BadRelease(MadeFault):
    """A function's code is replaced by a bad one, and comes back when the fault ends.

    With an alias (``name:alias``) a version is published and the alias moved to it.
    """

    name: ClassVar[str] = "bad_release"

    function: str = Field(min_length=1, description=f"{_FUNCTION}, or name:alias")
    breaks: Literal["raises", "hangs"] = Field(
        default="raises", description="how a made one is bad (Python and Node.js)"
    )
    code: Package | None = Field(default=None, description="the bad deployment package itself, a zip")

    def make(self, aws: Hands) -> None:
        """Release it."""
        client, (name, alias) = aws.client("lambda", self.region), function_name(self.function)
        good = aws.code_of(name, self.region)
        view = client.get_function_configuration(FunctionName=name)
        bad = self.code or self._made(good, view)
        pointing = (
            client.get_alias(FunctionName=name, Name=alias)["FunctionVersion"]
            if alias and not alias.isdigit()
            else ""
        )
        _release(client, name, bad)
        aws.undo(f"code of {name}", lambda: _release(client, name, good))
        if pointing:
            version = client.publish_version(FunctionName=name)["Version"]
            client.update_alias(FunctionName=name, Name=alias, FunctionVersion=version)
            aws.undo(
                f"alias {name}:{alias}",
                lambda: client.update_alias(FunctionName=name, Name=alias, FunctionVersion=pointing),
            )

    def _made(self, good: bytes, view: Any) -> bytes:
        """The package with a handler that is bad."""
        runtime, handler = str(view.get("Runtime", "")), str(view.get("Handler", ""))
        family = next((name for name in _RAISES if runtime.startswith(name)), "")
        module, _, function = handler.rpartition(".")
        if not family:
            raise BadFault(f"Fault `bad_release`: give `code`; none is made for {runtime}.")
        text = (_HANGS if self.breaks == "hangs" else _RAISES)[family].format(function=function)
        path = module.replace(".", "/") if family == "python" else module
        endings = (".py",) if family == "python" else (".mjs", ".js", ".cjs")
        replaced = {f"{path}{ending}" for ending in endings}
        made = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(good)) as before, zipfile.ZipFile(made, "w") as after:
            for entry in before.infolist():
                if entry.filename not in replaced:
                    after.writestr(entry, before.read(entry))
            after.writestr(f"{path}.py" if family == "python" else f"{path}.cjs", text)
        return made.getvalue()


def _release(client: Any, name: str, code: bytes) -> None:
    client.update_function_code(FunctionName=name, ZipFile=code)
    wait_for_update(client, name)
