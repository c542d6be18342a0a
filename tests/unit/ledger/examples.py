"""How many Hypothesis examples a property of the ledger is tried with: few while one works, many in CI, very many in a
soak."""

from __future__ import annotations

import os

from sqlalchemy import Engine

IN_CI, HEAVY_IN_CI, WIRED_IN_CI = 2_000, 400, 100


def examples(usual: int) -> int:
    """Returns `usual` on a person's own machine; in CI at least 2,000; what SCNET_EXAMPLES says where it is set
    (`make soak`)."""
    return _examples(usual, IN_CI)


def heavy(usual: int) -> int:
    """Returns the number for a property whose examples take over ten milliseconds: at least 400 in CI."""
    return _examples(usual, HEAVY_IN_CI)


def wired(usual: int, engine: Engine) -> int:
    """Returns the number for a property that goes through the database, in some hundred statements an example: at least
    100 in CI; a tenth on PostgreSQL, which must give the same answers and takes several times as long for them."""
    many = _examples(usual, WIRED_IN_CI)
    return many if engine.dialect.name == "sqlite" else max(many // 10, 1)


def _examples(usual: int, in_ci: int) -> int:
    said = os.environ.get("SCNET_EXAMPLES", "")
    if said:
        return int(said)
    return max(usual, in_ci) if os.environ.get("CI", "") == "true" else usual
