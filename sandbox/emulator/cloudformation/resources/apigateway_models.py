"""AWS::ApiGateway: what requests have to look like, and what is said to those that are turned away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.apigateway import ABSENT, patch
from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    call,
    changed,
    found,
    omit,
    text,
    unless_absent,
)

Properties = Mapping[str, Any]
_CHECKED = {
    "ValidateRequestBody": "/validateRequestBody",
    "ValidateRequestParameters": "/validateRequestParameters",
}


class RequestValidator:
    """Which parts of requests are checked. ``Ref`` is its id."""

    type = "AWS::ApiGateway::RequestValidator"
    properties = frozenset({*_CHECKED, "Name", "RestApiId"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        unset = dict.fromkeys(_CHECKED, False)
        settings = {"Name": context.unique_name(128), **unset, **properties}
        made = call(context.client("apigateway"), "CreateRequestValidator", settings)["id"]
        return Physical(made, {"RequestValidatorId": made})

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        operations = [
            patch("replace", path, new.get(key, False))
            for key, path in _CHECKED.items()
            if changed(old, new, key)
        ]
        if operations:
            context.client("apigateway").update_request_validator(
                restApiId=new["RestApiId"], requestValidatorId=physical_id, patchOperations=operations
            )
        return Physical(physical_id, {"RequestValidatorId": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        apis = context.client("apigateway")
        where = {"restApiId": properties["RestApiId"], "requestValidatorId": physical_id}
        if found(lambda: apis.get_request_validator(**where), ABSENT):
            apis.delete_request_validator(**where)


class Model:
    """The shape of a payload. ``Ref`` is its name."""

    type = "AWS::ApiGateway::Model"
    properties = frozenset({"ContentType", "Description", "Name", "RestApiId", "Schema"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        # Names of models are letters and digits only.
        name = properties.get("Name") or context.unique_name(128).replace("-", "")
        settings = {"ContentType": "application/json", **omit(properties, "Name", "Schema")}
        schema = text(properties.get("Schema") or {})
        call(context.client("apigateway"), "CreateModel", settings, Name=name, Schema=schema)
        return Physical(name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        # Methods know a model by its name, so another one of that name is the same to them.
        self.delete(context, physical_id, old)
        return self.create(context, {**new, "Name": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(ABSENT):
            context.client("apigateway").delete_model(
                restApiId=properties["RestApiId"], modelName=physical_id
            )


class GatewayResponse:
    """What API Gateway itself answers in one kind of case. ``Ref`` names API and kind."""

    type = "AWS::ApiGateway::GatewayResponse"
    properties = frozenset(
        {"ResponseParameters", "ResponseTemplates", "ResponseType", "RestApiId", "StatusCode"}
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        call(context.client("apigateway"), "PutGatewayResponse", properties)
        made = f"{properties['RestApiId']}|{properties['ResponseType']}"
        return Physical(made, {"Id": made})

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        return self.create(context, new)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(ABSENT):
            context.client("apigateway").delete_gateway_response(
                restApiId=properties["RestApiId"], responseType=properties["ResponseType"]
            )


PROVIDERS = (RequestValidator(), Model(), GatewayResponse())
