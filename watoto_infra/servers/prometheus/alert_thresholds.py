"""What alerts compare with: the guide's thresholds, and those that follow from a stage's objectives."""

from __future__ import annotations

from dataclasses import dataclass

from watoto_infra.settings.objectives import DataClass
from watoto_infra.settings.stage import StageSettings

QUEUES = ("email_queue", "notification_queue", "analytics_queue")
HOUR = 3600
DAY = 24 * HOUR
BURNS = (
    ("page", "1h", "5m", 14.4),
    ("page", "6h", "30m", 6.0),
    ("ticket", "1d", "2h", 3.0),
    ("ticket", "3d", "6h", 1.0),
)
"""Severity, long and short window, burn rate: Site Reliability Workbook, chapter 5, table 5-8; 1d is added."""
SECONDS = {"5m": 300, "30m": 1800, "1h": HOUR, "2h": 2 * HOUR, "6h": 6 * HOUR, "1d": DAY, "3d": 3 * DAY}


@dataclass(frozen=True)
class Burn:
    """One pair of windows; ``threshold`` is the share of failed requests that fires."""

    severity: str
    long: str
    short: str
    rate: float
    threshold: float
    long_seconds: int


@dataclass(frozen=True)
class RulesContext:
    """What the rule templates may say. Ratios are 0 to 1, percentages carry it in the name."""

    cpu_percent: int
    pool_ratio: float
    slow_seconds: float
    api_seconds: float
    objective_percent: float
    budget_percent: float
    burns: tuple[Burn, ...]
    windows: tuple[str, ...]
    least_failures: int
    heartbeat_seconds: int
    lag_warning_seconds: int
    lag_critical_seconds: int
    wal_warning_seconds: int
    wal_critical_seconds: int
    rto_seconds: int
    rpo_seconds: int
    backup_max_age_seconds: int
    drill_max_age_seconds: int
    queues: str
    backlog: int


def thresholds(settings: StageSettings) -> RulesContext:
    """Derive every threshold.

    The guide's: CPU 80 %, pool 90 %, slow 2 s. WAL may be half the recovery point old before a warning and four fifths
    before it is critical; a backup 26 h (daily plus two), a drill 8 days (weekly plus one).
    """
    objectives = settings.objectives
    critical = objectives.recovery.of(DataClass.CRITICAL)
    rpo = critical.rpo_minutes * 60
    budget = round(100 - objectives.availability_percent, 6)
    return RulesContext(
        cpu_percent=80,
        pool_ratio=0.9,
        slow_seconds=2,
        api_seconds=objectives.api_ms / 1000,
        objective_percent=objectives.availability_percent,
        budget_percent=budget,
        burns=tuple(
            Burn(severity, long, short, rate, round(rate * budget / 100, 8), SECONDS[long])
            for severity, long, short, rate in BURNS
        ),
        windows=tuple(window for window in SECONDS if window != "5m"),
        least_failures=10,
        heartbeat_seconds=30,
        lag_warning_seconds=10,
        lag_critical_seconds=30,
        wal_warning_seconds=rpo // 2,
        wal_critical_seconds=rpo * 4 // 5,
        rto_seconds=critical.rto_minutes * 60,
        rpo_seconds=rpo,
        backup_max_age_seconds=26 * HOUR,
        drill_max_age_seconds=8 * DAY,
        queues="|".join(QUEUES),
        backlog=1_000,
    )
