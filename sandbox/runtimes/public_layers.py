"""Layers that AWS publishes for everybody: their content comes from the package index, as AWS's own does.

Whatever version of the layer is named, it holds the newest release of the package's major version.
Source: https://docs.powertools.aws.dev/lambda/python/latest/getting-started/install/
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from sandbox.building.requirements import Installer, Requirements
from sandbox.errors import BadSubmission, EnvironmentFault
from sandbox.runtimes.prepared import VERSION

# What each layer holds, by account, name and version.
_PYTHON = (
    (
        re.compile(r"017000801446:layer:AWSLambdaPowertoolsPythonV3-python3\d+-(x86_64|arm64):\d+"),
        "aws-lambda-powertools[all]<4,>=3",
    ),
    (
        re.compile(r"017000801446:layer:AWSLambdaPowertoolsPythonV2(-Arm64)?:\d+"),
        "aws-lambda-powertools[all]<3,>=2",
    ),
)
# The runtime has the SDK; AWS leaves it out of its layers.
_OF_THE_RUNTIME = re.compile(r"(boto3|botocore|s3transfer)(-[^/]*\.dist-info)?/")


@dataclass(frozen=True, slots=True)
class PublicLayers:
    """The public layers that are known here, kept below the installation's ``home``."""

    home: Path

    def find(self, arn: str) -> bytes | None:
        """The zip of a layer version; None when it is none that we know.

        Raises:
            EnvironmentFault: it is one, and its packages can't be installed here.
        """
        named = arn.split(":", 4)[-1]
        requirement = next((wanted for pattern, wanted in _PYTHON if pattern.fullmatch(named)), None)
        return None if requirement is None else self._python(arn, requirement)

    def _python(self, arn: str, requirement: str) -> bytes:
        cache = self.home.absolute() / "builds"
        cache.mkdir(parents=True, exist_ok=True)
        try:
            folder = Installer(cache).install(Requirements(arn, (requirement,)), VERSION)
        except BadSubmission as error:
            # Nobody handed this in: which packages it takes is ours to know.
            raise EnvironmentFault(f"The content of layer {arn} can't be installed: {error}") from error
        kept = cache / "layers" / f"{folder.name}.zip"
        if not kept.is_file():
            kept.parent.mkdir(exist_ok=True)
            unfinished = kept.with_suffix(f".{id(folder)}")
            unfinished.write_bytes(_zipped(folder, "python"))
            unfinished.replace(kept)
        return kept.read_bytes()


def _zipped(folder: Path, below: str) -> bytes:
    """The same files make the same bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not _OF_THE_RUNTIME.match(name) and "__pycache__" not in name:
                entry = zipfile.ZipInfo(f"{below}/{name}")
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    return made.getvalue()
