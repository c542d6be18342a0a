"""The conformance suite on the four real centres of the testbed over SSH: Slurm twice, Grid Engine, OAR.

Without a real part it fails with the install line.
"""

from pathlib import Path

import pytest

from scnet_hub.adapters.centre import Centre
from scnet_hub.adapters.transport.transport import Means
from tests.real import testbed as tb
from tests.real.testbed.fixtures import need
from tests.unit.conformance.test_conformance import *  # noqa: F403


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=[pytest.mark.slurm, pytest.mark.slow]) for kind in "abcd"]
)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def page(kind: str, testbed: tb.Testbed) -> Path:
    need(testbed, kind)
    return testbed.page(kind)


@pytest.fixture(scope="module")
def means(page: Path) -> Means:
    return Means(folder=page.parents[1])


@pytest.fixture(scope="module")
def account(centre: Centre) -> str:
    return centre.spec.identity.accounts["ada"]
