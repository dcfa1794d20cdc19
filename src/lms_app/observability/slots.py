"""Which slot of its host a process fills: the name of its metric files.

prometheus_client names its multi-process files after the process id, so every replaced worker leaves a set behind and
the folder grows for ever. Workers of one server are numbered 0, 1, 2 … instead, a new one takes the lowest number that
is free, and goes on counting in the files of the one before it: the files are bounded by the number of workers.
"""

from __future__ import annotations

import os
from collections.abc import Collection

_taken: str | None = None


def current() -> str:
    """The slot of this process; one that was given none is alone with its process id."""
    return _taken or f"pid{os.getpid()}"


def take(slot: str) -> None:
    """Let this process be known by `slot`. No two running processes of one metrics folder may share a slot."""
    global _taken  # noqa: PLW0603 -- the identity of a process is global to it
    _taken = slot


def lowest_free(taken: Collection[int]) -> int:
    """Return the lowest number, from 0, that is not taken."""
    return next(number for number in range(len(taken) + 1) if number not in taken)
