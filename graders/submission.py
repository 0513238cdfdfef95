"""The files handed in, read into memory and known by their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.errors import BadSubmission

# Folders that builds and editors leave behind; they are never part of an answer.
_LEFT_OUT = frozenset(
    {".git", ".aws-sam", "__pycache__", "node_modules", ".venv", ".pytest_cache", ".mypy_cache"}
)


@dataclass(frozen=True, slots=True)
class Submission:
    """Files by relative POSIX path."""

    files: Mapping[str, bytes] = field(repr=False)

    @property
    def digest(self) -> str:
        """``sha256:…`` over names and contents; the same files have the same digest everywhere."""
        total = hashlib.sha256()
        for path in sorted(self.files):
            body = self.files[path]
            total.update(f"{path}\0{len(body)}\0".encode())
            total.update(body)
        return f"sha256:{total.hexdigest()}"

    @property
    def size_bytes(self) -> int:
        """How large the files are together."""
        return sum(map(len, self.files.values()))

    def with_files(self, replaced: Mapping[str, bytes], deleted: tuple[str, ...] = ()) -> Submission:
        """The same submission with some files replaced or added and others deleted."""
        kept = {path: body for path, body in self.files.items() if path not in deleted}
        return Submission({**kept, **replaced})


def read_folder(folder: Path, *, limit_bytes: int = 50_000_000) -> Submission:
    """A folder's files, without what version control, builds and editors leave behind.

    Raises:
        BadSubmission: no such folder, a link in it, or too large; says which file.
    """
    if not folder.is_dir():
        raise BadSubmission(
            "This is not a folder.", where=str(folder), what_to_do="Give the folder that holds template.yaml."
        )
    files: dict[str, bytes] = {}
    total = 0
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if _LEFT_OUT.intersection(relative.parts) or path.suffix == ".pyc":
            continue
        if path.is_symlink():
            raise BadSubmission(
                "Links are not accepted.", where=relative.as_posix(), what_to_do="Put the file itself there."
            )
        if not path.is_file():
            continue
        total += path.stat().st_size
        if total > limit_bytes:
            raise BadSubmission(
                f"The files are larger than {limit_bytes // 1_000_000} MB together.",
                where=relative.as_posix(),
                what_to_do="Leave out dependencies; requirements.txt is installed for you.",
            )
        files[relative.as_posix()] = path.read_bytes()
    if not files:
        raise BadSubmission(
            "The folder is empty.", where=str(folder), what_to_do="Give the folder that holds template.yaml."
        )
    return Submission(files)
