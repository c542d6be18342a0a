"""`Instant`: an aware time within the supported range, as a field of the documents of this folder."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

from ...display import times


def _supported(at: datetime) -> datetime:
    if not times.supported(at):
        raise ValueError(f"must be from {times.FIRST} to {times.LAST}")
    return at


Instant = Annotated[AwareDatetime, AfterValidator(_supported)]
