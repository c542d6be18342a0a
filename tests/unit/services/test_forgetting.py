"""Tests the erasure of a person: the name is nowhere except in the books, which are unchanged."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Column, Float, Integer, String, Table, select

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import persons as person_rows
from scnet_hub.adapters.db.queries import projects as project_rows
from scnet_hub.adapters.db.queries.persons import Eraser, erased, words
from scnet_hub.adapters.db.tables import Packed, Sealed, SealedText, UtcDateTime, entries, mails, metadata, sessions
from scnet_hub.domain.identifiers import forgotten
from scnet_hub.domain.jobs import Ending
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.federation import MailSpec, parse_federation
from scnet_hub.domain.usage.serialisation import usage_document
from scnet_hub.errors import NotFound, Refused
from scnet_hub.services.accounting import audit, books, intake, sealing
from scnet_hub.services.projects import erasure, projects
from scnet_hub.services.projects.mailer import addresses
from scnet_hub.units import credits
from tests.unit.ledger.runs import run
from tests.unit.metering.ended import PAGE as CENTRE
from tests.unit.metering.ended import SESSION, Ended

NAME, INSTEAD = "ada.lovelace@north.example", "gone-abcdefghijkm"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAGE = parse_federation('centres = ["a.toml"]', source="f")
BOOKS = {"scnet_entries", "scnet_postings", "scnet_chain"}
# Texts and documents in which nobody is named: ids, states, places, prices, and what centres say of themselves.
OF_NOBODY = {
    "scnet_projects": {"id", "title", "kind"},
    "scnet_members": {"project", "role"},
    "scnet_sessions": {"id", "project", "kind", "state", "continues"},
    "scnet_copies": {
        "session", "cause", "centre", "partition", "secret", "nonce", "state", "job_id", "node", "host", "address",
    },
    "scnet_events": {"session"},
    "scnet_lots": {"project", "unit", "name", "grantor", "centres"},
    "scnet_holds": {"session", "project", "unit", "parts", "state"},
    "scnet_allocations": {"id", "project", "unit", "grantor", "centres", "state", "renews"},
    "scnet_usage": {"identity", "digest", "centre", "session", "state", "tariff"},
    "scnet_tariffs": {"digest", "centre", "partition", "document"},
    "scnet_outages": {"centre", "words"},
    "scnet_manifests": {"centre", "day", "document", "missing"},
    "scnet_periods": {"name", "state", "head", "terms"},
    "scnet_statements": {"period", "unit", "member", "document", "state"},
    "scnet_accounts": {"centre", "how"},
    "scnet_proofs": {"centre", "code"},
    "scnet_decisions": {"id", "project", "session", "cause", "code", "centre", "partition", "terms"},
    "scnet_terms": {"digest", "document"},
    "scnet_snapshots": {"centre", "loads"},
}  # fmt: skip
OF_PEOPLE = {
    *person_rows.NAMES, *person_rows.TAKEN, *person_rows.OWN_ACCOUNTS, *person_rows.PROSE,
    *(one for some in person_rows.OWN.values() for one in some),
}  # fmt: skip


def says(column: Column[Any]) -> bool:
    return isinstance(column.type, String | JSON | Packed | Sealed | SealedText)


def test_every_text_and_document_of_the_database_is_of_people_or_of_nobody() -> None:
    """A new column is put in one of both, or forgetting would leave somebody in it."""
    for table in metadata.sorted_tables:
        if table.name not in BOOKS:
            said, people = (
                {one.name for one in table.c if says(one)},
                {one.name for one in OF_PEOPLE if one.table is table},
            )
            assert said == people | OF_NOBODY.get(table.name, set()), table.name
            assert not people & OF_NOBODY.get(table.name, set()), table.name


# ---- a database in which the name stands everywhere


GIVEN: dict[str, Any] = {
    "project": "p", "session": SESSION, "live": False, "charged": 5, "ended_at": None, "final": True,
    "sent_at": NOW, "number": 1, "lead": 1,
}  # fmt: skip


def planted(column: Column[Any]) -> Any:
    """A value that names the person, if the column can."""
    if column in person_rows.NAMES or column in person_rows.TAKEN or column in person_rows.OWN_ACCOUNTS:
        return NAME
    if column in OF_PEOPLE and isinstance(column.type, JSON | Packed | Sealed):
        return {"person": NAME, "why": f"{NAME} asks for it", "ranked": [["north", f"of {NAME}."]]}
    if column in OF_PEOPLE:
        return f"As {NAME} said: {NAME}."
    if column.name in GIVEN:
        return GIVEN[column.name]
    of: dict[type, Any] = {
        UtcDateTime: NOW,
        Boolean: False,
        Integer: 1,
        Float: 1.0,
        JSON: {},
        Packed: {},
        String: "x",
        SealedText: "x",
    }
    return next((value for kind, value in of.items() if isinstance(column.type, kind)), None if column.nullable else 1)


def plant(tx: Tx) -> None:
    """One row in each table that can name somebody; the books have an officer of that name."""
    books.grant(tx, "p", "x", credits(1000), NOW, actor=NAME)
    books.hold(tx, "p", SESSION, credits(10), NOW, centre="alpha")
    books.charge(tx, "p", SESSION, "alpha", credits(4), NOW, "by hand", now=NOW)
    sealing.seal(tx)
    for table in metadata.sorted_tables:
        if table.name not in BOOKS | {"scnet_lots", "scnet_holds"}:
            row = {one.name: planted(one) for one in table.c if not (one.primary_key and one.autoincrement is True)}
            row |= {"projects": {"id": "p"}, "sessions": {"id": SESSION}, "usage": {"record": record()}}.get(
                table.name[6:], {}
            )
            row |= {"statements": {"period": "x"}}.get(table.name[6:], {})
            tx.execute(table.insert().values(**row))
    more = {one.name: planted(one) for one in mails.c}
    tx.execute(mails.insert().values(**more | {"key": f"lease/1/{NAME}", "sent_at": None, "next_at": NOW}))
    tx.execute(
        mails.insert().values(
            **more | {"key": "allocation/1/asked", "person": "", "body": f"{NAME} asks for 5 credits."}
        )
    )


def record() -> Any:
    return usage_document(run(ending=Ending.CANCELLED, ended_by=NAME, state_raw=f"CANCELLED by {NAME}"))


def found(tx: Tx, name: str) -> set[str]:
    """Where a name stands, whatever it stands in: "table.column"."""
    return {
        f"{table.name}.{column}"
        for table in metadata.sorted_tables
        for row in whole(tx, table)
        for column, value in row._mapping.items()
        if name in json.dumps(value, default=str, ensure_ascii=False)
    }


def forget(tx: Tx, person: str = NAME, **more: Any) -> dict[str, int]:
    return erasure.forget(tx, person, INSTEAD, "olga", NOW, **{"federation": PAGE, "centres": ()} | more)


def test_the_name_is_nowhere_any_more_but_in_the_books(database: Database) -> None:
    database.run_here(plant)
    assert len(database.run_here(found, NAME)) > 35
    before = database.run_here(audit.verify), database.run_here(books.balance, "p"), database.run_here(whole, entries)
    rows = database.run_here(forget)
    assert database.run_here(found, NAME) == {"scnet_entries.actor"}
    after = database.run_here(audit.verify), database.run_here(books.balance, "p"), database.run_here(whole, entries)
    assert after == before and after[0].ok and after[0].sealed
    assert not [place for place in database.run_here(found, INSTEAD) if place.startswith(tuple(BOOKS))]
    assert rows == {
        "accounts": 1, "allocations": 1, "copies": 1, "decisions": 1, "events": 1, "mails": 3, "manifests": 1,
        "members": 1, "periods": 1, "proofs": 1, "sessions": 1, "statements": 1, "usage": 1,
    }  # fmt: skip
    kept = {row.key: row for row in database.run_here(whole, mails)}
    assert {key: (row.person, row.body) for key, row in kept.items()} == {
        f"{INSTEAD}/0": (INSTEAD, ""), "allocation/1/asked": ("", f"{INSTEAD} asks for 5 credits."),
    }  # fmt: skip
    (link,) = database.run_here(whole, metadata.tables["scnet_accounts"])
    assert (link.ended_by, link.ended_at) == ("olga", NOW)
    with pytest.raises(NotFound, match="No data is stored about"):
        database.run_here(forget)


def whole(tx: Tx, table: Table) -> list[Any]:
    return list(tx.execute(select(table)))


def test_only_that_person_is_forgotten(database: Database) -> None:
    def others(tx: Tx) -> list[Any]:
        Ended(tx).begin("aaaabbbbcccc")
        tx.execute(sessions.update().values(person="ben", charged=1, why="as ada said, at north"))
        Ended(tx).begin()
        tx.execute(sessions.update().where(sessions.c.id == SESSION).values(charged=1))
        return [row for row in whole(tx, sessions) if row.person == "ben"]

    before = database.run_here(others)
    assert database.run_here(forget, "ada") == {"copies": 1, "sessions": 1}
    assert [row for row in database.run_here(whole, sessions) if row.person == "ben"] == before
    assert {row.person for row in database.run_here(whole, sessions)} == {"ben", INSTEAD}


def test_a_name_is_a_word_and_a_place_of_that_name_stays() -> None:
    theirs, others = words({"ada"}, own=True), words({"ada"})
    assert (
        others.sub("X", "ada asks Canada, ada-lab and ada@b.example; ask ada.")
        == "X asks Canada, ada-lab and ada@b.example; ask X."
    )
    assert theirs.sub("X", "Canada of ada-lab in /home/ada/x") == "Canada of X-lab in /home/X/x"
    document = {"person": "main", "partition": "main", "centres": ["main"], "cores": 4, "reason": "main may spend 5"}
    assert erased(document, "request", {"main"}, words({"main"}), "X") == document | {
        "person": "X",
        "reason": "X may spend 5",
    }
    assert words({"li", "li+"}, own=True).sub("X", "li+ or li") == "X or X"


# ---- who can't be forgotten yet


@pytest.mark.parametrize(
    ("page", "where"),
    [
        ('[[project]]\nid = "p"\nmembers = ["ada"]', "members of project p"),
        ('[[project]]\nid = "p"\npi = "ada"', "pi of project p"),
        ('[[project]]\nid = "p"\nmanagers = ["ada"]', "managers of project p"),
        ('[[project]]\nid = "p"\n[project.caps]\nada = 5', "caps of project p"),
        ('[[member]]\nid = "m"\npeople = ["ada"]', "people of member m"),
    ],
)
def test_who_is_on_the_federations_page_is_taken_off_it_first(page: str, where: str) -> None:
    spec = parse_federation(f'centres = ["a.toml"]\n{page}\n', source="f")
    with pytest.raises(Refused, match=f"still named on the pages: {where}") as refused:
        erasure.forget(None, "ada", INSTEAD, "olga", NOW, federation=spec, centres=())  # type: ignore[arg-type]
    assert refused.value.code == "still-named" and "restart the broker" in refused.value.hint


def test_who_is_on_a_centres_list_of_accounts_is_taken_off_it_first() -> None:
    """It is read at every start, and links them again."""
    centre = parse_centre(CENTRE + '[identity]\nmode = "service"\n[identity.accounts]\nada = "ada01"\n', source="a")
    with pytest.raises(Refused, match="accounts of centre alpha"):
        erasure.forget(None, "ada", INSTEAD, "olga", NOW, federation=PAGE, centres=[centre])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "open_one", [{"live": True}, {"charged": None}, {"copy_live": True}], ids=["live", "uncharged", "at a centre"]
)
def test_who_has_an_open_session_waits_for_its_charge(database: Database, open_one: dict[str, Any]) -> None:
    def ran(tx: Tx) -> None:
        Ended(tx).begin(**{"charged": 1} | open_one)

    database.run_here(ran)
    with pytest.raises(Refused, match=f"ada has 1 session still running or not charged yet: {SESSION}") as refused:
        database.run_here(forget, "ada")
    assert (refused.value.code, refused.value.details) == ("sessions-open", {"sessions": [SESSION]})


# ---- afterwards


def test_a_centre_that_tells_its_usage_again_does_not_bring_the_name_back(database: Database) -> None:
    told = run(ending=Ending.CANCELLED, ended_by="ada", state_raw="CANCELLED by ada")

    def settled(tx: Tx) -> Any:
        ended = Ended(tx).begin()
        ended.came(told)
        return ended.charged, found(tx, "by ada")

    def again(tx: Tx) -> Any:
        forget(tx, "ada")
        ended = Ended(tx)
        later = replace(told, seen_at=told.seen_at + timedelta(days=1))
        assert intake.as_known(tx, later).revision == 0
        ended.came(intake.as_known(tx, later))
        return ended.charged, found(tx, "by ada"), len(ended.rows)

    charged, named = database.run_here(settled)
    assert charged and "scnet_usage.record" in named
    assert database.run_here(again) == (charged, named - {"scnet_usage.record", "scnet_events.message"}, 1)


def test_a_pseudonym_is_new_each_time_and_gets_no_mail() -> None:
    some = {erasure.pseudonym() for _ in range(20)}
    assert len(some) == 20 and all(forgotten(one) for one in some) and not forgotten("gone-fishing")
    assert addresses(MailSpec(domain="north.example"), some.pop()) == [] and addresses(
        MailSpec(domain="north.example"), "ada"
    )


def test_a_link_by_any_other_name_goes_with_its_person(database: Database) -> None:
    def work(tx: Tx) -> Any:
        Ended(tx).begin(charged=1, account="al1815", copy_end_reason="/home/al1815/x: no such file")
        assert person_rows.aliases(tx, "ada") == {"al1815"}
        forget(tx, "ada")
        return found(tx, "al1815"), Eraser(tx, "nobody", (), INSTEAD).changed

    assert database.run_here(work) == (set(), {})


# ---- a project


def test_a_project_that_is_off_the_page_keeps_its_books_and_nobody_starts_on_it(database: Database) -> None:
    page = parse_federation(
        'centres = ["a.toml"]\n[[project]]\nid = "p"\nmembers = ["ada"]\n[project.grants]\nx = 1000\n', source="f"
    )

    def work(tx: Tx) -> Any:
        projects.apply(tx, page.project, NOW - timedelta(days=300))
        Ended(tx).begin().came(run())
        before = whole(tx, entries), books.balance(tx, "p"), len(whole(tx, sessions)), audit.verify(tx)
        projects.apply(tx, [], NOW)
        assert (whole(tx, entries), books.balance(tx, "p"), len(whole(tx, sessions)), audit.verify(tx)) == before
        assert before[3].ok and before[1].settled == credits(4.8)
        assert [one.id for one in project_rows.all_projects(tx)] == ["p"]  # what operators are told the balances of
        return projects.of(tx, "ada")

    assert database.run_here(work) == []
