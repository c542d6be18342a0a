"""The centres' pages in the state folder: added, listed, removed, and named on the federation's page.

Files only: other modules ask whether a centre is up and which sessions live there. Changes take effect at the broker's
next start, except for the sections that a running broker reads again (`READ_AGAIN`).
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Array

from ..domain.standard.centre import READ_AGAIN, READ_AGAIN_EVERY, CentreSpec, parse_centre
from ..domain.standard.federation import FederationSpec, parse_federation
from ..domain.standard.transports import SshTransport
from ..errors import NotFound, Refused, SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of `centres/`. `listed`: the federation's page names it; `wrong`: why it can't be read, "" if it can."""

    id: str
    path: str
    name: str = ""
    organisation: str = ""
    dialect: str = ""
    reached: str = ""
    identity: str = ""
    listed: bool = False
    wrong: str = ""

    def document(self) -> dict[str, Any]:
        return asdict(self)


def read(path: Path) -> CentreSpec:
    """Reads a page. Raises SpecError, which names the file, the key and the expected value."""
    try:
        return parse_centre(path.read_text(), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"{path}: {getattr(error, 'strerror', None) or 'not text in UTF-8'}.",
            hint="A centre.toml is expected there.",
        ) from error


def find(name: str, home: Path) -> Path:
    """Returns the page of the centre with that id, or the file of that name. Raises NotFound."""
    known = page_of(name, home)
    if known.exists():
        return known
    if os.sep in name or name.endswith(".toml"):
        return Path(name)
    there = ", ".join(path.stem for path in _paths(home)) or "none yet: `scnet centres add FILE`"
    raise NotFound(
        f"There is no centre {name!r} in {home / 'centres'}.", hint=f"Centres: {there}.", code="unknown-centre"
    )


def page_of(centre: str, home: Path) -> Path:
    return home / "centres" / f"{centre}.toml"


def listing(home: Path) -> Iterator[Page]:
    named = _entries(home)
    for path in _paths(home):
        listed = any(_names(entry, path, home) for entry in named)
        try:
            spec = read(path)
            if spec.id != path.stem:
                raise SpecError(f"its id is {spec.id!r}: the file should be {spec.id}.toml")
        except SpecError as error:
            yield Page(id=path.stem, path=str(path), listed=listed, wrong=str(error))
            continue
        way = spec.transport
        yield Page(
            id=spec.id,
            path=str(path),
            name=spec.name,
            organisation=spec.organisation,
            dialect=spec.dialect,
            reached=", ".join(way.hosts) if isinstance(way, SshTransport) else way.kind,
            identity=spec.identity.mode,
            listed=listed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A page that was added, and the page that was at `path` before (None: no readable page)."""

    spec: CentreSpec
    path: Path
    before: CentreSpec | None

    def counts(self) -> str:
        """Returns when the page takes effect: a running broker reads some sections again automatically, and the rest at
        its start."""
        soon = f"within {READ_AGAIN_EVERY:.0f} s"
        changed = self._changed()
        if changed is None:
            return "It takes effect at the broker's next start."
        if not changed:
            return (
                "The same page was there already; unless the broker was started since, it takes effect at the "
                "broker's next start."
            )
        if changed <= READ_AGAIN:
            return (
                "A running broker reads maintenance and announcements again automatically: they take effect "
                f"{soon}, without a restart."
            )
        told = f" Changes of maintenance and announcements take effect {soon}." if changed & READ_AGAIN else ""
        return f"It takes effect at the broker's next start.{told}"

    def _changed(self) -> set[str] | None:
        """Returns the sections that differ from the old page; None if there was no old page."""
        if self.before is None:
            return None
        new, old = self.spec.model_dump(), self.before.model_dump()
        return {name for name in new if new[name] != old[name]}

    @property
    def at_once(self) -> bool:
        """Returns whether the broker need not be restarted."""
        changed = self._changed()
        return bool(changed and changed <= READ_AGAIN)


def _before(path: Path) -> CentreSpec | None:
    try:
        return read(path) if path.exists() else None
    except SpecError:
        return None


def add(file: Path, home: Path, *, replace: bool = False) -> Taken:
    """Copies the page to `centres/<id>.toml` of the state folder and makes sure that the federation's page names it.

    Raises SpecError for a wrong page, Refused if another page with that id is there and `replace` is not set.
    """
    spec = read(file)
    text, path = file.read_text(), page_of(spec.id, home)
    if path.exists() and path.read_text() != text and not replace:
        raise Refused(
            f"{path} exists already, with another text.", hint="Use --replace to replace it.", code="already-there"
        )
    before = _before(path)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write(path, text)
    if not any(_names(entry, path, home) for entry in _entries(home)):
        _change_entries(home, lambda entries: entries.append(f"centres/{path.name}"))
        before = None  # the broker does not know this page
    return Taken(spec=spec, path=path, before=before)


def remove(centre: str, home: Path) -> Path:
    """Removes the page; keeps it beside its place under another name, which is returned. Raises NotFound, Refused."""
    path = page_of(centre, home)
    if not path.exists():
        find(centre, home)
        raise NotFound(f"{path} does not exist.", hint="Give the id of a centre, not a file.")
    entries = _entries(home)
    if (
        not [other for other in _paths(home) if other != path and any(_names(entry, other, home) for entry in entries)]
        and entries
    ):
        raise Refused(
            f"{centre} is the federation's last centre.", hint="Add another centre first.", code="last-centre"
        )
    exact = [entry for entry in entries if "*" not in entry and _names(entry, path, home)]
    if exact:
        _change_entries(home, lambda array: [array.remove(entry) for entry in exact])
    kept = path.with_name(path.name + ".removed")
    os.replace(path, kept)
    return kept


def federation(home: Path) -> FederationSpec | None:
    """Returns the federation's page; None if there is none yet. Raises SpecError."""
    path = home / "federation.toml"
    return parse_federation(path.read_text(), source=str(path)) if path.exists() else None


def write(path: Path, text: str) -> None:
    """Writes in one step: a broker that starts meanwhile reads the old page or the new page."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    os.replace(new, path)


def _paths(home: Path) -> list[Path]:
    return sorted((home / "centres").glob("*.toml"))


def _entries(home: Path) -> list[str]:
    spec = federation(home)
    return spec.centres if spec else []


def _names(entry: str, path: Path, home: Path) -> bool:
    """Returns whether an entry of the federation's list matches that page."""
    return (
        fnmatch.fnmatchcase(str(path.relative_to(home)), entry)
        if "*" in entry
        else (home / entry).resolve() == path.resolve()
    )


def _change_entries(home: Path, change: Any) -> None:
    """Changes the list `centres` on the federation's page and keeps the rest, comments too."""
    path = home / "federation.toml"
    if not path.exists():
        return
    document = tomlkit.parse(path.read_text())
    entries = document["centres"]
    assert isinstance(entries, Array)
    change(entries)
    write(path, tomlkit.dumps(document))
