"""Names of the account's own hosted zones, called from inside functions by their own clients."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.emulator.fabric.apigateway import ApiGateway
from sandbox.emulator.fabric.route53 import Route53
from sandbox.emulator.fabric.web import Web

NAME = "tickets.example.com"
REGIONS = ("eu-west-1", "us-west-2")
CALLER = """
    import socket, ssl, urllib.request

    def told(call, *arguments):
        try:
            return call(*arguments)
        except OSError as error:
            reason = getattr(error, "reason", error)
            return type(reason).__name__

    def fetch(url):
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()

    def addresses(name):
        return sorted({found[4][0] for found in socket.getaddrinfo(name, 443, socket.AF_INET)})

    def handler(event, context):
        return [told(globals()[name], argument) for name, argument in event]
"""
SELL = "import os\ndef handler(event, context): return os.environ['AWS_REGION'] + event['rawPath']"


class Town:
    """An account whose function can call a shop in two regions by the shop's name."""

    def __init__(self, functions: Any) -> None:
        self.functions = functions
        account, core = functions.account, functions.core
        self.alarms: dict[str, str] = {}
        web = Web(account.gateway.application(), core.gateway_port)
        apis = ApiGateway(core, functions.service, account.gateway.keys, web)
        names = Route53(core, web, apis.domains, lambda *key: self.alarms.get(key[2], ""), lambda *_: None)
        functions.service.names.look_up = names.look_up
        functions.service.names.vouched = apis.domains.configured
        for service in (apis, names):
            account.add(service.handlers())
            account.gateway.data_planes.append(service)
        self.route53 = account.client("route53")
        made = self.route53.create_hosted_zone(Name="example.com", CallerReference="1")
        self.zone = made["HostedZone"]["Id"]
        functions.create(CALLER, "caller")

    def open_shops(self) -> None:
        """An HTTP API behind the same name in each region; the first is primary while its alarm is quiet."""
        check = self.route53.create_health_check(
            CallerReference="primary",
            HealthCheckConfig={
                "Type": "CLOUDWATCH_METRIC",
                "AlarmIdentifier": {"Name": "down", "Region": REGIONS[0]},
                "InsufficientDataHealthStatus": "Healthy",
            },
        )["HealthCheck"]["Id"]
        for region, role in zip(REGIONS, ("PRIMARY", "SECONDARY"), strict=True):
            client = self.functions.account.client("lambda", region)
            function = client.create_function(
                FunctionName="sell",
                Runtime="python3.12",
                Handler="app.handler",
                Role=self.functions.role,
                Code={"ZipFile": self.functions.zip({"app.py": SELL})},
            )["FunctionArn"]
            client.add_permission(
                FunctionName="sell",
                StatementId="apis",
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
            )
            apis = self.functions.account.client("apigatewayv2", region)
            api = apis.create_api(Name="shop", ProtocolType="HTTP", Target=function)["ApiId"]
            config = {"CertificateArn": "arn:aws:acm:x:1:certificate/1", "EndpointType": "REGIONAL"}
            made = apis.create_domain_name(DomainName=NAME, DomainNameConfigurations=[config])
            apis.create_api_mapping(ApiId=api, DomainName=NAME, Stage="$default")
            endpoint = made["DomainNameConfigurations"][0]["ApiGatewayDomainName"]
            target = {"HostedZoneId": "Z1", "DNSName": endpoint, "EvaluateTargetHealth": False}
            checked = {"HealthCheckId": check} if role == "PRIMARY" else {}
            self.record(NAME, AliasTarget=target, SetIdentifier=region, Failover=role, **checked)

    def record(
        self, name: str, kind: str = "A", *, client: Any = None, zone: str = "", **record: Any
    ) -> None:
        """A record set of the account's zone, or of another one in another account."""
        change = {"Action": "UPSERT", "ResourceRecordSet": {"Name": name, "Type": kind, **record}}
        (client or self.route53).change_resource_record_sets(
            HostedZoneId=zone or self.zone, ChangeBatch={"Changes": [change]}
        )

    def plain(self, name: str, *values: str, kind: str = "A", **where: Any) -> None:
        self.record(name, kind, TTL=30, ResourceRecords=[{"Value": value} for value in values], **where)

    def ask(self, *calls: tuple[str, str]) -> Any:
        return self.functions.invoke(list(calls), "caller")["Payload"]


@pytest.fixture
def town(functions: Any) -> Town:
    return Town(functions)


def test_a_call_by_a_custom_domain_name_arrives_and_follows_failover_as_clients_do(town: Town) -> None:
    town.open_shops()
    sale = ("fetch", f"https://{NAME}/sale")
    assert town.ask(("addresses", NAME), sale) == [["127.0.0.1"], f"{REGIONS[0]}/sale"]

    town.alarms["down"] = "ALARM"
    assert town.ask(sale) == [f"{REGIONS[0]}/sale"]  # Until the answer's time to live is over.
    town.functions.core.clock.shift(61)
    assert town.ask(sale) == [f"{REGIONS[1]}/sale"]


def test_records_answer_with_what_they_hold(town: Town) -> None:
    town.plain("office.example.com", "192.0.2.7", "192.0.2.8")
    town.plain("www.example.com", "office.example.com", kind="CNAME")
    town.plain("queue.example.com", "sqs.eu-north-1.amazonaws.com", kind="CNAME")
    town.plain("blog.example.com", "pages.example.net", kind="CNAME")
    town.plain("loop.example.com", "loop.example.com", kind="CNAME")
    town.plain("note.example.com", '"text"', kind="TXT")

    asked = ("office", "www", "queue", "blog", "loop", "note", "absent")
    said = town.ask(*(("addresses", f"{name}.example.com") for name in asked))

    both = ["192.0.2.7", "192.0.2.8"]
    assert said == [both, both, ["127.0.0.1"], "gaierror", "gaierror", "gaierror", "gaierror"]


def test_other_names_and_those_of_other_accounts_and_of_private_zones_do_not_exist(town: Town) -> None:
    account = town.functions.account
    root = account.gateway.root_keys("222222222222").principal
    other = town.functions.core.clients.client("route53", region="eu-north-1", principal=root)
    secret = other.create_hosted_zone(Name="example.org", CallerReference="2")["HostedZone"]["Id"]
    private = town.route53.create_hosted_zone(
        Name="internal.test",
        CallerReference="3",
        HostedZoneConfig={"PrivateZone": True},
        VPC={"VPCRegion": "eu-north-1", "VPCId": "vpc-1"},
    )["HostedZone"]["Id"]
    town.plain("a.example.org", "192.0.2.1", client=other, zone=secret)
    town.plain("a.internal.test", "192.0.2.1", zone=private)
    names = ("a.example.org", "a.internal.test", "example.net", "com", "localhost.example.net")
    assert town.ask(*(("addresses", name) for name in names)) == ["gaierror"] * len(names)


def test_nobody_vouches_for_a_name_that_is_no_custom_domain_name(town: Town) -> None:
    """A record alone gets nobody a certificate."""
    town.plain("queue.example.com", "sqs.eu-north-1.amazonaws.com", kind="CNAME")
    assert town.ask(("fetch", "https://queue.example.com/")) == ["SSLCertVerificationError"]


def test_addresses_of_records_lead_nowhere(town: Town) -> None:
    town.plain("office.example.com", "192.0.2.7")
    town.plain("metadata.example.com", "169.254.169.254")
    said = town.ask(*(("fetch", f"http://{name}.example.com/") for name in ("office", "metadata")))
    assert said == ["OSError", "OSError"]
