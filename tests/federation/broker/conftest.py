"""What the tests of the door share."""

from .door import app as app
from .door import door as door
