"""Custom runtimes: a bootstrap of the package's own, and what is said when it can't be executed."""

from __future__ import annotations

import io
import struct
import textwrap
import zipfile
from typing import Any

import pytest

from sandbox.isolation import kernel
from tests.emulator.functions.runtimes.conftest import LanguageAccount

# A whole runtime of twelve lines, as in AWS's tutorial, in a language that every machine here has.
SCRIPT = """\
#!/usr/bin/env perl
use strict; use IO::Socket::INET;
sub call {
  my ($head, $body) = @_;
  my $api = IO::Socket::INET->new(PeerAddr => $ENV{AWS_LAMBDA_RUNTIME_API}) or die;
  my $length = length $body;
  print $api "$head HTTP/1.1\\r\\nConnection: close\\r\\nContent-Length: $length\\r\\n\\r\\n$body";
  local $/; my $answer = <$api>; return split /\\r\\n\\r\\n/, $answer, 2;
}
while (1) {
  my ($head, $event) = call('GET /2018-06-01/runtime/invocation/next', '');
  my ($id) = $head =~ /Request-Id: (\\S+)/i;
  call("POST /2018-06-01/runtime/invocation/$id/response", "[\\"$ENV{_HANDLER}\\",$event]");
}
"""


def package(files: dict[str, bytes], mode: int = 0o755) -> bytes:
    """A zip whose files have this mode."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = (0o100000 | mode) << 16
            opened.writestr(entry, content)
    return buffer.getvalue()


def create(functions: LanguageAccount, content: bytes, **settings: Any) -> None:
    """A function on ``provided.al2023``."""
    parameters = {"Runtime": "provided.al2023", "Handler": "hello", "Code": {"ZipFile": content}}
    functions.create(**{**parameters, **settings})


def other_machine() -> bytes:
    """An executable's head, for a processor that this one is not."""
    machine = 183 if kernel.MACHINE == "x86_64" else 62
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, *[0] * 10)
    return head + bytes(64)


def test_a_script_can_be_a_runtime(functions: LanguageAccount) -> None:
    create(functions, package({"bootstrap": SCRIPT.encode()}))
    assert functions.invoke({"a": 1})["Payload"] == ["hello", {"a": 1}]
    assert functions.invoke({"a": 2})["Payload"] == ["hello", {"a": 2}]


def test_the_bootstrap_may_come_with_a_layer(functions: LanguageAccount) -> None:
    content = package({"bootstrap": SCRIPT.encode()})
    layer = functions.api.publish_layer_version(LayerName="runtime", Content={"ZipFile": content})
    create(functions, package({"hello.txt": b""}), Layers=[layer["LayerVersionArn"]])
    assert functions.invoke({})["Payload"] == ["hello", {}]


CANNOT_RUN = {
    "no bootstrap": (
        package({"main": b"x"}),
        "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]",
    ),
    "another processor": (
        package({"bootstrap": other_machine()}),
        "fork/exec /var/task/bootstrap: exec format error",
    ),
    "no shebang": (
        package({"bootstrap": textwrap.dedent("echo hello").encode()}),
        "fork/exec /var/task/bootstrap: exec format error",
    ),
    "an interpreter that is not there": (
        package({"bootstrap": b"#!/usr/bin/absent\n"}),
        "fork/exec /var/task/bootstrap: no such file or directory",
    ),
    "no right to execute": (
        package({"bootstrap": SCRIPT.encode()}, mode=0o644),
        "fork/exec /var/task/bootstrap: permission denied",
    ),
}


@pytest.mark.parametrize(("content", "words"), CANNOT_RUN.values(), ids=CANNOT_RUN.keys())
def test_a_package_cannot_run_with(functions: LanguageAccount, content: bytes, words: str) -> None:
    create(functions, content)

    answer = functions.invoke()

    request_id = answer["ResponseMetadata"]["RequestId"]
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"] == {
        "errorType": "Runtime.InvalidEntrypoint",
        "errorMessage": f"RequestId: {request_id} Error: {words}",
    }
    log = "\n".join(functions.logs())
    assert f"RequestId: {request_id} Error: {words}\nRuntime.InvalidEntrypoint" in log
    assert "Phase: init\tStatus: error\tError Type: Runtime.InvalidEntrypoint" in log
