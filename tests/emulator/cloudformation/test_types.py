"""Types of several services, from nothing to nothing, through CloudFormation's API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.fabric.eventbridge.service import EventBridge
from sandbox.emulator.fabric.mappings import EventSourceMappings
from sandbox.emulator.fabric.pipes import Pipes
from sandbox.emulator.fabric.sqs.service import SqsService
from sandbox.emulator.telemetry.service import Telemetry
from tests.emulator.cloudformation.engine import Engine
from tests.emulator.fabric.fakes import RecordingFunctions

POOL = "arn:aws:cognito-idp:eu-north-1:111122223333:userpool/"


def of(**resources: Any) -> dict[str, Any]:
    return {
        "Resources": {
            name: {"Type": f"AWS::{kind}", "Properties": p} for name, (kind, p) in resources.items()
        }
    }


def made(engine: Engine, template: Mapping[str, Any], **more: Any) -> dict[str, str]:
    """Create the stack; physical ids by logical id."""
    engine.create(template, **more)
    assert engine.status() == "CREATE_COMPLETE", engine.reasons()
    return physical(engine)


def changed(engine: Engine, template: Mapping[str, Any]) -> dict[str, str]:
    engine.update(template)
    assert engine.status() == "UPDATE_COMPLETE", engine.reasons()
    return physical(engine)


def removed(engine: Engine) -> None:
    stack_id = engine.client.describe_stacks(StackName="shop")["Stacks"][0]["StackId"]
    engine.delete()
    assert engine.status(stack_id) == "DELETE_COMPLETE", engine.reasons(stack_id)


def physical(engine: Engine) -> dict[str, str]:
    found = engine.client.describe_stack_resources(StackName="shop")["StackResources"]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}


def rest_api(
    limit: int = 100, stage: str = "live", schema: str = "object", status: str = "402"
) -> dict[str, Any]:
    api = {"Ref": "Api"}
    template = of(
        Api=("ApiGateway::RestApi", {"Name": "shop"}),
        Method=(
            "ApiGateway::Method",
            {
                "RestApiId": api,
                "ResourceId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
                "HttpMethod": "POST",
                "AuthorizationType": "NONE",
                "ApiKeyRequired": True,
                "RequestValidatorId": {"Ref": "Validator"},
                "RequestModels": {"application/json": {"Ref": "Order"}},
                "Integration": {"Type": "MOCK"},
            },
        ),
        Validator=(
            "ApiGateway::RequestValidator",
            {"RestApiId": api, "ValidateRequestBody": stage == "live"},
        ),
        Order=("ApiGateway::Model", {"RestApiId": api, "Schema": {"type": schema}}),
        Busy=(
            "ApiGateway::GatewayResponse",
            {
                "RestApiId": api,
                "ResponseType": "THROTTLED",
                "StatusCode": status,
                "ResponseTemplates": {"application/json": '{"later": true}'},
            },
        ),
        Deployment=("ApiGateway::Deployment", {"RestApiId": api}),
        Live=(
            "ApiGateway::Stage",
            {"RestApiId": api, "DeploymentId": {"Ref": "Deployment"}, "StageName": "live"},
        ),
        Test=(
            "ApiGateway::Stage",
            {"RestApiId": api, "DeploymentId": {"Ref": "Deployment"}, "StageName": "test"},
        ),
        Key=("ApiGateway::ApiKey", {"Enabled": True, "Value": "k" * 20, "Description": stage}),
        Plan=(
            "ApiGateway::UsagePlan",
            {
                "UsagePlanName": "basic",
                "ApiStages": [{"ApiId": api, "Stage": stage}],
                "Quota": {"Limit": limit, "Period": "DAY"},
                "Throttle": {"RateLimit": 5, "BurstLimit": 10},
            },
        ),
        Member=(
            "ApiGateway::UsagePlanKey",
            {"KeyId": {"Ref": "Key"}, "KeyType": "API_KEY", "UsagePlanId": {"Ref": "Plan"}},
        ),
    )
    template["Resources"]["Deployment"]["DependsOn"] = "Method"
    template["Resources"]["Plan"]["DependsOn"] = ["Live", "Test"]
    return template


def test_keys_plans_and_checks_of_a_rest_api(engine: Engine) -> None:
    ids = made(engine, rest_api())
    apis = engine.account.client("apigateway")
    api = ids["Api"]

    key = apis.get_api_key(apiKey=ids["Key"], includeValue=True)
    assert (key["value"], key["enabled"], key["name"][:9]) == ("k" * 20, True, "shop-Key-")
    plan = apis.get_usage_plan(usagePlanId=ids["Plan"])
    assert plan["apiStages"] == [{"apiId": api, "stage": "live"}]
    assert (plan["quota"]["limit"], plan["throttle"]["burstLimit"]) == (100, 10)
    assert [k["id"] for k in apis.get_usage_plan_keys(usagePlanId=ids["Plan"])["items"]] == [ids["Key"]]
    validator = apis.get_request_validator(restApiId=api, requestValidatorId=ids["Validator"])
    assert (validator["validateRequestBody"], validator["validateRequestParameters"]) == (True, False)
    assert '"type": "object"' in apis.get_model(restApiId=api, modelName=ids["Order"])["schema"]
    response = apis.get_gateway_response(restApiId=api, responseType="THROTTLED")
    assert response["statusCode"] == "402"

    assert changed(engine, rest_api(200, "test", "array", "429")) == ids, "all of it changes in place"

    plan = apis.get_usage_plan(usagePlanId=ids["Plan"])
    assert plan["apiStages"] == [{"apiId": api, "stage": "test"}]
    assert int(plan["quota"]["limit"]) == 200
    assert apis.get_api_key(apiKey=ids["Key"])["description"] == "test"
    validator = apis.get_request_validator(restApiId=api, requestValidatorId=ids["Validator"])
    assert validator["validateRequestBody"] is False
    assert '"type": "array"' in apis.get_model(restApiId=api, modelName=ids["Order"])["schema"]
    response = apis.get_gateway_response(restApiId=api, responseType="THROTTLED")
    assert response["statusCode"] == "429"

    removed(engine)
    assert apis.get_api_keys()["items"] == apis.get_usage_plans()["items"] == []


def zone(weight: int = 10, path: str = "/up", *, text: bool = True) -> dict[str, Any]:
    name = {"HostedZoneId": {"Ref": "Zone"}, "Type": "A", "TTL": "60"}
    records = [{"Name": "old.example.com.", "Type": "A", "TTL": "60", "ResourceRecords": ["10.0.0.9"]}]
    if text:
        records.append({"Name": "t.example.com.", "Type": "TXT", "TTL": "60", "ResourceRecords": ['"a"']})
    check = {"Type": "HTTPS", "FullyQualifiedDomainName": "example.com", "ResourcePath": path, "Port": 443}
    return of(
        Zone=("Route53::HostedZone", {"Name": "example.com.", "HostedZoneConfig": {"Comment": path}}),
        Check=("Route53::HealthCheck", {"HealthCheckConfig": check}),
        One=(
            "Route53::RecordSet",
            {
                **name,
                "Name": "api.example.com.",
                "SetIdentifier": "one",
                "Weight": weight,
                "ResourceRecords": ["10.0.0.1"],
                "HealthCheckId": {"Ref": "Check"},
            },
        ),
        Group=("Route53::RecordSetGroup", {"HostedZoneId": {"Ref": "Zone"}, "RecordSets": records}),
    )


def test_a_zone_with_records_and_a_health_check(engine: Engine) -> None:
    ids = made(engine, zone())
    route53 = engine.account.client("route53")

    def records() -> dict[str, Any]:
        found = route53.list_resource_record_sets(HostedZoneId=ids["Zone"])["ResourceRecordSets"]
        return {each["Name"]: each for each in found if each["Type"] in ("A", "TXT")}

    assert set(records()) == {"api.example.com.", "old.example.com.", "t.example.com."}
    api = records()["api.example.com."]
    assert (api["Weight"], api["SetIdentifier"], api["HealthCheckId"]) == (10, "one", ids["Check"])
    assert ids["One"] == "api.example.com."

    assert changed(engine, zone(20, "/health", text=False)) == ids

    assert records()["api.example.com."]["Weight"] == 20
    assert set(records()) == {"api.example.com.", "old.example.com."}
    check = route53.get_health_check(HealthCheckId=ids["Check"])["HealthCheck"]["HealthCheckConfig"]
    assert (check["ResourcePath"], check["Type"]) == ("/health", "HTTPS")
    assert route53.get_hosted_zone(Id=ids["Zone"])["HostedZone"]["Config"]["Comment"] == "/health"

    removed(engine)
    assert route53.list_hosted_zones()["HostedZones"] == route53.list_health_checks()["HealthChecks"] == []


def test_a_record_of_a_zone_by_its_name(engine: Engine) -> None:
    route53 = engine.account.client("route53")
    route53.create_hosted_zone(Name="example.com.", CallerReference="1")
    record = {"HostedZoneName": "example.com.", "Name": "a.example.com.", "Type": "A", "TTL": "60"}

    made(engine, of(A=("Route53::RecordSet", {**record, "ResourceRecords": ["10.0.0.1"]})))
    removed(engine)

    zone_id = route53.list_hosted_zones()["HostedZones"][0]["Id"]
    left = route53.list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]
    assert "a.example.com." not in {each["Name"] for each in left}


def pool(minutes: int = 30, *, protected: str = "INACTIVE", extra: tuple[str, ...] = ()) -> dict[str, Any]:
    schema = [{"Name": name, "AttributeDataType": "String", "Mutable": True} for name in ("tier", *extra)]
    template = of(
        Pool=(
            "Cognito::UserPool",
            {
                "UserPoolName": "customers",
                "UsernameAttributes": ["email"],
                "AutoVerifiedAttributes": ["email"],
                "Policies": {"PasswordPolicy": {"MinimumLength": 12}},
                "Schema": schema,
                "UserPoolTags": {"team": protected},
                "DeletionProtection": protected,
            },
        ),
        Client=(
            "Cognito::UserPoolClient",
            {
                "UserPoolId": {"Ref": "Pool"},
                "GenerateSecret": True,
                "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
                "AccessTokenValidity": minutes,
                "TokenValidityUnits": {"AccessToken": "minutes"},
            },
        ),
        Domain=("Cognito::UserPoolDomain", {"UserPoolId": {"Ref": "Pool"}, "Domain": "shop-login"}),
    )
    attributes = {"Arn": "Pool.Arn", "Provider": "Pool.ProviderURL", "Secret": "Client.ClientSecret"}
    outputs = {key: {"Value": {"Fn::GetAtt": where}} for key, where in attributes.items()}
    return {**template, "Outputs": outputs}


def test_a_user_pool_with_a_client_and_a_domain(engine: Engine) -> None:
    ids = made(engine, pool())
    cognito = engine.account.client("cognito-idp")

    outputs = engine.outputs()
    assert outputs["Arn"] == POOL + ids["Pool"]
    assert outputs["Provider"] == f"https://cognito-idp.eu-north-1.amazonaws.com/{ids['Pool']}"
    found = cognito.describe_user_pool(UserPoolId=ids["Pool"])["UserPool"]
    assert found["Policies"]["PasswordPolicy"]["MinimumLength"] == 12
    where = {"UserPoolId": ids["Pool"], "ClientId": ids["Client"]}
    client = cognito.describe_user_pool_client(**where)["UserPoolClient"]
    assert (client["AccessTokenValidity"], client["ClientSecret"]) == (30, outputs["Secret"])
    assert (
        cognito.describe_user_pool_domain(Domain=ids["Domain"])["DomainDescription"]["UserPoolId"]
        == ids["Pool"]
    )

    assert changed(engine, pool(45, protected="ACTIVE", extra=("points",))) == ids

    client = cognito.describe_user_pool_client(**where)["UserPoolClient"]
    assert client["AccessTokenValidity"] == 45
    names = {
        each["Name"]
        for each in cognito.describe_user_pool(UserPoolId=ids["Pool"])["UserPool"]["SchemaAttributes"]
    }
    assert {"custom:tier", "custom:points"} <= names

    stack_id = engine.client.describe_stacks(StackName="shop")["Stacks"][0]["StackId"]
    engine.delete()
    assert engine.status(stack_id) == "DELETE_FAILED"
    assert "deletion protection is activated" in engine.reasons()["Pool"]


def test_a_user_pool_keeps_the_attributes_it_has(engine: Engine) -> None:
    made(engine, pool(extra=("points",)))

    engine.update(pool())

    assert engine.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert engine.reasons()["Pool"] == "Existing schema attributes cannot be modified or deleted."
    removed(engine)


def alarms(rule: str, team: str = "a") -> dict[str, Any]:
    metric = {
        "Namespace": "Shop",
        "MetricName": "Errors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    return of(
        Low=("CloudWatch::Alarm", {**metric, "AlarmName": "low"}),
        High=("CloudWatch::Alarm", {**metric, "AlarmName": "high", "Threshold": 9}),
        Both=(
            "CloudWatch::CompositeAlarm",
            {
                "AlarmRule": {"Fn::Sub": rule},
                "AlarmDescription": team,
                "Tags": [{"Key": "team", "Value": team}],
            },
        ),
    )


def test_an_alarm_on_alarms(engine: Engine) -> None:
    core = engine.account.core
    queues, functions = SqsService(core), RecordingFunctions()
    events = EventBridge(core, functions, queues.mailroom)
    engine.account.add(Telemetry(core, functions, queues.mailroom, events).handlers())
    ids = made(engine, alarms("ALARM(${Low}) AND ALARM(${High})"))
    cloudwatch = engine.account.client("cloudwatch")

    def composite() -> dict[str, Any]:
        found = cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
        return dict(found[0])

    assert composite()["AlarmName"] == ids["Both"]
    assert composite()["AlarmRule"] == "ALARM(low) AND ALARM(high)"

    assert changed(engine, alarms("ALARM(${Low}) OR ALARM(${High})", "b")) == ids

    assert (composite()["AlarmRule"], composite()["AlarmDescription"]) == ("ALARM(low) OR ALARM(high)", "b")
    labels = cloudwatch.list_tags_for_resource(ResourceARN=composite()["AlarmArn"])["Tags"]
    assert {"Key": "team", "Value": "b"} in labels
    cloudwatch.set_alarm_state(AlarmName="low", StateValue="ALARM", StateReason="test")
    engine.settle()
    assert composite()["StateValue"] == "ALARM", "it is not only kept"

    engine.client.delete_stack(StackName="shop")
    engine.settle()
    assert cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm", "MetricAlarm"])["CompositeAlarms"] == []


def test_who_may_write_to_log_groups(engine: Engine) -> None:
    def policy(service: str) -> dict[str, Any]:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": "logs:PutLogEvents",
            "Resource": "*",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        return of(Policy=("Logs::ResourcePolicy", {"PolicyName": "writers", "PolicyDocument": document}))

    made(engine, policy("events"))
    logs = engine.account.client("logs")
    changed(engine, policy("route53"))

    found = logs.describe_resource_policies()["resourcePolicies"]
    assert [each["policyName"] for each in found] == ["writers"]
    assert "route53.amazonaws.com" in found[0]["policyDocument"]
    removed(engine)
    assert logs.describe_resource_policies()["resourcePolicies"] == []


def test_a_kept_query(engine: Engine) -> None:
    core = engine.account.core
    queues, functions = SqsService(core), RecordingFunctions()
    events = EventBridge(core, functions, queues.mailroom)
    engine.account.add(Telemetry(core, functions, queues.mailroom, events).handlers())

    def query(text: str) -> dict[str, Any]:
        properties = {"Name": "shop/errors", "QueryString": text, "LogGroupNames": ["/shop"]}
        return of(Errors=("Logs::QueryDefinition", properties))

    ids = made(engine, query("fields @message"))
    assert changed(engine, query("stats count(*)")) == ids
    logs = engine.account.client("logs")
    [kept] = logs.describe_query_definitions()["queryDefinitions"]
    assert (kept["queryDefinitionId"], kept["name"]) == (ids["Errors"], "shop/errors")
    assert (kept["queryString"], kept["logGroupNames"]) == ("stats count(*)", ["/shop"])
    removed(engine)
    assert logs.describe_query_definitions()["queryDefinitions"] == []


def table(*regions: str, **more: Any) -> dict[str, Any]:
    replicas = [{"Region": region, "Tags": [{"Key": "team", "Value": "x"}]} for region in regions]
    return of(
        Orders=(
            "DynamoDB::GlobalTable",
            {
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
                "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
                "Replicas": replicas,
                **more,
            },
        )
    )


def test_a_global_table_of_one_region(engine: Engine) -> None:
    template = table("eu-north-1")
    outputs = {key: {"Value": {"Fn::GetAtt": ["Orders", key]}} for key in ("Arn", "StreamArn")}
    ids = made(engine, {**template, "Outputs": outputs})
    tables = engine.account.client("dynamodb")

    found = tables.describe_table(TableName=ids["Orders"])["Table"]
    assert engine.outputs() == {"Arn": found["TableArn"], "StreamArn": found["LatestStreamArn"]}
    labels = tables.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"]
    assert labels == [{"Key": "team", "Value": "x"}]

    lived = {"AttributeName": "until", "Enabled": True}
    assert changed(engine, table("eu-north-1", TimeToLiveSpecification=lived)) == ids

    told = tables.describe_time_to_live(TableName=ids["Orders"])["TimeToLiveDescription"]
    assert told["AttributeName"] == "until"
    removed(engine)
    assert tables.list_tables()["TableNames"] == []


def test_one_replica_is_in_the_region_of_the_stack(engine: Engine) -> None:
    engine.create(table("eu-west-1"))

    reason = "Model validation failed (#/Replicas: a replica must be in the region of the stack)"
    assert engine.reasons()["Orders"].startswith(reason)


def test_a_provisioned_global_table_begins_with_what_it_was_given(engine: Engine) -> None:
    template = table(
        BillingMode="PROVISIONED",
        WriteProvisionedThroughputSettings={
            "WriteCapacityAutoScalingSettings": {
                "MinCapacity": 3,
                "MaxCapacity": 9,
                "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70},
            }
        },
        Replicas=[{"Region": "eu-north-1", "ReadProvisionedThroughputSettings": {"ReadCapacityUnits": 7}}],
    )

    ids = made(engine, template)

    found = engine.account.client("dynamodb").describe_table(TableName=ids["Orders"])["Table"]
    given = found["ProvisionedThroughput"]
    assert (given["ReadCapacityUnits"], given["WriteCapacityUnits"]) == (7, 3)


def pipe(batch: int = 1, text: str = "first") -> dict[str, Any]:
    def allowed(**statement: Any) -> dict[str, Any]:
        return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}

    trust = allowed(Principal={"Service": "pipes.amazonaws.com"}, Action="sts:AssumeRole")
    rights = [{"PolicyName": "all", "PolicyDocument": allowed(Action="sqs:*", Resource="*")}]
    return of(
        Role=("IAM::Role", {"AssumeRolePolicyDocument": trust, "Policies": rights}),
        In=("SQS::Queue", {"QueueName": "in"}),
        Out=("SQS::Queue", {"QueueName": "out"}),
        Pipe=(
            "Pipes::Pipe",
            {
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "Source": {"Fn::GetAtt": ["In", "Arn"]},
                "SourceParameters": {"SqsQueueParameters": {"BatchSize": batch}},
                "Target": {"Fn::GetAtt": ["Out", "Arn"]},
                "TargetParameters": {"InputTemplate": f'{{"text": "{text}"}}'},
                "Tags": {"team": text},
            },
        ),
    )


def test_a_pipe_between_queues(engine: Engine) -> None:
    core = engine.account.core
    queues = SqsService(core)
    mappings = EventSourceMappings(core, RecordingFunctions(), queues.mailroom)
    engine.account.add(queues.handlers())
    engine.account.add(Pipes(core, queues.mailroom, mappings.streams).handlers())
    sqs, client = engine.account.client("sqs"), engine.account.client("pipes")

    def passed_on() -> list[str]:
        sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="in")["QueueUrl"], MessageBody="{}")
        engine.settle()
        url = sqs.get_queue_url(QueueName="out")["QueueUrl"]
        found = sqs.receive_message(QueueUrl=url).get("Messages", [])
        return [json.loads(each["Body"])["text"] for each in found]

    ids = made(engine, pipe(), Capabilities=["CAPABILITY_IAM"])
    assert client.describe_pipe(Name=ids["Pipe"])["CurrentState"] == "RUNNING"
    assert passed_on() == ["first"]

    engine.update(pipe(5, "second"), Capabilities=["CAPABILITY_IAM"])
    assert engine.status() == "UPDATE_COMPLETE", engine.reasons()
    told = client.describe_pipe(Name=ids["Pipe"])
    assert told["SourceParameters"]["SqsQueueParameters"]["BatchSize"] == 5
    assert told["Tags"]["team"] == "second"
    assert passed_on() == ["second"]

    removed(engine)
    assert client.list_pipes()["Pipes"] == []


def test_an_activity_and_a_secrets_policy(engine: Engine) -> None:
    def template(team: str, action: str) -> dict[str, Any]:
        principal = {"AWS": "arn:aws:iam::111122223333:root"}
        statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        return of(
            Pack=("StepFunctions::Activity", {"Name": "pack", "Tags": [{"Key": "team", "Value": team}]}),
            Key=("SecretsManager::Secret", {"Name": "db", "SecretString": "x"}),
            Policy=(
                "SecretsManager::ResourcePolicy",
                {"SecretId": {"Ref": "Key"}, "ResourcePolicy": document},
            ),
        )

    ids = made(engine, template("north", "secretsmanager:GetSecretValue"))
    machines, secrets = engine.account.client("stepfunctions"), engine.account.client("secretsmanager")
    assert machines.describe_activity(activityArn=ids["Pack"])["name"] == "pack"
    assert ids["Policy"] == ids["Key"]
    assert "GetSecretValue" in secrets.get_resource_policy(SecretId="db")["ResourcePolicy"]

    assert changed(engine, template("south", "secretsmanager:DescribeSecret")) == ids
    tags = machines.list_tags_for_resource(resourceArn=ids["Pack"])["tags"]
    assert {"key": "team", "value": "south"} in tags
    assert "DescribeSecret" in secrets.get_resource_policy(SecretId="db")["ResourcePolicy"]

    removed(engine)
    assert machines.list_activities()["activities"] == []
