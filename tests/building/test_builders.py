"""The builders with the real tools and the real registries, on the smallest dependencies there are."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from sandbox.building import golang, java, npm
from sandbox.building.methods import Method, build
from sandbox.building.workshop import Workshop
from sandbox.errors import BadSubmission, EnvironmentFault
from tests.building.conftest import wanted

needs_npm = pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")
needs_go = pytest.mark.skipif(not shutil.which("go"), reason="Go is not installed")
needs_maven = pytest.mark.skipif(
    not (shutil.which("mvn") and shutil.which("javac")), reason="Maven is not installed"
)
needs_gradle = pytest.mark.skipif(
    not (shutil.which("gradle") and shutil.which("javac")), reason="Gradle is not installed"
)

RUNTIMES = {Method.PIP: "python3.12", Method.NPM: "nodejs22.x", Method.JAVA: "java17"}
UUID = {
    "package.json": json.dumps({"dependencies": {"uuid": "11.1.0"}}),
    "app.mjs": "export {v4} from 'uuid'\n",
}
GO_MOD = "module quote\n\ngo 1.24\n\nrequire github.com/aws/aws-lambda-go v1.49.0\n"
GO_SUM = """\
github.com/aws/aws-lambda-go v1.49.0 h1:z4VhTqkFZPM3xpEtTqWqRqsRH4TZBMJqTkRiBPYLqIQ=
github.com/aws/aws-lambda-go v1.49.0/go.mod h1:dpMpZgvWx5vuQJfBt0zqBha60q7Dd7RfgJv23DymV8A=
"""
GO_MAIN = """\
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() {
	lambda.Start(func() (string, error) { return "hello", nil })
}
"""
GO = {"go.mod": GO_MOD, "go.sum": GO_SUM, "main.go": GO_MAIN}
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>shop</groupId><artifactId>fn</artifactId><version>1</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency>
      <groupId>com.amazonaws</groupId><artifactId>aws-lambda-java-core</artifactId><version>1.2.3</version>
    </dependency>
  </dependencies>
  {build}
</project>
"""
APP = "package shop;\n\npublic class App {\n  public String handle(String s) { return s; }\n}\n"
JAVA = {"pom.xml": POM.format(build=""), "src/main/java/shop/App.java": APP}
# The repository is gone; whatever a project names, Maven Central answers.
GRADLE = """\
plugins { id 'java' }
repositories { maven { url 'https://jcenter.bintray.com/' } }
dependencies { implementation 'com.amazonaws:aws-lambda-java-core:1.2.3' }
"""


def refused(error: pytest.ExceptionInfo[BadSubmission]) -> str:
    """What a learner reads; never a path of ours."""
    text = str(error.value)
    assert not re.search(r"/build/|/tmp/|127\.0\.0\.1|Traceback", text)
    return text


@needs_npm
def test_npm_puts_packages_beside_the_sources(workshop: Workshop, told: list[str]) -> None:
    made = npm.build(wanted(UUID), workshop)

    assert "node_modules/uuid/package.json" in made
    assert made["app.mjs"] == UUID["app.mjs"].encode()
    assert not [name for name in made if "/.bin/" in name]
    assert told == ["installing packages of Fn with npm"]


@needs_npm
def test_what_was_built_before_is_not_built_again(workshop: Workshop, told: list[str]) -> None:
    first = npm.build(wanted(UUID), workshop)
    told.clear()

    assert npm.build(wanted(UUID), workshop) == first
    assert told == []


def test_a_package_without_dependencies_needs_no_npm(workshop: Workshop) -> None:
    files = {"package.json": '{"type": "module", "devDependencies": {"jest": "*"}}', "app.js": "1"}

    assert npm.build(wanted(files), workshop).keys() == files.keys()


@needs_npm
def test_install_scripts_do_not_run(workshop: Workshop) -> None:
    script = "require('fs').writeFileSync(process.env.INIT_CWD + '/ran', 'x')"
    files = {
        "package.json": json.dumps(
            {"dependencies": {"bad": "file:./bad"}, "scripts": {"preinstall": "echo > ran"}}
        ),
        "bad/package.json": json.dumps(
            {"name": "bad", "version": "1.0.0", "scripts": {"install": "node x.js"}}
        ),
        "bad/x.js": script,
        "app.js": "1",
    }

    made = npm.build(wanted(files), workshop)

    assert "ran" not in made
    assert made["node_modules/bad/x.js"] == script.encode()


@needs_npm
def test_a_package_that_does_not_exist_is_told_in_npms_words(workshop: Workshop) -> None:
    files = {**UUID, "package.json": '{"dependencies": {"uuid": "999.0.0"}}'}

    with pytest.raises(BadSubmission) as error:
        npm.build(wanted(files), workshop)

    assert error.value.where == "src/package.json"
    assert "No matching version found for uuid@999.0.0" in refused(error)


@needs_npm
def test_esbuild_of_the_project_bundles_typescript(workshop: Workshop, told: list[str]) -> None:
    files = {
        "package.json": '{"dependencies": {"uuid": "11.1.0"}, "devDependencies": {"esbuild": "0.25.10"}}',
        "app.ts": 'import { v4 } from "uuid";\nexport const handler = async (): Promise<string> => v4();\n',
    }

    made = npm.bundle(wanted(files, handler="app.handler"), workshop)

    assert list(made) == ["app.js"]
    assert b"import" not in made["app.js"][:200]
    assert told[-1] == "bundling Fn with esbuild"
    broken = {**files, "app.ts": "const a = 1;\nexport const b = =>;\n"}
    with pytest.raises(BadSubmission) as error:
        npm.bundle(wanted(broken, handler="app.handler"), workshop)
    assert error.value.where == "src/app.ts:2:17"
    assert 'Unexpected "=>"' in refused(error)


@needs_npm
def test_an_esbuild_of_the_learners_own_runs_in_isolation(workshop: Workshop, tmp_path: Path) -> None:
    """The project's esbuild is the learner's choice, so it is any program at all."""
    canary = tmp_path / "canary"
    canary.write_text("secret")
    evil = (
        "const fs = require('fs');\n"
        f"try {{ fs.writeFileSync('/build/out/app.js', fs.readFileSync('{canary}')) }}\n"
        "catch (error) { fs.writeFileSync('/build/out/app.js', error.code) }\n"
    )
    files = {
        "package.json": '{"devDependencies": {"esbuild": "file:./evil"}}',
        "evil/package.json": '{"name": "esbuild", "version": "9.9.9"}',
        "evil/bin/esbuild": evil,
        "app.js": "1",
    }

    assert npm.bundle(wanted(files, handler="app.handler"), workshop) == {"app.js": b"ENOENT"}


@needs_go
def test_go_builds_a_static_bootstrap_for_the_functions_architecture(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = golang.build(wanted(GO), workshop)
    # The standard library for a machine that this one is not would take long.
    monkeypatch.setattr(golang, "_COMMON", ())
    bare = {"go.mod": "module m\n\ngo 1.22\n", "main.go": "package main\n\nfunc main() {}\n"}
    arm = golang.build(wanted(bare, architecture="arm64"), workshop)

    assert list(made) == ["bootstrap"]
    assert made["bootstrap"][:4] == b"\x7fELF"
    assert made["bootstrap"][18:20] == b"\x3e\x00"
    assert arm["bootstrap"][18:20] == b"\xb7\x00"
    assert b"/build/src" not in made["bootstrap"]


@needs_go
@pytest.mark.parametrize(
    ("changed", "where", "words"),
    [
        ({"main.go": GO_MAIN.replace('"hello"', "greeting")}, "src/main.go:6:47", "undefined: greeting"),
        pytest.param(
            {"go.sum": ""},
            "src/main.go:3:8",
            "missing go.sum entry for module providing package",
            marks=pytest.mark.slow,
        ),
        ({"go.sum": GO_SUM.replace("z4Vh", "AAAA")}, "src/go.mod", "checksum mismatch"),
        pytest.param(
            {"go.mod": GO_MOD + "replace github.com/aws/aws-lambda-go => /etc\n"},
            "src/main.go:3:8",
            "/etc",
            marks=pytest.mark.slow,
        ),
        (
            {"main.go": GO_MAIN.replace("package main", "package shop")},
            "template.yaml:9",
            "not a package main",
        ),
    ],
)
def test_what_go_says_is_told_with_its_place(
    changed: dict[str, str], where: str, words: str, workshop: Workshop
) -> None:
    with pytest.raises(BadSubmission) as error:
        golang.build(wanted({**GO, **changed}), workshop)

    assert words in refused(error)
    assert error.value.where == where


@needs_go
def test_a_newer_go_than_this_machine_has_is_our_fault(workshop: Workshop) -> None:
    with pytest.raises(EnvironmentFault, match=r"needs Go 1\.99"):
        golang.build(wanted({**GO, "go.mod": GO_MOD.replace("go 1.24", "go 1.99")}), workshop)


@needs_maven
def test_maven_lays_out_classes_and_libraries(workshop: Workshop) -> None:
    made = java.build(wanted(JAVA, runtime="java21"), workshop)

    assert sorted(made) == ["lib/aws-lambda-java-core-1.2.3.jar", "shop/App.class"]


@needs_maven
@pytest.mark.slow
def test_what_the_java_compiler_says_is_told_with_its_place(workshop: Workshop) -> None:
    files = {**JAVA, "src/main/java/shop/App.java": APP.replace("return s", "return t")}

    with pytest.raises(BadSubmission) as error:
        java.build(wanted(files), workshop)

    assert "cannot find symbol" in refused(error)
    assert error.value.where == "src/src/main/java/shop/App.java:4:43"


@needs_gradle
def test_gradle_lays_out_classes_and_libraries(workshop: Workshop, told: list[str]) -> None:
    files = {"build.gradle": GRADLE, "src/main/java/shop/App.java": APP, "src/main/resources/a.txt": "1"}

    made = java.build(wanted(files, runtime="java17"), workshop)

    assert sorted(made) == ["a.txt", "lib/aws-lambda-java-core-1.2.3.jar", "shop/App.class"]
    assert told == ["building Fn with Gradle"]


@needs_gradle
@pytest.mark.parametrize(
    ("changed", "where", "words"),
    [
        pytest.param(
            {"src/main/java/shop/App.java": APP.replace("return s", "return t")},
            "App.java:4",
            "find symbol",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"build.gradle": GRADLE.replace("1.2.3", "9.9.9")},
            "build.gradle",
            "Could not find com.amazonaws:aws-lambda-java-core:9.9.9.",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"build.gradle": GRADLE + "dependencies {\n"},
            "build.gradle:5",
            "unexpected token",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"build.gradle": ""}, "build.gradle", "does not apply the plugin `java`", marks=pytest.mark.slow
        ),
    ],
)
def test_what_gradle_says_is_told_with_its_place(
    changed: dict[str, str], where: str, words: str, workshop: Workshop
) -> None:
    files = {"build.gradle": GRADLE, "src/main/java/shop/App.java": APP, **changed}

    with pytest.raises(BadSubmission) as error:
        java.build(wanted(files), workshop)

    assert words in refused(error)
    assert error.value.where.endswith(where)
    assert "OpenJDK" not in str(error.value)


@needs_gradle
def test_a_kotlin_build_file_needs_a_gradle_that_reads_it(tmp_path: Path) -> None:
    """Debian's Gradle would build nothing and say nothing."""
    home = tmp_path / "gradle"
    (home / "bin").mkdir(parents=True)
    (home / "bin/gradle").write_text("#!/bin/sh\n")
    (home / "bin/gradle").chmod(0o755)
    alone = Workshop(tmp_path, environ={**os.environ, "PATH": f"{home}/bin:{os.environ['PATH']}"})

    with pytest.raises(EnvironmentFault, match=r"no Kotlin DSL.*hand in a build\.gradle or pom\.xml"):
        java.build(wanted({"build.gradle.kts": "plugins { java }"}), alone)


@pytest.mark.parametrize(
    ("method", "files", "expected"),
    [
        (Method.PIP, {"requirements.txt": "idna==3.10\n", "shop.py": "1"}, {"python/idna/core.py"}),
        pytest.param(
            Method.NPM, UUID, {"nodejs/node_modules/uuid/package.json", "nodejs/app.mjs"}, marks=needs_npm
        ),
        pytest.param(
            Method.JAVA,
            JAVA,
            {"java/lib/fn-1.jar", "java/lib/aws-lambda-java-core-1.2.3.jar"},
            marks=[needs_maven, pytest.mark.slow],
        ),
        pytest.param(
            Method.JAVA,
            {"build.gradle": GRADLE, "src/main/java/shop/App.java": APP},
            {"java/lib/src.jar", "java/lib/aws-lambda-java-core-1.2.3.jar"},
            marks=[needs_gradle, pytest.mark.slow],
        ),
        pytest.param(Method.GO, GO, {"bootstrap"}, marks=[needs_go, pytest.mark.slow]),
    ],
)
def test_a_layer_is_built_where_its_runtime_looks_for_it(
    method: Method, files: dict[str, str], expected: set[str], workshop: Workshop
) -> None:
    made = build(method, wanted(files, layer=True, runtime=RUNTIMES.get(method, "")), workshop)

    assert expected <= set(made)
    assert not {name for name in made if name.startswith(("shop/", "src/"))}


@needs_maven
@pytest.mark.slow
def test_a_plugin_of_the_learners_choice_reaches_nothing(workshop: Workshop, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret")
    script = f"cat {canary} || (exec 3&lt;&gt;/dev/tcp/127.0.0.1/22) || touch /usr/x || echo nothing; exit 3"
    plugin = f"""<build><plugins><plugin>
      <groupId>org.codehaus.mojo</groupId><artifactId>exec-maven-plugin</artifactId><version>3.5.0</version>
      <executions><execution><phase>validate</phase><goals><goal>exec</goal></goals></execution></executions>
      <configuration><executable>/bin/bash</executable><arguments>
        <argument>-c</argument><argument>{script}</argument></arguments></configuration>
    </plugin></plugins></build>"""

    with pytest.raises(BadSubmission) as error:
        java.build(wanted({**JAVA, "pom.xml": POM.format(build=plugin)}), workshop)

    assert "nothing" in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "files", "where"),
    [
        (npm.build, UUID, "src/package.json"),
        (java.build, JAVA, "src/pom.xml"),
        (golang.build, GO, "src/go.mod"),
    ],
)
def test_a_lab_can_keep_builds_from_registries(make, files, where, workshop: Workshop) -> None:  # type: ignore[no-untyped-def]
    if not shutil.which({golang.build: "go", java.build: "mvn", npm.build: "npm"}[make]):
        pytest.skip("the tool is not installed")
    alone = Workshop(workshop.cache, registries=False)

    with pytest.raises(BadSubmission) as error:
        make(wanted(files), alone)

    assert "which builds of this lab may not use" in refused(error)
    assert error.value.where == where


@pytest.mark.parametrize(
    ("make", "files", "package"),
    [
        (npm.build, UUID, "npm"),
        (golang.build, GO, "Go"),
        (java.build, JAVA, "maven"),
        (java.build, {"build.gradle": GRADLE}, "gradle"),
    ],
)
def test_a_missing_tool_is_our_fault_and_named(make, files, package, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    bare = Workshop(tmp_path, environ={"PATH": str(tmp_path)})

    with pytest.raises(EnvironmentFault, match=f"install .*{package}|{package}.*install|development kit"):
        make(wanted(files), bare)


@needs_npm
def test_a_registry_that_does_not_answer_is_our_fault(tmp_path: Path) -> None:
    elsewhere = {**os.environ, "npm_config_registry": "http://127.0.0.1:9/"}

    with pytest.raises(EnvironmentFault, match=r"The npm registry can't be reached: .*refused"):
        npm.build(wanted(UUID), Workshop(tmp_path, environ=elsewhere))
