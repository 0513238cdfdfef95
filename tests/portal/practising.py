"""A home with the installed runtimes, and a stack with something of everything to practise with."""

from __future__ import annotations

import shutil
from pathlib import Path

from sandbox.runtimes.prepared import prepare_python_runtime, python_runtime_place
from sandbox.runtimes.prepared_nodejs import nodejs_runtime_place, prepare_further_runtimes
from tests.supervisor.conftest import INSTALLED, quietly

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: app.handler
      Runtime: python3.13
      Tracing: Active
      Policies: [{DynamoDBCrudPolicy: {TableName: !Ref Things}}]
      Environment: {Variables: {TABLE: !Ref Things, GREETING: "<b>hi</b>"}}
      FunctionUrlConfig: {AuthType: NONE}
      Events:
        Web: {Type: HttpApi, Properties: {Path: "/greet/{name}", Method: GET}}
        Hourly: {Type: Schedule, Properties: {Schedule: rate(1 hour)}}
  Things:
    Type: AWS::Serverless::SimpleTable
  Files:
    Type: AWS::S3::Bucket
  Letters:
    Type: AWS::SQS::Queue
  Orders:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [shop.orders]}
      Targets: [{Id: letters, Arn: !GetAtt Letters.Arn}]
  LettersPolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Letters]
      PolicyDocument:
        Statement:
          - {Effect: Allow, Principal: {Service: events.amazonaws.com}, Action: sqs:*, Resource: "*"}
  Flow:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition:
        StartAt: Decide
        States:
          Decide: {Type: Choice, Choices: [{Variable: $.bad, IsPresent: true, Next: Refuse}], Default: Both}
          Both:
            Type: Parallel
            Next: Done
            Branches:
              - {StartAt: Left, States: {Left: {Type: Pass, End: true}}}
              - {StartAt: Right, States: {Right: {Type: Pass, End: true}}}
          Refuse: {Type: Fail, Error: Refused, Cause: it was bad}
          Done: {Type: Succeed}
Outputs:
  Url: {Value: !Sub "https://${ServerlessHttpApi}.execute-api.${AWS::Region}.amazonaws.com/greet/x"}
"""

CODE = """
import json, os
import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event, context):
    print("seen", json.dumps(event)[:300])
    if event.get("fail"):
        raise ValueError("as asked")
    name = (event.get("pathParameters") or {}).get("name", "nobody")
    table.put_item(Item={"id": name})
    body = f"<script>alert('{name}')</script>"
    return {"statusCode": 200, "headers": {"Content-Type": "text/html"}, "body": body}
"""

FILES = {"template.yaml": TEMPLATE.encode(), "src/app.py": CODE.encode()}


def furnish(home: Path) -> None:
    """Give a new home the installed runtimes, so that nothing has to be fetched for it."""
    runtime = prepare_python_runtime(INSTALLED, quietly)
    prepare_further_runtimes(INSTALLED, quietly)
    place = python_runtime_place(home)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(runtime, place)
    nodejs_runtime_place(home).symlink_to(nodejs_runtime_place(INSTALLED))
