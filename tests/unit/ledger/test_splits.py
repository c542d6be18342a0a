"""Tests that parts add up to the whole, to the last millionth (I9), for all shares."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scnet_hub.domain.ledger import splits
from scnet_hub.domain.ledger.splits import WHOLE, Shares, apportion, postings, split
from scnet_hub.units import Amount, credits

from .examples import examples

MICROS = st.integers(-(10**15), 10**15)
PPM = st.integers(0, WHOLE // 2)


@settings(max_examples=examples(200), deadline=None)
@given(MICROS, st.lists(st.integers(0, 10**12), min_size=1, max_size=8).filter(any))
def test_parts_add_up_and_none_is_off_by_a_whole_one(total: int, weights: list[int]) -> None:
    parts = apportion(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)
        assert part * total >= 0 and (weight or not part)
    assert apportion(-total, weights) == [-part for part in parts]


def test_the_largest_remainder_gets_the_rest_and_the_first_of_equals() -> None:
    assert apportion(10, [1, 1, 1]) == [4, 3, 3]
    assert apportion(100, [16, 17, 67]) == [16, 17, 67]
    assert apportion(7, [10, 11, 10]) == [2, 3, 2]
    assert apportion(0, [1, 2]) == [0, 0]


@pytest.mark.parametrize("weights", [[0, 0], [-1, 2], [1, -1]])
def test_weights_of_nothing_are_refused(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="not shares of anything"):
        apportion(5, weights)


@settings(max_examples=examples(200), deadline=None)
@given(MICROS, PPM, PPM, PPM, PPM)
def test_who_gets_a_charge_and_who_pays_it_both_come_to_the_charge(
    micros: int, publisher: int, fee: int, subsidy: int, sla: int
) -> None:
    parts = split(Amount(micros), Shares(publisher=publisher, fee=fee, subsidy=subsidy, sla=sla))
    assert (
        parts.centre + parts.publisher + parts.fee == parts.charge == parts.project + parts.subsidy + parts.sla_credit
    )
    posted = postings(parts, centre="alpha", publisher="maker", grantor="city")
    assert sum(one.amount.micros for one in posted) == parts.project.micros
    assert all(posting.amount for posting in posted)


def test_a_split_by_hand() -> None:
    parts = split(credits(10), Shares(publisher=150_000, fee=50_000, subsidy=400_000, sla=100_000))
    assert (parts.centre, parts.publisher, parts.fee) == (credits(8), credits("1.5"), credits("0.5"))
    assert (parts.project, parts.subsidy, parts.sla_credit) == (credits(5), credits(4), credits(1))
    assert {one.account: one.amount for one in postings(parts, centre="alpha", publisher="maker", grantor="city")} == {
        "centre:alpha": credits(8),
        "publisher:maker": credits("1.5"),
        "fee:federation": credits("0.5"),
        "grants:city": -credits(4),
        "sla:alpha": -credits(1),
    }


def test_without_shares_the_centre_gets_all_and_the_project_pays_it() -> None:
    parts = split(credits(3), Shares())
    assert [(one.account, one.amount) for one in postings(parts, centre="alpha")] == [("centre:alpha", credits(3))]


@pytest.mark.parametrize(
    "wrong",
    [{"fee": -1}, {"publisher": 600_000, "fee": 400_001}, {"subsidy": 999_999, "sla": 2}, {"sla": WHOLE + 1}],
)
def test_shares_of_more_than_the_whole_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="share"):
        Shares(**wrong)


def test_a_part_for_nobody_is_refused() -> None:
    parts = split(credits(3), Shares(publisher=1000, subsidy=1000))
    with pytest.raises(ValueError, match="without a publisher"):
        postings(parts, centre="alpha", grantor="city")
    with pytest.raises(ValueError, match="without a grantor"):
        postings(parts, centre="alpha", publisher="maker")


def test_accounts_are_named_after_whose_they_are() -> None:
    assert (splits.publisher_account("b"), splits.sla_account("c"), splits.fee_account()) == (
        "publisher:b",
        "sla:c",
        "fee:federation",
    )
