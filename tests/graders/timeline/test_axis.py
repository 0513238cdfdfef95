"""Idle time takes little room, and everything else as much as it took."""

from __future__ import annotations

import pytest

from graders.timeline.axis import fold


def test_what_happens_within_a_second_is_as_wide_as_it_took() -> None:
    axis = fold([100.0, 100.4, 101.0])

    assert axis.folds == ()
    assert axis.place(100.2) == pytest.approx(0.2)
    assert axis.place(101.0) == pytest.approx(1.0)


def test_hours_in_which_nothing_happens_are_folded() -> None:
    axis = fold([0.0, 0.5, 7200.0, 7200.5])

    assert len(axis.folds) == 1
    begin, end = axis.knots[axis.folds[0]], axis.knots[axis.folds[0] + 1]
    assert (begin[0], end[0]) == (0.5, 7200.0)
    assert end[1] - begin[1] < 0.1
    assert axis.place(7200.5) - axis.place(7200.0) == pytest.approx(0.5)


def test_places_grow_with_time() -> None:
    moments = [0.0, 3.0, 3.1, 90.0, 90.2, 90.9, 4000.0]
    axis = fold(moments)
    places = [axis.place(moment) for moment in [*moments, 1.5, 50.0]]

    assert places[:7] == sorted(places[:7])
    assert places[0] < places[7] < places[1]


def test_a_single_moment_is_an_axis() -> None:
    assert fold([5.0]).place(5.0) == 0.0
