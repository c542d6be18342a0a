"""Tests the prices on a centre's page, in all versions, and its sales; an invalid price is refused with a sentence that
names the key."""

import tomllib
from datetime import UTC, date, datetime

import jsonschema
import pytest

from scnet_hub.domain.standard import reference
from scnet_hub.domain.standard.centre import CentreSpec, PartitionSpec, parse_centre
from scnet_hub.errors import SpecError

PAGE = """
id = "alpha"
name = "Alpha Centre"
{top}

[transport]
kind = "local"

[session]
python = "/usr/bin/python3"
directory = "/d"

[[partition]]
name = "gpu"
cores = 64
gpus = 4
gpu_model = "A100"
{rest}
"""
NEW_YEAR = "2027-01-01T00:00:00+08:00"
NIGHTS = '[[partition.sale]]\nname = "nights"\nfrom = "22:00"\nto = "06:00"\npercent_off = 50\n'


def centre(rest: str = "", top: str = "") -> CentreSpec:
    return parse_centre(PAGE.format(rest=rest, top=top), source="alpha.toml")


def partition(rest: str = "") -> PartitionSpec:
    return centre(rest).partition[0]


def later(valid_from: str, price: str) -> str:
    return f"[[partition.tariff_from]]\nvalid_from = {valid_from}\n{price}\n"


def refusal(rest: str = "", top: str = "") -> str:
    with pytest.raises(SpecError) as refused:
        centre(rest, top)
    return str(refused.value)


def test_a_page_of_today_says_what_it_said() -> None:
    offered = partition("tariff = { core_hour = 1.2, gpu_hour = 20 }")
    assert (offered.tariff.core_hour, offered.tariff.gpu_hour, offered.gpu_price) == (1.2, 20.0, 20.0)
    assert (offered.tariff.gib_hour, offered.tariff.minimum) == (0, 0)
    assert offered.tariffs() == [(None, offered.tariff)]
    assert partition().tariff.core_hour == 1.0


def test_gpus_without_a_price_are_told_from_free_ones() -> None:
    assert partition("tariff = { core_hour = 1 }").tariff.gpu_price("a100") is None
    assert partition("tariff = { gpu_hour = 0 }").tariff.gpu_price("a100") == 0


def test_gpus_have_a_price_each_or_that_of_the_others() -> None:
    tariff = partition("tariff = { gpu_hour = { A100 = 20, h100 = 40.5, other = 5 } }").tariff
    assert [tariff.gpu_price(model) for model in ("a100", "A100", "H100", "v100", "")] == [20, 20, 40.5, 5, 5]


def test_a_later_version_keeps_what_it_does_not_name() -> None:
    rest = later("2027-06-01T00:00:00+08:00", "gpu_hour = 30") + later(NEW_YEAR, "core_hour = 1.5\nminimum = 0.1")
    (none, first), (new_year, second), (_, third) = partition(
        "tariff = { core_hour = 1.2, gpu_hour = 20 }\n" + rest
    ).tariffs()
    assert (none, new_year) == (None, datetime(2026, 12, 31, 16, tzinfo=UTC))
    assert (first.core_hour, second.core_hour, third.core_hour) == (1.2, 1.5, 1.5)
    assert (second.gpu_hour, third.gpu_hour) == (20, 30)
    assert (first.minimum, third.minimum) == (0, 0.1)


def test_a_sale_says_its_hours_as_toml_or_as_people_write_them() -> None:
    (sale,) = partition(NIGHTS).sale
    assert (sale.opens, sale.closes, sale.percent_off, len(sale.days)) == (22 * 60, 6 * 60, 50, 7)
    text = NIGHTS.replace('"22:00"', "22:00:00").replace('"06:00"', '"24:00"')
    (sale,) = partition(text + 'days = ["sat", "sun"]\nfirst_day = 2027-01-01\nlast_day = 2027-02-28\n').sale
    assert (sale.opens, sale.closes, sale.days) == (22 * 60, 24 * 60, ["sat", "sun"])
    assert (sale.first_day, sale.last_day) == (date(2027, 1, 1), date(2027, 2, 28))


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [
        ("tariff = { core_hour = -1 }", "partition.0.tariff.core_hour: Input should be greater than or equal to 0"),
        ("tariff = { core_hour = nan }", "tariff.core_hour: Input should be a finite number"),
        ("tariff = { core_hour = inf }", "tariff.core_hour: Input should be a finite number"),
        ("tariff = { core_hour = true }", "tariff.core_hour: Value error, should be a number"),
        ("tariff = { core_hour = 0.0000001 }", "tariff.core_hour: Value error, has more than 6 decimals"),
        ("tariff = { minimum = 1e7 }", "tariff.minimum: Input should be less than or equal to 1000000"),
        ("tariff = { gib_hour = -0.1 }", "tariff.gib_hour: Input should be greater"),
        ("tariff = { gpu_hour = -2 }", "tariff.gpu_hour: Value error, Input should be greater"),
        (
            "tariff = { gpu_hour = { a100 = nan } }",
            "tariff.gpu_hour: Value error, a100: Input should be a finite number",
        ),
        ("tariff = { gpu_hour = { a100 = 1.2345678 } }", "a100: Value error, has more than 6 decimals"),
        ("tariff = { gpu_hour = { a100 = 1, A100 = 2 } }", "names a100 twice"),
        ('tariff = { gpu_hour = { "a b" = 1 } }', "'a b' is not the name of a GPU model"),
        ("tariff = { gpu_hour = {} }", "should name at least one model"),
        ("tariff = { gpu_hour = { h100 = 1 } }", "gpu_hour has no price for its own GPUs, A100"),
        ("tariff = { core_hours = 1 }", "tariff.core_hours: Extra inputs are not permitted"),
        (later(NEW_YEAR, "gpu_hour = { h100 = 1 }"), "gpu_hour has no price for its own GPUs"),
        (later(NEW_YEAR, ""), "names no price"),
        (later("2027-01-01T00:00:00", "core_hour = 2"), "tariff_from.0.valid_from: Input should have timezone info"),
        (
            later(NEW_YEAR, "core_hour = 2") + later("2026-12-31T16:00:00Z", "core_hour = 3"),
            "two versions of the tariff begin at 2026-12-31T16:00:00+00:00",
        ),
        (NIGHTS.replace("50", "101"), "sale.0.percent_off: Input should be less than or equal to 100"),
        (NIGHTS.replace("50", "0"), "sale.0.percent_off: Input should be greater than 0"),
        (NIGHTS.replace("50", "nan"), "sale.0.percent_off: Input should be"),
        (NIGHTS.replace("50", "33.33333"), "has more than 4 decimals"),
        (NIGHTS.replace("06:00", "22:00"), "from and to are the same"),
        (NIGHTS.replace("22:00", "24:00"), "from can't be the end of the day"),
        (NIGHTS.replace("22:00", "25:00"), "sale.0.from: Value error, should be a time of day"),
        (NIGHTS.replace('"22:00"', "22"), "sale.0.from: Value error, should be a time of day"),
        (NIGHTS + "days = []", "sale.0.days: List should have at least 1 item"),
        (NIGHTS + 'days = ["someday"]', "sale.0.days.0: Input should be 'mon'"),
        (NIGHTS + "first_day = 2027-02-01\nlast_day = 2027-01-01", "last_day must not be before first_day"),
    ],
)
def test_what_cannot_be_a_price_is_refused_in_a_sentence(rest: str, sentence: str) -> None:
    assert sentence in refusal(rest)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "Asia", "", "/etc/localtime"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    assert f"time_zone: Value error, {zone!r} is not a time zone" in refusal(top=f'time_zone = "{zone}"')


def test_the_schema_knows_versions_and_sales() -> None:
    rest = "tariff = { core_hour = 1.2, gpu_hour = { a100 = 20 } }\n" + NIGHTS
    page = tomllib.loads(PAGE.format(rest=rest, top='time_zone = "Asia/Shanghai"'))
    page["partition"][0]["tariff_from"] = [{"valid_from": NEW_YEAR, "gpu_hour": 25}]
    jsonschema.validate(page, reference.schema())
    page["partition"][0]["sale"][0]["percent_off"] = 120
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(page, reference.schema())


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2200-01-01T00:00:00Z"])
def test_a_time_that_has_no_place_in_every_zone_is_refused(at: str) -> None:
    assert "1970" in refusal(later(at, "core_hour = 1"))
    assert "1970" in refusal(top=f'[[maintenance]]\nstart = 2027-01-01T00:00:00Z\nend = {at}\nreason = "works"')
    assert "1970" in refusal(top=f'[[announcement]]\nmessage = "works"\nstart = {at}\nend = 2027-01-01T00:00:00Z')
