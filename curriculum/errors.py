"""What can be wrong with the curriculum, as one family.

CurriculumError
├── ManifestInvalid     a TOML file of a lab or track is wrong: carries every problem at once
├── UnknownLab          no lab has this slug or code
└── UnknownTrack        no track has this slug
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CurriculumError(Exception):
    """Base of every error the curriculum raises on purpose."""


class ManifestInvalid(CurriculumError):
    """A manifest does not say what it should.

    Attributes:
        problems: one sentence each, all of them.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class UnknownLab(CurriculumError):
    """No lab has this slug or code.

    Attributes:
        name: what was asked for.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        close = difflib.get_close_matches(name.lower(), list(known), n=1)
        hint = f" Did you mean `{close[0]}`?" if close else " `coldstart labs` lists them."
        super().__init__(f"There is no lab `{name}`.{hint}")


class UnknownTrack(CurriculumError):
    """No track has this slug."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no track `{name}`.")
