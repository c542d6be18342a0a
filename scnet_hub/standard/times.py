"""`Instant`: an aware time within the supported range, as a field of the documents of this folder."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

from .. import instants


def _supported(at: datetime) -> datetime:
    if not instants.supported(at):
        raise ValueError(f"must be from {instants.FIRST} to {instants.LAST}")
    return at


Instant = Annotated[AwareDatetime, AfterValidator(_supported)]
