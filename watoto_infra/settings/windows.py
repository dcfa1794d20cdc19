"""Times at which AWS may take backups or do maintenance: daily and weekly windows in UTC, and whether they overlap.

Formats and the shortest window (30 minutes) are those of RDS; ElastiCache wants 60 minutes.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from watoto_infra.settings.base import not_allowed

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60
MINUTES_A_WEEK = 7 * MINUTES_A_DAY
SHORTEST = 30

_CLOCK = r"([01]\d|2[0-3]):([0-5]\d)"
_DAY = f"({'|'.join(DAYS)})"
DAILY_PATTERN = rf"^{_CLOCK}-{_CLOCK}$"
WEEKLY_PATTERN = rf"^{_DAY}:{_CLOCK}-{_DAY}:{_CLOCK}$"


def daily_minutes(window: str) -> tuple[int, int]:
    """Start (minute of the day) and length in minutes of ``HH:MM-HH:MM``."""
    match = re.fullmatch(DAILY_PATTERN, window)
    if match is None:
        raise not_allowed("", window, "HH:MM-HH:MM in UTC")
    first, first_minute, last, last_minute = map(int, match.groups())
    start = first * 60 + first_minute
    return start, (last * 60 + last_minute - start) % MINUTES_A_DAY


def weekly_minutes(window: str) -> tuple[int, int]:
    """Start (minute of the week, from Monday) and length in minutes of ``ddd:HH:MM-ddd:HH:MM``."""
    match = re.fullmatch(WEEKLY_PATTERN, window)
    if match is None:
        raise not_allowed("", window, "ddd:HH:MM-ddd:HH:MM in UTC, days mon to sun")
    day, hour, minute, last_day, last_hour, last_minute = match.groups()
    start = DAYS.index(day) * MINUTES_A_DAY + int(hour) * 60 + int(minute)
    end = DAYS.index(last_day) * MINUTES_A_DAY + int(last_hour) * 60 + int(last_minute)
    return start, (end - start) % MINUTES_A_WEEK


def overlap(daily: str, weekly: str) -> bool:
    """Whether a window of every day and one of every week have a minute in common."""
    day_start, day_length = daily_minutes(daily)
    week_start, week_length = weekly_minutes(weekly)
    starts = [day * MINUTES_A_DAY + day_start for day in range(len(DAYS))]
    return any(
        (week_start - start) % MINUTES_A_WEEK < day_length or (start - week_start) % MINUTES_A_WEEK < week_length
        for start in starts
    )


def days_later(weekly: str, days: int) -> str:
    """The same weekly window, moved: replicas are maintained on other days than their primary."""
    parts = weekly.split("-")
    moved = [f"{DAYS[(DAYS.index(part[:3]) + days) % len(DAYS)]}{part[3:]}" for part in parts]
    return "-".join(moved)


def _long_enough(window: str, length: int) -> str:
    if not SHORTEST <= length <= MINUTES_A_DAY:
        raise not_allowed("", window, f"a window of {SHORTEST} minutes to 24 hours")
    return window


DailyWindow = Annotated[
    str,
    AfterValidator(lambda window: _long_enough(window, daily_minutes(window)[1])),
    WithJsonSchema({"type": "string", "pattern": DAILY_PATTERN}),
]
WeeklyWindow = Annotated[
    str,
    AfterValidator(lambda window: _long_enough(window, weekly_minutes(window)[1])),
    WithJsonSchema({"type": "string", "pattern": WEEKLY_PATTERN}),
]
