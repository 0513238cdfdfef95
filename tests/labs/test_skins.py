"""What a skin is for: an honest answer passes in its own skin, and nobody else's does."""

from __future__ import annotations

from pathlib import Path

import pytest

from curriculum.loader import Catalogue, Lab
from curriculum.skins import dress, read_skins
from graders.backend import Backend
from graders.runner import grade
from sandbox.submissions import Submission

DRESSED = [lab for lab in Catalogue().labs if read_skins(lab)]
# Both of the rules of each lab are drawn in the one, and none in the other.
MINE, THEIRS = "3", "0"


@pytest.mark.parametrize("lab", DRESSED, ids=lambda lab: lab.slug)
def test_an_answer_passes_in_its_own_skin_and_in_no_other(lab: Lab, backend: Backend, tmp_path: Path) -> None:
    mine, theirs = dress(lab, MINE, tmp_path), dress(lab, THEIRS, tmp_path)
    answer = Submission(mine.reference("reference-python"))

    honest = grade(mine, answer, backend).report
    copied = grade(theirs, answer, backend).report

    assert (honest["outcome"], honest["points"]) == ("passed", 100), honest["checks"]
    assert len(honest["seeds"]) == 2
    assert honest["skin"] == mine.skin != copied["skin"] == theirs.skin
    assert copied["outcome"] == "not_passed"
    assert copied["points"] < 50, copied["points"]
