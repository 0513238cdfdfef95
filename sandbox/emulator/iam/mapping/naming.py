"""What builders of ARNs are made of: names, partial ARNs and full ARNs all become ARNs.

A builder reads the parameters of a request under the names that a service's operations use.
"""

from __future__ import annotations

from collections.abc import Callable

from sandbox.emulator.iam.mapping.model import Asked

Builder = Callable[[Asked], list[str]]

_WITHOUT_REGION = frozenset({"iam", "route53", "organizations", "s3"})
_WITHOUT_ACCOUNT = frozenset({"route53", "s3"})


def named(service: str, template: str, *params: str, kind: str = "") -> Builder:
    """ARNs of what stands under ``params``: as it is when it is an ARN, else put into ``template``.

    ``kind`` has the account asked for the ARN first, for those that hold more than the name.
    """

    def build(asked: Asked) -> list[str]:
        return [_complete(asked, service, template, kind, text) for text in asked.texts(*params)]

    return build


def _complete(asked: Asked, service: str, template: str, kind: str, text: str) -> str:
    if text.startswith("arn:"):
        return text
    known = asked.find(kind, text) if kind else None
    if known:
        return known
    resource = template.replace("{}", text.lstrip("/") if template.endswith("/{}") else text)
    region = "" if service in _WITHOUT_REGION else asked.region
    account = "" if service in _WITHOUT_ACCOUNT else asked.account_id
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def tagged(part: str, *params: str) -> Builder:
    """The ARN under ``params`` (``ResourceArn`` of tagging operations) when it holds ``part``."""

    def build(asked: Asked) -> list[str]:
        return [text for text in asked.texts(*params) if text.startswith("arn:") and part in text]

    return build


def both(*builders: Builder) -> Builder:
    """What the first builder that finds anything finds."""

    def build(asked: Asked) -> list[str]:
        return next((found for builder in builders if (found := builder(asked))), [])

    return build
