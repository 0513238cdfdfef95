"""Which Java an identifier means, and what is refused when the client is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sandbox.errors import EnvironmentFault
from sandbox.runtimes.java import JavaInstallation, find_java, pick, prepare_java_runtime

ELEVEN, SEVENTEEN, TWENTY_FIVE = (
    JavaInstallation(Path("/jvm", version), version) for version in ("11.0.2", "17.0.15", "25.0.3")
)


@pytest.mark.parametrize(
    ("wanted", "installed", "expected"),
    [
        (17, (ELEVEN, SEVENTEEN, TWENTY_FIVE), SEVENTEEN),
        (21, (SEVENTEEN, TWENTY_FIVE), TWENTY_FIVE),
        (8, (SEVENTEEN, TWENTY_FIVE), SEVENTEEN),
        (25, (ELEVEN, SEVENTEEN), SEVENTEEN),
        (17, (), None),
    ],
)
def test_the_exact_version_else_the_next_newer_else_the_newest(
    wanted: int, installed: tuple[JavaInstallation, ...], expected: JavaInstallation | None
) -> None:
    assert pick(wanted, installed) == expected


def make(place: Path, name: str, version: str, *, whole: bool = True) -> Path:
    home = place / name
    (home / "bin").mkdir(parents=True)
    (home / "lib").mkdir()
    (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    (home / "bin" / "java").touch()
    if whole:
        (home / "lib" / "modules").touch()
    return home


def test_installations_are_found_where_systems_keep_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    make(tmp_path, "a", "17.0.9")
    newer = make(tmp_path, "b", "17.0.15")
    twenty_one = make(tmp_path, "c", "21")
    make(tmp_path, "too-old", "1.8.0_402")
    make(tmp_path, "not-whole", "25.0.1", whole=False)
    (tmp_path / "default").symlink_to("c")

    assert find_java([tmp_path, tmp_path / "absent"]) == (
        JavaInstallation(newer, "17.0.15"),
        JavaInstallation(twenty_one, "21"),
    )


def maven(place: Path, script: str) -> None:
    program = place / "mvn"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_file_with_another_hash_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven(
        tmp_path,
        'for word; do case "$word" in -DoutputDirectory=*) out="${word#*=}";; esac; done\n'
        "for name in $(grep -o '<artifactId>[^<]*</artifactId><version>[^<]*' pom.xml"
        " | sed 's/<artifactId>//; s/<.*>/-/'); do echo tampered > \"$out/$name.jar\"; done",
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    java = JavaInstallation(make(tmp_path, "jvm", "17.0.15"), "17.0.15")

    with pytest.raises(EnvironmentFault, match=r"aws-lambda-java-.*\.jar has another SHA-256"):
        prepare_java_runtime(tmp_path / "home", java)
    assert not list((tmp_path / "home" / "runtimes").glob("java17-*"))


def test_without_maven_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    java = JavaInstallation(make(tmp_path, "jvm", "17.0.15"), "17.0.15")
    with pytest.raises(EnvironmentFault, match="Install Maven"):
        prepare_java_runtime(tmp_path / "home", java, lambda _text: None)


def test_mavens_own_words_say_why_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven(tmp_path, "echo '[ERROR] Could not transfer artifact x'; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    java = JavaInstallation(make(tmp_path, "jvm", "17.0.15"), "17.0.15")
    with pytest.raises(EnvironmentFault, match="Could not transfer artifact x"):
        prepare_java_runtime(tmp_path / "home", java, lambda _text: None)
