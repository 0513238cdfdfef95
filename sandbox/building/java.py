"""Java: Maven or Gradle; classes at the top, dependencies in `lib/`, as `sam build` lays them out.

Both run plugins of the project's choice, so they run in isolation like everything else, and reach
Maven Central (or the operator's mirror of it) alone.
Source: https://docs.aws.amazon.com/lambda/latest/dg/java-package.html
"""

from __future__ import annotations

import re

from sandbox.building import tools, words
from sandbox.building.isolated import HOME, REGISTRY_URL, RESULT, SOURCE, Files, Job, Step
from sandbox.building.operator import maven_upstreams
from sandbox.building.tools import Tool
from sandbox.building.workshop import Wanted, Workshop, needs_registry
from sandbox.errors import BadSubmission, EnvironmentFault

_CONSTANT = re.compile(r"(?<!-SNAPSHOT)\.(jar|pom|module|war|aar|zip)(\.(sha1|sha256|sha512|md5|asc))?$")
_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_PLACE = re.compile(
    r"(?:^|\s)'?(?P<file>[\w./-]+\.(?:java|kt|gradle|kts))(?:' line: |:\[?)(?P<line>\d+(?:[,:]\d+)?)"
)
_RELEASE = re.compile(
    r"(?:release version |invalid target release: ?|invalid source release: ?|languageVersion=)(\d+)"
)
_GRADLE_ON_WRONG_JAVA = re.compile(r"Unsupported class file major version|Could not determine java version")
_MAVEN_NOISE = re.compile(
    r"^\[(INFO|WARNING|DEBUG)\]|^WARNING: |^\[ERROR\] *(-> \[Help|To see the full|Re-run Maven"
    r"|For more information|\[Help|After correcting|mvn <args>|COMPILATION ERROR|$)|^Downloading|^Downloaded"
)
_GRADLE_NOISE = re.compile(
    r"^> Task|^\* (Try|Get more help)|^(> )?Run with|^BUILD FAILED|^\d+ (error|actionable)|^Starting a Gradle"
    r"|^To honour the JVM|^Daemon will|^Deprecated Gradle|^FAILURE|^Get more help|^WARNING: "
    # Debian's script has Java say its version first.
    r"|^openjdk version|^OpenJDK |^\* (What went wrong|Where):|^> Compilation failed; see"
    r"|^Execution failed for task ':[\w:]*compile\w*'|^Note: "
)
_JVM = "-Xmx768m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Xshare:auto"
_SETTINGS = f"""<settings>
  <localRepository>{HOME}/.m2/repository</localRepository>
  <mirrors>
    <mirror><id>door</id><mirrorOf>*</mirrorOf><url>{REGISTRY_URL}/</url></mirror>
  </mirrors>
</settings>
"""
# SAM's own way of laying a Gradle project out, with the door in place of every repository. It is run by
# Gradle 4.4 as well as by today's, so it asks for what newer ones have.
_GRADLE_INIT = f"""
def openTo = {{ repository ->
  repository.url = '{REGISTRY_URL}/'
  if (repository.hasProperty('allowInsecureProtocol')) repository.allowInsecureProtocol = true
}}
def door = {{ repositories ->
  repositories.withType(MavenArtifactRepository) {{ repository ->
    if (repository.url.scheme != 'file') openTo(repository)
  }}
}}
settingsEvaluated {{ settings ->
  door(settings.pluginManagement.repositories)
  settings.pluginManagement.repositories.maven {{ openTo(it) }}
  if (settings.hasProperty('dependencyResolutionManagement')) {{
    door(settings.dependencyResolutionManagement.repositories)
  }}
}}
allprojects {{
  buildscript {{ door(repositories) }}
  door(repositories)
  afterEvaluate {{ project ->
    if (project.plugins.hasPlugin('java')) {{
      project.tasks.create('coldstartLayout', Copy) {{
        dependsOn 'classes'
        into '{RESULT}'
        if (project.hasProperty('coldstartLayer')) {{
          into('lib') {{ from project.tasks.jar }}
        }} else {{
          from project.sourceSets.main.output
        }}
        into('lib') {{ from project.configurations.runtimeClasspath }}
      }}
    }}
  }}
}}
"""


def has_gradle(files: Files) -> bool:
    """Whether a folder is a Gradle project."""
    return "build.gradle" in files or "build.gradle.kts" in files


def build(wanted: Wanted, workshop: Workshop) -> Files:
    """Classes and resources at the top, run-time dependencies in ``lib/``.

    Raises:
        BadSubmission: in the compiler's, Maven's or Gradle's own words.
        EnvironmentFault: a tool is missing here, too old, or Maven Central can't be reached.
    """
    if "build.gradle" in wanted.files:
        tool, name = tools.gradle(workshop.environ, wanted.runtime), "build.gradle"
    elif "build.gradle.kts" in wanted.files:
        tool, name = tools.gradle(workshop.environ, wanted.runtime, kotlin=True), "build.gradle.kts"
    elif "pom.xml" in wanted.files:
        tool, name = tools.maven(workshop.environ, wanted.runtime), "pom.xml"
    else:
        raise BadSubmission(
            f"`{wanted.logical}` is to be built with Java, and there is no pom.xml or build.gradle in"
            f" `{wanted.folder or '.'}`.",
            where=wanted.where,
            what_to_do="Put one in the folder that CodeUri names, or name a jar that is built already.",
        )
    if not workshop.registries:
        raise needs_registry(wanted, name, "plugins")
    return workshop.made(name, tool.version, wanted, lambda: _Java(wanted, workshop, tool, name).build())


class _Java:
    def __init__(self, wanted: Wanted, workshop: Workshop, tool: Tool, manifest: str) -> None:
        self.wanted = wanted
        self.workshop = workshop
        self.tool = tool
        self.manifest = manifest
        self.kit = tools.jdk(workshop.environ, wanted.runtime)
        self.environment = {
            "PATH": f"{self.kit.home}/bin:{tools.SYSTEM_PATH}",
            "HOME": HOME,
            "JAVA_HOME": str(self.kit.home),
            "LANG": "C.UTF-8",
            "MAVEN_OPTS": f"{_JVM} -Duser.home={HOME}",
            "JAVA_OPTS": f"{_JVM} -Duser.home={HOME}",
            "GRADLE_USER_HOME": f"{HOME}/.gradle",
            "MAVEN_SKIP_RC": "1",
        }

    def build(self) -> Files:
        files = {f"src/{name}": body for name, body in self.wanted.files.items()}
        if self.manifest == "pom.xml":
            files["home/settings.xml"] = _SETTINGS.encode()
            steps = (self._maven(),)
        else:
            files["home/init.gradle"] = _GRADLE_INIT.encode()
            steps = (self._gradle(),)
        job = Job(
            files=files,
            shown=self.tool.shown,
            steps=steps,
            registry=self.workshop.registry("Maven", maven_upstreams(self.workshop.environ), _CONSTANT),
            limits=self.workshop.limits,
        )
        return self.workshop.build(self.wanted, job, self._refused)

    def _maven(self) -> Step:
        settings = f"{HOME}/settings.xml"
        argv = (*self.tool.argv, "-B", "-ntp", "-q", "-s", settings, "-gs", settings)
        argv += (f"-Dproject.build.directory={SOURCE}/target", "-DskipTests", "-Dstyle.color=never")
        command = " ".join(map(_quoted, (*argv, "package", _DEPENDENCIES, "-DincludeScope=runtime")))
        own = "cp target/*.jar {0}/lib/" if self.wanted.layer else "cp -R target/classes/. {0}/"
        layout = (
            "mkdir -p target/classes target/dependency {0}/lib; cp -R target/dependency/. {0}/lib/; " + own
        )
        script = f"set -e; {command}; {layout.format(RESULT)}"
        says = f"building {self.wanted.logical} with Maven"
        return Step(("/bin/sh", "-c", script), self.environment, says)

    def _gradle(self) -> Step:
        argv = (*self.tool.argv, "--no-daemon", "--console=plain", "-q", "-I", f"{HOME}/init.gradle")
        argv += ("-PcoldstartLayer=true",) if self.wanted.layer else ()
        says = f"building {self.wanted.logical} with Gradle"
        return Step((*argv, "coldstartLayout"), self.environment, says)

    def _refused(self, output: str) -> BadSubmission | EnvironmentFault:
        lines = words.masked(output)
        noise = _MAVEN_NOISE if self.manifest == "pom.xml" else _GRADLE_NOISE
        kept = [line.removeprefix("[ERROR] ") for line in lines if not noise.match(line)]
        release = _RELEASE.search("\n".join(kept))
        if release is not None and int(release[1]) > int(self.kit.version):
            return EnvironmentFault(
                f"`{self.wanted.logical}` is written for Java {release[1]}; the newest development kit here"
                f" is {self.kit.version}. Install openjdk-{release[1]}-jdk-headless."
            )
        if self.manifest != "pom.xml":
            if _GRADLE_ON_WRONG_JAVA.search(output):
                return EnvironmentFault(
                    f"Gradle here does not run on Java {self.kit.version}, the development kit for"
                    f" `{self.wanted.logical}`. Install a newer Gradle."
                )
            if "'coldstartLayout' not found" in output:
                kept = ["the project does not apply the plugin `java`"]
        text = words.told(kept or lines)
        return BadSubmission(
            f"`{self.wanted.logical}` can't be built: {text or 'the build failed and said nothing'}",
            where=words.place(kept, _PLACE, self.wanted.folder) or self.wanted.path(self.manifest),
            what_to_do="Dependencies and plugins come from Maven Central alone.",
        )


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
