"""Faults of access: a right is taken away, or a resource closed to everybody."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import Field, model_validator

from sandbox.faults.made import Hands, Listed, MadeFault, function_name, is_missing
from sandbox.faults.model import BadFault

POLICY_PREFIX = "coldstart-fault"
_CLOSED: dict[str, tuple[str, ...]] = {
    "sqs": ("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"),
    "s3": ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"),
    "sns": ("sns:Publish",),
    "dynamodb": (
        "dynamodb:GetItem",
        "dynamodb:BatchGetItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:ConditionCheckItem",
    ),
    "secretsmanager": ("secretsmanager:GetSecretValue",),
    "kms": (),
}


class Deny(MadeFault):
    """A right is taken away from a role, by a policy that denies it."""

    name: ClassVar[str] = "deny"

    function: str = Field(default="", description="the function whose role it is")
    role: str = Field(default="", description="or the role's name")
    actions: Listed = Field(min_length=1, description="such as dynamodb:PutItem,dynamodb:Update*")
    resources: Listed = Field(default=("*",), min_length=1, description="ARNs")

    @model_validator(mode="after")
    def _names_one(self) -> Deny:
        if bool(self.function) == bool(self.role):
            raise ValueError("give either `function` or `role`")
        return self

    def make(self, aws: Hands) -> None:
        """Put an inline policy of its own on the role."""
        role = self.role or self._role_of_function(aws)
        name = f"{POLICY_PREFIX}-{secrets.token_hex(4)}"
        statement = {"Effect": "Deny", "Action": list(self.actions), "Resource": list(self.resources)}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam = aws.client("iam")
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
        aws.undo(f"policy {name}", lambda: iam.delete_role_policy(RoleName=role, PolicyName=name))

    def _role_of_function(self, aws: Hands) -> str:
        name, _ = function_name(self.function)
        found = aws.client("lambda", self.region).get_function_configuration(FunctionName=name)
        return str(found["Role"]).rsplit("/", 1)[-1]


class Close(MadeFault):
    """A queue, bucket, topic, table or secret lets nobody at its data, and a key is disabled.

    The resource's own policy denies it to functions, services and everybody else but the account's
    administrator.
    """

    name: ClassVar[str] = "close"

    resource: str = Field(pattern=r"^arn:aws[\w-]*:[\w-]+:[\w-]*:\d*:.+$", description="its ARN")

    def make(self, aws: Hands) -> None:
        """Add a denial to the policy that the resource has."""
        _, _, service, region, _, name = self.resource.split(":", 5)
        if service not in _CLOSED:
            raise BadFault(f"Fault `close`: it closes {', '.join(_CLOSED)}, not {service}.")
        client = aws.client(service, region or self.region)
        if service == "kms":
            key_id = name.removeprefix("key/")
            client.disable_key(KeyId=key_id)
            aws.undo(self.resource, lambda: client.enable_key(KeyId=key_id))
            return
        read, write, remove = _policy(client, service, self.resource, name)
        before = read()
        document = json.loads(before) if before else {"Version": "2012-10-17", "Statement": []}
        denial = {
            "Sid": f"ColdstartFault{secrets.token_hex(4)}",
            "Effect": "Deny",
            "Principal": "*",
            "Action": list(_CLOSED[service]),
            "Resource": [self.resource, f"{self.resource}/*"] if service == "s3" else self.resource,
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": _who(aws)}},
        }
        statements = document["Statement"]
        kept = statements if isinstance(statements, list) else [statements]
        write(json.dumps({**document, "Statement": [*kept, denial]}))
        aws.undo(self.resource, lambda: write(before) if before else remove())


def _who(aws: Hands) -> str:
    return str(aws.client("sts").get_caller_identity()["Arn"])


Reading = tuple[Callable[[], str], Callable[[str], Any], Callable[[], Any]]


def _policy(client: Any, service: str, arn: str, name: str) -> Reading:
    """How a resource's policy is read, written and removed."""
    if service == "sqs":
        account_id = arn.split(":")[4]
        url = client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account_id)["QueueUrl"]

        def write_queue(policy: str) -> None:
            client.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})

        def read_queue() -> str:
            found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
            return str(found.get("Attributes", {}).get("Policy", ""))

        return read_queue, write_queue, lambda: write_queue("")
    if service == "sns":
        return (
            lambda: client.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"],
            lambda policy: client.set_topic_attributes(
                TopicArn=arn, AttributeName="Policy", AttributeValue=policy
            ),
            lambda: None,  # A topic always has one.
        )
    if service == "s3":
        return (
            lambda: _or_none(lambda: client.get_bucket_policy(Bucket=name)["Policy"]),
            lambda policy: client.put_bucket_policy(Bucket=name, Policy=policy),
            lambda: client.delete_bucket_policy(Bucket=name),
        )
    if service == "dynamodb":
        return (
            lambda: _or_none(lambda: client.get_resource_policy(ResourceArn=arn)["Policy"]),
            lambda policy: client.put_resource_policy(ResourceArn=arn, Policy=policy),
            lambda: client.delete_resource_policy(ResourceArn=arn),
        )
    return (
        lambda: _or_none(lambda: client.get_resource_policy(SecretId=arn).get("ResourcePolicy", "")),
        lambda policy: client.put_resource_policy(SecretId=arn, ResourcePolicy=policy),
        lambda: client.delete_resource_policy(SecretId=arn),
    )


def _or_none(read: Callable[[], Any]) -> str:
    """A policy; empty when there is none."""
    try:
        return str(read() or "")
    except Exception as error:
        if is_missing(error):
            return ""
        raise
