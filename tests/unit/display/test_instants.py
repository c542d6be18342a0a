"""Tests times and days as people type them: accepted times can be converted to every zone, and the others are refused
with a sentence."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.display.times import parse_day, parse_instant
from scnet_hub.errors import BadOption

EDGES = (
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01", "9999-12-31", "1969-12-31", "2200-01-01",
    "-1", "1e400", "nan", "",
    "2026-13-01", "2026-02-30", "2026-12-31\n", "\u0662\u0660\u0662\u0666-12-31", "2026-12-31\0", "\ud800",
    "2026-12-31T25:00", "now", 5000 * "1",
)  # fmt: skip


def test_a_time_is_utc_and_a_zone_is_meant_where_none_is_named() -> None:
    china = ZoneInfo("Asia/Shanghai")
    assert parse_instant("2026-12-31T12:00+08:00", option="since") == datetime(2026, 12, 31, 4, tzinfo=UTC)
    assert parse_instant("2026-12-31", option="since", zone=china) == datetime(2026, 12, 30, 16, tzinfo=UTC)
    assert parse_instant("2026-12-31T12:00:00.5Z", option="since").utcoffset() == UTC.utcoffset(None)
    assert parse_day("2026-12-31", option="day") == date(2026, 12, 31)


@pytest.mark.parametrize("text", [*EDGES, None, True, 5, 1e9, ["2026-12-31"]], ids=lambda one: ascii(one)[:30])
def test_what_is_not_in_the_range_is_refused_by_name(text: object) -> None:
    for parse in (parse_instant, parse_day):
        with pytest.raises(BadOption, match=r"^since: ") as refused:
            parse(text, option="since")
        assert "2026" in refused.value.hint and str(refused.value).isprintable()


@given(st.datetimes(timezones=st.timezones()).map(datetime.isoformat) | st.text(max_size=50))
def test_whatever_is_taken_can_be_moved_to_every_zone(text: str) -> None:
    try:
        at = parse_instant(text, option="since")
    except BadOption:
        return
    assert [at.astimezone(ZoneInfo(zone)) for zone in ("Pacific/Kiritimati", "Etc/GMT+12")] == [at, at]
