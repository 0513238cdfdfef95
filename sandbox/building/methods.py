"""Which builder a function or layer gets, as `sam build` chooses it.

Source: https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/building-lambda-functions.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from sandbox.building import golang, java, npm, python
from sandbox.building.isolated import Files
from sandbox.building.workshop import Wanted, Workshop
from sandbox.errors import BadSubmission


class Method(StrEnum):
    """How a folder of code becomes what is deployed."""

    AS_IT_IS = "as it is"
    PIP = "pip"
    NPM = "npm"
    ESBUILD = "esbuild"
    JAVA = "java"
    GO = "go"


_NAMED = (
    (re.compile(r"python3\.\d+"), Method.PIP),
    (re.compile(r"nodejs\d+\.x"), Method.NPM),
    (re.compile(r"esbuild"), Method.ESBUILD),
    (re.compile(r"java\d+(\.al2)?"), Method.JAVA),
    (re.compile(r"go(1\.x)?"), Method.GO),
)
_KNOWN = "python3.x, nodejs22.x, esbuild, java21, go1.x"


def choose(
    metadata: Mapping[str, Any], runtime: str, files: Files, *, layer: bool, logical: str, where: str
) -> tuple[Method, str]:
    """The method, and the runtime that is built for.

    A layer is built only when it names a method; a function by its runtime and the manifest beside it.
    What `sam build` marks in the template that it writes is built already.

    Raises:
        BadSubmission: a method that is not to be had here.
    """
    if metadata.get("SkipBuild") in (True, "true", "True") or metadata.get("SamResourceId"):
        return Method.AS_IT_IS, runtime
    named = metadata.get("BuildMethod")
    if isinstance(named, str) and named:
        for pattern, method in _NAMED:
            if pattern.fullmatch(named):
                own = named if method in (Method.PIP, Method.NPM, Method.JAVA) else runtime
                return method, runtime or own
        raise _refused(named, logical, where)
    if layer:
        return Method.AS_IT_IS, runtime
    return _by_manifest(runtime, files, logical, where), runtime


def _by_manifest(runtime: str, files: Files, logical: str, where: str) -> Method:
    if runtime.startswith("python") and "requirements.txt" in files:
        return Method.PIP
    if runtime.startswith("nodejs") and "package.json" in files:
        return Method.NPM
    if runtime.startswith("java") and ("pom.xml" in files or java.has_gradle(files)):
        return Method.JAVA
    if runtime.startswith("provided") and "Makefile" in files and "bootstrap" not in files:
        raise _refused("makefile", logical, where)
    return Method.AS_IT_IS


def _refused(named: str, logical: str, where: str) -> BadSubmission:
    what = (
        f"`{logical}` is to be built by `make`, whose commands are not run here."
        if named == "makefile"
        else f"`{logical}` has the BuildMethod `{named}`, which can't be built here."
    )
    return BadSubmission(
        what,
        where=where,
        what_to_do=f"Use one of {_KNOWN}; or hand in what is built already, with `SkipBuild: true`.",
    )


def build(method: Method, wanted: Wanted, workshop: Workshop) -> Files:
    """What is deployed. A layer's parts lie where its runtime looks for them.

    Raises:
        BadSubmission: in the builder's own words.
        EnvironmentFault: something of ours is missing or broke.
    """
    if method is Method.AS_IT_IS:
        return wanted.files
    make, place = _BUILDERS[method]
    made = make(wanted, workshop)
    return {f"{place}/{name}": body for name, body in made.items()} if wanted.layer and place else made


_BUILDERS: dict[Method, tuple[Callable[[Wanted, Workshop], Files], str]] = {
    Method.PIP: (python.build, "python"),
    Method.NPM: (npm.build, "nodejs"),
    Method.ESBUILD: (npm.bundle, ""),
    Method.JAVA: (java.build, "java"),
    Method.GO: (golang.build, ""),
}
