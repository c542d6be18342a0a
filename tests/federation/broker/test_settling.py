"""Settlement by REST: who sees and closes months, who answers statements, the board, and the files. No centre is asked
for anything."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from scnet_hub.adapters.centre import Centre
from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import mails as mail_rows
from scnet_hub.adapters.db.queries import manifests as manifest_rows
from scnet_hub.adapters.db.queries import usage as usage_rows
from scnet_hub.adapters.db.queries.manifests import ManifestRow
from scnet_hub.adapters.db.queries.usage import UsageRow
from scnet_hub.broker.app import create_app
from scnet_hub.broker.auth import Gate
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.domain.jobs import Ending
from scnet_hub.domain.pricing.rates import segment_cost
from scnet_hub.domain.pricing.tariffs import Sale, Tariff, Version
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.domain.standard.usage import parse_event
from scnet_hub.domain.usage import serialisation
from scnet_hub.domain.usage.runs import Usage
from scnet_hub.domain.usage.segments import meters, segments
from scnet_hub.domain.usage.serialisation import Terms
from scnet_hub.errors import SpecError
from scnet_hub.services.accounting import books
from scnet_hub.services.federation import Federation
from scnet_hub.services.settlement import closing
from scnet_hub.units import Amount
from tests.unit.ledger.closing import LOAD, SPEC, Clock, charge, day, grant

from .contract import Checked
from .door import by

PEOPLE = {
    "olga": ["custom:scnet:use", "custom:scnet:operate"],
    **{one: ["custom:scnet:use"] for one in ("nora", "mina", "eve")},
    "nora-in-a-session": ["custom:scnet:use", "access:servers!server=nora/"],
}
NORTH = "statements/2026-10/GRANT/north"


@dataclass
class House:
    """A broker's door on a federation that nobody started."""

    db: Database
    clock: Clock
    fed: Federation
    http: httpx.AsyncClient

    async def get(self, path: str, person: str = "olga", **params: Any) -> Any:
        return await self.http.get(path, headers=by(person), params=params)

    async def post(self, path: str, person: str = "olga", **body: Any) -> Any:
        return await self.http.post(path, headers=by(person), json=body)

    async def close(self, name: str, **excuses: str) -> Any:
        return await self.post(f"periods/{name}/close", excuses=excuses)


def vouch(request: httpx.Request) -> httpx.Response:
    person = request.headers["authorization"].split()[-1]
    return httpx.Response(200, json={"name": person.partition("-")[0], "scopes": PEOPLE[person]})


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    db, clock = Database(f"sqlite:///{tmp_path / 'b.sqlite'}"), Clock()
    db.open()
    centres = {name: Centre.of(known.spec) for name, known in LOAD.centres.items()}
    fed = Federation(SPEC, centres, db, call_home_url="http://127.0.0.1:9/{}", clock=clock)
    hub = httpx.AsyncClient(transport=httpx.MockTransport(vouch))
    app = create_app(fed, Gate("http://hub/hub/api", "h" * 64, http=hub))
    async with httpx.AsyncClient(transport=Checked(app), base_url=f"http://broker{PREFIX}/") as http:
        yield House(db, clock, fed, http)
    db.close()


def october(tx: Tx) -> None:
    """One charge at alpha, which is north's."""
    grant(tx, day("2026-10-05"))
    charge(tx, "s1", 100_000_000, day("2026-10-10"), day("2026-10-10"))


async def test_a_month_goes_its_way_by_rest(house: House) -> None:
    house.db.run_here(october)
    early = await house.close("2026-10")
    assert (early.status_code, early.json()["code"]) == (422, "period-not-closed")
    house.clock.to("2026-11-03")
    preview = (await house.post("periods/2026-10/close", preview=True)).json()
    assert (preview["closed"], preview["period"]["state"], preview["period"]["hinders"]) == (False, "closing", [])
    assert {one["member"]: one["net"] for one in preview["statements"]} == {
        "north": 95,
        "federation": 5,
        "ministry": -100,
    }
    assert {one["state"] for one in preview["statements"]} == {"preview"} and (await house.get("statements")).json()[
        "statements"
    ] == []
    closed = (await house.close("2026-10")).json()
    assert closed["closed"] and closed["period"]["state"] == "closed" and closed["period"]["closed_by"] == "olga"
    assert closed["netting"]["payments"] == [
        {"payer": "ministry", "payee": "north", "amount": 76},
        {"payer": "ministry", "payee": "federation", "amount": 4},
    ]
    again = await house.close("2026-10")
    assert (again.status_code, again.json()["code"]) == (422, "period-closed")
    whole, after, pages = (await house.get("statements")).json(), "", list[str]()
    while after is not None:
        page = (await house.get("statements", limit=1, **({"after": after} if after else {}))).json()
        pages, after = [*pages, *(one["name"] for one in page["statements"])], page["next"]
    assert pages == [one["name"] for one in whole["statements"]] and len(pages) > 1 and whole["next"] is None
    assert (await house.get("statements", after="x")).json()["code"] == "bad-option"
    listed = (await house.get("periods")).json()["periods"]
    assert [(one["name"], one["state"]) for one in listed] == [("2026-11", "open"), ("2026-10", "closed")]
    assert listed[1]["entries"] == 2 and len(listed[1]["head"]) == 64
    verified = (await house.get("ledger/verify")).json()
    assert verified["ok"] and verified["entries"] == 3  # the third is the end of the month


async def test_a_member_sees_and_answers_its_own_statements(house: House) -> None:
    house.db.run_here(october)
    house.clock.to("2026-11-03")
    await house.close("2026-10")
    assert [one["member"] for one in (await house.get("statements", "nora")).json()["statements"]] == ["north"]
    assert (await house.get("statements", "eve")).json()["statements"] == []
    assert (await house.get(NORTH, "mina")).status_code == 404
    assert (await house.get("statements", "nora-in-a-session")).json()["code"] == "not-from-a-session"
    shown = (await house.get(NORTH, "nora")).json()
    assert shown["title"] == "Northern universities" and shown["may"] == ["accept", "dispute"]
    assert [(one["column"], one["account"], one["amount"], one["entries"]) for one in shown["lines"]] == [
        ("earned", "centre:alpha", 95, 1)
    ]
    assert shown["reimbursements"] == [
        {"grantor": "ministry", "member": "north", "rate": 0.8, "credits": 95, "money": 76}
    ]
    entries = (await house.get(f"{NORTH}/entries", "nora")).json()
    assert [(one["key"], one["amount"]) for one in entries["entries"]] == [("settle:s1", 95)] and entries[
        "next"
    ] is None
    assert (await house.post(f"{NORTH}/dispute", "nora", words=" ")).json()["code"] == "bad-option"
    assert (await house.post(f"{NORTH}/accept", "mina")).status_code == 404
    assert (await house.post(f"{NORTH}/settle", "nora")).status_code == 403
    disputed = (await house.post(f"{NORTH}/dispute", "nora", words="s1 failed")).json()
    assert (disputed["state"], disputed["words"], disputed["answered_by"]) == ("disputed", "s1 failed", "nora")
    assert (await house.get("settlement/board")).json()["disputes"][0]["words"] == "s1 failed"
    assert (await house.post(f"{NORTH}/settle")).json()["code"] == "bad-option"  # without words of what was decided
    settled = (await house.post(f"{NORTH}/settle", words="taken back by reverse:settle:s1")).json()
    assert (settled["state"], settled["may"]) == ("settled", [])
    assert (await house.post(f"{NORTH}/accept", "nora")).json()["code"] == "statement-answered"
    told = {(one.person, one.subject): one.body for one in house.db.run_here(mail_rows.newest)}
    assert "comes to 95.00 credits; due are 76.00 CNY" in told["nora", "Statement of north for 2026-10: 95.00 credits"]
    assert "s1 failed" in told["", "Statement 2026-10/GRANT/north is disputed"]
    assert "taken back by" in told["nora", "Statement 2026-10/GRANT/north is settled"]
    assert {person for person, _ in told} == {"", "nora", "mina"} and (
        "",
        "2026-10 is over and waits to be closed",
    ) in told


async def test_silence_is_acceptance_and_a_late_dispute_is_refused(house: House) -> None:
    house.db.run_here(october)
    house.clock.to("2026-11-03")
    await house.close("2026-10")
    house.clock.to("2026-11-18")
    late = await house.post(f"{NORTH}/dispute", "nora", words="wrong")
    assert (late.status_code, late.json()["code"]) == (422, "too-late")
    await house.fed.settling.once()
    shown = (await house.get(NORTH, "nora")).json()
    assert (shown["state"], shown["words"], shown["answered_by"]) == ("accepted", "not answered in time", "")
    assert shown["lines"] and (await house.post(f"{NORTH}/settle")).json()["state"] == "settled"


async def test_only_operators_close_and_see_the_board(house: House) -> None:
    house.db.run_here(october)
    await house.fed.settling.once()
    for path in ("settlement/board", "periods/2026-10", "periods/2026-10/usage"):
        assert (await house.get(path, "nora")).status_code == 403, path
    assert (await house.post("periods/2026-10/close", "nora")).status_code == 403
    assert (await house.get("periods", "nora")).json()["periods"][0]["hinders"] == []
    assert (await house.get("periods", "eve")).status_code == 403
    for wrong in (
        {"excuses": []},
        {"preview": "yes"},
        {"force": True},
        {"excuses": {"nowhere": "x"}},
        {"excuses": {"alpha": ""}},
    ):
        assert (await house.post("periods/2026-10/close", **wrong)).json()["code"] == "bad-option", wrong
    assert (await house.post("periods/2026-13/close")).json()["code"] == "bad-option"
    assert (await house.post("periods/2020-01/close")).json()["code"] == "unknown-period"


async def test_the_zone_of_the_books_stays_what_it_was(house: House) -> None:
    """Months of another zone would count hours twice, or never."""
    house.db.run_here(october)
    house.clock.to("2026-11-03")
    await house.fed.settling.once()
    house.fed.settling.rules = replace(house.fed.settling.rules, zone="Europe/Berlin")
    (reason,) = (await house.close("2026-10")).json()["details"]["reasons"]
    assert "Europe/Berlin" in reason and "Asia/Shanghai" in reason
    assert (await house.get("periods/2026-10")).json()["end"] == "2026-10-31T16:00:00.000Z"


WRONG_MEMBERS = {
    '[[member]]\nid = "a"\n[[member]]\nid = "a"': "two members are called 'a'",
    '[[member]]\nid = "a"\ncentres = ["x"]\n[[member]]\nid = "b"\ncentres = ["x"]': "centre 'x' is listed twice",
    '[[member]]\nid = "a"\ncentres = ["b"]\n[[member]]\nid = "b"': "member 'b' has the id of a centre of 'a'",
}


@pytest.mark.parametrize("page", WRONG_MEMBERS)
def test_whose_a_centre_is_is_plain_from_the_page(page: str) -> None:
    with pytest.raises(SpecError, match=WRONG_MEMBERS[page]):
        parse_federation(f'centres = ["*.toml"]\n{page}\n', source="federation.toml")


# ---- what hinders


def record(number: int, centre: str = "alpha", **changes: Any) -> Usage:
    start = day("2026-10-10") + timedelta(hours=number)
    told: dict[str, Any] = {
        "centre": centre, "birth": "1", "job_id": str(number), "submitted_at": start - timedelta(minutes=1),
        "name": f"scnet-s{number}", "session": f"s{number}", "copy": 1, "partition": "cpu", "cores": 4,
        "gpus": (("a100", 1),), "memory": 2**34, "start": start, "end": start + timedelta(seconds=5000),
        "elapsed": timedelta(seconds=5000), "ending": Ending.COMPLETED, "seen_at": start,
    }  # fmt: skip
    return Usage(**{**told, **changes})


def row(one: Usage, **changes: Any) -> UsageRow:
    return UsageRow(
        identity=str(one.identity), digest=serialisation.usage_digest(one), centre=one.centre, session=one.session,
        copy=1, over_at=one.end, record=serialisation.usage_document(one), seen_at=one.seen_at, **changes,
    )  # fmt: skip


def manifest(of: date, *missing: str, centre: str = "alpha", excuse: str = "") -> ManifestRow:
    at = day("2026-11-02")
    return ManifestRow(centre=centre, day=of, document={}, watermark=at, issued_at=at, missing=missing, excuse=excuse)


async def test_every_day_of_a_centre_that_ran_something_is_waited_for_from_its_first_on(house: House) -> None:
    def story(tx: Tx) -> None:
        october(tx)
        usage_rows.insert(tx, row(record(1)))
        for number in range(10, 32):
            if number != 20:
                manifest_rows.upsert(
                    tx, manifest(date(2026, 10, number), *(["2026-10-21: one is not here"] if number == 21 else []))
                )
        manifest_rows.upsert(tx, manifest(date(2026, 10, 7), "2026-10-07: one is not here", centre="beta"))

    house.db.run_here(story)
    house.clock.to("2026-11-03")
    refused = (await house.close("2026-10")).json()
    assert refused["details"]["reasons"] == [
        f"{words}. Ask it to send them, or give a reason for closing without them."
        for words in (
            "alpha is not complete: 2026-10-20: no manifest; 2026-10-21: one is not here",
            "beta is not complete: 2026-10-07: one is not here",
        )
    ]
    shown = (await house.get("periods/2026-10")).json()
    assert shown["hinders"] == refused["details"]["reasons"]
    assert [(one["centre"], one["ran"], len(one["missing"])) for one in shown["centres"]] == [
        ("alpha", True, 2),
        ("beta", False, 1),
    ]
    late = {
        one["centre"]: (one["late"], one["last_day"]) for one in (await house.get("settlement/board")).json()["centres"]
    }
    assert late == {"alpha": (False, "2026-10-31"), "beta": (True, "2026-10-07")}
    house.db.run_here(manifest_rows.excuse, "alpha", date(2026, 10, 21), date(2026, 10, 21), "its disk broke", "olga")
    house.db.run_here(manifest_rows.upsert, manifest(date(2026, 10, 20)))
    closed = (await house.close("2026-10", beta="it left the federation")).json()
    assert closed["closed"] and closed["period"]["excuses"] == {"beta": "it left the federation"}


async def test_a_centre_that_ran_nothing_is_not_waited_for_and_an_undecided_record_is(house: House) -> None:
    def story(tx: Tx) -> None:
        october(tx)
        usage_rows.insert(
            tx,
            row(record(1, "gamma"), state=usage_rows.SUSPENSE, reason="Job 1 of gamma bears the name of no session."),
        )
        for number in range(10, 32):
            manifest_rows.upsert(tx, manifest(date(2026, 10, number), centre="gamma"))

    house.db.run_here(story)
    house.clock.to("2026-11-03")
    (reason,) = (await house.close("2026-10")).json()["details"]["reasons"]
    assert "bears the name of no session" in reason and "waits for a decision" in reason
    board = (await house.get("settlement/board")).json()
    assert board["suspense"]["count"] == 1 and board["suspense"]["records"][0]["centre"] == "gamma"
    assert board["periods"][1]["hinders"] == [reason]
    house.db.run_here(usage_rows.decide, board["suspense"]["records"][0]["id"], "drop: a test", "olga", house.clock())
    assert (await house.close("2026-10")).status_code == 200


async def test_the_boards_trial_balance_sums_to_zero_by_classes_of_accounts(house: House) -> None:
    house.db.run_here(october)
    (trial,) = (await house.get("settlement/board")).json()["trial"]
    assert (trial["unit"], trial["sum"]) == ("GRANT", 0)
    assert trial["accounts"] == {"centre": 95, "fee": 5, "grants": -1_000_000, "project": 999_900}


async def test_statements_are_made_whose_making_was_broken_off(house: House) -> None:
    house.db.run_here(october)
    house.clock.to("2026-11-03")
    house.db.run_here(closing.cut, "2026-10", house.fed.settling.rules, {}, "olga", house.clock())
    assert [(one["state"], one["cut"]) for one in (await house.get("periods")).json()["periods"]] == [
        ("open", False),
        ("closing", True),
    ]
    await house.fed.settling.once()
    assert (await house.get(NORTH)).json()["net"] == 95


# ---- files

TARIFF = Tariff(
    versions=(Version(prices={"core-second": 1_200_000, "gpu-second:a100": 20_000_000, "gib-second": 0}, minimum=0),),
    place="Alpha, partition cpu",
)


def charged_by_records(tx: Tx) -> None:
    """Three sessions with stored records and prices, of which one crosses the end of October; one was charged by
    hand."""
    october(tx)
    document = serialisation.terms_document(Terms(tariff=TARIFF))
    digest = serialisation.digest_of(document)
    usage_rows.keep_tariff(tx, digest, "alpha", "cpu", document, day("2026-10-10"))
    over_midnight = day("2026-10-31") + timedelta(hours=15, minutes=30)  # 23:30 in Shanghai
    runs = [
        record(11),
        record(12),
        record(13, start=over_midnight, submitted_at=over_midnight, end=over_midnight + timedelta(seconds=5000)),
    ]
    for run in runs:
        usage_rows.insert(tx, row(run, tariff=digest))
        for part in segments(run):
            cost = segment_cost(meters(part), TARIFF.at(part.start), part.length)
            books.charge(
                tx,
                "p",
                run.session,
                "alpha",
                cost.amount,
                part.start,
                cost.formula,
                key=f"settle:{part}",
                last=False,
                now=run.end,
            )


async def test_bills_are_focus_with_a_row_for_each_meter_and_add_up_to_the_statements(house: House) -> None:
    house.db.run_here(charged_by_records)
    await house.fed.settling.once()
    assert (await house.get("periods/2026-10/bills")).json()["code"] == "period-open"
    house.clock.to("2026-11-03")
    closed = (await house.close("2026-10", alpha="tested without manifests")).json()
    answer = await house.get("periods/2026-10/bills")
    assert (
        answer.headers["content-type"].startswith("text/csv")
        and "focus-2026-10-GRANT.csv" in answer.headers["content-disposition"]
    )
    rows = [*csv.DictReader(answer.text.splitlines())]
    ministry = next(one for one in closed["statements"] if one["member"] == "ministry")
    assert sum(Decimal(one["PricingCurrencyEffectiveCost"]) for one in rows) == -Decimal(str(ministry["net"]))
    assert sum(Decimal(one["BilledCost"]) for one in rows) == -Decimal(str(ministry["due"]))
    gpus = [one for one in rows if one["SkuMeter"] == "gpu-second:a100"]
    # of the third only what was before midnight
    assert sorted(one["ConsumedQuantity"] for one in gpus) == [
        "1800.0",
        "5000.0",
        "5000.0",
    ]
    assert {one["PricingCurrencyListUnitPrice"] for one in gpus} == {"20.0"} and all(
        "x 20" in one["ChargeDescription"] for one in gpus
    )
    assert {one["x_UsageRecordId"][:6] for one in gpus} == {"alpha/"} and {one["SubAccountId"] for one in rows} == {"p"}
    assert {(one["RegionId"], one["RegionName"]) for one in gpus} == {
        ("alpha", house.fed.states.centres["alpha"].spec.name)
    }
    by_hand = [one for one in rows if one["x_EntryId"] == "settle:s1"]
    assert [(one["SkuMeter"], one["PricingCurrencyEffectiveCost"]) for one in by_hand] == [("minimum", "100.0")]
    assert (await house.get("periods/2026-10/bills", "mina")).text.count("\n") == len(rows) + 1
    assert (await house.get("periods/2026-10/bills", "nora")).text.count("\n") == 1
    assert (await house.get("periods/2026-10/bills", "nora", member="ministry")).json()["code"] == "not-entitled"
    assert (await house.get("periods/2026-10/bills", book="EUR")).json()["code"] == "bad-option"


async def test_usage_are_events_of_the_segments_of_the_month(house: House) -> None:
    house.db.run_here(charged_by_records)
    house.clock.to("2026-11-03")
    await house.fed.settling.once()
    answer = await house.get("periods/2026-10/usage")
    events = [parse_event(line, source="x") for line in answer.text.splitlines()]
    assert [(one.data.local_job_id, one.data.segment and one.data.segment.number) for one in events] == [
        ("11", 1),
        ("12", 1),
        ("13", 1),
    ]
    november = (await house.get("periods/2026-11/usage")).text.splitlines()
    assert [
        json.loads(line)["data"]["segment"]["number"] for line in november if "segment" in json.loads(line)["data"]
    ] in ([2], [])
    assert len(november) == 1 and (await house.get("periods/2026-10/usage", centre="beta")).text == ""


async def test_corrections_are_billed_with_the_month_that_they_correct(house: House) -> None:
    house.db.run_here(charged_by_records)
    house.clock.to("2026-11-03")
    await house.close("2026-10", alpha="tested without manifests")
    house.db.run_here(lambda tx: books.reverse(tx, "settle:s1", day("2026-11-05"), "node failure"))
    house.clock.to("2026-12-03")
    await house.close("2026-11", alpha="tested without manifests")
    rows = [*csv.DictReader((await house.get("periods/2026-11/bills")).text.splitlines())]
    corrected = [one for one in rows if one["ChargeClass"] == "Correction"]
    told = [
        (one["x_CorrectedPeriod"], one["x_ReversedEntryId"], one["PricingCurrencyEffectiveCost"]) for one in corrected
    ]
    assert told == [("2026-10", "settle:s1", "-100.0")]
    north = (await house.get("statements/2026-11/GRANT/north")).json()
    assert (north["columns"]["clawback"], {one["corrects"] for one in north["lines"]}) == (-95, {"", "2026-10"})


async def test_a_bill_shows_the_sale_the_minimum_and_what_a_run_that_goes_on_used(house: House) -> None:
    """Also of a run in whose midst an outage lay: what was charged are its segments beside it."""
    sale = Sale(name="nights", opens=0, closes=24 * 60, off=500_000)
    terms = Terms(tariff=replace(TARIFF, versions=(replace(TARIFF.versions[0], minimum=50_000_000),), sales=(sale,)))

    def story(tx: Tx) -> None:
        grant(tx, day("2026-10-05"))
        document = serialisation.terms_document(terms)
        digest = serialisation.digest_of(document)
        usage_rows.keep_tariff(tx, digest, "alpha", "cpu", document, day("2026-10-10"))
        usage_rows.keep_outage(
            tx, "alpha", day("2026-10-10") + timedelta(minutes=70), day("2026-10-10") + timedelta(minutes=80), "power"
        )
        short, going = record(1), record(2, end=None, ending=None)
        outage = [edge for start, end, _ in usage_rows.outages_of(tx, "alpha") for edge in (start, end) if edge]
        first, _, last = segments(short, cuts=outage)
        costs = {
            one: segment_cost(meters(one), terms.tariff.at(one.start), one.length).amount
            for one in (first, last, *segments(going))
        }
        for run in (short, going):
            usage_rows.insert(tx, row(run, tariff=digest, final=run.final))
        topped_up = Amount(50_000_000) - costs[first] - costs[last]
        for part, cost in costs.items():
            cost = cost + topped_up if part is last else cost
            books.charge(
                tx,
                "p",
                part.usage.session,
                "alpha",
                cost,
                part.start,
                "x",
                key=f"settle:{part}",
                last=False,
                now=part.end,
            )

    house.db.run_here(story)
    house.clock.to("2026-11-03")
    await house.close("2026-10", alpha="tested without manifests")
    rows = [*csv.DictReader((await house.get("periods/2026-10/bills")).text.splitlines())]
    assert {one["SkuMeter"] for one in rows} == {"core-second", "gpu-second:a100", "minimum"}
    gpus = [one for one in rows if one["SkuMeter"] == "gpu-second:a100"]
    assert [one["ConsumedQuantity"] for one in gpus] == ["600.0", "3800.0", "5000.0"]
    listed = [(one["PricingCurrencyListUnitPrice"], one["PricingCurrencyContractedUnitPrice"]) for one in gpus]
    assert listed == [("20.0", "10.0")] * 3
    (least,) = (one for one in rows if one["SkuMeter"] == "minimum")
    of_short = sum(Decimal(one["PricingCurrencyEffectiveCost"]) for one in rows if one["ResourceId"] == "s1")
    assert of_short == 50 and Decimal(least["PricingCurrencyEffectiveCost"]) > 30
    events = (await house.get("periods/2026-10/usage")).text.splitlines()
    assert [json.loads(line)["data"]["Final"] for line in events] == [True, True, True, False]
