"""The job table: every job of an embedded centre, in one SQLite file of its home.

Holds facts only; scripts and environments, which may hold secrets, are in a job's own folder until the job ends. Each
write is one transaction, so a killed daemon finds everything that it had confirmed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from .scheduler import Job, Need, Spot, Step

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS job (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, ended_at REAL NOT NULL, pretend REAL NOT NULL,
    facts TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS job_ended ON job (ended_at);
CREATE INDEX IF NOT EXISTS job_name ON job (name);
"""


class Table:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection

    def open(self) -> None:
        self._db = sqlite3.connect(self.path, isolation_level=None)
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        self._db.close()

    def add(self, job: Job) -> int:
        """Writes a new job and gives it its id."""
        self._db.execute("BEGIN IMMEDIATE")
        row = self._db.execute(
            "INSERT INTO job (name, ended_at, pretend, facts) VALUES (?, 0, ?, '')", (job.name, job.pretend)
        )
        assert row.lastrowid is not None
        job.id = row.lastrowid
        self.save([job])
        self._db.execute("COMMIT")
        return job.id

    def save(self, jobs: Iterable[Job]) -> None:
        rows = [(job.ended_at, json.dumps(asdict(job)), job.id) for job in jobs]
        self._db.executemany("UPDATE job SET ended_at = ?, facts = ? WHERE id = ?", rows)

    def live(self) -> list[Job]:
        return self._jobs("WHERE ended_at = 0 ORDER BY id")

    def ended_since(self, at: float) -> list[Job]:
        return self._jobs("WHERE ended_at > ? ORDER BY id", (max(at, 0.0),))

    def by_id(self, ids: Sequence[int]) -> list[Job]:
        marks = ",".join("?" * len(ids))
        return self._jobs(f"WHERE id IN ({marks}) ORDER BY id", tuple(ids))

    def prune(self, *, pretended_before: float, before: float) -> None:
        self._db.execute(
            "DELETE FROM job WHERE ended_at > 0 AND (ended_at < ? OR (pretend > 0 AND ended_at < ?))",
            (before, pretended_before),
        )

    def _jobs(self, where: str, values: tuple[float, ...] = ()) -> list[Job]:
        return [_job(facts) for (facts,) in self._db.execute(f"SELECT facts FROM job {where}", values)]


def _job(facts: str) -> Job:
    document = json.loads(facts)
    document["need"] = Need(**document["need"])
    document["spots"] = tuple(Spot(spot["node"], tuple(spot["gpus"])) for spot in document["spots"])
    document["arguments"] = tuple(document["arguments"])
    document["steps"] = tuple(Step(**{**step, "nodes": tuple(step["nodes"])}) for step in document.get("steps", ()))
    return Job(**document)
