"""Keeps the decision log: each decision is written in the same transaction as its session, with its inputs.

Inputs that many decisions share are written once: the centres' terms, and each snapshot, a moment later so that no
start waits for it. The outcome of a decision is read from its copy, never written here. Old decisions are deleted a few
at a time; their inputs are deleted sooner.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ...adapters.db.database import Database, Tx
from ...adapters.db.queries import decisions as decision_rows
from ...adapters.db.queries import sessions as session_rows
from ...adapters.db.queries.decisions import DecisionRow
from ...domain.centres.state import CentreStates
from ...domain.placement import record
from ...domain.placement.placement import POLICIES, Inputs, Placement, Ranked
from ...domain.sessions import names
from ...domain.standard.federation import DecisionsSpec
from ...errors import BadOption, NotFound, Refused
from .. import tokens
from ..periodic import run_once
from . import accuracy, explanations

Json = dict[str, Any]
DAILY = 86400.0  # seconds between sweeps
PATIENCE = 60.0  # seconds of pause after a failed run
BREATH = 0.5  # seconds between two steps: others need the database too
AT_ONCE = 8  # snapshots that one step writes
SAME_WITHIN = timedelta(minutes=1)  # a repeated refusal is counted, not written again
MOST_REFUSALS = 20  # different refusals of one person that are written within that time
FIRST = "first"
NEWEST, SHOWN = 20_000, 50  # decisions that a report counts at most, and lists


class DecisionLog:
    """Writes within others' transactions. `clock` gives the current time."""

    def __init__(self, db: Database, states: CentreStates, spec: DecisionsSpec, clock: Callable[[], datetime]) -> None:
        self.db, self.states, self.spec, self.clock = db, states, spec, clock
        self._terms: tuple[tuple[Any, ...], str] = ((), "")
        self._written = ""  # the digest of terms that are certainly in the database
        self._last: dict[str, datetime] = {}  # by centre, the last snapshot that was noted
        self._unwritten: dict[record.Snapshot, record.Loads] = {}

    # ---- writing

    def add(self, tx: Tx, session_id: str, number: int, decision: Placement, place: Ranked, cause: str) -> None:
        """Writes that this copy is submitted to `place`; its session has been written already."""
        promised = place.range
        self._add(
            tx, decision, session=session_id, number=number, cause=cause, centre=place.offer.centre,
            partition=place.offer.partition, chance=int(place.wait.chance), expected_s=place.wait.seconds,
            p50_s=promised.p50 if promised else None, p90_s=promised.p90 if promised else None, cost=place.cost.micros,
        )  # fmt: skip

    def refused(self, tx: Tx, decision: Placement, error: Refused) -> None:
        """Writes that a start was refused, and adds to the error the id under which the refusal can be explained. If
        the person was refused very often just now, nothing is written: trying everything must not fill the disk."""
        asked = names.request_document(decision.request)
        person, since = decision.request.person, decision.decided_at - SAME_WITHIN
        last = decision_rows.last_of(tx, person, since)
        if last and last[1:] == (error.code, json.loads(json.dumps(asked))):
            decision_rows.once_more(tx, last[0])
            error.details["decision"] = last[0]
        elif decision_rows.refused_since(tx, person, since) < MOST_REFUSALS:
            error.details["decision"] = self._add(tx, decision, code=error.code, said=str(error))

    def _add(self, tx: Tx, decision: Placement, **values: Any) -> str:
        inputs, at = decision.inputs or Inputs(offers=()), decision.decided_at
        own, loads = record.encode(inputs, at)
        self._note(loads)
        usual = {
            "session": None, "number": 0, "cause": FIRST, "code": "", "said": "", "times": 1, "centre": "",
            "partition": "", "reason": decision.reason,
        }  # fmt: skip
        decision_id = tokens.new_id()
        decision_rows.add(
            tx, id=decision_id, decided_at=at, person=decision.request.person, project=decision.request.project,
            request=names.request_document(decision.request), answer=explanations.answer(decision), inputs=own,
            terms=self._keep_terms(tx, inputs), **(usual | values),
        )  # fmt: skip
        return decision_id

    def _keep_terms(self, tx: Tx, inputs: Inputs) -> str:
        """Returns the digest of the terms. They are the same from decision to decision until a page changes."""
        said = record.terms(inputs.offers)
        known, digest = self._terms
        document = None
        if said != known or not digest:
            document = record.encode_terms(inputs.offers)
            digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
            self._terms = (said, digest)
        if digest == self._written:
            return digest
        if decision_rows.has_terms(tx, digest):  # by an earlier transaction: this one may still be rolled back
            self._written = digest
        else:
            decision_rows.keep_terms(tx, digest, document or record.encode_terms(inputs.offers))
        return digest

    def _note(self, loads: Mapping[record.Snapshot, record.Loads]) -> None:
        for (centre, taken_at), load in loads.items():
            if self._last.get(centre) != taken_at:
                self._last[centre] = taken_at
                self._unwritten[centre, taken_at] = load

    async def flush(self) -> None:
        """Writes the snapshots that decisions refer to and that are not written yet."""
        while self._unwritten:
            for key in await self.db.run(self._write):  # written, and committed
                self._unwritten.pop(key, None)

    def _write(self, tx: Tx) -> list[record.Snapshot]:
        some = {key: load for key in list(self._unwritten)[:AT_ONCE] if (load := self._unwritten.get(key)) is not None}
        new = some.keys() - decision_rows.kept(tx, some)
        decision_rows.keep(tx, {key: record.encode_loads(some[key], key[1]) for key in new}, self.clock())
        return list(some)

    # ---- keeping and deleting

    async def run(self) -> None:
        """Writes snapshots and, once a day, deletes old rows, until cancelled."""
        swept = float("-inf")

        async def keep() -> None:
            nonlocal swept
            await self.flush()
            now = asyncio.get_running_loop().time()
            if now - swept >= DAILY:
                swept = now
                await self.sweep()

        while True:
            await asyncio.sleep(BREATH)
            if not await run_once(keep, what="keeping the decision log"):
                await asyncio.sleep(PATIENCE)

    async def sweep(self) -> int:
        """Deletes rows that are older than the federation's page allows. Returns the number of deleted rows."""
        now, total = self.clock(), 0
        decided, kept = now - timedelta(days=self.spec.keep_days), now - timedelta(days=self.spec.replay_days)
        while gone := await self.db.run(self._sweep, decided, kept):
            total += gone
            await asyncio.sleep(BREATH)
        return total

    def _sweep(self, tx: Tx, decided: datetime, kept: datetime) -> int:
        self._written = ""
        self._last.clear()
        return decision_rows.sweep(tx, decided_before=decided, kept_before=kept)

    # ---- reading

    async def explain(self, wanted: str, person: str) -> Json:
        """Returns the explanation of a session's decisions, or of one decision, by id; `person` "" may see everyone's.
        Raises NotFound."""
        return await self.db.query(self._explain, wanted, person)

    def _explain(self, tx: Tx, wanted: str, person: str) -> Json:
        rows = self._rows(tx, wanted, person)
        long = [decision_rows.inputs(tx, row.id) for row in rows]
        return explanations.document(wanted, list(zip(rows, long, strict=True)), self._names(), self.clock())

    async def replay(self, wanted: str, person: str, policy: str = "") -> Json:
        """Repeats the decision from its record, with another policy or its own. Raises NotFound, BadOption."""
        if policy and policy not in POLICIES:
            raise BadOption(f"Unknown policy {policy[:40]!r}.", hint=f"Policies: {', '.join(POLICIES)}.")
        return await self.db.query(self._replay, wanted, person, policy)

    def _replay(self, tx: Tx, wanted: str, person: str, policy: str) -> Json:
        row = self._rows(tx, wanted, person)[0]
        request, inputs = self.recorded(tx, row)
        again = record.replay(request, inputs, row.decided_at, policy)
        return explanations.replayed(row, inputs.policy, policy or inputs.policy, again, self._names())

    def recorded(self, tx: Tx, row: DecisionRow) -> tuple[Any, Inputs]:
        """Returns the request and the inputs of a decision. Raises NotFound where they are no longer kept."""
        long = decision_rows.inputs(tx, row.id)
        terms = decision_rows.terms_of(tx, long.terms)
        wanted = record.snapshots(long.inputs, terms, row.decided_at) if terms is not None else []
        loads: dict[record.Snapshot, record.Loads]
        loads = {
            (centre, at): record.decode_loads(document, at)
            for (centre, at), document in decision_rows.loads(tx, wanted).items()
        }
        loads |= {key: load for key in wanted if (load := self._unwritten.get(key)) is not None}
        if terms is None or len(loads) < len(wanted):
            raise NotFound(
                f"The inputs of decision {row.id} are no longer kept.",
                hint=f"They are kept for {self.spec.replay_days} days; the explanation is still available.",
                code="not-kept",
            )
        return names.request_of(long.request), record.decode(
            record.Record(own=long.inputs, terms=terms, loads=loads), row.decided_at
        )

    def _rows(self, tx: Tx, wanted: str, person: str) -> list[DecisionRow]:
        """Returns the decisions of a session, or the decision of that id followed by the others of its session."""
        rows = decision_rows.of_session(tx, wanted)
        one = None if rows else decision_rows.get(tx, wanted)
        if one:
            others = decision_rows.of_session(tx, one.session) if one.session else []
            rows = [one, *(other for other in others if other.id != one.id)]
        session = None if rows else session_rows.get(tx, wanted)
        if session and person in ("", session.session.person):
            raise NotFound(
                f"The decision that placed session {wanted} at {session.copy.centre} is no longer in the log.",
                hint=f"Decisions are kept for {self.spec.keep_days} days.",
                code="not-kept",
            )
        if not rows or (person and rows[0].person != person):
            raise NotFound(
                f"There is no session and no decision {wanted[:40]!r}.",
                hint=f"`scnet sessions --all` lists yours; decisions are kept for {self.spec.keep_days} days.",
                code="unknown-decision",
            )
        return rows

    async def report(self, days: float) -> Json:
        """Returns predictions and their outcomes, for the last `days`."""
        return await self.db.query(self._report, days)

    def _report(self, tx: Tx, days: float) -> Json:
        now = self.clock()
        since = now - timedelta(days=days)
        rows = decision_rows.newest(tx, since, NEWEST)
        nowhere = decision_rows.refusals(tx, since, NEWEST // 20)
        describe = partial(explanations.line, names=self._names(), now=now)
        return accuracy.report(rows, nowhere, self._names(), since, now) | {
            "decisions": [describe(row) for row in rows[:SHOWN]]
        }

    def _names(self) -> Mapping[str, str]:
        return {name: known.spec.name for name, known in self.states.centres.items()}
