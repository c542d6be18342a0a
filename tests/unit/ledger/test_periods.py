"""Tests that every instant is in one month of the federation's zone, that a closed month gets no more entries, and that
all reasons against a closing are reported."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scnet_hub.domain.months import (
    Calendar,
    Completeness,
    PeriodState,
    Suspended,
    against_closed,
    against_closing,
    days,
    following,
    period_named,
    period_of,
    preceding,
)
from scnet_hub.errors import BadOption, SpecError

from .examples import examples

NOVEMBER = period_named("2026-11")
AFTER = NOVEMBER.end + timedelta(days=2)
ZONES = st.sampled_from(sorted(available_timezones()))
INSTANTS = st.timedeltas(timedelta(), timedelta(days=36500)).map(lambda after: datetime(1990, 1, 1, tzinfo=UTC) + after)


def test_a_month_begins_and_ends_at_midnight_of_the_zone() -> None:
    assert NOVEMBER.start == datetime(2026, 10, 31, 16, tzinfo=UTC) and NOVEMBER.end == datetime(
        2026, 11, 30, 16, tzinfo=UTC
    )
    assert NOVEMBER.start in NOVEMBER and NOVEMBER.end not in NOVEMBER
    assert period_of(NOVEMBER.end).name == "2026-12" and period_of(NOVEMBER.end - timedelta(microseconds=1)) == NOVEMBER
    assert period_of(datetime(2026, 12, 1, tzinfo=timezone(timedelta(hours=8)))).name == "2026-12"


def test_a_year_ends_in_its_own_zone() -> None:
    assert period_of(datetime(2026, 12, 31, 16, tzinfo=UTC)).name == "2027-01"
    assert period_of(datetime(2026, 12, 31, 16, tzinfo=UTC), "UTC").name == "2026-12"
    assert following(period_named("2026-12")).name == "2027-01" and preceding(period_named("2026-01")).name == "2025-12"


@settings(max_examples=examples(200), deadline=None)
@given(INSTANTS, ZONES)
def test_every_instant_is_in_one_month_of_any_zone(instant: datetime, zone: str) -> None:
    month = period_of(instant, zone)
    assert instant in month and instant not in following(month) and instant not in preceding(month)
    assert following(month).start == month.end and preceding(month).end == month.start
    assert period_named(month.name, zone) == month
    assert instant.astimezone(ZoneInfo(zone)).strftime("%Y-%m") in (month.name, preceding(month).name)


def test_a_midnight_that_comes_twice_ends_a_month_once() -> None:
    """Newfoundland put its clocks back at 00:01 of November 1, to 23:01 of October."""
    november = period_named("2009-11", "America/St_Johns")
    again = november.start + timedelta(minutes=30)
    assert again.astimezone(ZoneInfo("America/St_Johns")).month == 10
    assert period_of(again, "America/St_Johns") == november and again in november


def test_days_of_a_month_with_a_change_of_clocks() -> None:
    november = [*days(NOVEMBER)]
    assert (november[0], november[-1], len(november)) == (date(2026, 11, 1), date(2026, 11, 30), 30)
    march = period_named("2026-03", "Europe/Berlin")
    assert march.end - march.start == timedelta(days=31, hours=-1) and len([*days(march)]) == 31


@pytest.mark.parametrize(
    "name", ["2026-13", "2026-00", "2026-1", "november", "", "2026-11-01", "٢٠٢٦-11", "0000-01", "9999-12"]
)
def test_what_is_no_month_is_refused(name: str) -> None:
    with pytest.raises(BadOption, match="is not a month"):
        period_named(name)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "/etc/passwd"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(SpecError, match="no time zone"):
        period_of(NOVEMBER.start, zone)


def test_an_instant_without_a_zone_is_in_no_month() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        period_of(datetime(2026, 11, 3))  # noqa: DTZ001


# ---- landing


def test_late_records_land_in_their_own_month_until_it_is_closed() -> None:
    closed_at = NOVEMBER.end + timedelta(days=5)
    calendar = Calendar(closed={"2026-11": closed_at})
    concerns = NOVEMBER.end - timedelta(seconds=1)
    assert calendar.landing(concerns, closed_at - timedelta(microseconds=1)) == NOVEMBER
    assert calendar.landing(concerns, closed_at).name == "2026-12"
    assert calendar.landing(concerns, closed_at + timedelta(days=60)).name == "2027-02"
    assert calendar.landing(NOVEMBER.end, closed_at).name == "2026-12"


@settings(max_examples=examples(200), deadline=None)
@given(INSTANTS, st.timedeltas(timedelta(), timedelta(days=400)), st.timedeltas(timedelta(), timedelta(days=400)))
def test_nothing_lands_in_a_month_that_is_closed_and_all_lands_somewhere(
    at: datetime, late: timedelta, closing: timedelta
) -> None:
    own = period_of(at)
    closed_at = own.end + closing
    landed = Calendar(closed={own.name: closed_at}).landing(at, at + late)
    assert (landed == own) == (at + late < closed_at)
    assert landed == own or at + late in landed


# ---- what hinders


def test_a_month_that_runs_is_not_closed() -> None:
    assert against_closing(NOVEMBER, PeriodState.OPEN, NOVEMBER.end) == []
    (reason,) = against_closing(NOVEMBER, PeriodState.OPEN, NOVEMBER.end - timedelta(hours=1))
    assert reason == "2026-11 lasts until 2026-12-01 00:00 CST; it is 2026-11-30 23:00 CST."
    assert against_closing(NOVEMBER, PeriodState.CLOSED, AFTER) == ["2026-11 is closed already."]


def closed(**changes: object) -> list[str]:
    given = {
        "before": PeriodState.CLOSED,
        "centres": ["alpha", "beta"],
        "manifests": [Completeness(centre="alpha"), Completeness(centre="beta")],
        "suspense": [],
    }
    return against_closed(NOVEMBER, PeriodState.CLOSING, AFTER, **{**given, **changes})  # type: ignore[arg-type]


def test_a_complete_month_is_closed() -> None:
    assert closed() == []
    assert closed(before=None) == []


def test_a_centre_that_sent_nothing_hinders_until_an_operator_says_why_not() -> None:
    (reason,) = closed(manifests=[Completeness(centre="alpha")])
    assert reason.startswith("beta is not complete: no manifest at all.")
    late = Completeness(centre="beta", missing=("2026-11-03: no manifest", "2026-11-04: 2 records missing"))
    assert (
        "2026-11-03: no manifest; 2026-11-04: 2 records missing. Ask it"
        in closed(manifests=[Completeness(centre="alpha"), late])[0]
    )
    excused = Completeness(centre="beta", missing=late.missing, excuse="burnt down")
    assert closed(manifests=[Completeness(centre="alpha"), excused]) == []


def test_suspense_hinders_until_it_is_decided() -> None:
    record = Suspended(centre="alpha", record="job 17", reason="no such session")
    (reason,) = closed(suspense=[record])
    assert reason == "job 17 of alpha is in suspense (no such session) and waits for a decision."
    assert closed(suspense=[Suspended(centre="alpha", record="job 17", reason="x", decision="alpha's own test")]) == []
    assert len(closed(suspense=[Suspended(centre="alpha", record="job 17", reason="x", decision="  ")])) == 1


def test_months_are_closed_in_their_order_and_once() -> None:
    assert closed(before=PeriodState.CLOSING) == ["2026-10 is closing; close the months in order."]
    again = against_closed(NOVEMBER, PeriodState.CLOSED, AFTER, before=None, centres=[], manifests=[], suspense=[])
    assert again == ["2026-11 is closed, not closing."]
