"""AWS::Cognito: user pools, their clients and domains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext, ResourceFailed
from sandbox.emulator.cloudformation.resources.convert import (
    call,
    changed,
    not_here,
    omit,
    tags,
    unless_absent,
)

Properties = Mapping[str, Any]
_ABSENT = "ResourceNotFoundException"
_FIXED = ("AliasAttributes", "Schema", "UsernameAttributes", "UsernameConfiguration")
_POOL = (
    "AccountRecoverySetting",
    "AdminCreateUserConfig",
    "AutoVerifiedAttributes",
    "DeletionProtection",
    "DeviceConfiguration",
    "EmailConfiguration",
    "EmailVerificationMessage",
    "EmailVerificationSubject",
    "LambdaConfig",
    "MfaConfiguration",
    "Policies",
    "SmsAuthenticationMessage",
    "SmsConfiguration",
    "SmsVerificationMessage",
    "UserAttributeUpdateSettings",
    "UserPoolAddOns",
    "VerificationMessageTemplate",
)
# Without them a setting goes back to these.
_DEFAULTS: Mapping[str, Any] = {"LambdaConfig": {}, "AutoVerifiedAttributes": [], "MfaConfiguration": "OFF"}


class UserPool:
    """A pool of users. ``Ref`` is its id."""

    type = "AWS::Cognito::UserPool"
    properties = frozenset({*_POOL, *_FIXED, "EnabledMfas", "UserPoolName", "UserPoolTags"})
    replaces = frozenset({"AliasAttributes", "UsernameAttributes", "UsernameConfiguration"})

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        pools = context.client("cognito-idp")
        name = properties.get("UserPoolName") or context.unique_name(128)
        settings = omit(properties, "EnabledMfas", "UserPoolName", "UserPoolTags")
        labels = tags(context, properties.get("UserPoolTags"))
        made = call(pools, "CreateUserPool", settings, PoolName=name, UserPoolTags=labels)["UserPool"]["Id"]
        self._set_factors(pools, made, properties)
        return _pool(context, made)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        pools = context.client("cognito-idp")
        if changed(old, new, "UserPoolName"):
            raise not_here("another name for a user pool that exists")
        added = _added_attributes(old, new)
        settings = {**_DEFAULTS, **{key: new[key] for key in _POOL if new.get(key) is not None}}
        labels = tags(context, new.get("UserPoolTags"))
        call(pools, "UpdateUserPool", settings, UserPoolId=physical_id, UserPoolTags=labels)
        if changed(old, new, "EnabledMfas", "MfaConfiguration"):
            self._set_factors(pools, physical_id, new)
        if added:
            call(pools, "AddCustomAttributes", {}, UserPoolId=physical_id, CustomAttributes=added)
        return _pool(context, physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        if properties.get("DeletionProtection") == "ACTIVE":
            raise ResourceFailed(
                "The user pool cannot be deleted because deletion protection is activated. "
                "Deletion protection must be inactivated first.",
                "InvalidRequest",
            )
        with unless_absent(_ABSENT):
            context.client("cognito-idp").delete_user_pool(UserPoolId=physical_id)

    def _set_factors(self, pools: Any, pool_id: str, properties: Properties) -> None:
        factors = properties.get("EnabledMfas") or []
        if unknown := set(factors) - {"SMS_MFA", "SOFTWARE_TOKEN_MFA"}:
            raise not_here(f"{sorted(unknown)[0]} of a user pool")
        if not factors:
            return
        settings: dict[str, Any] = {"MfaConfiguration": properties.get("MfaConfiguration") or "OFF"}
        if "SOFTWARE_TOKEN_MFA" in factors:
            settings["SoftwareTokenMfaConfiguration"] = {"Enabled": True}
        if "SMS_MFA" in factors and properties.get("SmsConfiguration"):
            settings["SmsMfaConfiguration"] = {"SmsConfiguration": properties["SmsConfiguration"]}
        call(pools, "SetUserPoolMfaConfig", settings, UserPoolId=pool_id)


def _added_attributes(old: Properties, new: Properties) -> list[Any]:
    """The attributes that an update adds; those that are there stay as they are."""
    before, after = old.get("Schema") or [], new.get("Schema") or []
    if any(entry not in after for entry in before):
        raise ResourceFailed("Existing schema attributes cannot be modified or deleted.", "NotUpdatable")
    return [entry for entry in after if entry not in before]


def _pool(context: ResourceContext, pool_id: str) -> Physical:
    where = f"arn:{context.partition}:cognito-idp:{context.region}:{context.account_id}"
    name = f"cognito-idp.{context.region}.amazonaws.com/{pool_id}"
    return Physical(
        pool_id,
        {
            "Arn": f"{where}:userpool/{pool_id}",
            "ProviderName": name,
            "ProviderURL": f"https://{name}",
            "UserPoolId": pool_id,
        },
    )


class UserPoolClient:
    """An application that signs users in. ``Ref`` is its id."""

    type = "AWS::Cognito::UserPoolClient"
    properties = frozenset(
        {
            "AccessTokenValidity",
            "AllowedOAuthFlows",
            "AllowedOAuthFlowsUserPoolClient",
            "AllowedOAuthScopes",
            "AuthSessionValidity",
            "CallbackURLs",
            "ClientName",
            "DefaultRedirectURI",
            "EnablePropagateAdditionalUserContextData",
            "EnableTokenRevocation",
            "ExplicitAuthFlows",
            "GenerateSecret",
            "IdTokenValidity",
            "LogoutURLs",
            "PreventUserExistenceErrors",
            "ReadAttributes",
            "RefreshTokenValidity",
            "SupportedIdentityProviders",
            "TokenValidityUnits",
            "UserPoolId",
            "WriteAttributes",
        }
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        pools = context.client("cognito-idp")
        name = properties.get("ClientName") or context.unique_name(128)
        settings = omit(properties, "ClientName")
        return _client(call(pools, "CreateUserPoolClient", settings, ClientName=name)["UserPoolClient"])

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        gone = [key for key in old if key not in new and key != "ClientName"]
        if gone:
            raise not_here(f"taking {sorted(gone)[0]} off a user pool's client")
        settings = omit(new, "GenerateSecret")
        pools = context.client("cognito-idp")
        made = call(pools, "UpdateUserPoolClient", settings, ClientId=physical_id)["UserPoolClient"]
        return _client(made)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(_ABSENT):
            context.client("cognito-idp").delete_user_pool_client(
                UserPoolId=properties["UserPoolId"], ClientId=physical_id
            )


def _client(made: Properties) -> Physical:
    attributes = {"ClientId": made["ClientId"], "Name": made["ClientName"]}
    if secret := made.get("ClientSecret"):
        attributes["ClientSecret"] = secret
    return Physical(made["ClientId"], attributes)


class UserPoolDomain:
    """The prefix under which a pool signs users in. ``Ref`` is that prefix."""

    type = "AWS::Cognito::UserPoolDomain"
    properties = frozenset({"Domain", "UserPoolId"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        pools, domain = context.client("cognito-idp"), properties["Domain"]
        if pools.describe_user_pool_domain(Domain=domain).get("DomainDescription"):
            raise ResourceFailed("Domain already associated with another user pool.", "AlreadyExists")
        pools.create_user_pool_domain(Domain=domain, UserPoolId=properties["UserPoolId"])
        return Physical(domain)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        return Physical(physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        pools = context.client("cognito-idp")
        with unless_absent(_ABSENT):
            if pools.describe_user_pool_domain(Domain=physical_id).get("DomainDescription"):
                pools.delete_user_pool_domain(Domain=physical_id, UserPoolId=properties["UserPoolId"])


PROVIDERS = (UserPool(), UserPoolClient(), UserPoolDomain())
