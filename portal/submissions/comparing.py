"""Two attempts side by side: what became better or worse, and which lines had changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.differences import FileChange
from portal.differences import changes as changes_of

Report = Mapping[str, Any]

_BETTER = ("passed", "partial", "failed")


@dataclass(frozen=True, slots=True)
class CheckChange:
    """One check in both attempts; the outcome is empty where it was not asked."""

    id: str
    title: str
    before: str
    after: str
    points_before: float
    points_after: float
    headline: str

    @property
    def direction(self) -> str:
        """``better``, ``worse``, ``other`` or ``same``."""
        if (self.before, self.points_before) == (self.after, self.points_after):
            return "same"
        if self.before in _BETTER and self.after in _BETTER:
            ranks = (
                (_BETTER.index(self.after), -self.points_after),
                (_BETTER.index(self.before), -self.points_before),
            )
            return "better" if ranks[0] < ranks[1] else "worse"
        return "other"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is different; ``same`` counts the checks that are not."""

    checks: Sequence[CheckChange]
    same: int
    files: Sequence[FileChange] = field(default=())


def compare(
    before: Report, after: Report, files_before: Mapping[str, bytes], files_after: Mapping[str, bytes]
) -> Comparison:
    """From an earlier attempt to a later one."""
    changes = list(_checks(before, after))
    changed = [change for change in changes if change.direction != "same"]
    order = ("worse", "better", "other")
    return Comparison(
        sorted(changed, key=lambda change: order.index(change.direction)),
        len(changes) - len(changed),
        list(changes_of(files_before, files_after)),
    )


def _checks(before: Report, after: Report) -> Iterator[CheckChange]:
    earlier = {item["id"]: item for item in before["checks"]}
    later = {item["id"]: item for item in after["checks"]}
    for check_id in [*later, *(check for check in earlier if check not in later)]:
        old, new = earlier.get(check_id), later.get(check_id)
        shown = new or old
        assert shown is not None
        yield CheckChange(
            id=check_id,
            title=shown["title"],
            before=old["outcome"] if old else "",
            after=new["outcome"] if new else "",
            points_before=old["points"] if old else 0,
            points_after=new["points"] if new else 0,
            headline=new["headline"] if new else "",
        )
