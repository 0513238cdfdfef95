"""What differs between two attempts."""

from __future__ import annotations

from typing import Any

from portal.submissions.comparing import compare


def report(**checks: tuple[str, int]) -> dict[str, Any]:
    """Each check with its outcome and points."""
    return {
        "checks": [
            {"id": name, "title": f"Check {name}.", "outcome": outcome, "points": points, "headline": "seen"}
            for name, (outcome, points) in checks.items()
        ]
    }


def test_checks_that_became_worse_come_first_and_equal_ones_are_counted() -> None:
    before = report(a=("passed", 5), b=("failed", 0), c=("passed", 5), d=("not_assessed", 0))
    after = report(a=("passed", 5), b=("passed", 8), c=("partial", 2), d=("passed", 4))

    found = compare(before, after, {}, {})

    assert [(change.id, change.direction) for change in found.checks] == [
        ("c", "worse"),
        ("b", "better"),
        ("d", "other"),
    ]
    assert found.same == 1


def test_fewer_points_of_a_part_are_worse() -> None:
    [change] = compare(report(a=("partial", 6)), report(a=("partial", 4)), {}, {}).checks

    assert change.direction == "worse"


def test_a_check_that_only_one_of_them_was_asked_is_there() -> None:
    [change] = compare(report(), report(new=("failed", 0)), {}, {}).checks

    assert (change.before, change.after, change.direction) == ("", "failed", "other")


def test_files_are_compared_line_by_line() -> None:
    before = {"a.py": b"one\ntwo\n", "gone.py": b"x\n", "same.py": b"s\n", "b.bin": b"\xff\x00"}
    after = {"a.py": b"one\n2\n", "new.py": b"y\nz\n", "same.py": b"s\n", "b.bin": b"\xff\x01"}

    found = {change.path: change for change in compare(report(), report(), before, after).files}

    assert found.keys() == {"a.py", "gone.py", "new.py", "b.bin"}
    assert (found["a.py"].kind, found["a.py"].added, found["a.py"].removed) == ("changed", 1, 1)
    assert ("removed", "two") in found["a.py"].lines
    assert ("added", "2") in found["a.py"].lines
    assert (found["new.py"].kind, found["new.py"].added) == ("added", 2)
    assert (found["gone.py"].kind, found["gone.py"].removed) == ("removed", 1)
    assert found["b.bin"].lines == ()


def test_a_very_long_difference_is_cut() -> None:
    [change] = compare(report(), report(), {}, {"a.txt": b"line\n" * 5000}).files

    assert change.cut
    assert change.added == 5000
    assert len(change.lines) == 600
