"""What a load run is to do, and who is told how far it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from watoto_infra.errors import UsageError

SECONDS: dict[str, int] = {"s": 1, "m": 60, "h": 3600}
Say = Callable[[str], None]


class Profile(StrEnum):
    """What the load is like."""

    GUIDE = "guide"
    """The guide's mix: three looks at the list, two at a course, one enrolment."""
    SCHOOL_DAY = "school-day"
    """A day in minutes: the bell, noon, homework."""
    SPIKE = "spike"
    """A fifth of the load, all of it at once, a fifth again."""
    SOAK = "soak"
    """The guide's mix, for long."""

    @property
    def default_seconds(self) -> int:
        """How long it takes when nothing else is said."""
        return 600 if self in {Profile.SCHOOL_DAY, Profile.SOAK} else 60


@dataclass(frozen=True, kw_only=True)
class Work:
    """One load run to be made. ``url`` has no slash at its end; ``rate`` is in requests a second.

    ``sessions`` are tokens of signed-in users; published ``courses`` have ids from 1. ``users`` or ``rate`` is set.
    """

    url: str
    profile: Profile
    seconds: int
    users: int | None = None
    rate: float | None = None
    sessions: tuple[str, ...] = field(default=(), repr=False)
    courses: int = 1

    @property
    def words(self) -> str:
        """What is intended, for people."""
        return f"{self.rate:g} requests/s" if self.rate is not None else f"{self.users} users"


def duration(text: str) -> int:
    """Read ``90``, ``90s``, ``10m`` or ``2h`` as seconds. Raises ``UsageError``."""
    found = re.fullmatch(r"([1-9][0-9]{0,6})([smh]?)", text)
    if found is None:
        raise UsageError(f"{text!r} is no duration", hint="write 90s, 10m or 2h")
    return int(found[1]) * SECONDS[found[2] or "s"]
