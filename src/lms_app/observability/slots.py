"""The slot of a process: a name for its metric files that a later process takes over.

prometheus_client names its multi-process files after the process id, so every replaced worker leaves a set behind and
the folder grows for ever. Instead, workers of one server are numbered 0, 1, 2 …; a new worker takes the lowest free
number and goes on counting in the files of that slot, so their number is that of the workers.
"""

from __future__ import annotations

import os
from collections.abc import Collection

_taken: str | None = None


def current() -> str:
    """Return the slot of this process; without `take` it is made from the process id."""
    return _taken or f"pid{os.getpid()}"


def take(slot: str) -> None:
    """Give this process a slot. No two running processes of one metrics folder may share a slot."""
    global _taken  # noqa: PLW0603 -- the identity of a process is global to it
    _taken = slot


def lowest_free(taken: Collection[int]) -> int:
    """Return the lowest number, from 0, that is not taken."""
    return next(number for number in range(len(taken) + 1) if number not in taken)
