"""Where the AppSpec of a deployment comes from: the request itself, or an object in S3."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from sandbox.emulator.calls import AwsError
from sandbox.emulator.fabric.codedeploy import appspec
from sandbox.emulator.fabric.codedeploy.appspec import AppSpec, BadAppSpec
from sandbox.emulator.fabric.codedeploy.failures import Broken

_MEMBERS = {"S3": "s3Location", "String": "string", "AppSpecContent": "appSpecContent"}
_LIMIT_BYTES = 100_000


def check(revision: Any) -> dict[str, Any]:
    """A revision as requests give it.

    Raises:
        AwsError: it is missing, incomplete, or kept where we can't look.
    """
    if not revision:
        raise AwsError("RevisionRequiredException", "The revision is missing.")
    kind = revision.get("revisionType")
    if kind == "GitHub":
        raise AwsError(
            "NotEmulated",
            "Revisions on GitHub are not emulated: nothing here reaches it. This is our gap.",
            501,
        )
    content = revision.get(_MEMBERS.get(str(kind), ""))
    needed = ("bucket", "key") if kind == "S3" else ("content",)
    if not content or not all(content.get(name) for name in needed):
        raise AwsError(
            "InvalidRevisionException", f"The revision must have {' and '.join(needed)} of its type {kind}."
        )
    return dict(revision)


def written(spec: AppSpec) -> dict[str, Any]:
    """A revision that is an AppSpec of our own."""
    text = spec.text()
    content = {"content": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    return {"revisionType": "AppSpecContent", "appSpecContent": content}


def fetch(revision: Mapping[str, Any], client: Callable[[str], Any]) -> AppSpec:
    """The AppSpec of a revision; ``client`` makes clients in the group's role.

    Raises:
        Broken: it is not there, not to be had, or no AppSpec.
    """
    content = revision[_MEMBERS[revision["revisionType"]]]
    if revision["revisionType"] == "S3":
        text, where = _download(content, client("s3")), f"s3://{content['bucket']}/{content['key']}"
    else:
        text, where = str(content["content"]), "The AppSpec content"
    try:
        return appspec.read(text)
    except BadAppSpec as error:
        raise Broken(
            "INVALID_REVISION",
            f"The deployment failed because the AppSpec file is missing or has an invalid configuration. "
            f"{where}: {error}.",
        ) from None


def _download(location: Mapping[str, Any], s3: Any) -> str:
    wanted = {"Bucket": location["bucket"], "Key": location["key"]}
    if location.get("version"):
        wanted["VersionId"] = location["version"]
    try:
        body: bytes = s3.get_object(**wanted)["Body"].read(_LIMIT_BYTES)
        return body.decode()
    except ClientError as error:
        raise Broken(
            "REVISION_MISSING",
            f"s3://{location['bucket']}/{location['key']}: {error.response['Error']['Message']}",
        ) from error
    except UnicodeDecodeError:
        raise Broken(
            "INVALID_REVISION", "The AppSpec file is no text. Lambda deployments take no zip."
        ) from None
