"""One normal form of each person's name in every column that holds a name. Entries keep their actors, because actors
are part of the chain of hashes.
"""

import sqlalchemy as sa
from alembic import op

from scnet_hub.domain import identifiers as identity
from scnet_hub.errors import SpecError

revision = "0011"
down_revision = "0010"
NAMES = (
    ("sessions", "person"), ("accounts", "person"), ("accounts", "linked_by"), ("accounts", "ended_by"),
    ("decisions", "person"), ("allocations", "asked_by"), ("allocations", "decided_by"), ("statements", "answered_by"),
    ("usage", "decided_by"), ("periods", "closed_by"), ("manifests", "excused_by"), ("mails", "person"),
)  # fmt: skip
# What a person may have only once: rows under two spellings can't both become rows of one person.
ONCE = (
    (
        "sessions",
        ("kind", "name"),
        "live AND NOT in_line",
        "a running session of the same kind and name",
        "Stop one of the sessions",
    ),
    ("accounts", ("centre",), "ended_at IS NULL", "a linked account at the same centre", "End one of the links"),
)


def upgrade() -> None:
    for table, same, standing, what, how in ONCE:
        _refuse_twice(table, same, standing, what, how)
    op.execute("DELETE FROM scnet_proofs")  # proofs are valid for half an hour at most; people ask again
    _members()
    for table, column in NAMES:
        for spelt in _spelt_otherwise(table, column):
            _rename(table, column, spelt)


def _spelt_otherwise(table: str, column: str) -> list[str]:
    rows = op.get_bind().execute(sa.text(f"SELECT DISTINCT {column} FROM scnet_{table}")).scalars()
    return [name for name in rows if name != identity.person(name)]


def _rename(table: str, column: str, spelt: str) -> None:
    change = sa.text(f"UPDATE scnet_{table} SET {column} = :name WHERE {column} = :spelt")
    op.get_bind().execute(change, {"name": identity.person(spelt), "spelt": spelt})


def _members() -> None:
    """Renames members. The broker writes members again from the federation's page when it starts: of two spellings in a
    project, one stays."""
    gone = sa.text(
        "DELETE FROM scnet_members WHERE person = :spelt AND project IN (SELECT project FROM scnet_members WHERE "
        "person = :name)"
    )
    for spelt in _spelt_otherwise("members", "person"):
        op.get_bind().execute(gone, {"name": identity.person(spelt), "spelt": spelt})
        _rename("members", "person", spelt)


def _refuse_twice(table: str, same: tuple[str, ...], standing: str, what: str, how: str) -> None:
    """Raises SpecError if two spellings of one person each have something that a person may have only once; nothing is
    changed then."""
    rows = op.get_bind().execute(sa.text(f"SELECT person, {', '.join(same)} FROM scnet_{table} WHERE {standing}")).all()
    seen: dict[tuple[str, ...], str] = {}
    for spelt, *rest in rows:
        other = seen.setdefault((identity.person(spelt), *rest), spelt)
        if other != spelt:
            raise SpecError(
                f"The broker's database holds {other!r} and {spelt!r}, which now mean the same person, and each "
                f"has {what}.",
                hint=f"{how} with the version of SCNet Hub that ran before, then start this one again. Nothing was "
                "changed.",
            )
