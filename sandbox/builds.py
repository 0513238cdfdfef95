"""From a submission to something that can be deployed: what `sam build` and `sam package` do.

Code folders become zips with their requirements inside, named by their content; the template keeps
every line the learner wrote, except that local folders will be told as places in S3.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import posixpath
import re
import zipfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from sandbox.building import methods
from sandbox.building.handlers import check_handler
from sandbox.building.isolated import is_program
from sandbox.building.methods import Method
from sandbox.building.workshop import Wanted, Workshop
from sandbox.errors import BadSubmission
from sandbox.submissions import Submission
from sandbox.templates import Edit, TemplateText, parse_template

# Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
UNZIPPED_LIMIT_BYTES = 262_144_000
ZIPPED_LIMIT_BYTES = 52_428_800

# Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
RUNTIMES = frozenset(
    {f"python3.{minor}" for minor in range(8, 15)}
    | {f"nodejs{major}.x" for major in (16, 18, 20, 22, 24)}
    | {"java8.al2", "java11", "java17", "java21", "java25", "provided.al2", "provided.al2023"}
    | {"ruby3.2", "ruby3.3", "ruby3.4", "dotnet6", "dotnet8", "dotnet10"}
)

# A place in the template where `package` puts the location of what it uploaded:
# (resource type, property, is it a folder of code, how the location is written).
_S3_URI = '"s3://{}"'
_PLACES = (
    ("AWS::Serverless::Function", "CodeUri", True, _S3_URI),
    ("AWS::Serverless::LayerVersion", "ContentUri", True, _S3_URI),
    ("AWS::Lambda::Function", "Code", True, "S3Bucket/S3Key"),
    ("AWS::Lambda::LayerVersion", "Content", True, "S3Bucket/S3Key"),
    ("AWS::Serverless::Api", "DefinitionUri", False, _S3_URI),
    ("AWS::Serverless::HttpApi", "DefinitionUri", False, _S3_URI),
    ("AWS::Serverless::StateMachine", "DefinitionUri", False, _S3_URI),
)
_FUNCTION_TYPES = ("AWS::Serverless::Function", "AWS::Lambda::Function")


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something to upload before the template: ``key`` is made of its content."""

    key: str
    body: bytes = field(repr=False)
    used_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Package:
    """A built submission, ready for any number of accounts."""

    digest: str
    template: TemplateText = field(repr=False)
    artifacts: tuple[Artifact, ...]
    edits: tuple[tuple[Edit, bool], ...] = field(repr=False)

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the parameters that the template declares."""
        declared = self.template.values.get("Parameters")
        return frozenset(map(str, declared)) if isinstance(declared, dict) else frozenset()

    def template_for(self, bucket: str) -> str:
        """The template with its artefacts in ``bucket``; all other lines as they were written."""
        text = self.template.text
        for edit, as_pair in sorted(self.edits, key=lambda item: item[0].start, reverse=True):
            pair = f'{{"S3Bucket": {json.dumps(bucket)}, "S3Key": {json.dumps(edit.key)}}}'
            location = pair if as_pair else f"{bucket}/{edit.key}"
            text = f"{text[: edit.start]}{edit.before}{location}{edit.after}{text[edit.end :]}"
        return text


def build(
    submission: Submission,
    cache: Path,
    *,
    template: str = "",
    runtimes: Collection[str] = (),
    registries: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> Package:
    """Build a submission.

    ``runtimes`` are those that run here (empty: don't ask), ``registries`` is whether packages may be
    fetched, and ``tell`` hears what is being built.

    Raises:
        BadSubmission: with file, function or line of what can't be used, in the compiler's own words.
        EnvironmentFault: a registry can't be reached, a tool is missing here, or our disk is full.
    """
    cache.mkdir(parents=True, exist_ok=True)
    name = template or submission.template
    if name not in submission.files:
        raise BadSubmission("The template is missing.", where=name)
    parsed = parse_template(name, submission.files[name])
    workshop = Workshop(cache, registries=registries, tell=tell)
    return _Build(submission, parsed, workshop, frozenset(runtimes)).package()


class _Build:
    """One build: what was found and made so far."""

    def __init__(
        self, submission: Submission, template: TemplateText, workshop: Workshop, runtimes: frozenset[str]
    ) -> None:
        self._submission = submission
        self._template = template
        self._workshop = workshop
        self._runtimes = runtimes
        self._base = posixpath.dirname(template.path)
        self._trees: dict[str, Mapping[str, bytes]] = {}
        self._zips: dict[str, str] = {}
        self._artifacts: dict[str, Artifact] = {}
        self._edits: list[tuple[Edit, bool]] = []

    def package(self) -> Package:
        for kind, name, is_code, form in _PLACES:
            for logical, body in self._template.resources().items():
                if body.get("Type") == kind:
                    properties = body.get("Properties")
                    self._place(
                        logical, kind, properties if isinstance(properties, dict) else {}, name, is_code, form
                    )
        unique = {(edit.start, edit.end, edit.key): (edit, pair) for edit, pair in self._edits}
        return Package(
            self._submission.digest, self._template, tuple(self._artifacts.values()), tuple(unique.values())
        )

    def _place(
        self, logical: str, kind: str, properties: dict[str, Any], name: str, is_code: bool, form: str
    ) -> None:
        shared = self._template.globals("Function") if kind == "AWS::Serverless::Function" else {}
        function = {**shared, **properties} if kind in _FUNCTION_TYPES else {}
        if function:
            self._check_function(logical, function)
        path = ("Resources", logical, "Properties", name)
        value = properties.get(name)
        if value is None and kind == "AWS::Serverless::Function" and "InlineCode" not in function:
            value = shared.get(name, ".")
            self._place_inherited(logical, function, str(value) if isinstance(value, str) else "", name)
            return
        if not _is_local(value):
            return
        key = self._code(logical, kind, function, value) if is_code else self._file(logical, value, name)
        as_pair = form == "S3Bucket/S3Key"
        self._edits.append((self._template.replace(path, key, wrap="{}" if as_pair else form), as_pair))

    def _place_inherited(self, logical: str, function: dict[str, Any], folder: str, name: str) -> None:
        """CodeUri is told by Globals, or left out, which means the template's own folder."""
        if not _is_local(folder):
            return
        key = self._code(logical, "AWS::Serverless::Function", function, folder)
        edit = self._template.insert(("Resources", logical, "Properties"), name, key, wrap=_S3_URI)
        if edit is not None:
            self._edits.append((edit, False))
        if isinstance(self._template.globals("Function").get(name), str):
            inherited = ("Globals", "Function", name)
            self._edits.append((self._template.replace(inherited, key, wrap=_S3_URI), False))

    def _check_function(self, logical: str, function: Mapping[str, Any]) -> None:
        if function.get("PackageType") == "Image" or "ImageUri" in function:
            raise BadSubmission(
                f"Function `{logical}` is a container image.",
                where=self._line(logical, "PackageType"),
                what_to_do="Hand in its source with a Runtime and a Handler; images can't be run here.",
            )
        runtime = function.get("Runtime")
        if not isinstance(runtime, str):
            return
        if runtime not in RUNTIMES:
            raise BadSubmission(
                f"Function `{logical}` wants the runtime `{runtime}`, which Lambda does not have.",
                where=self._line(logical, "Runtime"),
                what_to_do=f"Choose one of {', '.join(sorted(self._runtimes or RUNTIMES))}.",
            )
        if self._runtimes and runtime not in self._runtimes:
            raise BadSubmission(
                f"Function `{logical}` wants the runtime `{runtime}`, which can't be run here.",
                where=self._line(logical, "Runtime"),
                what_to_do=f"This machine runs {', '.join(sorted(self._runtimes))}.",
            )

    def _code(self, logical: str, kind: str, function: Mapping[str, Any], value: str) -> str:
        name = next(place[1] for place in _PLACES if place[0] == kind)
        folder = self._resolve(logical, name, value)
        if folder not in ("", ".") and folder in self._submission.files:
            return self._given(logical, name, folder)
        method, wanted = self._wanted(logical, name, folder, kind, function)
        known_as = json.dumps(
            [method, folder, wanted.runtime, wanted.architecture, wanted.handler, wanted.properties],
            sort_keys=True,
            default=str,
        )
        tree = self._tree(method, wanted, known_as, self._line(logical, name))
        if function:
            check_handler(self._line(logical, "Handler"), logical, function, folder or ".", tree)
        return self._zip(logical, known_as, tree, self._line(logical, name))

    def _wanted(
        self, logical: str, name: str, folder: str, kind: str, function: Mapping[str, Any]
    ) -> tuple[Method, Wanted]:
        own = self._submission.under(folder)
        if not own:
            raise self._missing(logical, name, folder)
        metadata = self._template.resources()[logical].get("Metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        layer = kind not in _FUNCTION_TYPES
        method, runtime = methods.choose(
            metadata,
            _text(function.get("Runtime")),
            own,
            layer=layer,
            logical=logical,
            where=self._template.line("Resources", logical, "Metadata", "BuildMethod"),
        )
        listed = function.get("Architectures")
        properties = metadata.get("BuildProperties")
        is_built = method is not Method.AS_IT_IS
        wanted = Wanted(
            logical=logical,
            folder="" if folder == "." else folder,
            files=own,
            runtime=runtime if is_built else "",
            architecture=_text(listed[0]) if is_built and isinstance(listed, list) and listed else "",
            handler=_text(function.get("Handler")) if method is Method.ESBUILD else "",
            properties=properties if isinstance(properties, dict) else {},
            where=self._line(logical, name),
            layer=layer,
        )
        return method, wanted

    def _given(self, logical: str, name: str, path: str) -> str:
        """CodeUri may name a zip or jar that was made already; any other file is not code."""
        body = self._submission.files[path]
        if not zipfile.is_zipfile(io.BytesIO(body)):
            raise BadSubmission(
                f"`{logical}` takes its {name} from {path}, which is a file and not a folder, zip or jar.",
                where=self._line(logical, name),
                what_to_do="Name the folder that holds the code.",
            )
        return self._keep(logical, body, ".zip")

    def _file(self, logical: str, value: str, name: str) -> str:
        path = self._resolve(logical, name, value)
        if path not in self._submission.files:
            raise self._missing(logical, name, path)
        return self._keep(logical, self._submission.files[path], posixpath.splitext(path)[1])

    def _tree(self, method: Method, wanted: Wanted, known_as: str, where: str) -> Mapping[str, bytes]:
        tree = self._trees.get(known_as)
        if tree is None:
            tree = self._trees[known_as] = methods.build(method, wanted, self._workshop)
        size = sum(map(len, tree.values()))
        if size > UNZIPPED_LIMIT_BYTES:
            raise BadSubmission(
                f"`{wanted.logical}` unpacks to {size // 1_000_000} MB;"
                f" Lambda takes {UNZIPPED_LIMIT_BYTES // 1_048_576} MiB.",
                where=where,
                what_to_do="Leave out packages that the function does not import.",
            )
        return tree

    def _zip(self, logical: str, known_as: str, tree: Mapping[str, bytes], where: str) -> str:
        key = self._zips.get(known_as)
        if key is not None:
            kept = self._artifacts[key]
            self._artifacts[key] = Artifact(key, kept.body, (*kept.used_by, logical))
            return key
        body = _cached_zip(self._workshop.cache, tree)
        if len(body) > ZIPPED_LIMIT_BYTES:
            raise BadSubmission(
                f"`{logical}` is {len(body) // 1_000_000} MB when zipped;"
                f" Lambda takes {ZIPPED_LIMIT_BYTES // 1_048_576} MiB.",
                where=where,
                what_to_do="Leave out packages that the function does not import.",
            )
        key = self._zips[known_as] = self._keep(logical, body, ".zip")
        return key

    def _keep(self, logical: str, body: bytes, suffix: str) -> str:
        key = f"{hashlib.sha256(body).hexdigest()}{suffix}"
        before = self._artifacts.get(key)
        self._artifacts[key] = Artifact(key, body, (*(before.used_by if before else ()), logical))
        return key

    def _resolve(self, logical: str, name: str, value: str) -> str:
        path = posixpath.normpath(posixpath.join(self._base, value))
        if path.startswith(("/", "../")) or path == "..":
            raise BadSubmission(
                f"`{logical}` takes its {name} from `{value}`, outside of what was handed in.",
                where=self._line(logical, name),
                what_to_do="Name a folder beside the template.",
            )
        return "" if path == "." else path

    def _missing(self, logical: str, name: str, path: str) -> BadSubmission:
        tops = sorted({file.split("/")[0] + ("/" if "/" in file else "") for file in self._submission.files})
        return BadSubmission(
            f"`{logical}` takes its {name} from `{path}`, which is not there.",
            where=self._line(logical, name),
            what_to_do=f"There are: {', '.join(tops[:20])}.",
        )

    def _line(self, logical: str, name: str) -> str:
        return self._template.line("Resources", logical, "Properties", name)


def _text(value: object) -> str:
    """A property that is written as text; what is computed at deployment is not known yet."""
    return value if isinstance(value, str) else ""


def _is_local(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value != "" and not re.match(r"^(s3|https?)://", value)


def _cached_zip(cache: Path, tree: Mapping[str, bytes]) -> bytes:
    """Zipping megabytes of dependencies takes longer than reading them."""
    if sum(map(len, tree.values())) < 256_000:
        return zip_tree(tree)
    kept = cache / "zips" / f"{Submission(tree).digest.removeprefix('sha256:')}.zip"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(f".{os.getpid()}-{os.urandom(4).hex()}")
        unfinished.write_bytes(zip_tree(tree))
        unfinished.replace(kept)
    return kept.read_bytes()


def zip_tree(tree: Mapping[str, bytes]) -> bytes:
    """A zip that depends on names and contents alone."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(tree):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if is_program(name, tree[name]) else 0o100644) << 16
            archive.writestr(entry, tree[name])
    return made.getvalue()
