"""What the tests of metering at a centre share."""

from tests.federation.broker.door import app as app
from tests.federation.broker.door import door as door
