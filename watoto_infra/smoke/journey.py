"""What a smoke run knows on its way: who asks, what was made, what only the stack's own machine can see."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from watoto_infra.smoke.client import Client

T = TypeVar("T")
POLL_SECONDS = 0.25


class Failed(Exception):  # noqa: N818 - reads as what happened
    """A check saw what should not be; the message says what."""


class Skipped(Exception):  # noqa: N818 - reads as what happened
    """A check cannot be made here; the message says why."""


@dataclass(frozen=True)
class Account:
    """Somebody who can sign in."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Inside:
    """What only the machine of the stack can look at; URLs have no slash at their ends.

    ``replica_reads`` counts what the LMS has read from replicas so far; None where there are none. ``make_admin`` makes
    an administrator's account.
    """

    prometheus: str
    alertmanager: str
    app_metrics: tuple[str, ...]
    worker_metrics: tuple[str, ...]
    replica_reads: Callable[[], int] | None
    make_admin: Callable[[Account], None]


@dataclass(frozen=True)
class Made:
    """Something the run made, and how it goes again."""

    what: str
    remove: Callable[[], object]


@dataclass
class Journey:
    """State of one run. ``account`` is whom to sign in; ``may_make``: whether accounts and a course may be made."""

    visitor: Client
    account: Account | None
    may_make: bool
    inside: Inside | None
    made: list[Made] = field(default_factory=list)
    me: Client | None = None
    is_admin: bool = False
    teacher: Client | None = None
    student: Client | None = None
    course_id: int | None = None
    enrollment_id: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    reachable: bool = False

    def seen_inside(self) -> Inside:
        """Give the inside. Raises ``Skipped`` where the LMS runs elsewhere."""
        if self.inside is None:
            raise Skipped("only to be seen on the stack's own machine")
        self.require_answer()
        return self.inside

    def require_answer(self) -> None:
        """Raise ``Skipped`` when not even the first request was answered."""
        if not self.reachable:
            raise Skipped("the LMS does not answer")


def needed(value: T | None, what: str) -> T:
    """Give a value that an earlier check left. Raises ``Skipped`` when that check did not come so far."""
    if value is None:
        raise Skipped(f"needs {what}")
    return value


def wait_for(look: Callable[[], T | None], seconds: float, what: str) -> T:
    """Look again and again until there is something. Raises ``Failed`` naming ``what`` did not come."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise Failed(f"{what} within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)
    return found
