"""Traffic moves from version to version as configured, is looked after by hooks and alarms, and goes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

BEFORE, ALLOW, AFTER = "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"
MINUTE = 60.0


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_canary_gets_a_tenth_for_five_minutes(shop: Any) -> None:
    shop.group("Canary10Percent5Minutes")
    made = shop.deploy()

    assert shop.told(made)["status"] == "InProgress"
    assert shop.alias() == ("1", {"2": 0.1})
    answers = shop.answers(200)
    assert 2 <= answers["new"] <= 50, answers
    assert answers["old"] + answers["new"] == 200

    shop.account.advance(4 * MINUTE)
    assert shop.alias() == ("1", {"2": 0.1})
    shop.account.advance(1.1 * MINUTE)

    assert shop.alias() == ("2", {})
    assert shop.answers(3) == {"new": 3}
    told = shop.told(made)
    assert (told["status"], told["deploymentOverview"]["Succeeded"]) == ("Succeeded", 1)
    assert 300 <= (told["completeTime"] - told["startTime"]).total_seconds() < 310
    assert [status for _, status in shop.lifecycle(made)] == ["Succeeded"] * 3


def test_traffic_moves_linearly(shop: Any) -> None:
    shop.group("Linear10PercentEvery1Minute")
    shop.deploy()
    seen = []
    for _ in range(10):
        version, weights = shop.alias()
        seen.append(weights.get("2", 1.0) if version == "1" else 1.0)
        shop.account.advance(MINUTE)
    assert seen == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_all_at_once_between_two_hooks_that_are_asked_in_order(shop: Any) -> None:
    shop.group()
    shop.hook("before")
    shop.hook("after")
    made = shop.deploy(shop.appspec(**{BEFORE: "before", AFTER: "after"}))

    assert shop.told(made)["status"] == "Succeeded"
    assert shop.alias() == ("2", {})
    assert any(
        "['DeploymentId', 'LifecycleEventHookExecutionId']" in line for line in shop.functions.logs("before")
    )
    ran = [event.subject for event in shop.account.events("invocation") if event.outcome == "ok"]
    assert ran == ["before", "after"]
    roles = {
        event.detail["principal"]
        for event in shop.account.events("api")
        if event.subject in ("lambda:UpdateAlias", "lambda:Invoke") and event.detail["principal"]
    }
    assert any(":assumed-role/deployer/" in role for role in roles), roles


def test_a_hook_that_says_failed_ends_it_before_any_traffic_moved(shop: Any) -> None:
    shop.group("Canary10Percent5Minutes")
    shop.hook("before", "Failed")
    made = shop.deploy(shop.appspec(**{BEFORE: "before"}))

    told = shop.told(made)
    assert (told["status"], told["errorInformation"]["code"]) == ("Failed", "HOOK_EXECUTION_FAILURE")
    assert shop.lifecycle(made) == [(BEFORE, "Failed"), (ALLOW, "Skipped"), (AFTER, "Skipped")]
    assert shop.alias() == ("1", {})


def test_a_hook_after_all_traffic_moved_sends_it_back(shop: Any) -> None:
    shop.group()
    shop.hook("after", "Failed")
    made = shop.deploy(shop.appspec(**{AFTER: "after"}))

    told = shop.told(made)
    assert told["status"] == "Failed"
    assert shop.alias() == ("1", {})
    back = shop.told(told["rollbackInfo"]["rollbackDeploymentId"])
    assert (back["creator"], back["status"]) == ("codeDeployRollback", "Succeeded")
    assert back["rollbackInfo"]["rollbackTriggeringDeploymentId"] == made


def test_a_hook_that_never_reports_is_given_an_hour(shop: Any) -> None:
    shop.group()
    shop.hook("before", "")
    made = shop.deploy(shop.appspec(**{BEFORE: "before"}))

    shop.account.advance(59 * MINUTE)
    assert shop.lifecycle(made)[0] == (BEFORE, "InProgress")
    shop.account.advance(1.1 * MINUTE)

    told = shop.told(made)
    assert (told["status"], told["errorInformation"]["code"]) == ("Failed", "HOOK_EXECUTION_FAILURE")
    assert "one hour" in told["errorInformation"]["message"]


def test_a_hook_s_answer_counts_once_and_only_while_it_is_waited_for(shop: Any) -> None:
    shop.group("Canary10Percent5Minutes")
    shop.hook("before", "")
    made = shop.deploy(shop.appspec(**{BEFORE: "before"}))
    execution_id = next(line.split()[1] for line in shop.functions.logs("before") if line.startswith("id "))

    def report(execution_id: str, status: str = "Succeeded") -> Any:
        return shop.client.put_lifecycle_event_hook_execution_status(
            deploymentId=made, lifecycleEventHookExecutionId=execution_id, status=status
        )

    def error(*arguments: str) -> str:
        with pytest.raises(ClientError) as caught:
            report(*arguments)
        return str(caught.value.response["Error"]["Code"])

    assert error("x") == "InvalidLifecycleEventHookExecutionIdException"
    assert error(execution_id, "Skipped") == "InvalidLifecycleEventHookExecutionStatusException"
    assert report(execution_id)["lifecycleEventHookExecutionId"] == execution_id
    shop.account.settle()
    assert shop.alias() == ("1", {"2": 0.1})
    assert error(execution_id) == "LifecycleEventAlreadyCompletedException"


def test_a_role_that_may_not_invoke_the_hook_is_told_so(shop: Any) -> None:
    iam = shop.account.client("iam")
    iam.delete_role_policy(RoleName="deployer", PolicyName="allow")
    managed = "arn:aws:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda"
    iam.attach_role_policy(RoleName="deployer", PolicyArn=managed)
    shop.group()
    for name in ("checks", "CodeDeployHook_checks"):
        shop.hook(name)
    made = shop.deploy(shop.appspec(**{BEFORE: "checks"}))

    told = shop.told(made)
    assert told["errorInformation"]["code"] == "IAM_ROLE_PERMISSIONS"
    assert "does not give you permission" in told["errorInformation"]["message"]

    made = shop.deploy(shop.appspec(**{BEFORE: "CodeDeployHook_checks"}))
    assert shop.told(made)["status"] == "Succeeded", shop.told(made)


def test_an_alarm_during_the_canary_sends_all_traffic_back(shop: Any) -> None:
    shop.alarm()
    alarms = {"enabled": True, "alarms": [{"name": "errors"}]}
    shop.group("Canary10Percent5Minutes", alarmConfiguration=alarms)
    made = shop.deploy()
    shop.account.advance(MINUTE)
    assert shop.alias() == ("1", {"2": 0.1})

    shop.ring()
    shop.account.advance(11)

    told = shop.told(made)
    assert (told["status"], told["errorInformation"]["code"]) == ("Stopped", "ALARM_ACTIVE")
    assert told["errorInformation"]["message"].endswith("Activated alarms: errors")
    assert shop.alias() == ("1", {})
    assert refused(shop.client.stop_deployment, deploymentId=made)[0] == "DeploymentAlreadyCompletedException"


def test_an_alarm_that_rings_already_lets_nothing_begin(shop: Any) -> None:
    shop.alarm()
    shop.ring()
    shop.group(alarmConfiguration={"enabled": True, "alarms": [{"name": "errors"}]})
    made = shop.deploy()
    assert shop.told(made)["errorInformation"]["code"] == "ALARM_ACTIVE"
    assert shop.alias() == ("1", {})


def test_stopped_by_hand_traffic_stays_unless_it_is_sent_back(shop: Any) -> None:
    shop.group("Canary10Percent5Minutes", autoRollbackConfiguration={"enabled": False})
    first = shop.deploy()
    shop.client.stop_deployment(deploymentId=first)
    shop.account.settle()
    assert (shop.told(first)["status"], shop.alias()) == ("Stopped", ("1", {"2": 0.1}))

    second = shop.deploy()
    assert shop.client.stop_deployment(deploymentId=second, autoRollbackEnabled=True)["status"] == "Succeeded"
    shop.account.settle()

    assert shop.told(second)["errorInformation"]["code"] == "MANUAL_STOP"
    assert shop.alias() == ("1", {})
    shop.account.advance(6 * MINUTE)
    assert shop.alias() == ("1", {}), "what was stopped goes on"


def test_one_deployment_of_a_group_at_a_time(shop: Any) -> None:
    shop.group("Canary10Percent5Minutes")
    made = shop.deploy()
    with pytest.raises(ClientError, match=f"already has an active Deployment '{made}'"):
        shop.deploy()


def test_an_alias_that_has_moved_since_is_not_deployed(shop: Any) -> None:
    shop.group()
    told = shop.told(shop.deploy(shop.appspec(current="2")))
    assert told["errorInformation"]["code"] == "INVALID_LAMBDA_CONFIGURATION"


def test_an_appspec_in_yaml_from_a_bucket_is_read_in_the_role(shop: Any) -> None:
    shop.group()
    s3 = shop.account.client("s3")
    s3.create_bucket(
        Bucket="revisions", CreateBucketConfiguration={"LocationConstraint": shop.account.core.region}
    )
    text = """
version: 0.0
Resources:
  - shop:
      Type: AWS::Lambda::Function
      Properties: {Name: shop, Alias: live, CurrentVersion: 1, TargetVersion: 2}
"""
    s3.put_object(Bucket="revisions", Key="appspec.yaml", Body=text)
    where = {"bucket": "revisions", "key": "appspec.yaml", "bundleType": "YAML"}
    made = shop.deploy(revision={"revisionType": "S3", "s3Location": where})
    assert (shop.told(made)["status"], shop.alias()) == ("Succeeded", ("2", {}))

    shop.account.client("iam").delete_role_policy(RoleName="deployer", PolicyName="allow")
    made = shop.deploy(revision={"revisionType": "S3", "s3Location": where})
    assert shop.told(made)["errorInformation"]["code"] == "REVISION_MISSING"


def test_the_bus_and_the_topic_of_the_group_are_told(shop: Any) -> None:
    sns, sqs, events = (shop.account.client(name) for name in ("sns", "sqs", "events"))
    topic = sns.create_topic(Name="deployments")["TopicArn"]
    queues = {}
    for name in ("bus", "topic"):
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:{shop.account.core.region}:{shop.account.core.account_id}:{name}"
        policy = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document})
        queues[name] = (url, arn)
    attributes = {"RawMessageDelivery": "true"}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queues["topic"][1], Attributes=attributes)
    pattern = {"source": ["aws.codedeploy"], "detail": {"state": ["START", "SUCCESS"]}}
    events.put_rule(Name="deployments", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="deployments", Targets=[{"Id": "queue", "Arn": queues["bus"][1]}])
    trigger = {"triggerName": "tell", "triggerTargetArn": topic, "triggerEvents": ["DeploymentSuccess"]}
    shop.group(triggerConfigurations=[trigger])
    made = shop.deploy()

    def bodies(name: str) -> list[Any]:
        found = sqs.receive_message(QueueUrl=queues[name][0], MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(each["Body"]) for each in found]

    told = bodies("bus")
    assert [each["detail-type"] for each in told] == ["CodeDeploy Deployment State-change Notification"] * 2
    assert sorted(each["detail"]["state"] for each in told) == ["START", "SUCCESS"]
    assert told[0]["resources"][1].endswith(":deploymentgroup:app/group")
    [message] = bodies("topic")
    assert (message["deploymentId"], message["status"]) == (made, "Succeeded")
    assert message["deploymentOverview"]["Succeeded"] == "1"
