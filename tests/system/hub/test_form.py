"""The start page's words and HTML: escaping, every broken state, table semantics, nothing from outside."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from scnet_hub.display.request_fields import ON_FORM
from scnet_hub.hub.views import request_words, start_form
from tests.system.hub import federation as f

HOSTILE = '<script>alert("x")</script>'


class Elements(HTMLParser):
    """Every start tag with its attributes and the text up to the next tag; `template` contents apart."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.inside = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside += tag == "template"
        if not self.inside:
            self.found.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        self.inside -= tag == "template"

    def all(self, tag: str, **attrs: str) -> list[dict[str, str]]:
        return [a for t, a in self.found if t == tag and all(a.get(k) == v for k, v in attrs.items())]


def render(**facts: Any) -> str:
    return start_form.render_form(start_form.environment(), f.context(**facts))


def page(**facts: Any) -> Elements:
    return Elements(render(**facts))


def words(**facts: Any) -> dict[str, Any]:
    context = f.context(**facts)
    return start_form.view(context["centres"], context["placement"], context["projects"], context["problem"])


def test_field_names_are_the_contract() -> None:
    names = {a["name"] for tag, a in page().found if tag in ("input", "select") and a.get("name")}
    assert names == {"profile", *ON_FORM}


def test_best_place_is_the_first_choice_and_checked() -> None:
    radios = page().all("input", name="centre")
    assert radios[0]["value"] == "" and "checked" in radios[0]
    assert [r["value"] for r in radios[1:]] == ["alpha", "beta", "gamma", "delta", "epsilon"]
    assert not any("checked" in r for r in radios[1:])


def test_best_place_says_why_and_what_comes_next() -> None:
    best = words()["best"]
    assert best["title"] == "Best place for you: Alpha"
    assert best["now"] == "— it can start now: 20 of 32 cores free"
    assert best["why"].startswith("Alpha can start it at once")
    assert best["next"] == "Next best: Beta, in about 6 min, 0.80 credits per hour."


def test_a_gpu_request_counts_gpus() -> None:
    placement = f.PLACEMENT | {"request": {"gpus": 1, "walltime": "1h"}, "best": f.offer("beta", gpus=8, gpus_free=2)}
    assert words(placement=placement)["best"]["now"] == "— it can start now: 2 of 8 GPUs free"


def test_rows_say_when_or_why_not() -> None:
    rows = {row["id"]: row for row in words()["rows"]}
    assert (rows["alpha"]["start"], rows["alpha"]["best"]) == ("Now", True)
    assert (rows["beta"]["start"], rows["beta"]["note"]) == ("In about 6 min", "behind 3 queued jobs")
    assert rows["delta"]["note"] == "Only members of a class may use partition teaching."
    assert (rows["gamma"]["stale"], rows["gamma"]["age"]) == (True, "4 min ago")
    assert (rows["epsilon"]["state_word"], rows["epsilon"]["cores"], rows["epsilon"]["queue"]) == ("Down", "–", "–")


def test_a_centre_without_an_account_leads_to_the_page_that_links_one() -> None:
    centres = [
        f.centre("alpha", identity="certificate", account="u1"),
        f.centre("delta", identity="service", account=""),
    ]
    reason = "you have no account linked at Delta: see `scnet accounts`"
    refused = f.PLACEMENT | {
        "ranked": [f.offer("alpha")],
        "refusals": [{"centre": "delta", "partition": "p", "reason": reason}],
    }
    rows = {row["id"]: row for row in words(centres=centres, placement=refused)["rows"]}
    assert (rows["delta"]["start"], rows["delta"]["link"]) == (
        "Not possible",
        "you have no account linked here: link it",
    )
    assert rows["alpha"]["link"] == "" and rows["delta"]["note"] == ""
    assert (
        words(centres=centres, placement=refused)["places"]["delta"]["blocked"]
        == "Delta can't take this request: you have no account linked here"
    )
    links = page(centres=centres, placement=refused, accounts_url="/hub/accounts").all("a")
    assert [(a["href"], "hidden" in a) for a in links if "data-cell" in a] == [
        ("/hub/accounts#centre-alpha", True), ("/hub/accounts#centre-delta", False),
    ]  # fmt: skip
    nowhere = f.PLACEMENT | {"best": None, "ranked": [], "reason": f"No centre can take this now: Delta/p: {reason}."}
    assert "scnet accounts" not in render(centres=centres, placement=nowhere)


def test_refusals_that_differ_name_their_partitions() -> None:
    refusals = [
        {"centre": "beta", "partition": p, "reason": r}
        for p, r in (("normal", "It has no GPU."), ("dcu", "At most 2 h."))
    ]
    rows = {
        r["id"]: r for r in words(placement=f.PLACEMENT | {"ranked": [f.offer("alpha")], "refusals": refusals})["rows"]
    }
    assert rows["beta"]["note"] == "normal: It has no GPU.; dcu: At most 2 h."


def test_cost_line_and_button_follow_the_place() -> None:
    places = words()["places"]
    assert places[""]["button"] == "Start now at Alpha"
    assert places[""]["cost"].startswith("After this session: at most 1.00 credits held for 1 h, 115.00 available.")
    assert places["beta"]["button"] == "Queue at Beta"
    assert (
        places["delta"]["blocked"]
        == "Delta can't take this request: Only members of a class may use partition teaching."
    )


def quoted(*quotes: Any, problem: Any = None) -> Any:
    return words(placement=f.PLACEMENT | {"quotes": [*quotes]}, problem=problem)["places"]


def test_the_chosen_place_shows_low_expected_max_and_what_is_left_then() -> None:
    places = quoted(f.quote("alpha"), f.quote("beta", max=0.8, after_max=115.2))
    assert places[""]["figures"] == {
        "low": "0.0167", "expected": "0.50", "max": "1.00", "after_first": "115.00", "after_max": "115.00",
    }  # fmt: skip
    assert places[""]["cost"] == "The session holds 1.00 credits, for 1 h. Unused credits are released."
    assert places["beta"]["figures"]["max"] == "0.80" and places["delta"]["figures"] is None


def test_a_place_that_gives_more_than_is_asked_for_says_so() -> None:
    note = "Alpha, partition cpu gives a node's cores in steps of 2: asked for 1 core, allocated and paid for 2 cores."
    assert (
        note in quoted(f.quote("alpha", note=note))[""]["cost"] and quoted(f.quote("alpha"))[""]["cost"].count(".") < 5
    )


def test_a_lease_says_what_is_held_first_and_what_happens_if_the_rest_cannot_be_paid() -> None:
    lease = {"walltime_s": 8 * 3600, "max": 8.0, "after_max": 108.0}
    assert quoted(f.quote("alpha", **lease))[""]["cost"].startswith(
        "The session holds 1.00 credits at first, for 1 h, and more while it runs."
    )
    place = quoted(f.quote("alpha", **lease | {"available": 2.0, "after_first": 1.0, "after_max": -6.0}))[""]
    assert not place["blocked"] and "stopped when they run out, with notebooks saved" in place["cost"]
    short = quoted(f.quote("alpha", **lease | {"available": 0.5, "after_first": -0.5, "after_max": -7.5}))[""]
    assert short["blocked"].startswith("This project lacks 0.50 credits")


def test_a_place_without_a_price_is_blocked_and_the_others_are_not() -> None:
    problem = {
        "code": "no-price",
        "family": "refused",
        "title": "Alpha has no price for gpu-second.",
        "hint": "Choose another centre.",
    }
    quotes = [{"centre": "alpha", "problem": problem}, f.quote("beta")]
    places = quoted(*quotes, problem=problem)
    # it is said beside the button
    assert words(placement=f.PLACEMENT | {"quotes": quotes}, problem=problem)["problem"] is None
    assert (
        places[""]["blocked"]
        == places["alpha"]["blocked"]
        == "Alpha has no price for gpu-second. Choose another centre."
    )
    assert not places["beta"]["blocked"] and places["beta"]["figures"]


def test_over_quota_blocks_every_place_and_the_price_is_shown_all_the_same() -> None:
    problem = {"code": "over-quota", "title": "Each person may use 2 cores at once.", "hint": "Stop something first."}
    places = quoted(f.quote("alpha"), f.quote("beta"), problem=problem)
    assert {places[one]["blocked"] for one in ("", "alpha", "beta")} == {
        "Each person may use 2 cores at once. Stop something first."
    }
    assert places["beta"]["figures"]["max"] == "1.00"


def test_too_small_a_balance_blocks_with_the_sum_that_lacks() -> None:
    placement = f.PLACEMENT | {"best": f.offer("alpha", available_after=-2.5)}
    assert words(placement=placement)["places"][""]["blocked"].startswith("This project lacks 2.50 credits")


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"problem": f.PROBLEM, "centres": [], "placement": None, "projects": []}, "The broker does not answer."),
        ({"projects": []}, "You are in no project yet"),
        ({"centres": [f.centre("alpha", state="down", why="No answer.")], "placement": None}, "No centre answers at "
        "the moment."),
        ({"centres": [], "placement": None}, "No centre answers at the moment."),
        ({"placement": f.PLACEMENT | {"best": None, "ranked": [], "reason": "No centre has 900 "
        "cores."}}, "No centre has 900 cores."),
    ],
)  # fmt: skip
def test_broken_states_disable_start_and_say_why(facts: dict[str, Any], sentence: str) -> None:
    html = render(**facts)
    assert sentence in html
    assert "disabled" in Elements(html).all("button", type="submit")[0]


def test_a_problem_shows_its_hint() -> None:
    html = render(problem=f.PROBLEM)
    assert f.PROBLEM["hint"] in html
    assert "hidden" not in Elements(html).all("div", role="alert")[0]


def test_a_full_federation_can_still_be_queued_for() -> None:
    late = f.offer("beta", "later", expected_start="behind 40 queued jobs", cores_free=0)
    facts = {"placement": f.PLACEMENT | {"best": late, "ranked": [late]}}
    assert words(**facts)["best"]["now"] == "— expected start: behind 40 queued jobs"
    button = page(**facts).all("button", type="submit")[0]
    assert "disabled" not in button
    assert words(**facts)["places"][""]["button"] == "Queue at Beta"


def test_before_the_first_answer_nothing_is_promised() -> None:
    view = words(placement=None)
    assert view["summary"] == "Checking the centres."
    assert view["places"][""]["blocked"]
    assert view["rows"][0]["start"] == "Not known"


def test_a_persons_own_mistake_is_no_alarm() -> None:
    mistake = {
        "code": "bad-option",
        "title": "walltime: 'x' is not a duration.",
        "hint": "Write it like 30m.",
        "status": 400,
    }
    view = words(problem=mistake, placement=None)
    assert view["problem"] is None
    assert view["blocked"] == "walltime: 'x' is not a duration. Write it like 30m."


def test_a_reason_that_names_the_runner_up_is_not_repeated() -> None:
    assert (
        words(placement=f.PLACEMENT | {"reason": "Alpha: would start now. Runner-up: Beta, would start later."})[
            "best"
        ]["next"]
        == ""
    )


def test_stored_options_come_back_as_a_person_types_them() -> None:
    found = page(defaults={"profile": "own", "cores": 2, "memory": 6442450944, "walltime": 5400.0})
    assert found.all("input", name="memory")[0]["value"] == "6G"
    assert found.all("input", name="walltime")[0]["value"] == "1h30m"
    assert [request_words.typed_memory(size) for size in (0, 1536, 2**21, 2**40, 7)] == ["", "1536", "2M", "1T", "7"]
    assert [request_words.typed_walltime(span) for span in (45, 86400, 3661.0, "2h")] == ["45s", "24h", "1h1m1s", "2h"]


def test_hostile_names_stay_text() -> None:
    html = render(
        centres=[
            f.centre("alpha", name=HOSTILE, organisation=HOSTILE, partitions=[f.partition("p", 4, 4, 1, 1, HOSTILE)])
        ],
        placement=f.PLACEMENT
        | {"reason": HOSTILE, "best": f.offer("alpha", centre_name=HOSTILE), "ranked": [f.offer("alpha")]},
        projects=[f.balance(title=HOSTILE)],
        profiles=[
            {
                "id": 'a"b',
                "title": HOSTILE,
                "description": HOSTILE,
                "cores": 1,
                "memory": HOSTILE,
                "gpus": 0,
                "walltime": HOSTILE,
            }
        ],
        problem={"title": HOSTILE, "hint": HOSTILE, "code": "x"},
        defaults={"memory": '"><script>', "walltime": HOSTILE, "centre": HOSTILE, "project": HOSTILE},
    )
    assert "<script>alert" not in html and '"><script>' not in html
    assert [a.get("type") for a in Elements(html).all("script")] == ["application/json"]
    embedded = re.search(r'data-slot="view">(.*?)</script>', html, re.DOTALL)
    assert embedded and json.loads(embedded[1])["rows"][0]["name"] == HOSTILE


def test_typed_values_come_back_after_an_error() -> None:
    typed = {"cores": 7, "memory": "9G", "gpus": 2, "walltime": "90m"}
    found = page(defaults={**typed, "profile": "own", "gpu_model": "Z100", "centre": "beta"})
    values = {a["name"]: a.get("value") for a in found.all("input") if a["name"] in typed}
    assert values == {key: str(value) for key, value in typed.items()}
    assert "checked" in found.all("input", name="centre", value="beta")[0]
    assert "checked" in found.all("input", name="profile", value="own")[0]


def test_a_pin_that_is_gone_falls_back_to_the_best_place() -> None:
    assert "checked" in page(defaults={"centre": "closed-down"}).all("input", name="centre", value="")[0]


def test_table_has_a_caption_and_scopes() -> None:
    found = page()
    assert len(found.all("caption")) == 1
    heads = found.all("th")
    assert {h["scope"] for h in heads} == {"col", "row"}
    assert len(found.all("th", scope="row")) == len(f.CENTRES)
    assert len(found.all("fieldset")) == len(found.all("legend")) == 2


def test_one_polite_live_region() -> None:
    assert len(page().all("p", **{"aria-live": "polite"})) == 1


def test_the_document_carries_facts_and_words() -> None:
    document = start_form.offers_document(f.CENTRES, f.PLACEMENT, [f.balance()], None)
    assert set(document) == {"centres", "placement", "projects", "problem", "view"}
    assert json.loads(json.dumps(document))["view"]["rows"][0]["name"] == "Alpha"


def test_sizes_in_words() -> None:
    assert request_words.size(f.PROFILES[2] | {"gpu_model": "Z100"}) == "8 cores · 32 GiB · 1 GPU (Z100) · 2 h"
    assert (
        request_words.memory("a lot") == "a lot"
        and request_words.duration("soonish") == "soonish"
        and request_words.memory(0) == "the centre's share"
    )


@pytest.mark.parametrize(
    "path", sorted([*start_form.TEMPLATES.glob("*"), *start_form.STATIC.glob("*")]), ids=lambda p: p.name
)
def test_nothing_is_fetched_from_elsewhere(path: Any) -> None:
    text = re.sub(r'xmlns="http://www.w3.org/2000/svg"|<a href="https://[^"]*"', "", path.read_text())  # links aside
    assert not re.search(r"https?://|@import|(?<!_)url\(", text)
    assert not re.search(r"""(src|href)=["']//""", text)
