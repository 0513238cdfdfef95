"""The documentation names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.main import COMMANDS
from settings import REPOSITORY, Settings


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_each_setting_is_in_the_operator_s_page(name: str) -> None:
    assert f"`COLDSTART_{name.upper()}`" in (REPOSITORY / "docs" / "operating.md").read_text("utf-8")


def test_the_operator_s_page_names_no_setting_that_is_gone() -> None:
    text = (REPOSITORY / "docs" / "operating.md").read_text("utf-8")
    named = set(re.findall(r"COLDSTART_([A-Z_]+)", text))
    assert named <= {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("page", ["README.md", "docs/authoring.md", "docs/sandbox.md", "docs/operating.md"])
def test_each_command_in_the_documentation_exists(page: str) -> None:
    text = (REPOSITORY / page).read_text("utf-8")
    named = set(re.findall(r"(?:^|`|\()coldstart ([a-z]+)", text, re.MULTILINE))
    assert named
    assert named <= COMMANDS.keys()


def test_every_command_is_in_the_documentation() -> None:
    texts = [path.read_text("utf-8") for path in (REPOSITORY / "docs").glob("*.md")]
    text = "\n".join([*texts, (REPOSITORY / "README.md").read_text("utf-8")])
    assert [name for name in COMMANDS if f"coldstart {name}" not in text] == []


@pytest.mark.parametrize("page", [Path("README.md"), *Path("docs").rglob("*.md")], ids=str)
def test_links_inside_the_documentation_lead_somewhere(page: Path) -> None:
    text = (REPOSITORY / page).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (REPOSITORY / page).parent.joinpath(target).exists(), target
