"""`python -m scnet_hub.broker SETTINGS.json` runs the broker's process. Secrets are read from 0600 files, whose paths
are in the settings."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import uvicorn

from ..adapters.db.database import Database
from ..adapters.db.keys import Keys
from ..adapters.secret_files import read_secret
from ..adapters.transport.transport import Means
from ..domain.addresses import Address
from ..domain.standard.centre import parse_centre
from ..errors import SpecError
from ..services.federation import Federation, centres_of
from .app import create_app
from .auth import Gate
from .page_watch import Pages, read_federation

log = logging.getLogger(__name__)
# Seconds that an idle connection is kept: far longer than the hub keeps its connections (httpx: 5). If both sides
# closed a connection at the same time, a request that a busy hub sends at that moment would meet a closed connection,
# and a start would be refused.
KEEP_ALIVE = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Holds the broker's settings. `federation` is the path of federation.toml; `token_file` holds the token that the
    hub's spawner presents; `public_url` is this installation's address; `proxy_url` is where the hub's proxy listens as
    seen from this machine ("": at `public_url`). `folder` keeps what centres over SSH need: `secrets/ssh_ca`,
    `forwards/`."""

    federation: str
    database: str
    hub_api: str
    token_file: str
    public_url: str
    folder: str
    proxy_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8085


def make(settings: Settings) -> tuple[Federation, Gate]:
    path = Path(settings.federation)
    spec, texts = read_federation(path)
    address = Address.parse(settings.public_url)
    means = Means(folder=Path(settings.folder), public_url=address.root, proxy_url=settings.proxy_url.rstrip("/"))
    pages = [parse_centre(text, source=str(path.parent / name)) for name, text in texts.items()]
    for page in pages:
        for remark in page.remarks():
            log.warning("%s: %s", page.id, remark)
    centres = centres_of(pages, means)
    db = Database(settings.database, Keys.read(Path(settings.folder) / "secrets" / "database.keys"))
    db.open()
    federation = Federation(
        spec, centres, db, call_home_url=address.api + "/sessions/{}/call-home", public_url=address.root
    )
    return federation, Gate(settings.hub_api, read_secret(Path(settings.token_file)))


def read_settings(path: Path) -> Settings:
    """Reads the settings file. Raises SpecError, which names the file and the missing or unknown settings."""
    try:
        said = json.loads(path.read_text())
        return Settings(**said)
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}.", hint="Give the path of the broker's settings file.") from error
    except (ValueError, TypeError, RecursionError) as error:
        known = ", ".join(one.name for one in fields(Settings))
        raise SpecError(
            f"{path} does not hold valid broker settings: {error}.",
            hint=f"Write one JSON object with these keys: {known}.",
        ) from error


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        print("usage: python -m scnet_hub.broker SETTINGS.json", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = read_settings(Path(argv[1]))
        federation, gate = make(settings)
    except SpecError as error:
        print(f"{error} {error.hint}", file=sys.stderr)
        return 1
    config = uvicorn.Config(
        create_app(
            federation, gate, Pages(Path(settings.federation)), prefix=Address.parse(settings.public_url).service_path
        ),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=3,
        timeout_keep_alive=KEEP_ALIVE,
    )
    uvicorn.Server(config).run()
    federation.db.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
