"""Tests that a month's statements add up to its entries and its positions to zero, and that there are no more payments
than needed."""

from __future__ import annotations

import doctest
import random
import tracemalloc
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scnet_hub.domain.ledger.entries import Entry, Posting
from scnet_hub.domain.ledger.splits import Shares
from scnet_hub.domain.months import Calendar
from scnet_hub.domain.settlement import statements
from scnet_hub.domain.settlement.netting import Payment, netting, paid, positions
from scnet_hub.domain.settlement.settlement import Payer, Settlement, Terms, emptied, landed, parts, settle, shares
from scnet_hub.domain.settlement.statements import COLUMNS, MONEY, Issue, StatementState
from scnet_hub.errors import BadOption, Refused
from scnet_hub.units import CREDIT, Amount, credits

from .examples import examples
from .months import BOOKS, CLOSED_AT, DECEMBER, NOVEMBER, OCTOBER, TERMS, charge, noise, reverse, stories

ROOT = Path(__file__).parents[3]
MONTHS = (OCTOBER, NOVEMBER, DECEMBER)
NOW = NOVEMBER.end + timedelta(days=3)


def money(micros: int) -> Amount:
    return Amount(micros, MONEY)


def column(settlement: Settlement, name: str) -> int:
    return sum(one.sum(name).micros for one in settlement.statements)


# ---- whatever happened


@settings(max_examples=examples(100), deadline=None)
@given(BOOKS)
def test_statements_sum_to_zero_and_so_do_positions(book: tuple[str, list[Entry]]) -> None:
    """I10"""
    unit, story = book
    for month in MONTHS:
        settlement = settle(story, month, TERMS, unit=unit)
        assert sum(one.net.micros for one in settlement.statements) == 0
        assert sum(one.micros for one in positions(settlement.statements).values()) == 0
        for one in settlement.statements:
            assert one.net.micros == sum(one.sum(name).micros for name in COLUMNS)


@settings(max_examples=examples(100), deadline=None)
@given(stories())
def test_what_was_charged_is_what_somebody_got(story: list[Entry]) -> None:
    """I9: no leakage. Over all months, for what is corrected in one was charged in another."""
    got = charged = 0
    for month in MONTHS:
        settlement = settle(story, month, TERMS)
        charged += settlement.charged.micros
        got += sum(column(settlement, name) for name in ("earned", "app_share", "fee"))
        # what is corrected, without what pays for it
        got += sum(
            line.amount.micros
            for one in settlement.statements
            for line in one.lines
            if line.corrects and line.account.startswith(("centre:", "publisher:", "fee:"))
        )
    assert got == charged
    assert charged == sum(
        one.amount.micros
        for entry in story
        for one in entry.postings
        if one.account.startswith(("centre:", "publisher:", "fee:"))
    )


@settings(max_examples=examples(100), deadline=None)
@given(stories(), st.randoms(use_true_random=False))
def test_a_settlement_comes_again_from_the_journal_alone(story: list[Entry], chance: random.Random) -> None:
    """I18: from any order of it, and each month counts each entry once."""
    first = [settle(story, month, TERMS) for month in MONTHS]
    again = story[:]
    chance.shuffle(again)
    assert first == [settle(iter(again), month, TERMS) for month in MONTHS]
    counted = [entry.key for month in MONTHS for entry, _ in landed(story, month, TERMS, CREDIT)]
    assert sorted(counted) == sorted(entry.key for entry in story)


@settings(max_examples=examples(100), deadline=None)
@given(stories())
def test_the_lines_lead_to_the_entries(story: list[Entry]) -> None:
    settlement = settle(story, NOVEMBER, TERMS)
    for statement in settlement.statements:
        found = [*parts(story, NOVEMBER, TERMS, statement.member)]
        for line in statement.lines:
            its = [
                one
                for one in found
                if (one.column, one.account, one.corrects) == (line.column, line.account, line.corrects)
            ]
            assert sum(one.amount.micros for one in its) == line.amount.micros and len(its) == line.entries
        assert sum(line.entries for line in statement.lines) == len(found)


@settings(max_examples=examples(100), deadline=None)
@given(stories())
def test_reimbursements_are_what_is_due(story: list[Entry]) -> None:
    for month in MONTHS:
        settlement = settle(story, month, TERMS)
        for statement in settlement.statements:
            got = sum(one.money.micros for one in settlement.reimbursements if one.member == statement.member)
            owed = sum(one.money.micros for one in settlement.reimbursements if one.grantor == statement.member)
            assert statement.due == money(got - owed)
        for one in settlement.reimbursements:
            assert one.rate or not one.money


@settings(max_examples=examples(100), deadline=None)
@given(BOOKS)
def test_accounts_of_a_month_are_emptied_to_zero(book: tuple[str, list[Entry]]) -> None:
    unit, story = book
    settlement = settle(story, NOVEMBER, TERMS, unit=unit)
    booked: defaultdict[str, int] = defaultdict(int)
    entry = emptied(settlement, NOW)
    for one in [*(one for one, _ in landed(story, NOVEMBER, TERMS, unit)), *([entry] if entry else [])]:
        for posting in one.postings:
            booked[posting.account] += posting.amount.micros
    assert not [
        account
        for account, micros in booked.items()
        if micros and account.startswith(("centre:", "publisher:", "fee:", "sla:"))
    ]
    for statement in settlement.statements:
        assert booked[f"member:{statement.member}"] == (statement.due.micros if unit == MONEY else 0)
    if entry:
        assert not settle([replace(entry, recorded_at=NOW)], DECEMBER, TERMS, unit=unit).statements


BALANCED = st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=30).map(lambda some: [*some, -sum(some)])


@settings(max_examples=examples(200), deadline=None)
@given(BALANCED)
def test_payments_bring_every_position_to_zero_and_are_fewer_than_members(some: list[int]) -> None:
    owed = {f"m{number}": money(micros) for number, micros in enumerate(some)}
    payments = netting(owed)
    left = dict(owed)
    for one in payments:
        assert one.amount.micros > 0 and one.payer != one.payee
        left[one.payer] += one.amount
        left[one.payee] -= one.amount
    assert not any(left.values())
    assert len(payments) <= max(0, sum(1 for one in owed.values() if one) - 1)
    assert payments == netting(dict(reversed(owed.items())))


# ---- by hand


def test_who_owes_most_pays_whom_most_is_owed() -> None:
    owed = {"a": money(70), "b": money(30), "c": money(-60), "d": money(-40), "e": money(0)}
    assert netting(owed) == [Payment("c", "a", money(60)), Payment("d", "b", money(30)), Payment("d", "a", money(10))]
    assert netting({}) == []


def test_a_grantor_owes_by_the_rate_of_the_lot() -> None:
    one = charge("s1", {"first": 10_000_000, "second": 20_000_000}, shares=Shares(publisher=100_000, fee=50_000))
    settlement = settle([one], NOVEMBER, TERMS)
    assert settlement.charged == credits(30)
    assert settlement.of("alpha").sum("earned") == credits("25.5") == settlement.of("alpha").net
    assert settlement.of("maker").sum("app_share") == credits(3)
    assert settlement.of("federation").sum("fee") == credits("1.5")
    assert settlement.of("ministry").sum("subsidy") == -credits(10)
    assert settlement.of("city").sum("subsidy") == -credits(20)
    # 10 credits at 1, 20 at 0.333333: 85 % of it alpha's, 10 % the maker's
    assert settlement.of("ministry").due == money(-10_000_000)
    assert settlement.of("city").due == money(-6_666_660)
    assert settlement.of("alpha").due == money(8_500_000 + 5_666_661)
    assert settlement.of("nobody").net == credits(0)


def test_money_is_rounded_half_up_for_each_entry_and_back_the_same_way() -> None:
    terms = replace(
        TERMS, payers={"project:p1/first": Payer("city", 500_000), "project:p1/second": Payer("city", 499_999)}
    )
    one, other = charge("s1", {"first": 1}), charge("s2", {"second": 1})
    assert settle([one], NOVEMBER, terms).of("alpha").due == money(1)
    assert settle([other], NOVEMBER, terms).of("alpha").due == money(0)
    assert settle([one, charge("s3", {"first": 1})], NOVEMBER, terms).of("alpha").due == money(2)
    assert settle([one, reverse(one)], NOVEMBER, terms).of("alpha").due == money(0)


def test_a_lot_whose_hold_only_went_back_is_in_no_statement() -> None:
    one = charge("s1", {"first": 5_000_000})
    back = (Posting("held:p1/second", -credits(3)), Posting("project:p1/second", credits(3)))
    settlement = settle([replace(one, postings=(*one.postings, *back))], NOVEMBER, TERMS)
    assert [one.member for one in settlement.statements] == ["alpha", "ministry"]


def test_a_rate_of_nothing_is_a_statement_of_thanks() -> None:
    settlement = settle([charge("s1", {"first": 5_000_000}, project="p2")], NOVEMBER, TERMS)
    (thanks,) = settlement.reimbursements
    assert (thanks.grantor, thanks.member, thanks.credits, thanks.money) == ("city", "alpha", credits(5), money(0))
    assert not any(positions(settlement.statements).values())
    assert netting(positions(settlement.statements)) == []


def test_a_centre_that_was_down_gives_back_and_its_grantor_pays_less() -> None:
    down = charge("s1", {"first": 9_000_000}, shares=Shares(sla=100_000))
    later = Entry(
        key="sla:s1", at=down.at, kind="adjust", project="p1", recorded_at=down.at,
        postings=(Posting("sla:alpha", -credits(2)), Posting("project:p1/first", credits(2))),
    )  # fmt: skip
    settlement = settle([down, later], NOVEMBER, TERMS)
    alpha = settlement.of("alpha")
    assert (alpha.sum("earned"), alpha.sum("sla_credit"), alpha.net) == (credits(10), -credits(3), credits(7))
    assert alpha.due == money(7_000_000) == -settlement.of("ministry").due


def test_a_correction_of_a_closed_month_is_a_clawback_with_its_link() -> None:
    october = OCTOBER.start + timedelta(days=20)
    first = charge("s1", {"first": 10_000_000}, at=october)
    turned = reverse(first, recorded_at=CLOSED_AT)
    posted = charge("s1", {"first": 4_000_000}, at=october, recorded_at=CLOSED_AT, key="settle:s1:2")
    journal = [first, turned, posted]
    assert settle(journal, OCTOBER, TERMS).of("alpha").sum("earned") == credits(10)
    settlement = settle(journal, NOVEMBER, TERMS)
    alpha = settlement.of("alpha")
    assert (alpha.sum("earned"), alpha.sum("clawback"), alpha.due) == (credits(0), -credits(6), money(-6_000_000))
    assert [line.corrects for line in alpha.lines] == ["2026-10"]
    links = [*parts(journal, NOVEMBER, TERMS, "alpha")]
    assert [(one.key, one.reverses, one.corrects) for one in links] == [
        ("reverse:settle:s1", "settle:s1", "2026-10"),
        ("settle:s1:2", "", "2026-10"),
    ]
    assert settlement.of("ministry").due == money(6_000_000)


def test_the_same_correction_before_the_closing_is_none() -> None:
    first = charge("s1", {"first": 10_000_000}, at=OCTOBER.start)
    turned = reverse(first, recorded_at=CLOSED_AT - timedelta(microseconds=1))
    assert not settle([first, turned], OCTOBER, TERMS).of("alpha").net
    assert settle([first, turned], NOVEMBER, TERMS).statements == ()


def test_the_two_books_are_settled_apart() -> None:
    journal = [charge("s1", {"first": 7_000_000}), charge("s2", {"first": 3_000_000}, unit=MONEY)]
    settlement = settle(journal, NOVEMBER, TERMS, unit=MONEY)
    assert settlement.of("alpha").due == money(3_000_000) and settlement.reimbursements == ()
    assert settle(journal, NOVEMBER, TERMS).of("alpha").net == credits(7)


def test_a_member_has_one_position_whatever_it_is() -> None:
    terms = replace(TERMS, members={"centre:alpha": "acme", "publisher:maker": "acme", "sla:alpha": "acme"})
    settlement = settle([charge("s1", {"first": 10_000_000}, shares=Shares(publisher=200_000))], NOVEMBER, terms)
    assert [one.member for one in settlement.statements] == ["acme", "ministry"]
    assert (settlement.of("acme").sum("earned"), settlement.of("acme").sum("app_share")) == (credits(8), credits(2))


def test_a_centre_that_grants_owes_itself_nothing() -> None:
    settlement = settle([charge("s1", {"own": 10_000_000}, project="p2")], NOVEMBER, TERMS)
    assert settlement.of("alpha").due == money(0) == Amount(settlement.of("alpha").net.micros, MONEY)


def test_a_lot_that_nobody_is_known_for_is_the_federations_and_is_named() -> None:
    settlement = settle([charge("s1", {"": 10_000_000, "overdraft": 1_000_000})], NOVEMBER, replace(TERMS, payers={}))
    assert settlement.unknown == ("project:p1", "project:p1/overdraft")
    assert settlement.of("federation").sum("subsidy") == -credits(11)
    overdraft = settle([charge("s1", {"first": 1})], NOVEMBER, replace(TERMS, payers={"project:p1/first": Payer("")}))
    assert overdraft.of("federation").net == Amount(-1) and overdraft.unknown == ("project:p1/first",)


def test_work_in_suspense_is_no_position() -> None:
    entry = Entry(
        key="suspense:1", at=NOVEMBER.start, kind="adjust", project="", recorded_at=NOVEMBER.start,
        postings=(Posting("centre:alpha", credits(5)), Posting("suspense:alpha", -credits(5))),
    )  # fmt: skip
    alpha = settle([entry], NOVEMBER, TERMS).of("alpha")
    assert (alpha.sum("earned"), alpha.sum("suspense"), alpha.net) == (credits(5), -credits(5), credits(0))


def test_what_nobody_earns_by_is_in_no_statement() -> None:
    settlement = settle(noise(1, NOVEMBER.start), NOVEMBER, TERMS)
    assert (settlement.statements, settlement.entries) == ((), 0)


def test_an_account_of_no_known_class_is_named() -> None:
    entry = Entry(
        key="x",
        at=NOW,
        kind="adjust",
        project="",
        postings=(Posting("centre:alpha", credits(5)), Posting("slush:fund", -credits(5))),
    )
    with pytest.raises(ValueError, match="'slush:fund' has no place"):
        shares(entry, TERMS)


def test_positions_that_do_not_sum_to_zero_are_refused() -> None:
    settlement = settle([charge("s1", {"first": 10_000_000})], NOVEMBER, TERMS)
    with pytest.raises(ValueError, match=r"positions sum to 10\.00 CNY, not to zero"):
        positions(settlement.statements[:1])


def test_credits_go_home_at_a_months_end() -> None:
    entry = emptied(settle([charge("s1", {"first": 10_000_000}, shares=Shares(fee=100_000))], NOVEMBER, TERMS), NOW)
    assert entry and entry.key == "period:2026-11:GRANT"
    assert {one.account: one.amount for one in entry.postings} == {
        "centre:alpha": -credits(9),
        "fee:federation": -credits(1),
        "grants:ministry": credits(10),
    }
    assert emptied(settle([], NOVEMBER, TERMS), NOW) is None


def test_money_goes_over_to_the_members_and_payments_bring_it_to_zero() -> None:
    terms = replace(TERMS, payers={"project:p1/first": Payer("federation"), "project:p2/first": Payer("beta")})
    journal = [
        charge("s1", {"first": 10_000_000}, shares=Shares(fee=100_000), unit=MONEY),
        charge("s2", {"first": 4_000_000}, project="p2", centre="gamma", unit=MONEY),
    ]
    settlement = settle(journal, NOVEMBER, terms, unit=MONEY)
    entry = emptied(settlement, NOW)
    assert entry
    payments = netting(positions(settlement.statements))
    booked: dict[str, int] = {}
    for one in [entry, *(paid(payment, "2026-11", NOW) for payment in payments)]:
        for posting in one.postings:
            booked[posting.account] = booked.get(posting.account, 0) + posting.amount.micros
    assert {account: micros for account, micros in booked.items() if micros} == {
        "bank": 14_000_000,
        "centre:alpha": -9_000_000,
        "centre:gamma": -4_000_000,
        "fee:federation": -1_000_000,
    }
    assert payments == [Payment("federation", "alpha", money(9_000_000)), Payment("beta", "gamma", money(4_000_000))]


# ---- large


def many(number: int) -> Iterator[Entry]:
    at = NOVEMBER.start + timedelta(days=1)
    for one in range(number):
        yield charge(f"s{one}", {"first": 1_000_000 + one % 7}, centre=f"c{one % 22}", at=at)


def test_a_settlement_takes_no_more_memory_for_more_entries() -> None:
    peaks = []
    for number in (500, 5_000):
        tracemalloc.start()
        settle(many(number), NOVEMBER, TERMS)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000


# ---- what a member says


ISSUE = Issue(statement="2026-11/GRANT/alpha", issued_at=NOW, accept_by=NOW + timedelta(days=14))
IN_TIME = NOW + timedelta(days=1)
TOO_LATE = ISSUE.accept_by


def test_a_statement_is_accepted_and_settled() -> None:
    one = statements.accept(ISSUE, by="ada", now=IN_TIME)
    assert (one.state, one.by, one.answered_at) == (StatementState.ACCEPTED, "ada", IN_TIME)
    assert statements.settled(one, by="op", now=TOO_LATE).state is StatementState.SETTLED


def test_a_dispute_has_words_and_is_settled_with_words() -> None:
    one = statements.dispute(ISSUE, words=" line 3 is beta's ", by="ada", now=IN_TIME)
    assert (one.state, one.words) == (StatementState.DISPUTED, "line 3 is beta's")
    with pytest.raises(BadOption, match="is disputed") as refused:
        statements.settled(one, by="op", now=TOO_LATE)
    assert "what was decided" in refused.value.hint
    assert statements.settled(one, by="op", now=TOO_LATE, words="reverse:settle:s3").words == "reverse:settle:s3"
    after = statements.accept(one, by="ada", now=IN_TIME)
    assert (after.state, after.words) == (StatementState.ACCEPTED, "")  # the words were the dispute's
    with pytest.raises(BadOption, match="Give a reason"):
        statements.dispute(ISSUE, words="  ", by="ada", now=IN_TIME)


def test_who_says_nothing_in_time_accepts() -> None:
    assert statements.lapse(ISSUE, TOO_LATE - timedelta(seconds=1)) == ISSUE
    late = statements.lapse(ISSUE, TOO_LATE + timedelta(days=9))
    assert (late.state, late.answered_at) == (StatementState.ACCEPTED, ISSUE.accept_by)
    with pytest.raises(Refused, match="could be disputed until 2026-12-17 16:00 UTC") as refused:
        statements.dispute(ISSUE, words="no", by="ada", now=TOO_LATE)
    assert refused.value.code == "too-late" and "correction" in refused.value.hint


@pytest.mark.parametrize("state", [StatementState.ACCEPTED, StatementState.SETTLED])
def test_what_is_answered_stays_answered(state: StatementState) -> None:
    answered = replace(ISSUE, state=state)
    with pytest.raises(Refused, match=f"is {state.value}, not issued"):
        statements.dispute(answered, words="no", by="ada", now=IN_TIME)
    with pytest.raises(Refused, match="not issued or disputed"):
        statements.accept(answered, by="ada", now=IN_TIME)
    assert statements.lapse(answered, TOO_LATE) == answered


def test_only_what_was_answered_is_settled() -> None:
    with pytest.raises(Refused, match="is issued, not accepted or disputed"):
        statements.settled(ISSUE, by="op", now=IN_TIME)


def test_a_statement_as_a_document() -> None:
    document = settle([charge("s1", {"second": 3_000_000})], NOVEMBER, TERMS).of("alpha").document()
    assert document == {
        "period": "2026-11", "member_id": "alpha", "book": "GRANT", "earned": 3_000_000, "app_share": 0, "fee": 0,
        "subsidy": 0, "sla_credit": 0, "suspense": 0, "clawback": 0, "net": 3_000_000,
        "due": {"micros": 999_999, "unit": "CNY"},
    }  # fmt: skip


def test_the_example_in_the_docs_comes_out_as_it_says() -> None:
    failed, tried = doctest.testfile(str(ROOT / "docs/explanation/settlement.md"), module_relative=False)
    assert tried > 5 and not failed


def test_terms_have_a_zone_of_their_own() -> None:
    at: datetime = NOVEMBER.start + timedelta(hours=1)  # still October in UTC
    terms = replace(TERMS, calendar=Calendar(zone="UTC"))
    assert not settle([charge("s1", {"first": 1}, at=at)], NOVEMBER, terms).statements
    assert settle([charge("s1", {"first": 1}, at=at)], OCTOBER, terms).statements


def test_terms_without_anything_still_settle() -> None:
    assert settle([charge("s1", {"first": 1})], NOVEMBER, Terms()).of("alpha").net == Amount(1)
