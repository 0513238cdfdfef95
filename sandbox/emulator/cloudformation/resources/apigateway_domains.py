"""Custom domain names of REST and HTTP APIs, and what answers at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    call,
    changed,
    not_here,
    omit,
    pick,
    retag,
    tags,
    unless_absent,
)

Properties = Mapping[str, Any]
_ABSENT = "NotFoundException"


def _arn(context: ResourceContext, name: str) -> str:
    return f"arn:{context.partition}:apigateway:{context.region}::/domainnames/{name}"


class DomainName:
    """A custom domain name of REST APIs. ``Ref`` is the name."""

    type = "AWS::ApiGateway::DomainName"
    _settings = (
        "CertificateArn",
        "DomainName",
        "EndpointConfiguration",
        "RegionalCertificateArn",
        "SecurityPolicy",
    )
    properties = frozenset({*_settings, "Tags"})
    replaces = frozenset({"CertificateArn", "DomainName", "EndpointConfiguration", "SecurityPolicy"})

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        kinds = (properties.get("EndpointConfiguration") or {}).get("Types") or ["EDGE"]
        if kinds != ["REGIONAL"]:
            raise not_here(f"A custom domain name of type {', '.join(kinds)}")
        apis = context.client("apigateway")
        given = {name[0].lower() + name[1:]: properties[name] for name in pick(properties, self._settings)}
        given["endpointConfiguration"] = {"types": kinds}
        made = call(apis, "CreateDomainName", given, tags=tags(context, properties.get("Tags")))
        return self._domain(context, made)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        if changed(old, new, "RegionalCertificateArn"):
            raise not_here("Another certificate for a custom domain name of REST APIs")
        return self._domain(context, context.client("apigateway").get_domain_name(domainName=physical_id))

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(_ABSENT):
            context.client("apigateway").delete_domain_name(domainName=physical_id)

    def _domain(self, context: ResourceContext, made: Properties) -> Physical:
        return Physical(
            made["domainName"],
            {
                "DomainNameArn": _arn(context, made["domainName"]),
                "RegionalDomainName": made["regionalDomainName"],
                "RegionalHostedZoneId": made["regionalHostedZoneId"],
            },
        )


class BasePathMapping:
    """Which REST API answers below a path of a name."""

    type = "AWS::ApiGateway::BasePathMapping"
    properties = frozenset({"BasePath", "DomainName", "RestApiId", "Stage"})
    replaces = frozenset({"BasePath", "DomainName", "RestApiId", "Stage"})

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        given = {
            name[0].lower() + name[1:]: properties[name]
            for name in pick(properties, ("BasePath", "DomainName", "RestApiId", "Stage"))
        }
        call(context.client("apigateway"), "CreateBasePathMapping", given)
        return Physical(f"{properties['DomainName']}|{properties.get('BasePath') or '(none)'}")

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        return Physical(physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        domain, _, base = physical_id.partition("|")
        with unless_absent(_ABSENT):
            context.client("apigateway").delete_base_path_mapping(domainName=domain, basePath=base)


class HttpDomainName:
    """A custom domain name of HTTP APIs. ``Ref`` is the name."""

    type = "AWS::ApiGatewayV2::DomainName"
    properties = frozenset({"DomainName", "DomainNameConfigurations", "Tags"})
    replaces = frozenset({"DomainName"})

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        apis = context.client("apigatewayv2")
        labels = tags(context, properties.get("Tags"))
        made = call(apis, "CreateDomainName", omit(properties, "Tags"), Tags=labels)
        return self._domain(context, made)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        apis = context.client("apigatewayv2")
        if changed(old, new, "DomainNameConfigurations"):
            raise not_here("A change of a custom domain name's configuration")
        before, after = (tags(context, given.get("Tags")) for given in (old, new))
        retag(apis, _arn(context, physical_id), before, after)
        return self._domain(context, apis.get_domain_name(DomainName=physical_id))

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(_ABSENT):
            context.client("apigatewayv2").delete_domain_name(DomainName=physical_id)

    def _domain(self, context: ResourceContext, made: Properties) -> Physical:
        config = made["DomainNameConfigurations"][0]
        return Physical(
            made["DomainName"],
            {
                "DomainNameArn": _arn(context, made["DomainName"]),
                "RegionalDomainName": config["ApiGatewayDomainName"],
                "RegionalHostedZoneId": config["HostedZoneId"],
            },
        )


class ApiMapping:
    """Which HTTP API answers below a path of a name. ``Ref`` is the mapping's id."""

    type = "AWS::ApiGatewayV2::ApiMapping"
    properties = frozenset({"ApiId", "ApiMappingKey", "DomainName", "Stage"})
    replaces = frozenset({"ApiId", "ApiMappingKey", "DomainName", "Stage"})

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        made = call(context.client("apigatewayv2"), "CreateApiMapping", {"ApiMappingKey": "", **properties})
        return Physical(made["ApiMappingId"], {"ApiMappingId": made["ApiMappingId"]})

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        return Physical(physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(_ABSENT):
            context.client("apigatewayv2").delete_api_mapping(
                ApiMappingId=physical_id, DomainName=properties["DomainName"]
            )


PROVIDERS = (DomainName(), BasePathMapping(), HttpDomainName(), ApiMapping())
