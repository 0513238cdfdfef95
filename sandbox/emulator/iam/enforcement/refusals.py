"""How each service words and codes a refusal.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html and each service's
list of common errors.
"""

from __future__ import annotations

from dataclasses import replace

from sandbox.emulator.calls import AwsError
from sandbox.emulator.iam.evaluation import Caller, Decision, PolicyType, Request, denial_sentence

# Services that answer 403 with `AccessDenied`, as their query or REST-XML protocol has it.
_QUERY = frozenset({"cloudformation", "cloudwatch", "iam", "route53", "s3", "sts"})
_REST = frozenset({"apigateway", "apigatewayv2", "lambda", "pipes", "scheduler", "xray"})


def access_denied(service: str, message: str) -> AwsError:
    """The error that a service answers a refused call with."""
    if service in _QUERY:
        return AwsError("AccessDenied", message, 403)
    if service == "sns":
        return AwsError("AuthorizationError", message, 403)
    if service == "sqs":
        return AwsError("AccessDenied", message, 403)
    return AwsError("AccessDeniedException", message, 403 if service in _REST else 400)


def sentence(service: str, caller: Caller, request: Request, decision: Decision) -> str:
    """AWS's sentence, with what this service spells in its own way."""
    cross_account = bool(request.resource_account) and request.resource_account != caller.account
    if service == "s3" and cross_account:
        return "Access Denied"
    spelled = request
    if request.action.startswith("sqs:"):
        spelled = replace(request, action=request.action.lower())
    elif request.action.startswith("sns:"):
        spelled = replace(request, action=f"SNS:{request.action[4:]}")
    if request.action == "sts:AssumeRole" and decision.reason.policy_type is PolicyType.RESOURCE:
        # STS does not say more of a role's trust policy.
        return (
            f"User: {caller.arn or caller.service} is not authorized to perform: sts:AssumeRole "
            f"on resource: {request.resource}"
        )
    told = denial_sentence(caller, spelled, decision)
    if service == "s3" and request.resource != "*":
        told = told.replace(f"on resource: {request.resource}", f'on resource: "{request.resource}"')
    return told
