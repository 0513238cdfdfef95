"""The warmed parent's botocore answers as botocore does, only sooner."""

from __future__ import annotations

import subprocess
import sys

SAME = """
import functools
from botocore import hooks
from sandbox.isolation.warm import quicken

class Handler:
    def any(self, **kwargs): ...
    def none(self, name): ...
    def __call__(self, **kwargs): ...

handler = Handler()
asked = [handler.any, handler.none, handler, functools.partial(handler.any, x=1), lambda **k: k, lambda: 1]
before = [bool(hooks.accepts_kwargs(each)) for each in asked]
events = ["before-call.lambda.Invoke", "choose-signer.cloudwatch", "needs-retry.s3.PutObject", "x"]
aliased = [hooks.EventAliaser(None)._alias_event_name(event) for event in events]
other = hooks.EventAliaser(None, {"x": "y"})._alias_event_name("x.z")

quicken()
quicken()

assert before == [True, False, True, True, True, False]
assert before == [bool(hooks.accepts_kwargs(each)) for each in asked]
for _ in range(2):
    assert aliased == [hooks.EventAliaser(None)._alias_event_name(event) for event in events]
assert other == hooks.EventAliaser(None, {"x": "y"})._alias_event_name("x.z")
"""


def test_what_is_remembered_is_what_botocore_finds_out() -> None:
    subprocess.run([sys.executable, "-c", SAME], check=True)
