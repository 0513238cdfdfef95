"""What the function's role must be allowed of a source: Lambda polls with the function's own role.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-permissions,
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-lambda.html and
https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-create.html
"""

from __future__ import annotations

from sandbox.emulator.calls import Principal
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.mappings.validation import refused
from sandbox.emulator.faults.calls import Trouble
from sandbox.emulator.faults.deliveries import trouble

_QUEUE = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
_STREAM = {
    "kinesis": ("GetRecords", "GetShardIterator", "DescribeStream", "ListShards"),
    "dynamodb": ("GetRecords", "GetShardIterator", "DescribeStream"),
}


class RoleAccess:
    """Whoever polls, asked about one source."""

    def __init__(self, core: AccountCore, principal: Principal | None, source: Arn) -> None:
        self._core = core
        self._principal = principal
        self._source = source

    def check(self) -> None:
        """What Lambda checks before it keeps a mapping.

        Raises:
            AwsError: the role lacks a permission; in Lambda's words.
        """
        if self._source.service == "sqs":
            for operation in _QUEUE:
                if self.refusal(operation):
                    raise refused(
                        f"The provided execution role does not have permissions to call {operation} on SQS"
                    )
            return
        operations = _STREAM.get(self._source.service, ())
        if any(self.refusal(operation) for operation in operations):
            listed = ", ".join((*operations, "and ListStreams"))
            raise refused(
                f"Cannot access stream {self._source}. Please ensure the role can perform the {listed} "
                "Actions on your stream in IAM."
            )

    def trouble(self, operation: str) -> Trouble:
        """What a fault puts in the way of polling."""
        service = "dynamodbstreams" if self._source.service == "dynamodb" else self._source.service
        return trouble(self._core, service, operation, str(self._source), self._principal)

    def refusal(self, operation: str) -> str:
        """Why the role may not do this to the source, in AWS's words; empty when it may."""
        if self._principal is None:
            return ""  # Invoking it says that it does not exist.
        return self._core.guard.refusal(
            self._principal,
            f"{self._source.service}:{operation}",
            str(self._source),
            region=self._source.region,
        )
