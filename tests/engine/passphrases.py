"""What tests pass as ``kdf_rounds`` where a stack is opened many times and no other tool opens its state."""

from __future__ import annotations

CHEAP_ROUNDS = 10
"""Deriving a key as Pulumi does takes a third of a second each time; that it does so is held by ``test_secrets.py``."""
