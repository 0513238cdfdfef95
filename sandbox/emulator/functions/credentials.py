"""Temporary keys of a function's execution role, and the variables a function finds."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from moto.sts.models import sts_backends

from sandbox.account import AccessKeys
from sandbox.emulator.calls import AwsError, Principal, PrincipalKind
from sandbox.emulator.clock import VirtualClock
from sandbox.emulator.functions.store import FunctionVersion
from sandbox.emulator.iam.enforcement import trusts

SESSION_S = 3600
# Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html (reserved variables)
RESERVED = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)


@dataclass(frozen=True, slots=True)
class RoleSession:
    """Keys of one environment. ``expires`` is in seconds since the epoch, account time."""

    keys: AccessKeys
    principal: Principal
    expires: float


class RoleSessions:
    """Assumes execution roles as Lambda does, in moto's STS."""

    def __init__(self, lock: threading.RLock, clock: VirtualClock) -> None:
        self._lock = lock
        self._clock = clock

    def open(self, version: FunctionVersion) -> RoleSession:
        """A session ``assumed-role/<role>/<function>``.

        Raises:
            AwsError: the role is gone, or does not trust Lambda any more.
        """
        with self._lock:
            if not trusts(version.role, "lambda.amazonaws.com"):
                raise AwsError(
                    "AccessDeniedException",
                    "The role defined for the function cannot be assumed by Lambda.",
                    403,
                    Type="User",
                )
            session = sts_backends[version.account_id]["aws"].assume_role(
                region_name=version.region,
                role_session_name=version.name,
                role_arn=version.role,
                policy=None,
                duration=SESSION_S,
                external_id=None,
            )
        keys = AccessKeys(session.access_key_id, session.secret_access_key, session.session_token)
        principal = role_principal(version, session.access_key_id)
        return RoleSession(keys, principal, self._clock.time() + SESSION_S)


def role_principal(version: FunctionVersion, access_key_id: str = "") -> Principal:
    """Who a function's calls are made as."""
    return session_of(version.role, version.account_id, version.name, access_key_id)


def session_of(role: str, account_id: str, name: str, access_key_id: str = "") -> Principal:
    """A session of an execution role, for the function of that name."""
    role_name = role.rsplit("/", 1)[-1]
    return Principal(
        PrincipalKind.ROLE_SESSION,
        account_id,
        f"arn:aws:sts::{account_id}:assumed-role/{role_name}/{name}",
        access_key_id=access_key_id,
        role_arn=role,
    )


def variables(
    version: FunctionVersion, keys: AccessKeys, *, log_stream: str, gateway_port: int
) -> dict[str, str]:
    """The environment variables a function sees besides those that every environment has."""
    given = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{gateway_port}",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        **dict(version.variables),
    }
    fixed = {
        "_HANDLER": version.handler,
        "AWS_REGION": version.region,
        "AWS_DEFAULT_REGION": version.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": version.name,
        "AWS_LAMBDA_FUNCTION_VERSION": version.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": version.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_LOG_FORMAT": version.log_format,
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        "_AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1",
        "_AWS_XRAY_DAEMON_PORT": "2000",
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_SESSION_TOKEN": keys.session_token,
    }
    if version.runtime.startswith("provided"):
        del fixed["AWS_EXECUTION_ENV"]  # On AWS only managed runtimes have it.
    if version.log_level:
        fixed["AWS_LAMBDA_LOG_LEVEL"] = version.log_level
    return {**given, **fixed}
