"""Every table of the broker, by subject. A new file is imported here, so that the metadata knows its tables."""

from __future__ import annotations

from .columns import KEYS, Number, Packed, Sealed, SealedText, UtcDateTime, metadata
from .decision_log import decisions, snapshots, terms
from .ledger import CHARGES, chain, entries, holds, lots, postings
from .metering import manifests, outages, tariffs, usage
from .people import accounts, mails, proofs
from .project_members import allocations, members, projects
from .session_copies import copies, events, sessions
from .settlement import periods, statements

__all__ = [
    "CHARGES",
    "KEYS",
    "Number",
    "Packed",
    "Sealed",
    "SealedText",
    "UtcDateTime",
    "accounts",
    "allocations",
    "chain",
    "copies",
    "decisions",
    "entries",
    "events",
    "holds",
    "lots",
    "mails",
    "manifests",
    "members",
    "metadata",
    "outages",
    "periods",
    "postings",
    "projects",
    "proofs",
    "sessions",
    "snapshots",
    "statements",
    "tariffs",
    "terms",
    "usage",
]
