"""Tests the widget over a recorded comm: the number of messages, their contents, and the effect of a click."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import comm
import pytest

from scnet_hub.client.panels import names, panel, poller_of
from scnet_hub.client.panels.overview import state
from scnet_hub.errors import BadOption
from tests.builders.fakes.broker import FakeBroker, until

from . import samples as s


class Recorder:
    """Stands for the kernel's comms: keeps every message of every widget."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def create(self, **kwargs: Any) -> Any:
        self.sent.append({"method": "open", **(kwargs.get("data") or {})})
        keep = lambda data=None, **_: self.sent.append(data)  # noqa: E731
        return SimpleNamespace(
            comm_id="c1", send=keep, close=lambda *a, **k: None, on_msg=lambda f: None, on_close=lambda f: None
        )

    def updates(self) -> list[dict[str, Any]]:
        return [
            one["state"]["state"]
            for one in self.sent
            if one.get("method") == "update" and "state" in one.get("state", {})
        ]


@pytest.fixture
def recorder(monkeypatch):
    kept = Recorder()
    monkeypatch.setattr(comm, "create_comm", kept.create)
    return kept


@pytest.fixture
def broker():
    with FakeBroker() as fake:
        yield fake


@pytest.fixture
def shown(broker, recorder):
    made = panel(client=broker.client())
    yield made
    made.close()


def test_a_refresh_is_one_message_and_the_same_again_is_none(shown, recorder):
    opened = len(recorder.sent)
    news = state([s.centre(cores_free=1)], [], [], s.NOW)
    shown.show(news)
    shown.show(dict(news))
    assert len(recorder.sent) == opened + 1
    assert recorder.updates()[-1]["centres"][0]["cores_free"] == 1
    assert len(json.dumps(news)) < 2000


def test_script_and_style_travel_with_the_widget_and_name_no_address(shown):
    for text in (shown._esm, shown._css):
        assert "http://" not in text and "https://" not in text and "@import" not in text
    assert "import " not in shown._esm.replace("imported", "")


def test_bundle_holds_the_view_the_snapshot_and_the_text(shown):
    data, _ = shown._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    assert "as of" in data["text/html"] and "Alpha" in data["text/plain"]


def test_a_shown_panel_is_watched_and_a_closed_one_is_not(broker, recorder):
    client = broker.client()
    made = panel(client=client)
    assert not poller_of(client).running
    made._repr_mimebundle_()
    assert poller_of(client).running
    made.close()
    until(lambda: not poller_of(client).running, 5)


def test_stop_asks_the_broker_and_shows_the_answer(broker, recorder):
    client = broker.client()
    session = client.submit(kind="batch", name="sleeper", cores=1, argv=["sleep", "60"])
    made = panel(client=client)
    made._repr_mimebundle_()
    made._handle_custom_msg({"say": "stop", "id": session["id"]}, [])
    broker.wait(lambda: not broker.live())
    until(lambda: made.state["sessions"][0]["word"] == "stopped", 10)
    made.close()


def test_a_refused_stop_is_said_in_the_panel(broker, shown):
    shown.stop_session("nobody")
    assert shown.state["problem"]["title"] == "There is no session 'nobody'."


def test_words_that_no_view_says_are_ignored(shown, broker):
    before = len(broker.calls)
    for body in (None, [], {"say": 3}, {"say": "format"}, {"say": "stop", "id": 7}):
        shown._handle_custom_msg(body, [])
    assert len(broker.calls) == before


def test_a_silent_broker_is_a_sentence_in_the_panel_not_an_exception(broker, recorder):
    broker.silent = True
    made = panel(client=broker.client())
    assert "502" in made.state["problem"]["title"]
    assert "try again" in made.state["problem"]["hint"]
    made.close()


def test_every_panel_opens_by_its_name_draws_something_and_says_what_it_holds(broker, recorder):
    broker.lab()
    assert names() == ["allocations", "centres", "overview", "sessions", "usage"]
    for name in names():
        made = panel(name, client=broker.client())
        data, _ = made._repr_mimebundle_()
        assert made.state["problem"] is None and made.state["summary"] in data["text/html"], name
        assert made._esm.count("export default ") == 1 and len(data["text/plain"].splitlines()) > 2, name
        made.close()


def test_an_unknown_panel_or_option_is_refused_with_those_there_are(broker, recorder):
    with pytest.raises(BadOption, match="Unknown panel 'base'") as unknown:
        panel("base", client=broker.client())
    assert unknown.value.hint == "Choose one of: allocations, centres, overview, sessions, usage."
    with pytest.raises(BadOption, match="The panel 'usage' has no option colour") as wrong:
        panel("usage", client=broker.client(), colour="red")
    assert wrong.value.hint == "Its options are: by, project."
    with pytest.raises(BadOption) as none:
        panel("centres", client=broker.client(), by="day")
    assert none.value.hint == "It has no options."
