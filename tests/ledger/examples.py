"""The number of Hypothesis examples for a property of the ledger: few during work, many in CI, very many in a soak."""

from __future__ import annotations

import os

from sqlalchemy import Engine

IN_CI = 2_000


def examples(usual: int) -> int:
    """`usual` on a person's own machine; in CI at least 2,000; what SCNET_EXAMPLES says where it is set (`make
    soak`)."""
    said = os.environ.get("SCNET_EXAMPLES", "")
    if said:
        return int(said)
    return max(usual, IN_CI) if os.environ.get("CI", "") == "true" else usual


def wired(usual: int, engine: Engine) -> int:
    """Of a property that goes through the database, in some hundred statements each: a twentieth on PostgreSQL, which
    must give the same answers and takes several times as long for them."""
    return examples(usual) if engine.dialect.name == "sqlite" else max(examples(usual) // 20, 1)
