"""Re-reads the pages that the broker was started with while it runs: maintenance and announcements take effect within a
minute.

Only these two sections are read again: other changes of a page, and new centres, take effect at the broker's next
start. A page that can't be read is logged once, and its last valid contents stay in force.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path

from ..domain.standard.centre import READ_AGAIN_EVERY, CentreSpec, parse_centre
from ..domain.standard.federation import FederationSpec, parse_federation
from ..errors import SpecError
from ..services.federation import Federation
from ..services.periodic import run_once

log = logging.getLogger(__name__)
EVERY = READ_AGAIN_EVERY


def read_federation(path: Path) -> tuple[FederationSpec, dict[str, str]]:
    """Returns the federation's page and the texts of its centres' pages, by path. Raises SpecError, which names the
    file."""
    try:
        spec = parse_federation(path.read_text(), source=str(path))
        names = [
            found
            for name in spec.centres
            for found in (sorted(path.parent.glob(name)) if "*" in name else [path.parent / name])
        ]
        return spec, {str(name.relative_to(path.parent)): name.read_text() for name in names}
    except OSError as error:
        raise SpecError(
            f"{error.filename}: {error.strerror}.",
            hint="Check that the federation's page and its centres' pages exist and can be read.",
        ) from error
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{path}: one of its pages is not UTF-8 text: {error}.", hint="Save the page in UTF-8."
        ) from error
    except (ValueError, NotImplementedError) as error:  # an absolute path, or an invalid pattern
        raise SpecError(
            f"{path}: centres: {error}.", hint='Give paths relative to this file, like "centres/*.toml".'
        ) from error


class Pages:
    """The federation's page at `path`, and the pages that it names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._complained = ""

    async def keep(self, federation: Federation) -> None:
        """Passes on what the pages say, periodically, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await run_once(partial(self._hand_on, federation), what="re-reading the pages")

    async def _hand_on(self, federation: Federation) -> None:
        for spec in await asyncio.to_thread(self.read):
            federation.announce(spec)

    def read(self) -> list[CentreSpec]:
        """Returns the centres' current pages, without those that can't be read. Each fault is logged once."""
        try:
            texts = read_federation(self.path)[1]
        except SpecError as error:
            self._complain([error])
            return []
        specs, wrong = [], []
        for name, text in texts.items():
            try:
                specs.append(parse_centre(text, source=str(self.path.parent / name)))
            except SpecError as error:
                wrong.append(error)
        self._complain(wrong)
        return specs

    def _complain(self, wrong: list[SpecError]) -> None:
        said = " ".join(f"{error} {error.hint}" for error in wrong)
        if said and said != self._complained:
            log.warning("the last valid contents stay in force: %s", said)
        self._complained = said
