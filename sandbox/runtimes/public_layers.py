"""Layers that AWS publishes for everybody: their content comes from the package index, as AWS's own does.

Whatever version of the layer is named, it holds the newest release of the package's major version.
Sources: https://docs.powertools.aws.dev/lambda/python/latest/getting-started/install/ and
https://docs.powertools.aws.dev/lambda/typescript/latest/getting-started/lambda-layers/
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from sandbox.building.requirements import Installer, Requirements
from sandbox.errors import BadSubmission, EnvironmentFault
from sandbox.runtimes.prepared import VERSION, install_once, run_installer

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
_TYPESCRIPT = re.compile(r"094274105915:layer:AWSLambdaPowertoolsTypeScriptV2:\d+")
_TYPESCRIPT_PACKAGES = tuple(
    f"@aws-lambda-powertools/{name}@2"
    for name in (
        *("batch", "commons", "event-handler", "idempotency", "jmespath", "kafka", "logger", "metrics"),
        *("parameters", "parser", "tracer", "validation"),
    )
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
        if _TYPESCRIPT.fullmatch(named):
            return self._typescript(arn)
        requirement = next((wanted for pattern, wanted in _PYTHON if pattern.fullmatch(named)), None)
        return None if requirement is None else self._python(arn, requirement)

    def _typescript(self, arn: str) -> bytes:
        """The packages as npm installs them, without what they leave to their users to bring."""
        digest = hashlib.sha256(" ".join(_TYPESCRIPT_PACKAGES).encode()).hexdigest()[:16]
        place = self.home.absolute() / "builds" / "layers" / f"typescript-{digest}"
        try:
            folder = install_once(place, "Powertools for TypeScript", _install_packages)
        except EnvironmentFault as error:
            raise EnvironmentFault(f"The content of layer {arn} can't be installed: {error}") from error
        return _kept(folder / "node_modules", place.with_suffix(".zip"), "nodejs/node_modules")

    def _python(self, arn: str, requirement: str) -> bytes:
        cache = self.home.absolute() / "builds"
        cache.mkdir(parents=True, exist_ok=True)
        try:
            folder = Installer(cache).install(Requirements(arn, (requirement,)), VERSION)
        except BadSubmission as error:
            # Nobody handed this in: which packages it takes is ours to know.
            raise EnvironmentFault(f"The content of layer {arn} can't be installed: {error}") from error
        return _kept(folder, cache / "layers" / f"{folder.name}.zip", "python")


def _install_packages(target: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise EnvironmentFault("there is no npm in the PATH.")
    (target / "package.json").write_text('{"private": true}')
    command = [npm, "install", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund"]
    command += ["--no-update-notifier", "--loglevel=error", *_TYPESCRIPT_PACKAGES]
    done = run_installer("Node.js", command, folder=target)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise EnvironmentFault(" ".join(lines[:2]) or "npm failed and said nothing.")


def _kept(folder: Path, kept: Path, below: str) -> bytes:
    """A folder as a zip, made once."""
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(f".{id(folder)}")
        unfinished.write_bytes(_zipped(folder, below))
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
