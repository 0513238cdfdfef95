"""Node.js functions: our own runtime client on the nearest Node.js of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sandbox.emulator.functions.runtimes.registry import Launch, Package, Say
from sandbox.runtimes.interpreters import Node, language_dir, nearest, shown_in_environments
from sandbox.runtimes.prepared_nodejs import prepare_nodejs_runtime

# Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-nodejs.html#nodejs-experimental-features
_EXPERIMENTS = {"experimental-require-module": (20, 22, 24), "experimental-detect-module": (22,)}
_ENTRY = "/var/runtime/index.cjs"


@dataclass(frozen=True, slots=True)
class NodejsRuntime:
    """Each identifier runs on the installed Node.js nearest to it. ``nodes`` is not empty."""

    home: Path
    nodes: tuple[Node, ...]
    identifiers: tuple[str, ...] = ("nodejs20.x", "nodejs22.x", "nodejs24.x")

    def launch(self, identifier: str, package: Package) -> Launch:
        """Node.js with its memory set as Lambda sets it, on the bootstrap.

        Raises:
            EnvironmentFault: the SDK or the interpreter can't be put in place.
        """
        major = _major(identifier)
        node = nearest(list(self.nodes), major)
        shown = shown_in_environments(node.executable)
        young = package.memory_mb // 10
        options = package.variables.get("NODE_OPTIONS", "")
        command = (
            str(node.executable) if shown else "/var/lang/bin/node",
            "--expose-gc",
            "--max-http-header-size=81920",
            f"--max-semi-space-size={young // 2}",
            f"--max-old-space-size={package.memory_mb - young}",
            *_switched_off(major, node, options),
            *_trusting(package, options),
            _ENTRY,
        )
        variables = {
            "NODE_PATH": f"/opt/nodejs/node{major}/node_modules:/opt/nodejs/node_modules:"
            "/var/runtime/node_modules:/var/runtime:/var/task"
        }
        if node.version[0] != major:
            # The SDK would speak of our interpreter, which AWS does not have there.
            variables["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] = "true"
        return Launch(
            command,
            runtime_dir=prepare_nodejs_runtime(self.home),
            language_dir=None if shown else language_dir(self.home, node),
            variables=variables,
        )

    def prepare(self, identifier: str, say: Say) -> None:
        """Install the SDK."""
        prepare_nodejs_runtime(self.home, say)

    def runs_on(self, identifier: str) -> str:
        """The nearest version's own number."""
        return str(nearest(list(self.nodes), _major(identifier)))


def _switched_off(major: int, node: Node, options: str) -> list[str]:
    """Lambda turns these off unless NODE_OPTIONS asks for them; interpreters before 20.19 have them off."""
    if node.version < (20, 19, 0):
        return []
    return [
        f"--no-{feature}"
        for feature, since in _EXPERIMENTS.items()
        if major in since and f"--{feature}" not in options.split()
    ]


def _trusting(package: Package, options: str) -> list[str]:
    """Trust what the environment trusts, not what Node.js was built with.

    NODE_EXTRA_CA_CERTS would do as well, and costs every start 10 ms or more: it is read at once.
    """
    return ["--use-openssl-ca"] if package.trust and "--use-bundled-ca" not in options.split() else []


def _major(identifier: str) -> int:
    return int(identifier.removeprefix("nodejs").removesuffix(".x"))
