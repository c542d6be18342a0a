"""The panel of usage: what it asks, and what it says of the answer."""

from __future__ import annotations

import pytest

from scnet_hub.client.panels import panel, snapshot
from scnet_hub.client.panels.usage import UsagePanel, state
from scnet_hub.errors import BadOption
from tests.builders.fakes.broker import FakeBroker

from . import samples as s


def test_it_sums_up_by_centre_in_the_saved_form_too():
    shown = state(s.usage(), s.NOW)
    assert shown["summary"] == "112.50 credits charged, 36.40 in flight"
    lines = snapshot.text(shown, UsagePanel.parts).splitlines()
    assert lines[2:] == [
        "Centre  Sessions  Charged  In flight",
        "Alpha         17   101.25       0.40",
        "Beta           2    11.25      36.00",
    ]
    page = snapshot.html(shown, UsagePanel.parts)
    assert (
        "<caption>Credits used since 1 Nov 2026</caption>" in page
        and "<th scope='row'>Alpha</th><td class='num'>17</td>" in page
    )


def test_days_on_which_nothing_was_used_are_left_out_and_a_project_is_named():
    days = [
        {"day": f"2026-11-0{day}", "sessions": day % 2, "charged": float(day % 2), "in_flight": 0.0}
        for day in (1, 2, 3)
    ]
    shown = state(s.usage(by="day", project="climate", rows=days), s.NOW)
    assert [row["name"] for row in shown["rows"]] == ["2026-11-01", "2026-11-03"]
    assert (shown["head"], shown["caption"]) == ("Day", "Credits used in climate since 1 Nov 2026")


def test_it_asks_for_its_project_and_refuses_another_way_to_sum_up():
    with FakeBroker() as broker, broker.client() as client:
        made = panel("usage", client=client, project="climate", by="person")
        assert [one.options for one in made.questions] == [(("by", "person"), ("project", "climate"))]
        made.close()
        with pytest.raises(BadOption, match="by: 'planet' is not a way to sum up usage"):
            panel("usage", client=client, by="planet")
