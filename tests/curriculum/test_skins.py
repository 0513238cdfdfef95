"""Skins: drawn from a key alone, whole, and refused where they do not fit."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from curriculum.errors import ManifestInvalid
from curriculum.loader import Catalogue, Lab, read_files
from curriculum.skins import Skins, dress, read_skins, skin_problems

DRESSED = [lab for lab in Catalogue().labs if read_skins(lab)]


def skins_of(lab: Lab) -> Skins:
    found = read_skins(lab)
    assert found is not None
    return found


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A copy of a lab, to be changed."""
    shutil.copytree(Catalogue().get_lab("a04").folder, tmp_path / "labs" / "order-status-notifier")
    return Catalogue(tmp_path / "labs").get_lab("a04")


def test_at_least_three_labs_have_them_and_many() -> None:
    assert len(DRESSED) >= 3
    assert all(skins_of(lab).count > 100_000 for lab in DRESSED)


@pytest.mark.parametrize("lab", DRESSED, ids=lambda lab: lab.slug)
def test_a_key_decides_every_word_and_every_rule(lab: Lab) -> None:
    skins = skins_of(lab)
    drawn = [skins.draw(str(key)) for key in range(200)]

    assert [skin.digest for skin in drawn] == [skins.draw(str(key)).digest for key in range(200)]
    assert len({skin.digest for skin in drawn}) == 200
    for skin in drawn:
        assert skin.words.keys() == {form for word in skins.words for form in word.forms}
        assert all(new != old for old, new in skin.words.items())
    for number, rule in enumerate(skins.rules):
        assert {skin.rules[number] for skin in drawn} == {None, *rule.choices}


@pytest.mark.parametrize("lab", DRESSED, ids=lambda lab: lab.slug)
def test_nothing_of_the_labs_own_words_is_left(lab: Lab, tmp_path: Path) -> None:
    for key in ("one", "two", "three"):
        skin = skins_of(lab).draw(key)
        worn = dress(lab, key, tmp_path)

        files = read_files(worn.folder)
        text = "\n".join([*files, *(body.decode("utf-8", "replace") for body in files.values())])
        # The names of solutions are known to other files, and stay.
        names = {part for path in files for part in re.split(r"[/-]", path)}
        left = {old for old in skin.words if re.search(rf"(?<!\w){re.escape(old)}(?!\w)", text)}
        assert left <= names
        assert worn.skin == skin.digest
        assert worn.digest != lab.digest
        assert dress(lab, key, tmp_path).folder == worn.folder


def test_every_rule_may_be_drawn_in_each_of_its_ways(tmp_path: Path) -> None:
    for lab in DRESSED:
        says = {choice.says for rule in skins_of(lab).rules for choice in rule.choices}
        for key in range(100):
            dress(lab, str(key), tmp_path)
            says -= {choice.says for choice in skins_of(lab).draw(str(key)).rules if choice}
            if not says:
                break
        assert not says


def test_a_lab_without_skins_says_so(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match="one contract for all"):
        dress(Catalogue().get_lab("a07"), "one", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('["changeId"]', '["newStatus"]', "newStatus stands in the lab already"),
        ('is = ["eventId"]', 'is = ["eventNumber"]', "eventNumber is not in brief, contract or manifest"),
        ('["statusBefore", "statusAfter"]', '["statusBefore"]', "each `or` needs 2 forms"),
        ("dt.datetime.fromisoformat(str(message", "nowhere(str(message", "checks.py does not have the text"),
        ("[[words]]", "[[word]]", r"no \[word\]"),
    ],
)
def test_what_does_not_fit_is_told_by_linting(lab: Lab, old: str, new: str, told: str) -> None:
    path = lab.folder / "skins.toml"
    written = path.read_text("utf-8")
    assert old in written
    path.write_text(written.replace(old, new, 1), "utf-8")

    try:
        problems = list(skin_problems(lab))
    except ManifestInvalid as error:
        problems = error.problems

    assert re.search(told, "\n".join(problems)), problems
