"""requirements.txt: read strictly, installed from wheels alone, kept by content.

Nothing a learner wrote runs while it is installed: a wheel is unpacked, never built, and a
requirement names a package and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from sandbox.errors import BadSubmission, EnvironmentFault

_HASH = re.compile(r"\s--hash=(\S+)")
_GOOD_HASH = re.compile(r"sha(256|384|512):[0-9a-f]{64,128}")
_LINES_LIMIT = 200

# How the installer says that the package index, not the learner, is to blame.
_INDEX_TROUBLE = re.compile(
    r"Temporary failure in name resolution|NewConnectionError|ConnectTimeout|ReadTimeout|Max retries exceeded"
    r"|Connection (refused|reset|aborted)|HTTP error 5\d\d|5\d\d Server Error|ProxyError|SSLError"
    r"|No space left on device|error sending request|Failed to fetch",
)

# The operator's way to the package index; everything else of our environment stays here.
_PASSED_ON = re.compile(
    r"(PIP|UV)_\w+|(https?|no|all)_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE", re.IGNORECASE
)

_LIMITED = """
import resource, runpy, sys
for name, value in {limits!r}.items():
    limit = getattr(resource, name)
    hard = resource.getrlimit(limit)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a requirements.txt asks for. ``lines`` are normalised and sorted."""

    path: str
    lines: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Same packages, same digest, whatever the order, comments and spacing."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()


def parse_requirements(path: str, body: bytes) -> Requirements:
    """Read names, versions, extras, markers and hashes; nothing else is accepted.

    Raises:
        BadSubmission: with every line that can't be used.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadSubmission(
            "This file is not UTF-8 text.", where=path, what_to_do="Save it as UTF-8."
        ) from None
    problems: list[tuple[int, str]] = []
    lines: set[str] = set()
    logical = _logical_lines(text)
    if len(logical) > _LINES_LIMIT:
        raise BadSubmission(f"There are more than {_LINES_LIMIT} requirements.", where=path)
    for number, line in logical:
        try:
            lines.add(_normalised(line))
        except ValueError as error:
            problems.append((number, str(error)))
    if problems:
        told = "; ".join(f"line {number}: {problem}" for number, problem in problems[:10])
        raise BadSubmission(
            told[0].upper() + told[1:] + ".",
            where=f"{path}:{problems[0][0]}",
            what_to_do="Name packages of the package index, such as `requests==2.32.3`.",
        )
    return Requirements(path, tuple(sorted(lines)))


def _logical_lines(text: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    pending, began = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        began = began or number
        line = re.sub(r"(^|\s)#.*$", "", raw).rstrip()
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        whole = (pending + line).strip()
        if whole:
            found.append((began, whole))
        pending, began = "", 0
    if pending.strip():
        found.append((began, pending.strip()))
    return found


def _normalised(line: str) -> str:
    hashes = sorted(_HASH.findall(line))
    bare = _HASH.sub("", line).strip()
    if bare.startswith("-"):
        raise ValueError(f"the option `{bare.split()[0].split('=')[0]}` is not accepted")
    if any(not _GOOD_HASH.fullmatch(value) for value in hashes):
        raise ValueError("a hash is written `--hash=sha256:` and its hexadecimal digits")
    if "://" in bare or " @ " in bare or re.match(r"^(git|hg|svn|bzr)\+", bare):
        raise ValueError(f"`{bare}` is an address; addresses and repositories are not accepted")
    if bare.startswith((".", "/", "~")) or bare.endswith((".whl", ".tar.gz", ".zip")) or "\\" in bare:
        raise ValueError(f"`{bare}` is a path; paths are not accepted")
    try:
        requirement = Requirement(bare)
    except InvalidRequirement as error:
        raise ValueError(f"`{bare}` is not a requirement ({str(error).splitlines()[0]})") from None
    if requirement.url:
        raise ValueError(f"`{bare}` is an address; addresses and repositories are not accepted")
    requirement.name = canonicalize_name(requirement.name)
    return " ".join([str(requirement), *(f"--hash={value}" for value in hashes)])


@dataclass(frozen=True, slots=True)
class Installer:
    """Installs requirements into folders kept below ``cache``.

    ``environ`` is where the operator's package index settings come from. ``limit_bytes`` bounds
    what one set of requirements may unpack to, ``timeout_s`` how long it may take.
    """

    cache: Path
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    timeout_s: float = 180.0
    limit_bytes: int = 262_144_000

    def install(self, requirements: Requirements, python: str) -> Path:
        """A folder with the requirements installed for Python ``python`` (``3.11``) on this platform.

        A folder that is there already is returned at once.

        Raises:
            BadSubmission: they can't be installed; in the installer's own words.
            EnvironmentFault: the package index can't be reached, or our disk is full.
        """
        key = hashlib.sha256(
            f"{requirements.digest} {python} {sysconfig.get_platform()}".encode()
        ).hexdigest()
        ready = self.cache / "requirements" / key
        if ready.is_dir():
            return ready
        ready.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache, prefix="install-") as made:
            work = Path(made)
            target = work / "target"
            listed = work / "requirements.txt"
            listed.write_text("".join(f"{line}\n" for line in requirements.lines), encoding="utf-8")
            owner = _unprivileged(work)
            status, words = self._run(self._command(listed, target, python), work, owner)
            if status != 0:
                raise self._refused(requirements, status, words)
            target.mkdir(exist_ok=True)
            self._tidy(target, requirements)
            try:
                target.rename(ready)
            except OSError:
                # Somebody else installed the same meanwhile; theirs is as good.
                if not ready.is_dir():
                    raise
        return ready

    def _command(self, listed: Path, target: Path, python: str) -> list[str]:
        command = ["pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        command += ["--no-warn-conflicts", "--root-user-action=ignore", "--no-compile"]
        command += ["--only-binary", ":all:", "--retries", "2", "--timeout", "15"]
        command += ["--target", str(target), "--requirement", str(listed)]
        command += ["--cache-dir", str(self.cache / "wheels")]
        if python != f"{sys.version_info.major}.{sys.version_info.minor}":
            command += ["--python-version", python, "--implementation", "cp"]
        return command

    def _run(self, command: list[str], work: Path, owner: int | None) -> tuple[int, str]:
        limits = {
            "RLIMIT_CPU": int(self.timeout_s),
            "RLIMIT_FSIZE": self.limit_bytes,
            "RLIMIT_AS": 4 << 30,
            "RLIMIT_NOFILE": 256,
            "RLIMIT_CORE": 0,
        }
        environ = {name: value for name, value in self.environ.items() if _PASSED_ON.fullmatch(name)}
        environ |= {"PATH": "/usr/bin:/bin", "HOME": str(work), "TMPDIR": str(work), "LANG": "C.UTF-8"}
        environ["PIP_CONFIG_FILE"] = self.environ.get("PIP_CONFIG_FILE", _operator_config(self.environ))
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _LIMITED.format(limits=limits), *command],
            cwd=work,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            user=owner,
            group=owner,
            extra_groups=None if owner is None else [],
            umask=0o022,
        )
        try:
            words, _ = process.communicate(timeout=self.timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return 124, f"It was not finished after {self.timeout_s:g} s."
        return process.returncode, words

    def _tidy(self, target: Path, requirements: Requirements) -> None:
        """Commands are no use in a function; links and too much of anything are refused."""
        shutil.rmtree(target / "bin", ignore_errors=True)
        total = 0
        for path in target.rglob("*"):
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode) or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                path.unlink()
                continue
            total += path.lstat().st_size if stat.S_ISREG(mode) else 0
        if total > self.limit_bytes:
            raise BadSubmission(
                f"The packages unpack to {total // 1_000_000} MB; a function may have"
                f" {self.limit_bytes // 1_000_000} MB.",
                where=requirements.path,
                what_to_do="Leave out packages that the function does not import.",
            )

    def _refused(self, requirements: Requirements, status: int, words: str) -> Exception:
        lines = [line for line in words.splitlines() if line.strip() and not line.startswith("Looking in")]
        said = re.sub(r"https?://\S+", "(the package index)", "\n".join(lines)).strip()
        if _INDEX_TROUBLE.search(words) or status in (124, -signal.SIGKILL) or not said:
            return EnvironmentFault(
                f"Packages could not be installed here: {said[-600:] or f'status {status}'}"
            )
        errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR")]
        words = re.sub(
            r"from versions: (?:[^,)]+, ){10,}((?:[^,)]+, ){4}[^,)]+\))", r"newest: \1", " ".join(errors)
        )
        return BadSubmission(
            f"The packages can't be installed: {(words or said)[:1500]}",
            where=requirements.path,
            what_to_do="Only packages that come as a wheel for this Python can be used;"
            " check names and versions.",
        )


def _operator_config(environ: Mapping[str, str]) -> str:
    """The operator's own pip settings, found although HOME is another for the installer."""
    home = environ.get("HOME", "")
    places = [Path(home, ".config/pip/pip.conf"), Path(home, ".pip/pip.conf"), Path("/etc/pip.conf")]
    return next((str(place) for place in places if home and place.is_file()), os.devnull)


def _unprivileged(work: Path) -> int | None:
    """The uid to install as: nobody's, where we are root and nobody can reach our interpreter."""
    nobody = 65534
    if os.geteuid() != 0 or not _reachable(Path(sys.executable).resolve()) or not _reachable(work):
        return None
    wheels = work.parent / "wheels"
    wheels.mkdir(exist_ok=True)
    for folder in (work, wheels):
        os.chown(folder, nobody, nobody)
    return nobody


def _reachable(path: Path) -> bool:
    """Whether everybody may pass through the folders above ``path``."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
