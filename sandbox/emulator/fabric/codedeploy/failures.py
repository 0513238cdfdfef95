"""Why a deployment ended before its time, in CodeDeploy's codes.

Source: https://docs.aws.amazon.com/codedeploy/latest/userguide/error-codes.html
"""

from __future__ import annotations

from botocore.exceptions import ClientError


class Broken(Exception):
    """A deployment can't go on. ``occasion`` is what a group's automatic rollback calls this."""

    def __init__(self, code: str, message: str, occasion: str = "DEPLOYMENT_FAILURE") -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.occasion = code, message, occasion


def refused(error: ClientError, role_arn: str, what: str) -> Broken:
    """What another service answered when CodeDeploy used the group's role on ``what``."""
    code = str(error.response["Error"].get("Code", ""))
    message = str(error.response["Error"].get("Message", ""))
    if code in ("NotEmulated", "InternalFailure"):
        return Broken("INTERNAL_ERROR", message)
    if "AccessDenied" in code:
        return Broken(
            "IAM_ROLE_PERMISSIONS",
            f"The IAM role {role_arn} does not give you permission to perform operations in the following "
            f"AWS service: {_service(error)}. Contact your AWS administrator if you need help. If you are an "
            "AWS administrator, you can grant permissions to your users or groups by creating IAM policies.",
        )
    if "TooManyRequests" in code or "Throttl" in code:
        return Broken(
            "THROTTLED",
            f"The deployment failed because the number of requests by the IAM role {role_arn} exceeded the "
            f"request limit for {_service(error)}. Avoid retrying API requests at a high rate.",
        )
    if "NotFound" in code:
        return Broken("INVALID_LAMBDA_FUNCTION", f"{what} can't be found: {message}")
    return Broken("INVALID_LAMBDA_CONFIGURATION", f"{what}: {message}")


def _service(error: ClientError) -> str:
    named = {"DescribeAlarms": "AmazonCloudWatch", "GetObject": "AmazonS3"}
    return named.get(error.operation_name, "AWSLambda")
