"""The composition root: puts the services together over one runtime, starts the background services, and stops them.

The doors call the services that hang here. This file decides nothing, and knows neither HTTP nor JupyterHub.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ..adapters.centre import Centre
from ..adapters.db.database import Database
from ..adapters.db.queries import sessions as session_rows
from ..adapters.transport.transport import Means
from ..domain.centres.health import ProbeResult
from ..domain.centres.state import CentreStates
from ..domain.sessions import start_file
from ..domain.sessions.records import Copy, SessionCopy
from ..domain.standard.centre import READ_AGAIN, CentreSpec
from ..domain.standard.federation import FederationSpec
from ..errors import CentreError, NotStored, ScnetError, SpecError
from .accounting.accounting_pull import AccountingPull
from .accounting.charging import PriceSource
from .periodic import run_once
from .placement.decision_log import DecisionLog
from .placement.placing import Placing
from .projects import account_links, projects
from .projects.bookkeeping import Bookkeeping
from .projects.mailer import Mailer
from .reporting.metrics import Metrics
from .reporting.reports import Reports
from .runtime import Runtime
from .sessions.call_home import CallHome
from .sessions.continuation import Continuation
from .sessions.copies import Copies
from .sessions.endings import Endings
from .sessions.files import Files, address
from .sessions.first_start import FirstStart
from .sessions.launcher import Launcher
from .sessions.lease_keeper import LeaseKeeper
from .sessions.lookup import Lookup
from .sessions.second_chances import SecondChances
from .sessions.stopping import Stopping
from .sessions.submission import Submission
from .sessions.watcher import Watcher
from .settlement.settling import Settling
from .watchdog import Watchdog, default_pool

log = logging.getLogger(__name__)
RECOVERY = 5.0  # seconds between two checks whether a full disk has room again


class Federation:
    """All centres behind one door. `public_url` and `call_home_url` are those of `start_file.Addresses`."""

    def __init__(
        self,
        spec: FederationSpec,
        centres: Mapping[str, Centre],
        db: Database,
        *,
        call_home_url: str,
        public_url: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        states = CentreStates.of(centre.spec for centre in centres.values())
        looks = {name: asyncio.Event() for name in centres}
        runtime = Runtime(spec=spec, db=db, centres=dict(centres), states=states, clock=clock, first_looks=looks)
        addresses = start_file.Addresses(public_url=public_url, call_home=call_home_url, idle_timeout=spec.idle.timeout)
        self.runtime, self.spec, self.db, self.clock = runtime, spec, db, clock
        self.centres, self.states = runtime.centres, states
        self.pages = PriceSource(centres=states.centres, federation=spec)
        self.placing = Placing(db, self.centres, states, clock, spec)
        self.decision_log = DecisionLog(db, states, spec.decisions, clock)
        self.linking = account_links.Linking(db, self.placing.centre, clock)
        self.reports = Reports(db, states, clock, spec)
        self.metrics = Metrics(db, states, clock)
        self.bookkeeping = Bookkeeping(db, clock)
        self.pulse = Watchdog(
            {"threads": default_pool, "database": db.reach_writer, "database, queries": db.reach_reader}
        )

        self.lookup, self.files = Lookup(runtime), Files(runtime)
        self.copies = Copies(runtime, self.placing, self.decision_log)
        first_start = FirstStart(runtime)
        self.second_chances = SecondChances(runtime, self.placing, self.copies, first_start)
        self.endings = Endings(runtime, self.second_chances, self.pages)
        self.stopping = Stopping(runtime, self.endings, self.files, self.lookup)
        self.submission = Submission(
            runtime, self.placing, self.decision_log, self.copies, self.endings, self._take_status
        )
        self.continuation = Continuation(runtime, self.placing, self.submission, self.copies, self.endings)
        self.call_home = CallHome(runtime, self.endings, self.stopping, self.continuation)
        self.launcher = Launcher(runtime, addresses, self.stopping, self.second_chances, first_start, self.lookup)
        self.lease_keeper = LeaseKeeper(runtime, self.stopping)
        self.accounting_pull = AccountingPull(runtime, self.pages)
        self.settling = Settling(db, spec, states, clock)
        self.watchers = {
            name: Watcher(runtime, name, self.placing, self.launcher, self.stopping, self.endings, self.files)
            for name in self.centres
        }
        runtime.signals.launch.connect(self.launcher.begin)
        runtime.signals.look_soon.connect(lambda centre, seconds: self.watchers[centre].wake(seconds))
        self.background = (
            self.pulse, self.second_chances, self.decision_log, self.bookkeeping, self.accounting_pull, self.settling,
            self.lease_keeper, Mailer(db, spec.mail, clock), self.placing.forecasts,
        )  # fmt: skip
        for name, centre in self.centres.items():
            centre.observe = partial(self._asked, name)
        self._applied = False

    async def _take_status(self, row: SessionCopy, status: Any) -> None:
        await self.watchers[row.copy.centre].take_status(row, status)

    def _asked(self, centre: str, step: ProbeResult) -> None:
        self.metrics.asked(centre, step)
        self.states.centres[centre].health.heard(step)

    def own(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts work that ends with the federation."""
        self.runtime.tasks.own(work)

    async def start(self) -> None:
        """Applies the federation's page, takes over the work of an earlier broker, and starts to watch the centres."""
        await self._apply_pages()
        live = await self.db.query(session_rows.live_copies)
        for session, copy in live:
            if copy.centre not in self.centres:
                raise SpecError(
                    f"Session {session.id} of {session.person} is at centre {copy.centre!r}, which the federation's "
                    "page no longer has.",
                    hint="Put the centre back until its sessions have ended and are charged.",
                )
            if not copy.job_id:
                self.launcher.begin(session.id, copy.number, True)
        for name, watcher in self.watchers.items():
            self.own(self._keep_forwards(name, [copy for _, copy in live if copy.centre == name and copy.address]))
            self.own(watcher.run())
        self.own(self._keep_writable())
        for service in self.background:
            self.own(service.run())

    async def stop(self) -> None:
        """Stops the background services and closes the connections to the centres; sessions there continue."""
        await self.runtime.tasks.stop()
        for centre in self.centres.values():
            await centre.transport.close()

    async def _apply_pages(self) -> None:
        """Writes the projects and accounts of the pages to the database. If the database cannot be written, the broker
        answers reading calls only until it can."""
        try:
            await self.db.run(projects.apply, self.spec.project, self.clock())
            await self.db.run(account_links.apply, [centre.spec for centre in self.centres.values()], self.clock())
            self._applied = True
        except NotStored as error:
            if not self.db.trouble:
                raise
            log.warning("the broker only answers reading calls: %s %s", error, error.hint)

    async def _keep_writable(self) -> None:
        """Checks every few seconds whether a database that had no room can be written again."""
        while True:
            await asyncio.sleep(RECOVERY)
            await run_once(self._write_again, what="writing to the broker's database again")

    async def _write_again(self) -> None:
        if self.db.trouble and await self.db.recover():
            log.warning("the broker's database can be written again")
        if not self._applied:
            await self._apply_pages()

    async def _keep_forwards(self, centre: str, copies: list[Copy]) -> None:
        """Restores the forwards after a restart: those of live sessions stay (they lasted if their master did), others
        are closed. The way back to the hub is opened now, before the first person waits for it."""
        try:
            await self.centres[centre].transport.keep([address(copy) for copy in copies])
            await self.centres[centre].transport.hub_url()
        except CentreError as error:
            log.warning("%s: forwards cannot be set up, will be tried again: %s", centre, error)

    def announce(self, page: CentreSpec) -> None:
        """Takes a centre's maintenance and announcements from its current page; ignores a centre that this federation
        does not have."""
        if page.id in self.centres:
            told = {name: getattr(page, name) for name in READ_AGAIN}
            spec = self.centres[page.id].spec.model_copy(update=told)
            self.centres[page.id].spec = spec
            self.states.centres[page.id].set_page(spec)


def centres_of(specs: list[CentreSpec], means: Means | None = None) -> dict[str, Centre]:
    """Returns live centres for these specs. Raises ScnetError if two have the same id."""
    centres = {spec.id: Centre.of(spec, means) for spec in specs}
    if len(centres) != len(specs):
        raise ScnetError("two centres have the same id", code="bad-spec")
    return centres
