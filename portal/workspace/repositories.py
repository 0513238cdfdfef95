"""Where the repositories of workspaces are."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Repositories:
    """A folder of repositories by learner and lab. One that is lost is made anew from its workspace."""

    folder: Path

    def place(self, user_id: int, lab: str) -> Path:
        """Where one is."""
        return self.folder / str(user_id) / f"{lab}.git"

    def forget(self, user_id: int) -> None:
        """Delete a learner's."""
        shutil.rmtree(self.folder / str(user_id), ignore_errors=True)
