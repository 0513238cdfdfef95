"""Node.js: dependencies by npm, and bundles by the project's own esbuild.

Packages' install scripts are not run. Sources: https://docs.aws.amazon.com/lambda/latest/dg/nodejs-package.html
and https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-using-build-typescript.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from sandbox.building import tools, words
from sandbox.building.isolated import HOME, REGISTRY_URL, RESULT, SOURCE, Files, Job, Step
from sandbox.building.operator import npm_upstreams
from sandbox.building.tools import Tool
from sandbox.building.workshop import Wanted, Workshop, needs_registry
from sandbox.errors import BadSubmission

_CONSTANT = re.compile(r"/-/[^/]+\.tgz$")
_ERROR = re.compile(r"^npm (?:ERR!|error) ?(?:code \S+$|errno \S+$|A complete log.*|.*_logs/.*)?")
_ESBUILD_PLACE = re.compile(r"^\s*(?P<file>[\w@./-]+\.\w+):(?P<line>\d+:\d+):")
_LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
# esbuild's options by SAM's names; lists are repeated or joined.
_FLAGS = {
    "Target": "--target={}",
    "Format": "--format={}",
    "Sourcemap": "--sourcemap",
    "Minify": "--minify",
    "KeepNames": "--keep-names",
    "SourcesContent": "--sources-content={}",
    "MainFields": "--main-fields={}",
    "TreeShaking": "--tree-shaking={}",
}
_REPEATED = {"External": "--external:{}", "Loader": "--loader:{}", "OutExtension": "--out-extension:{}"}
_REPEATED |= {
    "Define": "--define:{}",
    "Banner": "--banner:{}",
    "Footer": "--footer:{}",
    "Alias": "--alias:{}",
}


def build(wanted: Wanted, workshop: Workshop) -> Files:
    """The sources with ``node_modules`` beside them; as they are where package.json wants nothing.

    Raises:
        BadSubmission: in npm's own words.
        EnvironmentFault: no npm here, or the registry can't be reached.
    """
    manifest = _manifest(wanted)
    if not any(manifest.get(name) for name in ("dependencies", "optionalDependencies")):
        return wanted.files
    if not workshop.registries:
        raise needs_registry(wanted, "package.json", "packages")
    tool = tools.npm(workshop.environ)
    return workshop.made("npm", tool.version, wanted, lambda: _Npm(wanted, workshop, tool).installed())


def bundle(wanted: Wanted, workshop: Workshop) -> Files:
    """The entry points bundled by the esbuild of the project's (dev) dependencies, as SAM calls it.

    Raises:
        BadSubmission: esbuild is not among them, or in npm's or esbuild's own words.
        EnvironmentFault: no npm here, or the registry can't be reached.
    """
    manifest = _manifest(wanted)
    named: dict[str, Any] = {}
    for name in ("dependencies", "devDependencies"):
        part = manifest.get(name)
        named |= part if isinstance(part, dict) else {}
    if "esbuild" not in named:
        raise BadSubmission(
            f"`{wanted.logical}` has the BuildMethod esbuild, and esbuild is not in its package.json.",
            where=wanted.path("package.json"),
            what_to_do="Add it: `npm install --save-dev esbuild`.",
        )
    if not workshop.registries:
        raise needs_registry(wanted, "package.json", "packages")
    tool = tools.npm(workshop.environ)
    return workshop.made("esbuild", tool.version, wanted, lambda: _Npm(wanted, workshop, tool).bundled())


def _manifest(wanted: Wanted) -> Mapping[str, Any]:
    if "package.json" not in wanted.files:
        raise BadSubmission(
            f"`{wanted.logical}` is to be built with npm, and there is no package.json in"
            f" `{wanted.folder or '.'}`.",
            where=wanted.where,
            what_to_do="Put package.json in the folder that CodeUri names.",
        )
    try:
        found = json.loads(wanted.files["package.json"].decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadSubmission(
            f"package.json is not JSON: {str(error)[:200]}.", where=f"{wanted.path('package.json')}{line}"
        ) from None
    if not isinstance(found, dict):
        raise BadSubmission("package.json is not a JSON object.", where=wanted.path("package.json"))
    return found


class _Npm:
    def __init__(self, wanted: Wanted, workshop: Workshop, tool: Tool) -> None:
        self.wanted = wanted
        self.workshop = workshop
        self.tool = tool
        self.environment = {
            "PATH": f"{tool.argv[0].rpartition('/')[0]}:{tools.SYSTEM_PATH}",
            "HOME": HOME,
            "TMPDIR": "/tmp",
            "NODE_OPTIONS": "--max-old-space-size=1024",
            "npm_config_registry": f"{REGISTRY_URL}/",
            # A lock file names the registry that its writer used.
            "npm_config_replace_registry_host": "always",
            "npm_config_userconfig": f"{HOME}/.npmrc",
            "npm_config_globalconfig": f"{HOME}/globalrc",
            "npm_config_cache": f"{HOME}/.npm",
            "npm_config_ignore_scripts": "true",
            "npm_config_audit": "false",
            "npm_config_fund": "false",
            "npm_config_update_notifier": "false",
            "npm_config_loglevel": "error",
            "npm_config_fetch_retries": "0",
        }

    def installed(self) -> Files:
        made = self._run((self._install("--omit=dev"),), SOURCE)
        return {
            name: body
            for name, body in made.items()
            if "/.bin/" not in f"/{name}" and name != "node_modules/.package-lock.json"
        }

    def bundled(self) -> Files:
        return self._run((self._install(), self._bundle()), RESULT)

    def _install(self, *options: str) -> Step:
        locked = any(name in self.wanted.files for name in _LOCKS)
        command = ("ci",) if locked else ("install", "--no-package-lock")
        argv = (*self.tool.argv, *command, *options, "--ignore-scripts", "--no-audit", "--no-fund")
        return Step(argv, self.environment, f"installing packages of {self.wanted.logical} with npm")

    def _bundle(self) -> Step:
        properties = {"Minify": True, "Target": "es2020", "Format": "cjs", **self.wanted.properties}
        entries = properties.get("EntryPoints") or [self._entry()]
        argv = [self.tool.argv[0], f"{SOURCE}/node_modules/esbuild/bin/esbuild", *map(str, entries)]
        argv += ["--bundle", "--platform=node", f"--outdir={RESULT}", "--color=false"]
        for name, value in properties.items():
            argv += _flags(name, value)
        return Step(tuple(argv), self.environment, f"bundling {self.wanted.logical} with esbuild")

    def _entry(self) -> str:
        module = self.wanted.handler.rpartition(".")[0]
        for suffix in (".ts", ".js", ".mts", ".mjs", ".cts", ".tsx", ".jsx"):
            if module + suffix in self.wanted.files:
                return module + suffix
        raise BadSubmission(
            f"`{self.wanted.logical}` tells esbuild no EntryPoints, and there is no {module}.ts or .js.",
            where=self.wanted.where,
            what_to_do="Name them under Metadata, BuildProperties, EntryPoints.",
        )

    def _run(self, steps: tuple[Step, ...], result: str) -> Files:
        files = {f"src/{name}": body for name, body in self.wanted.files.items() if name != ".npmrc"}
        job = Job(
            files=files,
            shown=self.tool.shown,
            steps=steps,
            result=result,
            registry=self.workshop.registry("npm", npm_upstreams(self.workshop.environ), _CONSTANT),
            limits=self.workshop.limits,
        )
        return self.workshop.build(self.wanted, job, self._refused)

    def _refused(self, output: str) -> BadSubmission:
        # What follows a line of node's own is the stack of esbuild's starter.
        quiet = (line for line in words.masked(output) if not line.startswith("added "))
        lines = list(takewhile(lambda line: not line.startswith("node:"), quiet))
        said = [text for line in lines if (text := _ERROR.sub("", line).strip()) and line.startswith("npm ")]
        where = words.place(lines, _ESBUILD_PLACE, self.wanted.folder)
        text = words.told(said or lines)
        return BadSubmission(
            f"`{self.wanted.logical}` can't be built: {text or 'npm failed and said nothing'}",
            where=where or self.wanted.path("package.json"),
            what_to_do="Packages of the registry can be used, without scripts, git and other addresses.",
        )


def _flags(name: str, value: object) -> list[str]:
    if name in _REPEATED:
        listed = (
            value.items() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
        )
        return [
            _REPEATED[name].format("=".join(map(str, item)) if isinstance(item, tuple) else item)
            for item in listed
        ]
    flag = _FLAGS.get(name)
    if flag is None:
        return []
    if "{}" not in flag:
        return [flag] if value in (True, "true") else []
    written = ",".join(map(str, value)) if isinstance(value, list) else value
    return [flag.format(str(written).lower() if isinstance(written, bool) else written)]
