"""Tests that a starting hub reads its servers and their people in a few queries, whatever their number."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm
from sqlalchemy import event
from sqlalchemy.orm import Session, selectinload

from scnet_hub.hub.preload import hold_people


class Hub(SimpleNamespace):
    """What JupyterHub's own start does with its database: `queries` counts."""

    db: Session
    queries = 0

    async def init_spawners(self) -> list[str]:
        people = selectinload(orm.Spawner.user)
        rows = self.db.query(orm.Spawner).filter(orm.Spawner.server != None)  # noqa: E711
        rows = rows.options(people, people.selectinload(orm.User._orm_spawners))
        found = []
        for one in rows.populate_existing():
            gc.collect(0)
            found.append(one.user.orm_spawners[""].user.name)
        return found


def hub(people: int) -> Hub:
    db = orm.new_session_factory("sqlite:///:memory:")()
    for number in range(people):
        db.add(orm.Spawner(name="", user=orm.User(name=f"p{number}"), server=orm.Server(port=number)))
    db.add(orm.User(name="away"))
    db.commit()
    db.expunge_all()
    made = Hub(db=db)

    def count(*_: Any) -> None:
        made.queries += 1

    event.listen(db.get_bind(), "before_cursor_execute", count)
    return made


@pytest.mark.parametrize("people", [1, 60])
async def test_the_number_of_queries_does_not_grow_with_the_servers(people: int) -> None:
    starting = hub(people)
    hold_people(starting)
    assert await starting.init_spawners() == [f"p{number}" for number in range(people)]
    assert starting.queries < 20
