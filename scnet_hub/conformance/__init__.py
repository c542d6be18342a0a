"""The conformance suite: the behaviour that every member centre must show, as tests that CI and `scnet centres check`
both run.

`suite.py` holds the tests, `plugin.py` the fixtures for a live centre described by its `centre.toml`; CI uses fixtures
of its own (`tests/unit/conformance/test_conformance.py`). A run submits about ten jobs of a few seconds under the
checker's own account.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ..errors import ScnetError


def check(centre_toml: Path | str, *, account: str = "", folder: Path | str = ".", words: tuple[str, ...] = ()) -> int:
    """Runs the suite against the centre of that page, as that account; returns pytest's exit code, 0 for "conforms".
    `folder` is the state folder with the federation's keys. Raises ScnetError if pytest is not installed."""
    if importlib.util.find_spec("pytest") is None or importlib.util.find_spec("pytest_asyncio") is None:
        raise ScnetError(
            "the check needs pytest, which is not installed here.", hint="Install scnet-hub[test].", code="no-pytest"
        )
    import pytest

    suite = str(Path(__file__).with_name("suite.py"))
    options = [
        "-p",
        "scnet_hub.conformance.plugin",
        "-o",
        "asyncio_mode=auto",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(Path(suite).parent),
    ]
    return int(
        pytest.main(
            [
                *options,
                "--centre-page",
                str(centre_toml),
                "--account",
                account,
                "--state-folder",
                str(folder),
                "-q",
                *words,
                suite,
            ]
        )
    )
