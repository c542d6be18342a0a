"""Amounts, memory and walltime read and print as people and schedulers write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.errors import BadOption
from scnet_hub.units import (
    Amount,
    credits,
    format_duration,
    format_memory,
    format_walltime,
    parse_memory,
    parse_walltime,
)


@pytest.mark.parametrize(
    ("text", "size"), [("4G", 4 << 30), ("512 MiB", 512 << 20), ("1.5T", 3 << 39), ("2048", 2048), (7, 7), ("1k", 1024)]
)
def test_memory(text: str | int, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "4 GG", "1e3", "4G\n4G", "٣G"])
def test_memory_that_is_none(text: str) -> None:
    with pytest.raises(BadOption):
        parse_memory(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h", 3600),
        ("90m", 5400),
        ("1h30m", 5400),
        ("2-12:00:00", 216000),
        ("01:30:00", 5400),
        ("90:00", 5400),
        ("30 min", 1800),
        (45, 45),
        ("1.5h", 5400),
    ],
)
def test_walltime(text: str | int, seconds: int) -> None:
    assert parse_walltime(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "1h2",
        "h",
        "-5m",
        "1:2:3:4",
        "5 parsecs",
        "1h\n",
        "\n1h",
        "1h\n30m",
        "1\t",
        "1_0",
        "\u0661h",
        "30m" + 60 * " " + "x",
    ],
)
def test_walltime_that_is_none(text: str) -> None:
    with pytest.raises(BadOption):
        parse_walltime(text)


@given(st.integers(0, 10**8))
def test_printed_walltime_reads_back(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_walltime(format_walltime(duration)) == duration


def test_amounts_never_mix_and_stay_exact() -> None:
    assert credits("0.1") + credits("0.2") == credits("0.3")
    assert credits(0.1) == Amount(100_000)
    with pytest.raises(ValueError, match="cannot mix"):
        Amount(1, "GRANT") + Amount(1, "CNY")


def test_words_for_people() -> None:
    assert format_duration(timedelta(minutes=125)) == "2 h 5 min"
    assert format_duration(timedelta(0)) == "now"
    assert format_memory(3 << 29) == "1.5 GiB"
    assert str(credits("1234.5")) == "1,234.50 credits"
