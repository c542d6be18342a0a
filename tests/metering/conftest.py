"""What the tests of metering at a centre share."""

from tests.broker.door import app as app
from tests.broker.door import door as door
