"""Fixtures of the ways out."""

from .sshd import sshd

__all__ = ["sshd"]
