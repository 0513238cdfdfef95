"""Keeping secrets and other people's data out of evidence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from graders.findings import Did, Finding, Meaning, Saw

_PATTERNS = (
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}"), r"\1…"),
    (re.compile(r"(X-Amz-(?:Signature|Security-Token|Credential)=)[^&\s\"']+"), r"\1…"),
    # Not the name of a service (`secretsmanager:GetSecretValue`), nor a secret's own in its ARN.
    (
        re.compile(
            r"(?i)\b(?<!\d:)((?:password|secret(?!smanager:)|token|api[_-]?key)\w*[\"']?\s*[:=]\s*[\"']?)"
            r"[^\s\"',}&]{6,}"
        ),
        r"\1…",
    ),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END|$)", re.DOTALL), "…private key…"),
)


@dataclass(frozen=True, slots=True)
class Mask:
    """Replaces known secrets, and what looks like one, by an ellipsis."""

    secrets: tuple[str, ...] = ()

    @classmethod
    def of(cls, secrets: Iterable[str]) -> Mask:
        """A mask for these secrets; short ones are not worth hiding and would hide too much."""
        return cls(tuple(sorted({item for item in secrets if len(item) >= 8}, key=len, reverse=True)))

    def text(self, value: str) -> str:
        """A text without secrets."""
        for secret in self.secrets:
            value = value.replace(secret, "…")
        for pattern, shown in _PATTERNS:
            value = pattern.sub(shown, value)
        return value

    def finding(self, finding: Finding) -> Finding:
        """A finding without secrets."""
        return replace(
            finding,
            headline=self.text(finding.headline),
            did=tuple(Did(item.api, self.text(item.what), item.at) for item in finding.did),
            saw=tuple(Saw(item.source, self.text(item.what), item.at) for item in finding.saw),
            ruled_out=tuple(map(self.text, finding.ruled_out)),
            means=tuple(Meaning(self.text(item.pattern), item.likelihood) for item in finding.means),
            look=tuple(map(self.text, finding.look)),
            expected=self.text(finding.expected),
            hint=self.text(finding.hint),
            reason=self.text(finding.reason),
            patch=self.text(finding.patch),
        )
