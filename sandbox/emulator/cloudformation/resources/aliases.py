"""How an alias comes to another version by a CodeDeploy deployment, which the stack's update waits for.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-updatepolicy.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import ResourceContext, ResourceFailed
from sandbox.emulator.cloudformation.resources.convert import invalid

POLICY = "CodeDeployLambdaAliasUpdate"
_HOOKS = ("BeforeAllowTrafficHook", "AfterAllowTrafficHook")
# Longer than any deployment: traffic shifts for two days at most, and two hooks have an hour each.
_LONGEST_S = 3 * 86_400
_FINAL = ("Succeeded", "Failed", "Stopped")


def shift(
    context: ResourceContext, plan: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    """Deploy the alias's new version by ``plan``, the update policy, and wait until that has ended.

    Raises:
        ResourceFailed: the deployment failed or was stopped; its way back has ended, too.
    """
    missing = [name for name in ("ApplicationName", "DeploymentGroupName") if not plan.get(name)]
    if missing:
        raise invalid(f"UpdatePolicy/{POLICY}: required key [{missing[0]}] not found")
    properties = {
        "Name": new["FunctionName"],
        "Alias": new["Name"],
        "CurrentVersion": old["FunctionVersion"],
        "TargetVersion": new["FunctionVersion"],
    }
    hooks = [{name.removesuffix("Hook"): plan[name]} for name in _HOOKS if plan.get(name)]
    resource = {"Type": "AWS::Lambda::Function", "Properties": properties}
    content = {"version": 0.0, "Resources": [{"Alias": resource}], "Hooks": hooks}
    client = context.client("codedeploy")
    made = client.create_deployment(
        applicationName=plan["ApplicationName"],
        deploymentGroupName=plan["DeploymentGroupName"],
        revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(content)}},
    )
    told = _ended(context, client, made["deploymentId"])
    if told["status"] == "Succeeded":
        return
    back = told.get("rollbackInfo", {}).get("rollbackDeploymentId")
    if back:
        _ended(context, client, back)
    reason = told.get("errorInformation", {})
    raise ResourceFailed(
        f"CodeDeploy deployment {told['deploymentId']} ended as {told['status']}: "
        f"{reason.get('message', '')} (Error code: {reason.get('code', '')})"
    )


def _ended(context: ResourceContext, client: Any, deployment_id: str) -> dict[str, Any]:
    """A deployment once it has ended."""
    behind = context.behind()
    with behind.shifts.end_of(deployment_id) as mailbox:
        told: dict[str, Any] = client.get_deployment(deploymentId=deployment_id)["deploymentInfo"]
        if told["status"] in _FINAL:
            return told
        if not behind.errand.wait(mailbox, _LONGEST_S):
            raise ResourceFailed(f"The deployment {deployment_id} did not end.", "NotStabilized")
    found: dict[str, Any] = client.get_deployment(deploymentId=deployment_id)["deploymentInfo"]
    return found
