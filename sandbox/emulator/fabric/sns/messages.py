"""A publication in the shapes that subscribers receive it in."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.fabric.filters import Pattern, matches


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published, as one protocol's subscribers see it.

    ``attributes`` maps names to ``{"Type": "String", "Value": "…"}``, binary values in base64.
    """

    id: str
    message: str
    subject: str
    attributes: Mapping[str, Mapping[str, Any]]
    group: str = ""
    deduplication_id: str = ""
    trace_header: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """A publication on its way to one subscription."""

    published: Publication
    topic_arn: str
    region: str
    subscription_arn: str
    at: dt.datetime
    sequence_number: str = ""

    def envelope(self) -> str:
        """The JSON that queues and endpoints get unless they want messages raw.

        Source: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
        """
        fields = self._fields("SigningCertURL", "UnsubscribeURL")
        if not self.published.subject:
            del fields["Subject"]
        if self.sequence_number:
            fields["SequenceNumber"] = self.sequence_number
        if not self.published.attributes:
            del fields["MessageAttributes"]
        return json.dumps(fields, indent=2, separators=(",", " : "), ensure_ascii=False)

    def lambda_event(self) -> bytes:
        """The event that a function gets.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
        """
        record = {
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": self.subscription_arn,
            "Sns": self._fields("SigningCertUrl", "UnsubscribeUrl"),
        }
        return json.dumps({"Records": [record]}, separators=(",", ":")).encode()

    def raw_attributes(self) -> dict[str, Any]:
        """The attributes as SQS message attributes."""
        found: dict[str, Any] = {}
        for name, attribute in self.published.attributes.items():
            kind, value = str(attribute["Type"]), attribute["Value"]
            if kind.startswith("Binary"):
                binary = value if isinstance(value, bytes) else base64.b64decode(value)
                found[name] = {"DataType": kind, "BinaryValue": binary}
            else:
                found[name] = {"DataType": kind, "StringValue": str(value)}
        return found

    def _fields(self, certificate: str, unsubscribe: str) -> dict[str, Any]:
        host = f"https://sns.{self.region}.amazonaws.com"
        certificate_id = hashlib.md5(host.encode(), usedforsecurity=False).hexdigest()
        return {
            "Type": "Notification",
            "MessageId": self.published.id,
            "TopicArn": self.topic_arn,
            "Subject": self.published.subject or None,
            "Message": self.published.message,
            "Timestamp": self.at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "SignatureVersion": "1",
            "Signature": self._signature(),
            certificate: f"{host}/SimpleNotificationService-{certificate_id}.pem",
            unsubscribe: f"{host}/?Action=Unsubscribe&SubscriptionArn={self.subscription_arn}",
            "MessageAttributes": {
                name: {"Type": str(each["Type"]), "Value": _text(each["Value"])}
                for name, each in self.published.attributes.items()
            },
        }

    def _signature(self) -> str:
        """As long as SNS's; nobody can verify it here, for the certificate lies outside."""
        seed = f"{self.topic_arn} {self.published.id} {self.published.message}"
        return base64.b64encode(hashlib.shake_256(seed.encode()).digest(256)).decode()


def confirmation(
    message_id: str, topic_arn: str, region: str, token: str, address: str, at: dt.datetime
) -> str:
    """What an end point is sent before anything else.

    Source: https://docs.aws.amazon.com/sns/latest/dg/http-subscription-confirmation-json.html
    """
    told = Publication(message_id, "", "", {})
    shown = Notification(told, topic_arn, region, "", at)._fields("SigningCertURL", "UnsubscribeURL")
    message = (
        f"You have chosen to subscribe to the topic {topic_arn}.\n"
        "To confirm the subscription, visit the SubscribeURL included in this message."
    )
    kept = ("MessageId", "TopicArn", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL")
    fields = {
        "Type": "SubscriptionConfirmation",
        "Token": token,
        "Message": message,
        "SubscribeURL": address,
        **{name: shown[name] for name in kept},
    }
    return json.dumps(fields, indent=2)


def passes(policy: Pattern, scope: str, published: Publication) -> bool:
    """Whether a subscription's filter policy lets a publication through.

    Source: https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
    """
    if scope != "MessageBody":
        return matches(policy, {name: _comparable(each) for name, each in published.attributes.items()})
    try:
        body = json.loads(published.message)
    except ValueError:
        return False
    return isinstance(body, dict) and matches(policy, body)


def _comparable(attribute: Mapping[str, Any]) -> Any:
    kind, value = str(attribute["Type"]), attribute["Value"]
    try:
        if kind.startswith("Number"):
            return float(value)
        if kind.startswith("String.Array"):
            return json.loads(value)
    except ValueError:
        return None
    return value


def _text(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
