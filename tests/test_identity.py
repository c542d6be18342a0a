"""A person's account is one safe path segment, and different people never share one."""

from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.identity import account


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_accounts_are_safe_and_distinct(one: str, other: str) -> None:
    segment = account(one)
    assert "/" not in segment and not segment.startswith(".") and "\0" not in segment and segment
    assert (account(other) == segment) == (one == other)


def test_plain_names_stay_as_they_are() -> None:
    assert account("ada.lovelace-1") == "ada.lovelace-1"
    assert account("../x") == "=2e.=2fx"
