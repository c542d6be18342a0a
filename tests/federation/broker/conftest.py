"""Shared fixtures of the tests of the broker's REST."""

from .door import app as app
from .door import door as door
