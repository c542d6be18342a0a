"""A broker's database with the newest schema: migrated once a process, and copied."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from scnet_hub.adapters.db.database import Database


def new_sqlite(path: Path) -> str:
    """The url of a new SQLite file. Its first opening need not migrate, which takes ten times as long as a copy."""
    shutil.copyfile(_template(), path)
    path.chmod(0o600)
    return f"sqlite:///{path}"


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sc-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    database = Database(f"sqlite:///{folder / 'new.sqlite'}")
    database.open()
    database.close()
    return folder / "new.sqlite"
