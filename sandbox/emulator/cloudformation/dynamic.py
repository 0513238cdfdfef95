"""Dynamic references: values that are read when a resource is made, and never shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from sandbox.emulator.cloudformation.errors import invalid

_REFERENCE = re.compile(r"\{\{resolve:(ssm|ssm-secure|secretsmanager):([^{}]+)\}\}")

# Makes a client of a service, acting as whoever deploys.
ClientOf = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class DynamicReferences:
    """Reads Parameter Store and Secrets Manager on behalf of one deployment."""

    client: ClientOf

    def resolve(self, value: Any) -> Any:
        """A value with every ``{{resolve:…}}`` in it replaced.

        Raises:
            AwsError: what it names can't be read.
        """
        if isinstance(value, str):
            return _REFERENCE.sub(self._read, value) if "{{resolve:" in value else value
        if isinstance(value, dict):
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        return value

    def parameter(self, name: str, *, secure: bool = False) -> str:
        """The value of a parameter of Parameter Store, ``name`` or ``name:version``.

        Raises:
            AwsError: it is not there.
        """
        try:
            found = self.client("ssm").get_parameter(Name=name, WithDecryption=secure)["Parameter"]
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ParameterNotFound", "ParameterVersionNotFound"):
                raise invalid(
                    f"Unable to fetch parameters [{name}] from parameter store for this account."
                ) from None
            raise invalid(str(error.response["Error"]["Message"])) from error
        if found["Type"] == "SecureString" and not secure:
            raise invalid(
                f"Parameters [{name}] referenced by template have types not supported by CloudFormation."
            )
        return str(found["Value"])

    def _read(self, found: re.Match[str]) -> str:
        service, name = found[1], found[2]
        if service == "secretsmanager":
            return self._secret(name)
        return self.parameter(name, secure=service == "ssm-secure")

    def _secret(self, reference: str) -> str:
        parts = reference.split(":")
        length = 7 if reference.startswith("arn:") else 1
        secret_id, rest = ":".join(parts[:length]), [*parts[length:], "", "", "", ""]
        _, key, stage, version = rest[:4]
        where = {"SecretId": secret_id}
        if stage:
            where["VersionStage"] = stage
        if version:
            where["VersionId"] = version
        try:
            text = str(self.client("secretsmanager").get_secret_value(**where)["SecretString"])
        except ClientError as error:
            raise invalid(str(error.response["Error"]["Message"])) from error
        if not key:
            return text
        try:
            return str(json.loads(text)[key])
        except (ValueError, KeyError, TypeError):
            raise invalid(f"Could not find a value associated with JSONKey in SecretString: {key}") from None
