"""Names of an account's zones: what they answer, when they turn, and where requests to them arrive."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator import addresses
from sandbox.emulator.fabric.apigateway import ApiGateway
from sandbox.emulator.fabric.route53 import Route53
from sandbox.emulator.fabric.web import Web
from tests.emulator.fabric.fakes import RecordingFunctions, create_function

NAME = "tickets.example.com"
REGIONS = ("eu-west-1", "us-west-2")


class Shop:
    """One shop in two regions: an HTTP API and a custom domain name in each."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.down: set[str] = set()
        self.verdicts: list[tuple[str, bool]] = []
        self.alarms: dict[str, str] = {}
        self.functions = RecordingFunctions(self.respond)
        web = Web(account.gateway.application(), account.core.gateway_port)
        apis = ApiGateway(account.core, self.functions, account.gateway.keys, web)
        self.names = Route53(
            account.core,
            web,
            apis.domains,
            lambda _account, _region, name: self.alarms.get(name, ""),
            lambda check_id, healthy, _at: self.verdicts.append((check_id, healthy)),
        )
        web.known = lambda name: self.names.find(name, "")
        for service in (apis, self.names):
            account.add(service.handlers())
            account.gateway.data_planes.append(service)
        self.route53 = account.client("route53")
        self.zone = self.route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"][
            "Id"
        ]
        self.apis = {region: self._build(region) for region in REGIONS}
        self._references = itertools.count()

    def respond(self, event: dict[str, Any]) -> dict[str, Any]:
        region = event["requestContext"]["stage"].removeprefix("in-")
        status = 503 if region in self.down else 200
        told = {"region": region, "host": event["requestContext"]["domainName"], "path": event["rawPath"]}
        return {"statusCode": status, "body": json.dumps(told)}

    def _build(self, region: str) -> str:
        account, apis = self.account, self.account.client("apigatewayv2", region)
        arn = create_function(account, f"sell-{region}", region=region)
        account.client("lambda", region).add_permission(
            FunctionName=f"sell-{region}",
            StatementId="apis",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
        )
        api = apis.create_api(Name="shop", ProtocolType="HTTP", Target=arn)["ApiId"]
        apis.create_stage(ApiId=api, StageName=f"in-{region}", AutoDeploy=True)
        config = {"CertificateArn": "arn:aws:acm:x:1:certificate/1", "EndpointType": "REGIONAL"}
        made = apis.create_domain_name(DomainName=NAME, DomainNameConfigurations=[config])
        apis.create_api_mapping(ApiId=api, DomainName=NAME, Stage=f"in-{region}")
        self.endpoints = getattr(self, "endpoints", {})
        self.endpoints[region] = made["DomainNameConfigurations"][0]["ApiGatewayDomainName"]
        return f"{api}.execute-api.{region}.amazonaws.com"

    def check(self, **config: Any) -> str:
        made = self.route53.create_health_check(
            CallerReference=str(next(self._references)),
            HealthCheckConfig={"Type": "HTTPS", "RequestInterval": 10, "FailureThreshold": 3, **config},
        )
        return str(made["HealthCheck"]["Id"])

    def watch(self, region: str, **config: Any) -> str:
        path = f"/in-{region}/health"
        return self.check(FullyQualifiedDomainName=self.apis[region], ResourcePath=path, **config)

    def record(self, action: str = "UPSERT", **record: Any) -> None:
        given = {"Name": NAME, "Type": "A", **record}
        self.route53.change_resource_record_sets(
            HostedZoneId=self.zone,
            ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": given}]},
        )

    def alias(self, region: str, **record: Any) -> None:
        target = {"HostedZoneId": "Z1", "DNSName": self.endpoints[region], "EvaluateTargetHealth": False}
        self.record(AliasTarget=target, SetIdentifier=region, **record)

    def failing_over(self, **config: Any) -> str:
        check = self.watch(REGIONS[0], **config)
        self.alias(REGIONS[0], Failover="PRIMARY", HealthCheckId=check)
        self.alias(REGIONS[1], Failover="SECONDARY")
        return check

    def data(self, name: str = NAME, kind: str = "A") -> list[str]:
        said = self.route53.test_dns_answer(HostedZoneId=self.zone, RecordName=name, RecordType=kind)
        return list(said["RecordData"])

    def get(self, client: str = "", path: str = "/sale") -> tuple[int, Any]:
        parts = urlsplit(addresses.named(f"https://{NAME}{path}", 4566, client))
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": parts.path,
            "RAW_URI": parts.path,
            "QUERY_STRING": "",
            "HTTP_HOST": parts.netloc,
            "REMOTE_ADDR": "192.0.2.7",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": io.BytesIO(b""),
        }
        seen: list[Any] = []
        body = b"".join(self.account.gateway.application()(environ, lambda *told: seen.extend(told)))
        return int(seen[0].split()[0]), json.loads(body)


@pytest.fixture
def shop(account: Any) -> Shop:
    return Shop(account)


def test_a_name_serves_from_the_primary_until_its_check_fails_three_times(account: Any, shop: Shop) -> None:
    shop.failing_over()
    status, said = shop.get()
    assert (status, said["region"], said["host"]) == (200, REGIONS[0], NAME)

    shop.down.add(REGIONS[0])
    account.advance(21)
    assert shop.get() == (503, said)
    account.advance(10)
    assert shop.get()[1]["region"] == REGIONS[1]

    shop.down.clear()
    account.advance(31)
    assert shop.get()[1]["region"] == REGIONS[0]


def test_one_failed_probe_turns_no_name_but_a_threshold_of_one_does(account: Any, shop: Shop) -> None:
    calm, nervous = shop.failing_over(), shop.watch(REGIONS[0], FailureThreshold=1)
    shop.down.add(REGIONS[0])
    account.advance(11)
    shop.down.clear()
    assert shop.get()[1]["region"] == REGIONS[0]
    assert shop.names.health.is_healthy(calm)
    assert not shop.names.health.is_healthy(nervous)


def test_a_client_keeps_what_it_was_told_for_the_time_to_live(account: Any, shop: Shop) -> None:
    check = shop.watch(REGIONS[0])
    for region, role in zip(REGIONS, ("PRIMARY", "SECONDARY"), strict=True):
        health = {"HealthCheckId": check} if role == "PRIMARY" else {}
        value = [{"Value": shop.endpoints[region]}]
        shop.record(
            Type="CNAME", TTL=3600, ResourceRecords=value, SetIdentifier=region, Failover=role, **health
        )
    assert shop.get("mia")[1]["region"] == REGIONS[0]
    shop.down.add(REGIONS[0])
    account.advance(60)
    assert shop.get("mia")[0] == 503
    assert shop.get("noa")[1]["region"] == REGIONS[1]
    account.advance(3600)
    assert shop.get("mia")[1]["region"] == REGIONS[1]


def test_a_name_of_an_api_itself_is_no_custom_domain(shop: Shop) -> None:
    shop.record(Type="CNAME", TTL=60, ResourceRecords=[{"Value": shop.apis[REGIONS[0]]}])
    assert shop.get() == (403, {"message": "Forbidden"})


def test_a_name_that_nobody_gave_does_not_resolve(shop: Shop) -> None:
    status, said = shop.get()
    assert (status, said["message"]) == (502, f"{NAME} does not resolve (NXDOMAIN)")


def test_status_tells_what_the_checkers_saw(account: Any, shop: Shop) -> None:
    check = shop.watch(REGIONS[0])
    assert shop.route53.get_health_check_status(HealthCheckId=check)["HealthCheckObservations"] == []
    account.advance(11)
    seen = shop.route53.get_health_check_status(HealthCheckId=check)["HealthCheckObservations"]
    assert seen[0]["StatusReport"]["Status"].startswith("Success: HTTP Status Code 200")
    shop.down.add(REGIONS[0])
    account.advance(10)
    failed = shop.route53.get_health_check_last_failure_reason(HealthCheckId=check)
    reason = failed["HealthCheckObservations"][0]["StatusReport"]["Status"]
    assert reason.startswith("Failure: HTTP Status Code 503")
    assert shop.verdicts == [(check, True), (check, True)]


def test_a_string_is_looked_for_in_the_answer(account: Any, shop: Shop) -> None:
    there = shop.watch(REGIONS[0], Type="HTTPS_STR_MATCH", SearchString="eu-west-1", FailureThreshold=1)
    missing = shop.watch(REGIONS[0], Type="HTTPS_STR_MATCH", SearchString="sold out", FailureThreshold=1)
    account.advance(11)
    assert shop.names.health.is_healthy(there)
    assert not shop.names.health.is_healthy(missing)


def test_inverted_disabled_calculated_and_alarm_checks(account: Any, shop: Shop) -> None:
    healthy = shop.names.health.is_healthy
    up, down = (shop.watch(region, FailureThreshold=1) for region in REGIONS)
    inverted = shop.watch(REGIONS[0], Inverted=True)
    disabled = shop.watch(REGIONS[1], Disabled=True, FailureThreshold=1)
    calculated = {"Type": "CALCULATED", "ChildHealthChecks": [up, down]}
    made = [
        shop.route53.create_health_check(
            CallerReference=f"c{needed}", HealthCheckConfig={**calculated, "HealthThreshold": needed}
        )["HealthCheck"]["Id"]
        for needed in (0, 1, 2, 3)
    ]
    alarm = shop.route53.create_health_check(
        CallerReference="alarm",
        HealthCheckConfig={
            "Type": "CLOUDWATCH_METRIC",
            "AlarmIdentifier": {"Region": "eu-west-1", "Name": "errors"},
            "InsufficientDataHealthStatus": "Unhealthy",
        },
    )["HealthCheck"]["Id"]
    shop.down.add(REGIONS[1])
    account.advance(11)
    assert [healthy(each) for each in (up, down, inverted, disabled)] == [True, False, False, True]
    assert [healthy(each) for each in made] == [True, True, False, False]
    assert not healthy(alarm)
    shop.alarms["errors"] = "OK"
    assert healthy(alarm)
    shop.alarms["errors"] = "ALARM"
    assert not healthy(alarm)


def test_weights_share_and_zero_takes_over_when_nobody_else_is_well(account: Any, shop: Shop) -> None:
    check = shop.watch(REGIONS[0], FailureThreshold=1)
    for value, weight, health in (("10.0.0.1", 90, check), ("10.0.0.2", 0, None)):
        more = {"HealthCheckId": health} if health else {}
        shop.record(TTL=60, ResourceRecords=[{"Value": value}], SetIdentifier=value, Weight=weight, **more)
    assert {shop.data()[0] for _ in range(20)} == {"10.0.0.1"}
    shop.down.add(REGIONS[0])
    account.advance(11)
    assert shop.data() == ["10.0.0.2"]


def test_latency_answers_the_nearest_healthy_region(account: Any, shop: Shop) -> None:
    check = shop.watch(REGIONS[0], FailureThreshold=1)
    for region in REGIONS:
        more = {"HealthCheckId": check} if region == REGIONS[0] else {}
        value = [{"Value": f"10.0.0.{REGIONS.index(region)}"}]
        shop.record(TTL=60, ResourceRecords=value, SetIdentifier=region, Region=region, **more)
    assert shop.data() == ["10.0.0.0"]  # The account is in eu-north-1.
    shop.down.add(REGIONS[0])
    account.advance(11)
    assert shop.data() == ["10.0.0.1"]


def test_target_health_passes_through_an_alias(account: Any, shop: Shop) -> None:
    check = shop.watch(REGIONS[0], FailureThreshold=1)
    inner = "eu.example.com"
    value = [{"Value": "10.0.0.1"}]
    shop.record(Name=inner, TTL=60, ResourceRecords=value, SetIdentifier="a", Weight=1, HealthCheckId=check)
    target = {"HostedZoneId": shop.zone.rpartition("/")[2], "DNSName": inner, "EvaluateTargetHealth": True}
    shop.record(AliasTarget=target, SetIdentifier="first", Failover="PRIMARY")
    shop.record(TTL=60, ResourceRecords=[{"Value": "10.0.0.2"}], SetIdentifier="second", Failover="SECONDARY")
    assert shop.data() == ["10.0.0.1"]
    shop.down.add(REGIONS[0])
    account.advance(11)
    assert shop.data() == ["10.0.0.2"]


def test_wildcards_answer_for_what_has_no_name_of_its_own(shop: Shop) -> None:
    shop.record(Name="*.example.com", TTL=60, ResourceRecords=[{"Value": "10.0.0.9"}])
    shop.record(Name="a.b.example.com", TTL=60, ResourceRecords=[{"Value": "10.0.0.1"}])
    assert shop.data("x.example.com") == ["10.0.0.9"]
    assert shop.data("a.b.example.com") == ["10.0.0.1"]
    assert shop.data("b.example.com") == []
    assert shop.data("x.b.example.com") == []


@pytest.mark.parametrize(
    ("record", "code", "told"),
    [
        ({"Name": "a.other.com", "TTL": 1}, "InvalidChangeBatch", "is not permitted in zone example.com."),
        ({"Type": "CNAME", "Name": "example.com", "TTL": 1}, "InvalidChangeBatch", "not permitted at apex"),
        ({"TTL": 1, "Weight": 1}, "InvalidInput", "Missing field 'SetIdentifier'"),
        ({"TTL": 1, "SetIdentifier": "a"}, "InvalidInput", "but found none"),
        ({}, "InvalidInput", "Expected exactly one of [AliasTarget"),
        ({"TTL": 1, "Type": "CNAME", "Name": "held.example.com"}, "InvalidChangeBatch", "conflicts with"),
    ],
)
def test_route_53_refuses(shop: Shop, record: dict[str, Any], code: str, told: str) -> None:
    shop.record(Name="held.example.com", TTL=1, ResourceRecords=[{"Value": "10.0.0.1"}])
    with pytest.raises(ClientError) as error:
        shop.record("CREATE", ResourceRecords=[{"Value": "x"}], **record)
    assert error.value.response["Error"]["Code"] == code
    assert told in error.value.response["Error"]["Message"]


def test_a_batch_is_made_whole_or_not_at_all(shop: Shop) -> None:
    good = {"Name": NAME, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "10.0.0.1"}]}
    changes = [
        {"Action": "CREATE", "ResourceRecordSet": good},
        {"Action": "DELETE", "ResourceRecordSet": {**good, "Name": "gone.example.com"}},
    ]
    with pytest.raises(ClientError, match="but it was not found"):
        shop.route53.change_resource_record_sets(HostedZoneId=shop.zone, ChangeBatch={"Changes": changes})
    assert shop.data() == []


def test_the_same_request_makes_one_check_and_another_is_refused(shop: Shop) -> None:
    config = {"Type": "HTTPS", "FullyQualifiedDomainName": shop.apis[REGIONS[0]], "ResourcePath": "/"}

    def create(path: str) -> str:
        made = shop.route53.create_health_check(
            CallerReference="again", HealthCheckConfig={**config, "ResourcePath": path}
        )
        return str(made["HealthCheck"]["Id"])

    assert create("/") == create("/")
    with pytest.raises(ClientError, match="HealthCheckAlreadyExists"):
        create("/other")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"Type": "HTTPS"}, "an IP address or a domain name"),
        ({"Type": "HTTPS_STR_MATCH", "FullyQualifiedDomainName": "a.b"}, "SearchString must be specified"),
        ({"Type": "HTTPS", "FullyQualifiedDomainName": "a.b", "RequestInterval": 20}, "10 or 30"),
        ({"Type": "CALCULATED", "ChildHealthChecks": ["x"]}, "HealthThreshold must be specified"),
        ({"Type": "CLOUDWATCH_METRIC"}, "AlarmIdentifier must be specified"),
        ({"Type": "TCP", "FullyQualifiedDomainName": "a.b", "Port": 1}, "not emulated"),
    ],
)
def test_health_checks_that_route_53_refuses(shop: Shop, config: dict[str, Any], told: str) -> None:
    with pytest.raises(ClientError, match=told):
        shop.route53.create_health_check(CallerReference="bad", HealthCheckConfig=config)
