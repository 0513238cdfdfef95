"""What is kept, and that nothing of it is lost."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from records.errors import NotFound
from records.tables import blobs, workspace_saves


def test_a_submission_is_kept_exactly_as_it_came(records: Any) -> None:
    ada = records.learner("ada")
    body = bytes(range(256))

    kept = records.store.receive(ada.id, "say-hello", "zip", body, records.clock())

    assert records.store.body_of(kept) == body


def test_a_refused_submission_is_kept_with_its_reason(records: Any) -> None:
    ada = records.learner("ada")
    kept = records.store.receive(ada.id, "say-hello", "zip", b"x", records.clock())
    problem = {"message": "Links are not accepted.", "where": "src/a", "what_to_do": "Put the file there."}

    records.store.refuse(kept, problem)

    (found,) = records.store.refused(ada.id, "say-hello")
    assert (found.id, found.problem) == (kept, problem)
    assert records.store.body_of(kept) == b"x"


def test_a_submission_belongs_to_whoever_handed_it_in(records: Any) -> None:
    ada, grace = records.learner("ada"), records.learner("grace")
    kept = records.store.receive(ada.id, "say-hello", "zip", b"x", records.clock())

    assert records.store.owned(kept, ada.id).id == kept
    with pytest.raises(NotFound):
        records.store.owned(kept, grace.id)


def test_an_attempt_of_somebody_else_is_not_found(records: Any) -> None:
    attempt, grace = records.hand_in("ada"), records.learner("grace")

    with pytest.raises(NotFound):
        records.store.attempt(attempt.id, grace.id)


def test_equal_bodies_are_stored_once(records: Any, database: Any) -> None:
    records.hand_in("ada")
    records.hand_in("grace")

    with database.read() as connection:
        assert len(connection.execute(select(blobs.c.digest)).all()) == 1


def test_saving_replacing_and_deleting_leave_every_earlier_text_in_the_history(
    records: Any, database: Any
) -> None:
    ada, save = records.learner("ada"), records.store.save_files
    save(ada.id, "say-hello", {"a.py": b"one", "b.py": b"two"}, records.clock())
    save(ada.id, "say-hello", {"a.py": b"three"}, records.clock(), deleted=["b.py"])
    save(ada.id, "say-hello", {"c.py": b"four"}, records.clock(), replace_all=True)

    assert records.store.workspace(ada.id, "say-hello") == {"c.py": b"four"}
    with database.read() as connection:
        query = select(workspace_saves.c.path, blobs.c.body).select_from(workspace_saves)
        rows = connection.execute(query.outerjoin(blobs).order_by(workspace_saves.c.id)).all()
    saved = [(row.path, bytes(row.body) if row.body is not None else None) for row in rows]
    assert saved == [
        ("a.py", b"one"),
        ("b.py", b"two"),
        ("b.py", None),
        ("a.py", b"three"),
        ("a.py", None),
        ("c.py", b"four"),
    ]


def test_the_tables_can_be_upgraded_twice(database: Any) -> None:
    database.upgrade()
