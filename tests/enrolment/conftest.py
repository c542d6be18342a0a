"""Fixtures of enrolment: the real sshd of the transport's tests."""

from tests.transport.sshd import sshd

__all__ = ["sshd"]
