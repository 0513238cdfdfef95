"""When a build has had its time, on a machine that is busy with other things, too."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.isolation.building import Patience


@dataclass
class Build:
    """A build that is given a share of a processor."""

    share: float
    now: float = 100.0

    def ends(self, time_s: float) -> tuple[float, str]:
        """After how long it is ended, and why."""
        began = self.now
        patience = Patience(time_s, began, lambda: (self.now - began) * self.share)
        while not (reason := patience.ended(self.now)):
            self.now += 0.05
        return round(self.now - began), reason


def test_a_build_that_works_all_the_time_is_ended_when_its_time_is_over() -> None:
    assert Build(share=1.0).ends(240) == (240, "time")


def test_a_build_on_several_processors_is_not_ended_sooner() -> None:
    assert Build(share=2.0).ends(240) == (240, "time")


def test_a_build_that_does_nothing_is_ended_soon_after() -> None:
    assert Build(share=0.0).ends(240) == (245, "time")


def test_a_build_that_gets_a_third_of_a_processor_is_waited_for() -> None:
    ended, reason = Build(share=0.33).ends(240)
    assert (ended, reason) == (440, "time")


def test_a_build_that_hardly_gets_a_processor_is_no_fault_of_its_own() -> None:
    ended, reason = Build(share=0.1).ends(240)
    assert reason == "starved"
    assert ended < 1000
