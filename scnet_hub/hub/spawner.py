"""FederatedSpawner: JupyterHub's spawner as a thin client of the broker, on batchspawner's base.

The broker keeps the session; the spawner keeps its id. It starts (or re-joins) a session, passes on its progress,
reports it as alive unless the broker clearly says that it has ended, and stops it durably. Needs jupyterhub >=6.1,<7:
`server` returns a server that is not probed while the hub starts, because JupyterHub would cancel a session that it
can't reach (tests/system/hub).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import jupyterhub
import sqlalchemy
from batchspawner.batchspawner import BatchSpawnerBase, JobStatus
from jupyterhub import orm
from jupyterhub.spawner import Spawner
from jupyterhub.utils import url_escape_path, url_path_join
from sqlalchemy.exc import SQLAlchemyError
from traitlets import Dict, Float, List, Unicode

from ..display.session_states import READY, STOPPING
from ..errors import BadOption, BrokerError, ScnetError
from . import user_options
from .broker_client import THE_HUB, Broker
from .failures import refused
from .pending import ended_before_ready, pending_facts
from .pending_stops import NotKept, PendingStops
from .shared_clients import broker_of, cancels_of, polls_of

Json = dict[str, Any]
PASSED_ON = ("JUPYTERHUB_", "JUPYTER_", "JPY_", "MEM_", "CPU_")
to_join: dict[tuple[str, str], str] = {}  # (person, server name) → the session that its next start joins, or nothing
ASKED_DIRECTLY = 10.0  # seconds for the broker to take a stop request that can't be stored here


class FederatedSpawner(BatchSpawnerBase):
    """`job_id` is the broker's id of the session; `job_status` its last known state."""

    broker_url = Unicode("http://127.0.0.1:8085/services/scnet/api/v1", help="The broker's address.").tag(config=True)
    broker_token_file = Unicode(help="File (0600) with the token by which the broker knows the hub.").tag(config=True)
    hub_public_url = Unicode(
        help="The hub's API at this installation's address: sessions call it there, not at the hub's own port."
    ).tag(config=True)
    cancel_folder = Unicode(help="Folder that keeps requests to stop a session while the broker is away.").tag(
        config=True
    )
    rpc_timeout = Float(
        2.0, help="Seconds that a poll or a stop waits for the broker. No answer never ends a session."
    ).tag(config=True)
    profiles = List(Dict(), help="Sizes for the start form, instead of the broker's.").tag(config=True)

    orphan = rejoined = False
    _asking: asyncio.Future[Json] | None = None
    _pledging: asyncio.Future[None] | None = None
    api_token: str
    _document: Json

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._document = {}
        self._news = asyncio.Event()
        self.refused_form: Json = {}  # the input of a form that is shown again because it was refused

    @property
    def broker(self) -> Broker:
        return broker_of(self.broker_url, self.broker_token_file)

    @property
    def cancels(self) -> PendingStops:
        return cancels_of(self.cancel_folder)

    @property
    def scnet_session(self) -> Json:
        """Returns the session as last reported, for the hub's pages; {} before the first report."""
        return self._document

    def options_from_query(self, query_data: dict[str, list[str]]) -> Any:
        """Refuses to start a session from a link, because the person who follows it may not want a session (`Start`
        fills the link's options into the form)."""
        raise refused(BadOption("Choose a size, then press Start."))

    # ---- what JupyterHub stores

    def load_state(self, state: Json) -> None:
        super().load_state(state)
        self.orphan = state.get("job_status") == "starting"

    def _save(self, status: str) -> None:
        """Stores the state in the database at once: the hub itself would write it only when the start is over."""
        self.job_status = status
        self.orm_spawner.state = self.get_state()
        self._session().commit()

    def _session(self) -> Any:
        return sqlalchemy.inspect(self.orm_spawner).session

    # ---- start

    async def start(self) -> tuple[str, int]:
        self.orphan, self._document = False, {}
        try:
            document = await self._begin()
            self._joined(document)
            return await self._until_ready(document)
        except ScnetError as error:
            self._asking = None
            raise refused(error) from error

    async def _begin(self) -> Json:
        # it may have ended meanwhile: then no new session is started
        if session := to_join.pop((self.user.name, self.name), ""):
            self.job_id = session  # so that a stop at this moment reaches it
            return await self.broker.session(THE_HUB, session)
        wanted = await self.session_options()
        self._asking = asyncio.ensure_future(self.broker.ensure(self.user.name, wanted))
        # its answer says what to stop, if this start is stopped before it arrives
        return await asyncio.shield(self._asking)

    async def session_options(self) -> Json:
        """Returns the request in the form that the broker accepts, validated for form and REST alike. Raises
        BadOption."""
        chosen = user_options.checked(self.user_options or {}, self.user.name, self.name)
        sizes = await user_options.resolved(chosen, self.listed_profiles)
        return {
            **sizes,
            "kind": "lab",
            "name": self.name,
            "argv": [*self.cmd, *self.get_args()],
            "env": self.job_environment(),
        }

    async def listed_profiles(self) -> list[Json]:
        """Returns the sizes that the broker offers by name."""
        return list((await self.broker.listed("profiles", "profiles", self.user.name, timeout=5))["profiles"])

    def job_environment(self) -> Json:
        """Returns the hub's variables that the job needs: never the hub's own PATH, HOME or secrets."""
        env = self.get_env()
        if self.hub_public_url:
            own = self.hub.api_url
            env = {
                key: f"{self.hub_public_url}{value[len(own) :]}" if str(value).startswith(own) else value
                for key, value in env.items()
            }
        return {key: str(value) for key, value in env.items() if key.startswith(PASSED_ON) or key in self.environment}

    def _joined(self, document: Json) -> None:
        self.job_id = document["id"]
        token = document.get("token") or self.api_token
        self.rejoined, self.api_token = token != self.api_token, token
        self._take(document)
        self._save("starting")

    async def _until_ready(self, document: Json) -> tuple[str, int]:
        """Follows the session until it listens. Waits for a broker that is away: start_timeout is the limit."""
        while document["state"] != READY:
            if not document["live"] or document["state"] == STOPPING:
                self.clear_state()
                raise refused(ended_before_ready(document))
            try:
                document = await self.broker.session(THE_HUB, self.job_id, wait=20, seen=document["version"])
                self._take(document)
            except BrokerError:
                await asyncio.sleep(0.5)
        self.ip, self.port = document["host"], document["port"]
        self._save("running")
        return self.ip, self.port

    def _take(self, document: Json) -> None:
        self._document = document
        self._news.set()

    async def progress(self) -> AsyncIterator[Json]:
        """Yields the session's log, line by line, as it grows."""
        said = 0
        while True:
            self._news.clear()
            document = self._document
            for event in document.get("events", [])[said:]:
                said += 1
                yield {**pending_facts(document), "at": event["at"], "message": event["message"]}
            if document and (document["state"] == READY or not document["live"]):
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await self._news.wait()

    # ---- poll and stop

    async def poll(self) -> int | None:
        """Returns None if the session is alive or its state is unknown; a number if the broker says that it ended, or
        if it was never ready."""
        if self._asking and not self.job_id:
            return None  # an interrupted start: the hub polls before it stops it
        if not self.job_id or self.orphan:
            return 0
        self.cancels.retry_all(self.broker)
        status = await self.query_job_status()
        return None if status is not JobStatus.NOTFOUND else 0

    async def query_job_status(self) -> JobStatus:
        """Returns the broker's answer in batchspawner's words. Any state that isn't clearly "ended" is UNKNOWN (law
        1)."""
        try:
            async with asyncio.timeout(self.rpc_timeout):
                document = await self._latest()
            self._document = {**(self._document if self._document.get("id") == document["id"] else {}), **document}
            await self._follow(document)
        except (ScnetError, TimeoutError) as error:
            self.log.warning(
                "%s: the state of session %s is unknown (%s); it is kept.", self._log_name, self.job_id, error
            )
            return JobStatus.UNKNOWN
        if not self.api_token and document.get("token"):
            self.api_token = document["token"]  # so that a stop after a hub restart revokes it
        if not document["live"]:
            self._revoke()
            return JobStatus.NOTFOUND
        return JobStatus.RUNNING if document["state"] == READY else JobStatus.PENDING

    def _revoke(self) -> None:
        """Revokes the token of a session that is over. JupyterHub revokes it when it stops a server; if the server
        ended while the hub was away, JupyterHub only notes the end, and such a token never expires."""
        note = f"Server at {url_path_join(self.user.base_url, url_escape_path(self.name), '/')}"
        session = self._session()
        try:
            for token in session.query(orm.APIToken).filter_by(user_id=self.user.id, note=note):
                session.delete(token)
            session.commit()
        except SQLAlchemyError as error:  # a full disk: the session is over nevertheless, and this is tried again
            session.rollback()
            self.log.error("%s: the token of its ended session can't be revoked now: %s", self._log_name, error)

    # ---- a session that moves

    async def keep_up(self, document: Json) -> None:
        """Reads the session again at once if the broker's `document` of this server differs from the hub's data."""
        if self.job_id and (document["id"], document["host"], document["port"]) != (
            self.job_id,
            self.server.ip,
            self.server.port,
        ):
            await self.query_job_status()

    async def _latest(self) -> Json:
        """Returns the session, or the session that took over its name."""
        polls = polls_of(self.broker_url, self.broker_token_file)
        document = await polls.session(THE_HUB, self.job_id, timeout=self.rpc_timeout)
        while successor := document.get("succeeded_by"):
            document = await self.broker.session(THE_HUB, successor, timeout=self.rpc_timeout)
        return document

    async def _follow(self, document: Json) -> None:
        """Moves the server to where the session is now: proxy, database and this object, in that order, so that a
        failure is repaired next time."""
        if self.job_status != "running" or not document["live"] or self.server is None:
            return
        if document["state"] != READY:
            return self._named(document)
        before, now = (self.server.ip, self.server.port), (document["host"], document["port"])
        if document["id"] == self.job_id and before == now:
            return
        self.server.ip, self.server.port = now
        try:
            data = {"user": self.user.name, "server_name": self.name}
            await self.user.settings["proxy"].add_route(self.proxy_spec, self.server.host, data)
        except Exception as error:
            self.server.ip, self.server.port = before
            raise BrokerError(f"The proxy did not accept the new route: {error}") from error
        self.log.info(
            "%s: session %s continues as %s at %s", self._log_name, self.job_id, document["id"], self.server.host
        )
        self.ip, self.port = now
        self.job_id = ""
        self._named(document)

    def _named(self, document: Json) -> None:
        """Makes this session the server's: a stop reaches it from now on, even before it is ready."""
        if document["id"] != self.job_id:
            self.job_id, self.api_token = document["id"], document.get("token") or self.api_token
            self._save("running")

    async def submit_batch_script(self) -> str:
        raise NotImplementedError("the broker submits")

    async def cancel_batch_job(self) -> None:
        if await self.pledge_stop():
            await self.cancels.settle(self.broker, self.job_id, timeout=self.rpc_timeout)

    async def pledge_stop(self) -> bool:
        """Makes sure that the stop of this session can't be lost: stores the request, or gives it to the broker.
        Returns False if there is no session. Raises NotKept if neither is possible."""
        if self.job_id:
            await self._pledge(self.job_id)
        return bool(self.job_id)

    async def _pledge(self, session: str) -> None:
        try:
            self.cancels.wish(session)
        except OSError as error:
            self.log.error("%s: the request to stop session %s can't be stored: %s", self._log_name, session, error)
            if not await self.cancels.settle(self.broker, session, timeout=ASKED_DIRECTLY):
                raise NotKept(
                    f"The session was not stopped: the hub can't store the request ({error.strerror}), and the broker "
                    "does not accept it.",
                    hint="The session continues. Press Stop again in a minute; tell the operators.",
                ) from error

    async def stop(self, now: bool = False) -> None:
        """Stops durably: the request is on disk before the broker is called, so the hub lets go at once. Raises NotKept
        like `pledge_stop`."""
        if self._asking and not self.job_id:
            self._asking.add_done_callback(self._unwanted)
        self._asking = None
        await self.cancel_batch_job()
        self.cancels.retry_all(self.broker)

    def _unwanted(self, asked: asyncio.Future[Json]) -> None:
        if not asked.cancelled() and not asked.exception():
            self._pledging = asyncio.ensure_future(self._pledge(asked.result()["id"]))
            self._pledging.add_done_callback(lambda _: self.cancels.retry_all(self.broker))

    # ---- a hub that starts must not cancel what it can't reach

    @property
    def server(self) -> Any:
        server = Spawner.server.fget(self)
        if server is not None:
            server.wait_up = functools.partial(self._wait_up, server)
        return server

    @server.setter
    def server(self, server: Any) -> None:
        Spawner.server.fset(self, server)

    async def _wait_up(self, server: Any, **kwargs: Any) -> Any:
        if self._check_pending:  # the hub is starting: the broker, not a probe, knows what is alive
            return SimpleNamespace(headers={"X-JupyterHub-Version": jupyterhub.__version__})
        if self.rejoined:  # JupyterHub registers a reused token's client without its scopes
            self.orm_spawner.oauth_client.allowed_scopes = list(await self._get_oauth_client_allowed_scopes())
            self._session().commit()
        return await type(server).wait_up(server, **kwargs)
