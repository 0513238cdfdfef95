from __future__ import annotations

from pathlib import Path

import pytest

from curriculum.errors import ManifestInvalid, UnknownLab
from curriculum.loader import Catalogue
from curriculum.manifest import read_manifest, read_variant

MANIFEST = """
[lab]
code = "A01"
title = "Quote"
version = "1"
summary = "Prices."
level = "associate"
minutes = 45
runtimes = ["python"]
services = ["Lambda"]
competencies = ["C1"]
[grading]
gate_points = 5
[[contract.outputs]]
name = "Arn"
description = "The function."
"""


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    (tmp_path / "lab.toml").write_text(text)
    with pytest.raises(ManifestInvalid) as caught:
        read_manifest(tmp_path / "lab.toml", "labs/quote/lab.toml")
    return caught.value.problems


def write(folder: Path, slug: str, text: str = MANIFEST) -> Catalogue:
    (folder / slug).mkdir()
    (folder / slug / "lab.toml").write_text(text)
    return Catalogue(folder, folder)


def test_a_manifest_is_read_with_its_defaults(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(MANIFEST)
    manifest = read_manifest(tmp_path / "lab.toml", "lab.toml")

    assert (manifest.code, manifest.gate_points, manifest.time_limit_s) == ("A01", 5, 180)
    assert manifest.starter_points == 5
    assert manifest.limit_bytes == 10_000_000
    assert manifest.outputs[0].name == "Arn"


def test_a_starter_that_works_may_earn_more_than_the_gate(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(
        MANIFEST.replace("gate_points = 5", "gate_points = 5\nstarter_points = 30")
    )

    assert read_manifest(tmp_path / "lab.toml", "lab.toml").starter_points == 30


def test_an_unknown_key_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    found = problems(tmp_path, MANIFEST.replace("gate_points = 5", "gate_points = 5\ntime_limit = 60"))

    assert found == ("labs/quote/lab.toml: [grading] has no key `time_limit`. Did you mean `time_limit_s`?",)


def test_all_problems_are_told_together(tmp_path: Path) -> None:
    text = MANIFEST.replace('level = "associate"', 'level = "expert"').replace("minutes = 45", "")
    found = problems(tmp_path, text.replace("[grading]", "[gradin]"))

    assert len(found) == 4
    assert any("`level` should be one of" in problem for problem in found)
    assert any("needs the key `minutes`" in problem for problem in found)
    assert any("no [gradin]. Did you mean `grading`" in problem for problem in found)
    assert any("needs the key `gate_points`" in problem for problem in found)


def test_a_missing_or_broken_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match=r"lab\.toml is missing"):
        read_manifest(tmp_path / "lab.toml", "labs/quote/lab.toml")
    assert "line 1" in problems(tmp_path, "= 5")[0]


def test_a_mutants_keys_are_strict_too(tmp_path: Path) -> None:
    (tmp_path / "mutant.toml").write_text(
        'what = "x"\nmust_fial = ["f1"]\n[[replace]]\npath = "a"\nold = "b"\n'
    )

    with pytest.raises(ManifestInvalid) as caught:
        read_variant(tmp_path, "labs/quote/mutants/x", mutant=True)

    assert len(caught.value.problems) == 3


def test_a_lab_is_known_by_slug_and_by_code_in_any_case(tmp_path: Path) -> None:
    catalogue = write(tmp_path, "shipping-quote")

    assert catalogue.get_lab("shipping-quote") == catalogue.get_lab("a01") == catalogue.get_lab("A01")


@pytest.mark.parametrize("name", ["shiping-quote", "../shipping-quote", "", ".", "shipping-quote/x"])
def test_an_unknown_lab_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownLab):
        write(tmp_path, "shipping-quote").get_lab(name)


def test_an_unknown_lab_comes_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownLab, match="Did you mean `shipping-quote`"):
        write(tmp_path, "shipping-quote").get_lab("shiping-quote")


def test_a_catalogue_tells_the_problems_of_all_labs(tmp_path: Path) -> None:
    write(tmp_path, "one", "")
    catalogue = write(tmp_path, "two", "")

    with pytest.raises(ManifestInvalid) as caught:
        _ = catalogue.labs

    assert {problem.split(":")[0] for problem in caught.value.problems} == {
        "labs/one/lab.toml",
        "labs/two/lab.toml",
    }


def test_a_track_orders_its_labs(tmp_path: Path) -> None:
    (tmp_path / "associate.toml").write_text(
        '[track]\ntitle = "T"\nsummary = "S"\nlevel = "associate"\n'
        '[[labs]]\nslug = "one"\n[[labs]]\nslug = "two"\nafter = ["one"]\n'
    )
    track = Catalogue(tmp_path, tmp_path).get_track("associate")

    assert [(lab.slug, lab.after) for lab in track.labs] == [("one", ()), ("two", ("one",))]


def test_every_competency_has_a_title() -> None:
    assert list(Catalogue().competencies) == [f"C{number}" for number in range(1, 9)]
