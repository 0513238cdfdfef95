"""Go: `go build` into a program named `bootstrap`, as the custom runtimes start it.

Source: https://docs.aws.amazon.com/lambda/latest/dg/golang-package.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from sandbox.building import tools, words
from sandbox.building.isolated import HOME, REGISTRY_URL, RESULT, Files, Job, Step
from sandbox.building.operator import go_upstreams, go_variables
from sandbox.building.registry import Registry
from sandbox.building.tools import Tool
from sandbox.building.workshop import Wanted, Workshop, needs_registry
from sandbox.errors import BadSubmission, EnvironmentFault

_CACHE = f"{HOME}/go-build"
_MODULES = f"{HOME}/go"
_CONSTANT = re.compile(r"(/@v/[^/]+\.(info|mod|zip)|/sumdb/[^/]+/tile/.*)$")
_PLACE = re.compile(r"(?P<file>[\w./-]+\.go|go\.mod|go\.sum):(?P<line>\d+(?::\d+)?)")
_IMPORT = re.compile(r'^\s*(?:import\s+)?(?:[\w.]+\s+)?"([^"\s]+)"\s*(?://.*)?$', re.MULTILINE)
_TOO_OLD = re.compile(r"requires go >= (\S+) \(running go (\S+?);")
_NOISE = re.compile(r"^(go: downloading |go: finding |# )")
# Everything that functions usually import, so that nobody waits for the standard library.
_COMMON = (
    *("bytes", "context", "crypto/sha256", "crypto/tls", "embed", "encoding/base64", "encoding/json"),
    *(
        "encoding/xml",
        "errors",
        "fmt",
        "html/template",
        "io",
        "log/slog",
        "math/big",
        "math/rand",
        "net/http",
    ),
    *("net/http/httptrace", "net/rpc", "os", "os/signal", "reflect", "regexp", "runtime/debug", "sort"),
    *("strconv", "strings", "sync", "testing", "text/template", "time", "unicode/utf8"),
    *("compress/gzip", "encoding/csv", "encoding/hex", "mime/multipart", "net/url", "os/exec", "slices"),
)


def build(wanted: Wanted, workshop: Workshop) -> Files:
    """``bootstrap``, compiled for the function's architecture.

    Raises:
        BadSubmission: with the compiler's own words.
        EnvironmentFault: no Go here, or the module proxy can't be reached.
    """
    if "go.mod" not in wanted.files:
        raise BadSubmission(
            f"`{wanted.logical}` is to be built with Go, and there is no go.mod in `{wanted.folder or '.'}`.",
            where=wanted.where,
            what_to_do="Put go.mod, go.sum and package main in the folder that CodeUri names.",
        )
    tool = tools.go(workshop.environ)
    if not workshop.registries and imported(wanted) and "vendor/modules.txt" not in wanted.files:
        raise needs_registry(wanted, "go.mod", "modules")
    return workshop.made("go", tool.version, wanted, lambda: _Go(wanted, workshop, tool).build())


class _Go:
    def __init__(self, wanted: Wanted, workshop: Workshop, tool: Tool) -> None:
        self.wanted = wanted
        self.workshop = workshop
        self.tool = tool
        self.environment = {
            "PATH": f"{tool.home}/bin:{tools.SYSTEM_PATH}",
            "HOME": HOME,
            "GOROOT": str(tool.home),
            "GOCACHE": _CACHE,
            "GOPATH": _MODULES,
            "GOENV": "off",
            "GOTOOLCHAIN": "local",
            "GOTELEMETRY": "off",
            "GOWORK": "off",
            "GOOS": "linux",
            "GOARCH": "arm64" if wanted.architecture == "arm64" else "amd64",
            "CGO_ENABLED": "0",
            "GOFLAGS": "-buildvcs=false -modcacherw",
            "GOPROXY": REGISTRY_URL if workshop.registries else "off",
            "GOVCS": "*:off",
            **go_variables(workshop.environ),
        }

    def build(self) -> Files:
        command = (
            *self.tool.argv,
            "build",
            "-trimpath",
            "-tags",
            "lambda.norpc",
            "-o",
            f"{RESULT}/bootstrap",
            ".",
        )
        job = Job(
            files={f"src/{name}": body for name, body in self.wanted.files.items()},
            shown=self.tool.shown,
            steps=(Step(command, self.environment, f"compiling {self.wanted.logical} with Go"),),
            seeds=tuple((place, HOME) for place in self._packages()),
            registry=self._registry(),
            limits=self.workshop.limits,
        )
        made = self.workshop.build(self.wanted, job, self._refused)
        # Of a package that is not main, the compiler writes an archive.
        if made.get("bootstrap", b"")[:4] != b"\x7fELF":
            raise BadSubmission(
                f"`{self.wanted.logical}` was built, and there is no program: `{self.wanted.folder or '.'}`"
                " is not a package main.",
                where=self.wanted.where,
                what_to_do="Give CodeUri the folder of `package main` with its `func main`.",
            )
        return made

    def _registry(self) -> Registry | None:
        return self.workshop.registry("Go module", go_upstreams(self.workshop.environ), _CONSTANT)

    def _packages(self) -> tuple[Path, ...]:
        """Compiled packages to start from: the standard library, and the modules that are imported.

        Shared by all who import the same. They are compiled from modules alone, whose content go.sum
        vouches for, without a line of the learner's; so nobody can put anything into what others get.
        """
        base = self._seed("go", {"go.mod": b"module warm\n", "main.go": _importing(_COMMON)}, ())
        files, packages = self.wanted.files, imported(self.wanted)
        if (
            not packages
            or "vendor/modules.txt" in files
            or re.search(rb"(?m)^\s*replace\b|=>", files["go.mod"])
        ):
            return base
        stub = {name: files[name] for name in ("go.mod", "go.sum") if name in files}
        stub["main.go"] = _importing(packages)
        return (*base, *self._seed("go-modules", stub, base))

    def _seed(self, kind: str, stub: Mapping[str, bytes], seeds: tuple[Path, ...]) -> tuple[Path, ...]:
        def make() -> Files | None:
            command = (*self.tool.argv, "build", "-trimpath", "-tags", "lambda.norpc", "-o", "/dev/null", ".")
            outcome = self.workshop.run(
                Job(
                    files={f"src/{name}": body for name, body in stub.items()},
                    shown=self.tool.shown,
                    steps=(Step(command, self.environment, "compiling Go packages, once for all"),),
                    result=HOME,
                    seeds=tuple((place, HOME) for place in seeds),
                    registry=self._registry(),
                    limits=self.workshop.limits,
                )
            )
            if outcome.status != 0:
                return None  # The function's own build says why.
            return {
                name: body
                for name, body in outcome.made.items()
                if not any((place / name).exists() for place in seeds)
            }

        parts = {
            "go": [self.tool.version, self.environment["GOARCH"]],
            "stub": {name: body.decode("utf-8", "replace") for name, body in stub.items()},
        }
        found = self.workshop.seed(kind, parts, make)
        return () if found is None else (found,)

    def _refused(self, output: str) -> BadSubmission | EnvironmentFault:
        lines = [line for line in words.masked(output) if not _NOISE.match(line)]
        text = words.told(lines)
        newer = _TOO_OLD.search(text)
        if newer is not None:
            return EnvironmentFault(
                f"`{self.wanted.logical}` needs Go {newer[1]}; here is {newer[2]}. Install a newer Go."
            )
        return BadSubmission(
            f"`{self.wanted.logical}` can't be built: {text or 'go build failed and said nothing'}",
            where=words.place(lines, _PLACE, self.wanted.folder) or self.wanted.path("go.mod"),
            what_to_do="`go build .` in that folder says the same; `go mod tidy` completes go.sum.",
        )


def imported(wanted: Wanted) -> tuple[str, ...]:
    """What the sources import of other modules; a first part with a dot is an address."""
    found = {
        match
        for name, body in wanted.files.items()
        if name.endswith(".go") and not name.endswith("_test.go") and not name.startswith("vendor/")
        for match in _IMPORT.findall(body.decode("utf-8", "replace"))
        if "." in match.split("/")[0]
    }
    module = re.search(rb"(?m)^module\s+(\S+)", wanted.files["go.mod"])
    own = module[1].decode("utf-8", "replace").strip('"') if module else ""
    return tuple(sorted(name for name in found if name != own and not name.startswith(f"{own}/")))


def _importing(packages: tuple[str, ...]) -> bytes:
    lines = "".join(f'\t_ "{name}"\n' for name in packages)
    return f"package main\n\nimport (\n{lines})\n\nfunc main() {{}}\n".encode()
