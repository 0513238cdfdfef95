"""The mistakes that turn up in several labs, and what is told of them."""

from __future__ import annotations

from collections import Counter

import pytest

from curriculum.lessons import Lesson, lesson_of, lessons, plain_name
from curriculum.loader import Catalogue

# Learners are told nothing of those that tamper with the grading.
NAMES = [
    f"{lab.code}.{plain_name(mutant.name)}"
    for lab in Catalogue().labs
    for mutant in lab.mutants
    if not mutant.name.startswith("tampered-")
]


def test_every_wrong_solution_belongs_to_one_lesson() -> None:
    listed = Counter(name for lesson in lessons() for name in lesson.mutants)

    assert {name for name, times in listed.items() if times > 1} == set()
    assert set(NAMES) - set(listed) == set()


def test_lessons_name_no_solution_that_is_gone() -> None:
    labs = {lab.code for lab in Catalogue().labs}
    listed = {name for lesson in lessons() for name in lesson.mutants}

    assert {name for name in listed if name.partition(".")[0] in labs} - set(NAMES) == set()


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.name)
def test_a_lesson_says_everything_and_where_to_read_on(lesson: Lesson) -> None:
    title, _, address = lesson.document.rpartition(" ")

    assert title
    assert address.startswith(("https://docs.aws.amazon.com/", "https://aws.amazon.com/"))
    assert lesson.where
    assert not any(
        text.count("`") % 2 for text in (lesson.rule, lesson.mistake, lesson.repair, *lesson.where)
    )


def test_a_mistake_has_one_lesson_in_all_runtimes() -> None:
    lab = Catalogue().get_lab("a03")

    found = lesson_of(lab, "blind-put-nodejs")

    assert found is not None
    assert found == lesson_of(lab, "blind-put")
    assert lesson_of(lab, "no-such-mistake") is None
