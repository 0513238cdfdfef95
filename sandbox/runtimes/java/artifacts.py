"""The files of Amazon's runtime client, as ``java.lock`` names them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).with_name("java.lock")
ARCHIVE = "client.jsa"
NATIVE = "libaws-lambda-jni.so"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of Maven Central, and the hash it must have."""

    group: str
    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """Its file name."""
        return f"{self.name}-{self.version}.jar"


def locked() -> list[Artifact]:
    """All of them, the client itself first: its manifest names the others."""
    artifacts = []
    for line in LOCK.read_text().splitlines():
        if line and not line.startswith("#"):
            coordinates, sha256 = line.split()
            group, name, version = coordinates.split(":")
            artifacts.append(Artifact(group, name, version, sha256))
    return artifacts
