"""What the tests of the door share."""

from .door import door as door
