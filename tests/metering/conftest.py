"""What the tests of metering at a centre share."""

from tests.broker.door import door as door
