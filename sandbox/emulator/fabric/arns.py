"""The parts of an Amazon Resource Name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arn:
    """``arn:partition:service:region:account_id:resource``; ``resource`` keeps its own colons."""

    partition: str
    service: str
    region: str
    account_id: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> Arn:
        """Take ``text`` apart.

        Raises:
            ValueError: ``text`` is not an ARN.
        """
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn":
            raise ValueError(f"{text!r} is not an ARN")
        return cls(*parts[1:])

    @property
    def name(self) -> str:
        """The resource without its type: a queue, topic or function's name."""
        return self.resource.replace("/", ":").split(":")[-1]

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account_id}:{self.resource}"
