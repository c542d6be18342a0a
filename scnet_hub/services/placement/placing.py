"""Decides where a request would go, and whether its project may and can pay for it.

Combines the load of the centres, account links, quotas and the ledger; `placement` decides. A function that must be one
step with a session's row takes the transaction, so that each of a class that presses Start at once sees those before
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from ...adapters.centre import Centre
from ...adapters.db.database import Database, Tx
from ...adapters.db.queries import sessions as session_rows
from ...domain.centres.state import CentreStates
from ...domain.jobs import JobRequest
from ...domain.placement.board import SHOWN, Board
from ...domain.placement.placement import Inputs, Placement, Ranked, Usual, soonest
from ...domain.pricing.tariffs import NoPrice
from ...domain.standard.federation import FederationSpec, ProjectSpec
from ...errors import NotFound, Refused
from ...units import Amount, credits
from ..accounting import books
from ..projects import account_links, projects
from . import quota_check, quoting
from .forecasts import Forecasts
from .live_board import LiveBoard
from .quoting import Hold


class Placing:
    """Decides over these centres, with the current load of each."""

    def __init__(
        self,
        db: Database,
        centres: Mapping[str, Centre],
        states: CentreStates,
        clock: Callable[[], datetime],
        spec: FederationSpec,
    ) -> None:
        self.db, self.centres, self.states, self.clock, self.spec = db, centres, states, clock, spec
        self.forecasts = Forecasts(db, clock)
        self.weights = Usual(**spec.placement.model_dump())
        tries = spec.second_chance.tries + spec.second_chance.copies  # a session is submitted to no more places
        self.live = LiveBoard(states, Board(policy=partial(soonest, weights=self.weights), shown=max(SHOWN, tries)))
        self.rules = {project.id: project for project in spec.project}
        self.lease = spec.lease.length

    async def place(self, request: JobRequest) -> tuple[Placement, Amount]:
        """Returns where `request` would go now, and the available credits of its project. Raises NotEntitled."""
        return await self.db.run(self.decide, request, whole=True)

    async def place_without_project(self, request: JobRequest) -> Placement:
        """Does the same for an operator's question, which no project pays for and which needs no account."""
        return await self.db.run(self._ranked, request, {}, whole=True)

    async def refusal(self, decision: Placement) -> Refused | None:
        """Returns why a start would be refused although a centre fits (over quota or over budget); None if it would
        not."""
        try:
            await self.db.run(self.check, decision)
        except Refused as error:
            return error
        return None

    async def refusal_of_all(self, decision: Placement, jobs: Sequence[JobRequest], first: Amount) -> Refused | None:
        """Returns why not all of these jobs of a cluster could start (over quota or over budget), with holds of `first`
        together; None if all could."""
        try:
            await self.db.run(self._check_all, decision, jobs, first)
        except Refused as error:
            return error
        return None

    def _check_all(self, tx: Tx, decision: Placement, jobs: Sequence[JobRequest], first: Amount) -> None:
        person = decision.request.person
        project = projects.resolve(tx, person, decision.request.project)
        quota_check.check(tx, self.spec, project, *jobs)
        projects.check_cap(tx, project.id, person, first)
        books.check(tx, project.id, first, self.clock(), centre=decision.best.offer.centre if decision.best else "")

    def keep_up(self, tx: Tx) -> None:
        """Takes in the centres' latest answers before they are needed."""
        now = self.clock()
        self._board(tx, now).keep_up(now)

    def decide(
        self, tx: Tx, request: JobRequest, *, whole: bool = False, instead_of: str = ""
    ) -> tuple[Placement, Amount]:
        """Returns where the request goes, with the best places and refusals only or with the `whole` of them, and the
        available credits of its project. `instead_of` is a session that this one would replace."""
        project = projects.resolve(tx, request.person, request.project)
        specs = [centre.spec for centre in self.centres.values()]
        refusals = {
            **quota_check.refusals(tx, specs, request, instead_of=instead_of),
            **account_links.refusals(tx, specs, request.person),
        }
        return self._ranked(tx, self._ruled(tx, request, project.id), refusals, whole), books.balance(
            tx, project.id
        ).available

    def _ruled(self, tx: Tx, request: JobRequest, project: str) -> JobRequest:
        """Returns the request under its project's rules, with the centre at which the person's files are."""
        rules = self.rules.get(project, ProjectSpec(id=project))
        caps = [cap for cap in (request.max_price, rules.max_price) if cap is not None]
        near = session_rows.last_centre(tx, request.person) if request.kind == "lab" else ""
        return replace(
            request, project=project, centres=tuple(rules.centres), max_price=min(caps, default=None), near=near
        )

    def _ranked(self, tx: Tx, request: JobRequest, refused: Mapping[str, str], whole: bool) -> Placement:
        if request.centre:
            self.centre(request.centre)
        now, startups = self.clock(), self.forecasts.startups_of(request)
        board = self._board(tx, now)
        shut = {**self.states.refusals(now), **refused}
        decided = board.place(request, now=now, refused=shut, startups=startups, whole=whole)
        offers = tuple(board.offers.values())
        return replace(
            decided,
            inputs=Inputs(
                offers=offers, forecast=board.forecast, weights=self.weights, refused=shut, startups=startups
            ),
        )

    def _board(self, tx: Tx, now: datetime) -> Board:
        board = self.live.renew(partial(session_rows.newest_copies, tx), now)
        board.expect(self.forecasts.forecast)
        return board

    def check(self, tx: Tx, decision: Placement, *, instead_of: str = "") -> None:
        """Checks the best place of `decision`. Raises OverQuota or Overdrawn if the project may not, or cannot, pay for
        it."""
        if best := decision.best:
            project = projects.resolve(tx, decision.request.person, decision.request.project)
            quota_check.check(tx, self.spec, project, decision.request, instead_of=instead_of)
            amount = self.hold(decision.request, best).amount
            projects.check_cap(tx, project.id, decision.request.person, amount)
            self._afford(tx, project.id, decision.request, best, amount)

    def hold(self, request: JobRequest, place: Ranked) -> Hold:
        """Returns the hold of a session that starts there. Raises Refused where the place has no price."""
        try:
            return quoting.hold_of(request, place, self.states, self.lease, self.clock())
        except NoPrice as error:
            hint = "Choose another centre or partition; its centre's admins can give it a price."
            raise Refused(str(error), hint=hint, code=error.code, details=error.details) from error

    def _afford(self, tx: Tx, project: str, request: JobRequest, best: Ranked, amount: Amount) -> None:
        """Checks that the project has the credits. Raises Overdrawn, with the longest walltime that it could pay."""
        now = self.clock()
        try:
            books.check(tx, project, amount, now, centre=best.offer.centre)
        except Refused as error:
            longest = quoting.would_pass(request, best, self.states, credits(error.details["available"]), now)
            minutes = longest // timedelta(minutes=1)
            error.hint = (
                f"With this size, a walltime of at most {minutes} min would pass. {error.hint}"
                if minutes
                else error.hint
            )
            error.details["walltime_would_pass_s"] = minutes * 60
            raise

    def centre(self, centre: str) -> Centre:
        """Returns the centre of that id. Raises NotFound."""
        if centre not in self.centres:
            raise NotFound(
                f"There is no centre {centre!r} in this federation.",
                hint=f"Centres: {', '.join(self.centres)}.",
                code="unknown-centre",
            )
        return self.centres[centre]

    def account(self, tx: Tx, centre: str, person: str) -> str:
        """Returns the account under which this person's jobs run there."""
        return account_links.account_of(tx, self.centres[centre].spec, person)
