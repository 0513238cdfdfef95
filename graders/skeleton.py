"""A new lab's folder: small, complete, and green from the first minute."""

from __future__ import annotations

_LAB = """\
[lab]
code = "{code}"
title = "{title}"
version = "0.1"
summary = "One sentence: what a learner builds here."
level = "associate"
minutes = 30
runtimes = ["python"]
services = ["Lambda"]
competencies = ["C1"]

[submission]
files = ["template.yaml", "src/**"]

[grading]
gate_points = 10

[[contract.outputs]]
name = "FunctionArn"
description = "The function's ARN."

[[contract.parameters]]
name = "Greeting"
description = "The word to greet with."
"""

_BRIEF = """\
# {title}

A greeter says the configured greeting and the caller's name.

## Deliver

`template.yaml` and `src/`.
"""

_CONTRACT = """\
# Contract

| Output | Meaning |
|---|---|
| `FunctionArn` | the function's ARN |

| Parameter | Meaning |
|---|---|
| `Greeting` | the word to greet with |

The function takes `{"name": "…"}` and returns `{"text": "<Greeting>, <name>!"}`.
"""

_CHECKS = '''\
"""{title}: does it greet?"""

import random as randomness

from graders.api import FUN, N, Finding, Sandbox, check, failed, parameters, passed, stack_parameters


@parameters
def draw(random: randomness.Random) -> dict[str, str]:
    """The greeting, never the one in the brief."""
    return {{"greeting": random.choice(["Tere", "Hei", "Ahoj", "Salut"])}}


@stack_parameters
def as_stack_parameters(parameters: dict[str, str]) -> dict[str, str]:
    """The greeting goes in as the stack's parameter."""
    return {{"Greeting": parameters["greeting"]}}


@check(id="f1", points=90, dimension=FUN, visibility=N, needs={{"LX"}})
def greets_by_name(sandbox: Sandbox) -> Finding:
    """The function greets its caller by name."""
    name = f"caller-{{sandbox.random.randrange(10_000)}}"
    expected = f"{{sandbox.parameters['greeting']}}, {{name}}!"
    answer = sandbox.invoke(sandbox.output("FunctionArn"), {{"name": name}})
    sandbox.did("lambda:Invoke", f"name {{name}}")
    sandbox.saw("lambda:Invoke", answer.describe())
    if answer.succeeded and answer.payload == {{"text": expected}}:
        return passed("The greeting is exact.")
    return failed("The greeting differs.", expected=expected, look="the handler's return value")
'''

_TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Greeting:
    Type: String
    Default: Hello
Resources:
  Greeter:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: app.handler
      CodeUri: src/
      Timeout: 5
      Environment:
        Variables:
          GREETING: !Ref Greeting
  GreeterLogs:
    Type: AWS::Logs::LogGroup
    Properties:
      LogGroupName: !Sub /aws/lambda/${Greeter}
      RetentionInDays: 7
Outputs:
  FunctionArn:
    Value: !GetAtt Greeter.Arn
"""

_ANSWER = """\
import os


def handler(event, context):
    return {"text": f"{os.environ['GREETING']}, {event['name']}!"}
"""

_STARTER = """\
def handler(event, context):
    return {}
"""

_MUTANT = """\
what = "The greeting of the brief is written into the code instead of being configured."
must_fail = ["f1"]

[[replace]]
path = "src/app.py"
old = "os.environ['GREETING']"
new = "'Hello'"
"""


def skeleton(slug: str, code: str) -> dict[str, str]:
    """The files of a new lab by relative path."""
    title = slug.replace("-", " ").capitalize()
    return {
        "lab.toml": _LAB.format(code=code, title=title),
        "brief.md": _BRIEF.format(title=title),
        "contract.md": _CONTRACT,
        "checks.py": _CHECKS.format(title=title),
        "starter/python/template.yaml": _TEMPLATE,
        "starter/python/src/app.py": _STARTER,
        "solutions/reference-python/template.yaml": _TEMPLATE,
        "solutions/reference-python/src/app.py": _ANSWER,
        "mutants/hardcoded-greeting/mutant.toml": _MUTANT,
    }
