"""The layers that a function is made with: of its account, of another one here, or public ones of AWS."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from moto.awslambda.models import lambda_backends

from sandbox.emulator.calls import AwsError
from sandbox.emulator.functions.api.validation import invalid
from sandbox.emulator.functions.code import find_extension
from sandbox.emulator.functions.names import FunctionName
from sandbox.emulator.functions.runtimes import Runtimes
from sandbox.emulator.functions.store import Archive
from sandbox.errors import EnvironmentFault

_OTLP = (
    "bring OpenTelemetry's SDK in the package, whose OTLP exporter (http/protobuf or http/json) finds "
    "http://localhost:4318 as it would find the collector; or trace with the X-Ray SDK."
)
# What to do without an extension that AWS or others publish, by a part of its layer's name.
_EXTENSIONS = {
    "lambdainsightsextension": "the metrics of `AWS/Lambda` are there without it.",
    "parameters-and-secrets-lambda-extension": "read them with the SDK or Powertools, which "
    "needs ssm:GetParameter or secretsmanager:GetSecretValue all the same.",
    "appconfig-extension": "AppConfig is not emulated either; keep the configuration in a parameter of SSM.",
    "aws-otel-": _OTLP,
    "awsopentelemetrydistro": _OTLP,
    "opentelemetry-": _OTLP,
    "datadog-extension": "nothing beyond the account can be reached from here.",
    "newreliclambdaextension": "nothing beyond the account can be reached from here.",
    "dynatrace": "nothing beyond the account can be reached from here.",
}


def public(runtimes: Runtimes, arns: list[str]) -> dict[str, Archive]:
    """What is known of AWS's public layers; fetched once, so don't hold the dispatch lock.

    Raises:
        AwsError: one is known, and its packages can't be installed here.
    """
    known = runtimes.public_layers
    try:
        contents = {arn: known.find(arn) for arn in arns} if known is not None else {}
    except EnvironmentFault as fault:
        raise AwsError("ServiceException", f"{fault} This is our fault, not your mistake.", 500) from fault
    return {
        arn: Archive(hashlib.sha256(content).hexdigest(), content)
        for arn, content in contents.items()
        if content is not None
    }


def find(name: FunctionName, arns: list[str], known: Mapping[str, Archive]) -> dict[str, Archive]:
    """The layer versions' content; hold the dispatch lock.

    Raises:
        AwsError: one is not there, is of another region, or is another account's that we don't have.
    """
    found = {}
    for arn in arns:
        _, _, _, region, account_id, *rest = [*arn.split(":"), "", "", "", "", ""]
        if not arn.startswith("arn:") or rest[0] != "layer":
            raise invalid(f"Layer version {arn} does not exist.")
        if region != name.region:
            raise invalid(f"Layers are not in the same region as the function. Layer version: {arn}")
        layer = None if arn in known else lambda_backends[account_id][region].layers_versions_by_arn(arn)
        if arn in known:
            found[arn] = known[arn]
        elif layer is not None:
            found[arn] = Archive(layer.code_digest, layer.code_bytes)
        elif account_id == name.account_id:
            raise invalid(f"Layer version {arn} does not exist.")
        else:
            raise _unknown(arn, account_id)
        _refuse_extensions(arn, found[arn])
    return found


def listed(layers: Mapping[str, Archive]) -> list[dict[str, Any]]:
    """As moto keeps them with a function."""
    return [{"Arn": arn, "CodeSize": len(archive.content)} for arn, archive in layers.items()]


def kept(layers: Mapping[str, Archive]) -> dict[str, tuple[str, bytes]]:
    """As we keep them with a function: a version that is deleted goes on working for it."""
    return {arn: (archive.digest, archive.content) for arn, archive in layers.items()}


def _unknown(arn: str, account_id: str) -> AwsError:
    instead = next((words for name, words in _EXTENSIONS.items() if name in arn.lower()), None)
    if instead is not None:
        return AwsError(
            "NotEmulated",
            f"Layer {arn} is a Lambda extension, and Coldstart runs none. This is our gap, not your mistake. "
            f"Leave it out of `Layers` here: {instead}",
            501,
        )
    return AwsError(
        "NotEmulated",
        f"Coldstart does not have the content of layer {arn}, which is of another AWS account, {account_id}. "
        "Publish a layer with the same content in this account (AWS::Serverless::LayerVersion) and use that "
        "one; docs/runtimes.md lists the public layers that are known.",
        501,
    )


def _refuse_extensions(arn: str, layer: Archive) -> None:
    extension = find_extension(layer)
    if extension:
        raise AwsError(
            "NotEmulated",
            f"Coldstart does not run Lambda extensions: layer {arn} holds `{extension}`. "
            "This is our gap, not your mistake. Leave the layer out of the function's `Layers` here, for "
            "example by a condition in the template; handlers go on without it if they do not ask it for "
            "anything.",
            501,
        )
