"""Compares the decision log of a hub with other policies: where each would have placed every start, and the wait that
it would have expected.

Pure: `feed` receives pages of the log as the hub gives them (`GET decisions/log`) and makes each decision again from
the facts of that time, by the product's own `place()`. Each decision is made separately: a start that went elsewhere
changes nothing for later starts. So the real wait under another policy is unknown, and its expectations can be compared
with reality only where it agrees with the choice that was made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from ..domain.jobs import JobRequest
from ..domain.placement import record
from ..domain.placement.placement import POLICIES, Chance, Inputs, Offer, Outlook, Ranked, Usual, look
from ..errors import BadOption
from .results import quantile

Json = dict[str, Any]
CHANCES = {Chance.NOW: "now", Chance.HOLE: "beside the queue", Chance.NEXT: "next", Chance.LATER: "later"}
LOGGED = "as decided"
WEIGHTS = tuple(one.name for one in fields(Usual))
OUTLOOKS = 5000  # outlooks that are remembered


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy by its name in `POLICIES`, with these weights or with the hub's weights of that time (None)."""

    name: str
    policy: str
    weights: Usual | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a start goes and what is expected there: `wait_s` is what half of such starts took, else the estimate that
    ordered the places, else None. `cost` is credits for the whole walltime."""

    centre: str
    partition: str
    chance: str
    wait_s: float | None
    cost: float

    @property
    def place(self) -> tuple[str, str]:
        return self.centre, self.partition


@dataclass(frozen=True, slots=True)
class Replayed:
    """One decision: the choice that was made (None: refused, by `code`, that many times), its outcome, and the choice
    of each candidate. `same` is whether its own policy chooses the same place again."""

    id: str
    decided_at: str
    request: Json
    logged: Choice | None
    code: str
    times: int
    waited_s: float | None
    ready_s: float | None
    state: str
    same: bool
    choices: Mapping[str, Choice | None]


@dataclass(slots=True)
class Replay:
    """The decisions that `feed` has seen so far."""

    candidates: Sequence[Candidate]
    decisions: list[Replayed] = field(default_factory=list)
    not_kept: int = 0
    _outlooks: dict[tuple[str, datetime, str], Outlook] = field(default_factory=dict)

    def feed(self, page: Json) -> None:
        """Makes the decisions of a page again. Raises BadOption if it is not a page of the log."""
        try:
            terms = page["terms"]
            loads = {
                (one["centre"], (at := datetime.fromisoformat(one["taken_at"]))): (one["loads"], at)
                for one in page["snapshots"]
            }
            known = {key: record.decode_loads(document, at) for key, (document, at) in loads.items()}
            for line in page["decisions"]:
                self._add(line, terms.get(line["record"]["terms"]), known)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise BadOption(
                f"This is not a page of a decision log that this version can read ({type(error).__name__}: {error}).",
                hint="Replay it with the version of SCNet Hub that the hub runs.",
            ) from error

    def _add(self, line: Json, terms: Any, known: Mapping[record.Snapshot, record.Loads]) -> None:
        kept = line["record"]
        at = datetime.fromisoformat(kept["at"])
        wanted = record.snapshots(kept["own"], terms, at) if terms is not None else []
        if terms is None or any(key not in known for key in wanted):
            self.not_kept += 1
            return
        inputs = self._looked(record.decode(record.Record(own=kept["own"], terms=terms, loads=known), at))
        asked = request_of(kept["request"])
        again = _choice(record.replay(asked, inputs, at).best)
        logged, refused = _logged(line), line["refused"] or {"code": "", "times": 1}
        self.decisions.append(
            Replayed(
                id=line["id"], decided_at=line["decided_at"], request=kept["request"], logged=logged,
                code=refused["code"], times=refused["times"], waited_s=line["waited_s"], ready_s=line["ready_s"],
                state=line["state"] or "", same=_place(again) == _place(logged),
                choices={one.name: self._choose(one, asked, inputs, at, again) for one in self.candidates},
            )
        )  # fmt: skip

    @staticmethod
    def _choose(one: Candidate, asked: JobRequest, inputs: Inputs, at: datetime, again: Choice | None) -> Choice | None:
        if one.policy == inputs.policy and one.weights in (None, inputs.weights):
            return again
        weighed = replace(inputs, weights=one.weights) if one.weights else inputs
        return _choice(record.replay(asked, weighed, at, one.policy).best)

    def _looked(self, inputs: Inputs) -> Inputs:
        """Returns the inputs with each snapshot's outlook, which is computed once for all decisions that use the
        snapshot."""
        return replace(inputs, offers=tuple(self._with_outlook(offer) for offer in inputs.offers))

    def _with_outlook(self, offer: Offer) -> Offer:
        if offer.load is None or offer.taken_at is None:
            return offer
        key = (offer.centre, offer.taken_at, offer.partition)
        if key not in self._outlooks:
            if len(self._outlooks) >= OUTLOOKS:
                self._outlooks.clear()
            self._outlooks[key] = look(offer.load, offer.taken_at)
        return replace(offer, outlook=self._outlooks[key])


def candidates(names: str, weights: Iterable[str]) -> list[Candidate]:
    """Returns the named policies, separated by commas ("": all), and `soonest` again with each of these weights. Raises
    BadOption."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in POLICIES]:
        raise BadOption(f"Unknown policy {unknown[0]!r}.", hint=f"Policies of a hub: {', '.join(POLICIES)}.")
    usual = [Candidate(name, name) for name in dict.fromkeys(wanted or (() if [*weights] else POLICIES))]
    return [*usual, *(Candidate(f"soonest, {text}", "soonest", weights_of(text)) for text in weights)]


def weights_of(text: str) -> Usual:
    """Reads weights of the federation's page, such as "price=5,away=0"; missing weights have their usual values. Raises
    BadOption."""
    how = f"Such as price=5,away=0; of {', '.join(WEIGHTS)}, each from 0 to 1000."
    try:
        values = {name.strip(): float(value) for name, _, value in (part.partition("=") for part in text.split(","))}
    except ValueError:
        raise BadOption(f"{text[:60]!r} is not a valid set of weights.", hint=how) from None
    if wrong := [name for name, value in values.items() if name not in WEIGHTS or not 0 <= value <= 1000]:
        raise BadOption(f"{text[:60]!r} is not a valid set of weights: check {wrong[0][:20]!r}.", hint=how)
    return Usual(**values)


def request_of(document: Json) -> JobRequest:
    """Returns a request from the log's notation."""
    values = {**document, "centres": tuple(document.get("centres", ()))}
    return JobRequest(walltime=timedelta(seconds=values.pop("walltime_s")), **values)


def _choice(best: Ranked | None) -> Choice | None:
    if best is None:
        return None
    wait = best.range.p50 if best.range else best.wait.seconds
    return Choice(best.offer.centre, best.offer.partition, CHANCES[best.wait.chance], wait, round(float(best.cost), 6))


def _logged(line: Json) -> Choice | None:
    if not line["centre"]:
        return None
    wait = line["p50_s"] if line["p50_s"] is not None else line["expected_start_s"]
    return Choice(line["centre"], line["partition"], line["chance"], wait, line["cost"])


def _place(choice: Choice | None) -> tuple[str, str] | None:
    return choice.place if choice else None


# ---- the outcomes


def document(replay: Replay) -> Json:
    """Returns everything, for `--json`: `policies` holds the summary of each, `decisions` each decision."""
    placed = [one for one in replay.decisions if one.logged]
    refused: Counter[str] = Counter()
    for one in replay.decisions:
        refused[one.code] += 0 if one.logged else one.times
    named = {which.name: [(one, one.choices[which.name]) for one in placed] for which in replay.candidates}
    nowhere = {
        which.name: sum(one.choices[which.name] is None for one in replay.decisions) for which in replay.candidates
    }
    return {
        "requests": len(placed),
        "refused": [{"code": code, "count": count} for code, count in refused.most_common() if count],
        "not_kept": replay.not_kept,
        "decided_otherwise_now": sum(not one.same for one in placed),
        LOGGED.replace(" ", "_"): _summary([(one, one.logged) for one in placed]),
        "policies": {name: {"no_place": nowhere[name]} | _summary(pairs) for name, pairs in named.items()},
        "decisions": [_line(one) for one in replay.decisions],
    }


def _summary(pairs: Sequence[tuple[Replayed, Choice | None]]) -> Json:
    """Summarises starts that were not refused. `agreed` and `elsewhere` hold the real waits of those starts where they
    were: for starts that went elsewhere under this policy, the real wait is not the policy's result."""
    found = [(one, choice) for one, choice in pairs if choice]
    agreed = [(one, choice) for one, choice in found if one.logged and choice.place == one.logged.place]
    elsewhere = [one for one, choice in pairs if _place(choice) != _place(one.logged)]
    return {
        "elsewhere": {"count": len(elsewhere), "share": _share(len(elsewhere), len(pairs)), "real": _real(elsewhere)},
        "chances": {words: sum(choice.chance == words for _, choice in found) for words in CHANCES.values()},
        "expected": _figures([choice.wait_s for _, choice in found], "s"),
        "cost": _figures([choice.cost for _, choice in found]),
        "agreed": {
            "count": len(agreed),
            "expected": _figures([c.wait_s for _, c in agreed], "s"),
            "real": _real([o for o, _ in agreed]),
        },
    }


def _real(decisions: Sequence[Replayed]) -> Json:
    """Returns the real waits until the job started; other choices never started a job."""
    return _figures([one.waited_s for one in decisions], "s")


def _figures(values: Iterable[float | None], unit: str = "") -> Json:
    every = list(values)
    known = sorted(value for value in every if value is not None)
    told: dict[str, float | None] = {"mean": None, "p50": None, "p95": None}
    if known:
        told = {"mean": sum(known) / len(known), "p50": quantile(known, 0.5), "p95": quantile(known, 0.95)}
    named = {
        f"{name}_{unit}" if unit else name: value if value is None else round(value, 3) for name, value in told.items()
    }
    return {"known": len(known), "not_known": len(every) - len(known)} | named


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _line(one: Replayed) -> Json:
    return {
        "id": one.id,
        "decided_at": one.decided_at,
        "kind": one.request["kind"],
        "cores": one.request["cores"],
        "gpus": one.request["gpus"],
        "walltime_s": one.request["walltime_s"],
        "refused": one.code,
        "logged": _told(one.logged),
        "same_again": one.same,
        "state": one.state,
        "waited_s": one.waited_s,
        "ready_s": one.ready_s,
        "policies": {name: _told(choice) for name, choice in one.choices.items()},
    }


def _told(choice: Choice | None) -> Json | None:
    if choice is None:
        return None
    expected = None if choice.wait_s is None else round(choice.wait_s, 3)
    return {
        "centre": choice.centre,
        "partition": choice.partition,
        "chance": choice.chance,
        "expected_s": expected,
        "cost": choice.cost,
    }
