"""A federation with a past for the pages about credits: sessions of three weeks with their charges, lots that end, a
request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta

from scnet_hub.adapters.db import tables
from scnet_hub.adapters.db.database import Tx
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.domain.jobs import Ending, JobRequest, JobState, UsageRecord
from scnet_hub.domain.pricing.rates import held, segment_cost, used
from scnet_hub.domain.pricing.tariffs import CORE, GPU, Rates
from scnet_hub.domain.sessions import names
from scnet_hub.services.accounting import books, intake
from scnet_hub.services.projects import allocations
from scnet_hub.services.projects.allocations import Wish
from scnet_hub.units import credits
from tests.builders.copies import split

from .together import Together

HOSTILE = '"><script>alert(1)</script>'
RATES = Rates(prices={CORE: 1_200_000, f"{GPU}:a100": 20_000_000})
MORE = """
[[project]]
id = "tides"
title = "Tides of the South China Sea <&>"
pi = "ada"
managers = ["grace"]
members = ["ada", "grace", "mary"]
caps = { mary = 40 }
overdraft = 5
[project.grants]
spring = { amount = 300, grantor = "ministry", rate = 0.8 }
[[member]]
id = "alpha"
title = "University of Alpha"
people = ["alan"]
"""


def seed(together: Together, now: datetime | None = None) -> None:
    now = now or together.federation.clock()
    with together.db.engine.begin() as tx:
        for place, centre in enumerate(("alpha", "beta", "alpha")):  # of the month before, paid by the ministry's lot
            _ran(
                tx, f"o{place:011}", "grace", centre, 4, 0, timedelta(hours=2), _before(now) - timedelta(days=3 + place)
            )
        books.grant(tx, "tides", "autumn", credits(400), now - timedelta(days=20), expires_at=now + timedelta(days=19))
        for place, (person, centre, cores, gpus, hours, days) in enumerate(_runs()):
            _ran(
                tx,
                f"s{place:011}",
                person,
                centre,
                cores,
                gpus,
                timedelta(hours=hours),
                now - timedelta(days=days, hours=3),
            )
        books.reverse(
            tx, "settle:s00000000003", now - timedelta(hours=1), "a node of the centre failed", actor="an operator"
        )
        wish = Wish(
            project="tides", amount=credits(500), begins_at=now, ends_at=now + timedelta(days=365), words="The "
            f"winter's runs.\n{HOSTILE}",
            centres=("alpha", "beta"),
        )  # fmt: skip
        allocations.ask(tx, "winter", wish, "grace", now, centres=["alpha", "beta"])
        _ran(tx, "live00000001", "ada", "delta", 4, 0, timedelta(), now - timedelta(minutes=40), live=True)


def suspend(together: Together) -> None:
    """A record of a job that bears the name of no session."""
    now = together.federation.clock()
    ran = UsageRecord(
        job_id="4711", name=f"scnet-{'a' * 12}", partition=HOSTILE, state=JobState.COMPLETED, ending=Ending.COMPLETED,
        cores=1, submitted_at=now - timedelta(hours=3), started_at=now - timedelta(hours=3),
        ended_at=now - timedelta(hours=2), elapsed=timedelta(hours=1),
    )  # fmt: skip
    with together.db.engine.begin() as tx:
        intake.take_records(tx, "beta", [ran], now)


def settle(together: Together, *, close: bool = False) -> None:
    """The months of what was seeded begin, as if the broker had kept them all the time; with `close` the one before is
    closed."""
    with together.db.engine.begin() as tx:
        tx.execute(tables.periods.delete())
    settling = together.federation.settling
    asyncio.run(settling.once())
    if close:
        before = _before(together.federation.clock())
        asyncio.run(settling.close(f"{before:%Y-%m}", "olga", {"alpha": "sent by mail", "beta": "sent by mail"}))


def _before(now: datetime) -> datetime:
    """When this month began, roughly."""
    return now - timedelta(days=now.day)


def _runs() -> Iterator[tuple[str, str, int, int, float, float]]:
    people, centres = ("ada", "grace", "mary", "ada"), ("alpha", "beta", "gamma", "alpha", "delta")
    for place in range(24):
        yield (
            people[place % 4], centres[place % 5], 1 + place % 7, place % 5 == 0, 0.37 + place % 3,
            0.4 * place + (10 if place > 18 else 0),
        )  # fmt: skip


def _ran(
    tx: Tx,
    session: str,
    person: str,
    centre: str,
    cores: int,
    gpus: int,
    time: timedelta,
    at: datetime,
    *,
    live: bool = False,
) -> None:
    cost = segment_cost(used(held(cores, gpus, "a100"), time), RATES, time)
    kind = ("lab", "batch", "dask")[cores % 3]
    wanted = JobRequest(person=person, project="tides", kind=kind, cores=cores, gpus=gpus, walltime=timedelta(hours=4))
    request = names.request_document(wanted)
    name = f"train {HOSTILE}" if cores == 5 else f"run-{session[-2:]}" if kind != "lab" else ""
    own, of_copy = split(
        id=session, person=person, project="tides", kind=kind, name=name if not live else "now",
        state="ready" if live else "charged", live=live, request=request, placement={}, payload={}, why="",
        end_reason="", created_at=at, held=credits(20).micros, continues="", in_line=False,
        charged=None if live else cost.amount.micros, ended_at=None if live else at + time, cause="first", asked_at=at,
        centre=centre, partition="batch", account="a", secret="", nonce="", copy_state="ready" if live else "settled",
        copy_live=live, job_id="77", started_at=at,
    )  # fmt: skip
    session_rows.insert(tx, own, of_copy)
    books.hold(tx, "tides", session, credits(20), at, centre=centre)
    if not live:
        books.charge(tx, "tides", session, centre, cost.amount, at, cost.formula, now=at + time + timedelta(minutes=1))
