from __future__ import annotations

import pytest

from graders.findings import Outcome
from graders.shared import no_admin, no_secrets
from graders.template import Template
from sandbox.templates import parse_template

ROLE = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: p
          PolicyDocument:
            Version: 2012-10-17
            Statement: {statement}
"""


def template(text: str) -> Template:
    data = parse_template("template.yaml", text.encode()).values
    return Template(data, data)


@pytest.mark.parametrize(
    ("statement", "outcome"),
    [
        ("{Effect: Allow, Action: '*', Resource: '*'}", Outcome.FAILED),
        ("[{Effect: Allow, Action: ['s3:GetObject', '*'], Resource: x}]", Outcome.FAILED),
        ("{Effect: Allow, Action: 'iam:PassRole', Resource: '*'}", Outcome.FAILED),
        ("{Effect: Allow, Action: 'iam:PassRole', Resource: 'arn:aws:iam::1:role/x'}", Outcome.PASSED),
        ("{Effect: Deny, Action: '*', Resource: '*'}", Outcome.PASSED),
        ("{Effect: Allow, Action: 's3:*', Resource: '*'}", Outcome.PASSED),
    ],
)
def test_every_action_or_passing_any_role_is_refused(statement: str, outcome: Outcome) -> None:
    assert no_admin(template(ROLE.format(statement=statement))).outcome is outcome


VARIABLES = """
Resources:
  F:
    Type: AWS::Lambda::Function
    Properties:
      Environment:
        Variables: {variables}
"""


@pytest.mark.parametrize(
    ("variables", "outcome"),
    [
        ("{DB_PASSWORD: hunter22}", Outcome.FAILED),
        ("{DB_PASSWORD: !Ref Secret}", Outcome.PASSED),
        ("{DB_SECRET: 'arn:aws:secretsmanager:eu-west-1:1:secret:db'}", Outcome.PASSED),
        ("{TABLE: invoices}", Outcome.PASSED),
    ],
)
def test_a_literal_in_a_secret_variable_is_refused(variables: str, outcome: Outcome) -> None:
    assert no_secrets({}, template(VARIABLES.format(variables=variables))).outcome is outcome


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "token = 'ghp_" + "a" * 36 + "'",
        "secret_access_key = '" + "A" * 40 + "'",
    ],
)
def test_secrets_are_known_by_their_form(text: str) -> None:
    assert (
        no_secrets({"src/app.py": text.encode()}, template("Resources: {Q: {Type: AWS::SQS::Queue}}")).outcome
        is Outcome.FAILED
    )
