"""What tests of clusters share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.builders.fakes.broker import FakeBroker


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    """Yields a broker at which jobs are asked for and none runs; files whose jobs run have their own."""
    with FakeBroker() as fake:
        fake.hold = True
        yield fake
