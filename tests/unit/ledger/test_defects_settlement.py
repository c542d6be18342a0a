"""Defects of other accounting systems, by their numbers in our research; each is prevented in settlement here."""

from datetime import timedelta

from scnet_hub.domain.ledger.splits import Shares, apportion
from scnet_hub.domain.months import Completeness, PeriodState, Suspended, against_closed
from scnet_hub.domain.settlement.settlement import Terms, settle
from scnet_hub.units import credits

from .months import NOVEMBER, TERMS, charge


def test_defect_1_what_a_grantor_gave_to_several_projects_adds_up() -> None:
    """Elsewhere a grantor's other grants were left out of the sum as soon as there were any."""
    journal = [
        charge("s1", {"second": 10_000_000}, project="p1"),
        charge("s2", {"first": 20_000_000}, project="p2"),
        charge("s3", {"second": 30_000_000}, project="p1", centre="beta"),
    ]
    city = settle(journal, NOVEMBER, TERMS).of("city")
    assert city.net == -credits(60)
    assert [line.amount for line in city.lines] == [-credits(40), -credits(20)]


def test_defect_1_parts_are_never_more_than_the_whole() -> None:
    assert sum(apportion(1, [1] * 22)) == 1
    try:
        Shares(publisher=700_000, fee=300_001)
    except ValueError:
        return
    raise AssertionError("more than the whole was given away")


def test_defect_2_every_centre_and_every_record_is_looked_at_not_only_the_first() -> None:
    """Elsewhere a loop over limits answered after the first one."""
    reasons = against_closed(
        NOVEMBER, PeriodState.CLOSING, NOVEMBER.end + timedelta(days=1), before=None,
        centres=["alpha", "beta", "gamma"],
        manifests=[Completeness(centre="alpha"), Completeness(centre="beta", missing=("2026-11-30: no manifest",))],
        suspense=[
            Suspended(centre="alpha", record="job 1", reason="no such session", decision="alpha's own"),
            Suspended(centre="alpha", record="job 2", reason="ends before it starts"),
        ],
    )  # fmt: skip
    assert [reason.split()[0] for reason in reasons] == ["beta", "gamma", "job"] and "job 2" in reasons[2]


def test_defect_4_a_month_stays_as_it_was_when_a_project_or_a_member_is_gone() -> None:
    """Elsewhere a deleted customer took its invoices along. Here a statement needs the journal and nothing else."""
    journal = [charge("s1", {"first": 10_000_000}), charge("s2", {"first": 5_000_000}, project="p2", centre="beta")]
    before = settle(journal, NOVEMBER, TERMS)
    gone = {account: payer for account, payer in TERMS.payers.items() if not account.startswith("project:p2")}
    after = settle(journal, NOVEMBER, Terms(calendar=TERMS.calendar, payers=gone))
    assert after.of("alpha") == before.of("alpha") and after.of("beta") == before.of("beta")
    assert after.charged == before.charged and after.unknown == ("project:p2/first",)
    assert sum(one.net.micros for one in after.statements) == 0
