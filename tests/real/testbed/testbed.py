"""The centres together: up, used, down. One testbed stands at a `Place` of a machine at a time; `up` is safe to repeat.

One that was brought up by hand is kept until `down`. One that tests brought up ends with the last of them (each holds a
lock, which even a killed one lets go); what such a one left behind is ended by the next `up` or `down`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import faults, keys, life, network, pages
from .layout import CENTRES, HERE, Centre, Place, state_folder

ALL = "".join(CENTRES)


@dataclass(frozen=True)
class Testbed:
    """A testbed that is up. `folder` is a broker's state folder: `secrets/` and `centres/<id>.toml`."""

    __test__ = False  # not a test, whatever pytest thinks of the name

    folder: Path
    centres: str = ALL
    place: Place = field(default=HERE)

    @property
    def hub(self) -> str:
        return self.place.hub

    @property
    def accounts(self) -> dict[str, dict[str, str]]:
        """Centre → person → account."""
        return {name: dict(CENTRES[name].people) for name in self.centres}

    def page(self, centre: str) -> Path:
        return self.folder / f"centres/{centre}.toml"

    def login(self, centre: str) -> str:
        """The login node's address."""
        return CENTRES[centre].wan(self.place)

    def at(
        self,
        where: str,
        argv: Sequence[str],
        *,
        account: str = "",
        stdin: str | None = None,
        timeout: float = 60,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Runs `argv` at "a" (login node) or "a/a1", as root or as `account`, without SSH: the centre's admin at
        work."""
        centre, _, node = where.partition("/")
        return life.at(
            CENTRES[centre], self.place, argv, node=node, account=account, stdin=stdin, timeout=timeout, check=check
        )

    def bind(self, host: Path, inside: str, centres: str = "") -> None:
        """Shows a folder of this machine at the centres, read-only."""
        for centre in centres or self.centres:
            life.bind(CENTRES[centre], self.place, host, inside)

    def trust(self, ca: Path) -> None:
        """The centres trust one more CA."""
        for centre in self._of(self.centres):
            if centre.identity == "certificate":
                add = 'grep -qxF "$0" "$1" || echo "$0" >>"$1"'
                life.at(
                    centre,
                    self.place,
                    ["sh", "-c", add, ca.read_text().strip(), "/etc/ssh/federation_ca.pub"],
                    check=True,
                )

    def outfit(self, folder: Path, *, watch: tuple[float, float] = (30, 10), listen_port: int = 18000) -> Path:
        """Another broker's state folder: the same keys, and pages with its own intervals and port for sessions' way
        home."""
        if folder != self.folder:
            pages.copy(self.folder, folder)
        for centre in self._of(self.centres):
            pages.write(folder, centre, self.place, watch=watch, listen_port=listen_port)
        return folder

    def fault(self, centre: str, name: str, node: str = "") -> None:
        """Breaks or mends. `node`: which one; or the rate of `slow`, the account of `home-full`."""
        faults.FAULTS[name](CENTRES[centre], self.place, node)

    @contextmanager
    def broken(self, centre: str, name: str, node: str = "") -> Iterator[None]:
        """The fault for the time of a `with` block."""
        self.fault(centre, name, node)
        try:
            yield
        finally:
            self.fault(centre, faults.OPPOSITES[name], node)

    def down(self) -> None:
        down(place=self.place)

    @staticmethod
    def _of(centres: str) -> list[Centre]:
        return [CENTRES[centre] for centre in centres]


def up(
    folder: Path | None = None,
    *,
    centres: str = ALL,
    binds: Mapping[str, Path] | None = None,
    ca: Path | None = None,
    watch: tuple[float, float] = (30, 10),
    place: Place = HERE,
) -> Testbed:
    """Brings up what of `centres` isn't up yet, in parallel, and keeps it until `down`. `binds`: path at the centre →
    folder here."""
    with _alone(place):
        testbed = _raise(folder or state_folder(), centres, place, watch=watch, ca=ca, keep=True)
    for inside, host in (binds or {}).items():
        testbed.bind(host, inside, centres)
    return testbed


def down(*, place: Place = HERE) -> None:
    """Ends all that stands or was left there: processes, namespaces, links, routes, records. Harmless to repeat."""
    with _alone(place):
        _fell(place)


def running(place: Place = HERE) -> Testbed | None:
    """What is up, whoever brought it up."""
    folder = _folder(place)
    centres = "".join(centre.id for centre in CENTRES.values() if life.alive(centre, place))
    return Testbed(folder, centres, place) if folder and centres else None


@contextmanager
def shared(centres: str = ALL, *, place: Place = HERE) -> Iterator[Testbed]:
    """The testbed for the time of a `with` block: the one that is up, or else one of our own that ends with its last
    user."""
    with _lock(place, "users") as users:
        with _alone(place):
            folder = _folder(place) if _kept(place) or _in_use(place) else None
            try:
                testbed = _raise(folder or Path(tempfile.mkdtemp(prefix="scnet-testbed-")), centres, place, keep=False)
            except BaseException:
                if folder is None:
                    _fell(place)
                raise
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield testbed
        finally:
            with _alone(place):
                fcntl.flock(users, fcntl.LOCK_UN)
                if not _kept(place) and not _in_use(place):
                    _fell(place)


def _raise(
    folder: Path,
    centres: str,
    place: Place,
    *,
    keep: bool,
    watch: tuple[float, float] = (30, 10),
    ca: Path | None = None,
) -> Testbed:
    folder = folder.resolve()
    standing = _folder(place)
    if standing and standing != folder:
        if running(place) and (_kept(place) or _in_use(place)):
            raise life.NotUp(f"Another testbed is up, with its state in {standing}: `make testbed-down` ends it.")
        _fell(place)
    network.open_internet(place)
    _mark(place, folder, keep=keep)
    keys.ca(folder, ca)
    wanted = [CENTRES[centre] for centre in centres]
    absent = [centre for centre in wanted if not life.alive(centre, place)]
    _together(absent, lambda centre: life.start(centre, place, folder))
    testbed = Testbed(folder, "".join(centre.id for centre in CENTRES.values() if life.alive(centre, place)), place)
    if ca:
        testbed.trust(ca)
    return _with_pages(testbed, watch) if absent or keep else testbed


def _with_pages(testbed: Testbed, watch: tuple[float, float]) -> Testbed:
    for centre in testbed.centres:
        if CENTRES[centre].identity == "service":
            keys.service(testbed.folder, CENTRES[centre])
    testbed.outfit(testbed.folder, watch=watch)
    return testbed


def _together(centres: Sequence[Centre], act: Callable[[Centre], None]) -> None:
    """In parallel; every one is tried before the first error is raised."""
    if not centres:
        return
    with ThreadPoolExecutor(len(centres)) as pool:
        results = [pool.submit(act, centre) for centre in centres]
    for result in results:
        result.result()


def _fell(place: Place) -> None:
    _together(list(CENTRES.values()), lambda centre: life.end(centre, place))
    network.close_internet(place)
    folder, kept = _folder(place), _kept(place)
    shutil.rmtree(place.records, ignore_errors=True)
    if folder and not kept:
        shutil.rmtree(folder, ignore_errors=True)


def _mark(place: Place, folder: Path, *, keep: bool) -> None:
    place.records.mkdir(mode=0o755, exist_ok=True)
    (place.records / "folder").write_text(str(folder))
    if keep:
        (place.records / "kept").touch()


def _folder(place: Place) -> Path | None:
    with suppress(FileNotFoundError):
        return Path((place.records / "folder").read_text())
    return None


def _kept(place: Place) -> bool:
    return (place.records / "kept").exists()


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """One at a time brings up or down."""
    with _lock(place, "lock") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _in_use(place: Place) -> bool:
    """Whether somebody's tests run on it now."""
    with _lock(place, "users") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextmanager
def _lock(place: Place, name: str) -> Iterator[int]:
    """A file to lock; closing it, or dying, lets go."""
    handle = os.open(f"{place.records}.{name}", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)
