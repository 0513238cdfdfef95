"""How a learner's own tools reach the account, as text to copy."""

from __future__ import annotations

import shlex

from sandbox.account import AccessKeys, Account

_PROFILE = "coldstart"


def shells(account: Account, keys: AccessKeys) -> dict[str, str]:
    """By shell, the lines that set it up."""
    variables = {
        "AWS_ENDPOINT_URL": account.endpoint_url,
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_DEFAULT_REGION": account.region,
        "AWS_REGION": account.region,
        # Some operations put a prefix before the host; there is but one.
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
    }
    bash = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    power = [f"$Env:{name} = '{value}'" for name, value in variables.items()]
    profile = [
        *(f"[profile {_PROFILE}]", f"region = {account.region}", f"endpoint_url = {account.endpoint_url}"),
        *(f"aws_access_key_id = {keys.access_key_id}", f"aws_secret_access_key = {keys.secret_access_key}"),
        "disable_host_prefix_injection = true",
    ]
    return {
        "bash": "\n".join(["unset AWS_PROFILE AWS_SESSION_TOKEN", *bash]),
        "PowerShell": "\n".join(
            ["Remove-Item Env:AWS_PROFILE, Env:AWS_SESSION_TOKEN -ErrorAction Ignore", *power]
        ),
        "~/.aws/config": "\n".join(profile),
    }
