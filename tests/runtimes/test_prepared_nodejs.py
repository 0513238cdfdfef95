"""The Node.js runtime is installed once, and its absence harms nobody else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sandbox.errors import EnvironmentFault
from sandbox.runtimes.prepared_nodejs import (
    nodejs_runtime_place,
    prepare_further_runtimes,
    prepare_nodejs_runtime,
)

NPM_OFFLINE = """#!/bin/sh
echo called >> {calls}
echo 'npm error code ECONNREFUSED' >&2
echo 'npm error FetchError: request to http://registry/x failed, reason: connect ECONNREFUSED' >&2
echo 'npm error A complete log of this run can be found in: /x' >&2
exit 1
"""
NPM_ONLINE = """#!/bin/sh
echo called >> {calls}
mkdir -p node_modules/@aws-sdk/client-s3
echo x > node_modules/@aws-sdk/client-s3/index.js
echo x > node_modules/@aws-sdk/client-s3/index.d.ts
"""


def with_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A PATH that has this npm; returns the file in which it counts its calls."""
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    calls = tmp_path / "calls"
    for name, text in (("npm", script.format(calls=calls)), ("node", "#!/bin/sh\necho v22.0.0\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    for name in ("sh", "mkdir"):
        if not (tools / name).exists():
            (tools / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tools))
    return calls


def test_it_is_installed_once_without_what_only_compilers_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = with_npm(tmp_path, monkeypatch, NPM_ONLINE)
    said: list[str] = []
    places = {prepare_nodejs_runtime(tmp_path, said.append) for _ in range(2)}
    assert places == {nodejs_runtime_place(tmp_path)}
    assert calls.read_text() == "called\n"
    assert said == ["Installing the Node.js runtime for functions (once) ..."]
    [place] = places
    assert (place / "index.cjs").is_file()
    assert [each.name for each in (place / "node_modules/@aws-sdk/client-s3").iterdir()] == ["index.js"]


def test_another_state_of_the_client_takes_the_packages_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = with_npm(tmp_path, monkeypatch, NPM_ONLINE)
    place = prepare_nodejs_runtime(tmp_path, lambda _text: None)
    place.rename(place.with_name(place.name[:-4] + "0000"))
    assert (prepare_nodejs_runtime(tmp_path, lambda _text: None) / "node_modules/@aws-sdk").is_dir()
    assert calls.read_text() == "called\n"


def test_without_a_network_it_says_why_and_is_not_tried_at_every_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = with_npm(tmp_path, monkeypatch, NPM_OFFLINE)
    said: list[str] = []
    for _ in range(3):
        prepare_further_runtimes(tmp_path, said.append)
    assert calls.read_text() == "called\n"
    assert said[1:] == [
        "The Node.js runtime can't be installed: FetchError: request to http://registry/x failed, reason: "
        "connect ECONNREFUSED. Functions in JavaScript can't run until it is."
    ]
    with pytest.raises(EnvironmentFault, match="ECONNREFUSED"):
        prepare_nodejs_runtime(tmp_path, said.append)


def test_a_machine_without_node_is_not_asked_for_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    prepare_further_runtimes(tmp_path, said.append)
    assert said == []
