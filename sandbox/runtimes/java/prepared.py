"""The folder that a Java function finds at /var/runtime: Amazon's client, checked, with its class archive."""

from __future__ import annotations

import hashlib
import platform
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from sandbox.errors import EnvironmentFault
from sandbox.runtimes.java.archive import make_archive
from sandbox.runtimes.java.artifacts import LOCK, NATIVE, Artifact, locked
from sandbox.runtimes.java.command import command
from sandbox.runtimes.java.installations import JavaInstallation
from sandbox.runtimes.prepared import install_once, run_installer

# Bump when what is put into the folder changes.
_LAYOUT = 5
_COPY_PLUGIN = "3.6.1"
_MACHINES = {"x86_64": "x86_64", "aarch64": "aarch_64"}
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>coldstart</groupId>
  <artifactId>java-runtime</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""


def java_runtime_place(home: Path, java: JavaInstallation) -> Path:
    """Where the runtime is or will be: named by the lock file, the Java it is for and how that is started."""
    started = " ".join(command(java.major, 512, ""))
    named = f"{_LAYOUT} {platform.machine()} {java.stamp} {started} ".encode() + LOCK.read_bytes()
    digest = hashlib.sha256(named).hexdigest()[:16]
    return home.absolute() / "runtimes" / f"java{java.major}-{digest}"


def prepare_java_runtime(
    home: Path, java: JavaInstallation, say: Callable[[str], None] | None = None
) -> Path:
    """The client of ``java.lock`` for one Java, installed below ``home``; at once when it is there.

    Maven fetches it (or takes it from its own local repository); every file must have the hash in
    ``java.lock``. Of several processes that ask at the same time one installs and the others wait.

    Raises:
        EnvironmentFault: it can't be installed; with Maven's last words.
    """
    place = java_runtime_place(home, java)
    return install_once(place, f"Java {java.major}", lambda target: _install(target, java), say)


def _install(target: Path, java: JavaInstallation) -> None:
    native = _MACHINES.get(platform.machine())
    if native is None:
        raise EnvironmentFault(f"Amazon's Java runtime client does not exist for {platform.machine()}.")
    library = target / "lib"
    library.mkdir()
    artifacts = locked()
    _fetch(artifacts, library)
    for artifact in artifacts:
        file = library / artifact.file
        if hashlib.sha256(file.read_bytes()).hexdigest() != artifact.sha256:
            raise EnvironmentFault(
                f"The Java runtime can't be installed: {artifact.file} has another SHA-256."
            )
        file.chmod(0o644)
    # Else every environment unpacks it into its /tmp.
    with zipfile.ZipFile(library / artifacts[0].file) as client:
        content = client.read(f"jni/libaws-lambda-jni.linux-{native}.so")
    (library / NATIVE).write_bytes(content)
    make_archive(target, java)


def _dependency(artifact: Artifact) -> str:
    return (
        f"    <dependency><groupId>{artifact.group}</groupId><artifactId>{artifact.name}</artifactId>"
        f"<version>{artifact.version}</version></dependency>"
    )


def _fetch(artifacts: list[Artifact], library: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise EnvironmentFault(
            "The Java runtime can't be installed: there is no `mvn`. Install Maven, which fetches Amazon's "
            "runtime client once."
        )
    with tempfile.TemporaryDirectory(prefix="coldstart-maven-") as work:
        wanted = "\n".join(map(_dependency, artifacts))
        Path(work, "pom.xml").write_text(_POM.format(dependencies=wanted))
        plugin = f"org.apache.maven.plugins:maven-dependency-plugin:{_COPY_PLUGIN}:copy-dependencies"
        call = [maven, "--batch-mode", "--quiet", "--no-transfer-progress", plugin]
        call += [f"-DoutputDirectory={library}", "-DexcludeTransitive=true"]
        done = run_installer("Java", call, folder=Path(work))
        if done.returncode != 0:
            words = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("[ERROR]")]
            said = " ".join(words[:2]) or (done.stderr or done.stdout).strip()[-300:]
            raise EnvironmentFault(f"The Java runtime can't be installed: {said}")
