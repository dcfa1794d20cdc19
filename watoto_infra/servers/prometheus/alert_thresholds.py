"""What alerts compare with: the guide's thresholds, and those that follow from a stage's objectives."""

from __future__ import annotations

from dataclasses import dataclass

from watoto_infra.derived.names import QUEUES
from watoto_infra.errors import RenderError
from watoto_infra.servers.postgresql.config import stanza_of_shard
from watoto_infra.settings.objectives import DataClass, ObjectiveSettings, RecoverySettings
from watoto_infra.settings.stage import StageSettings

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


LATENCY_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
"""Seconds up to which the LMS counts answers; an objective is read exactly only at one of these."""
REPORTS = "/api/courses/.+/report"
UPLOADS = "/api/media/.+/content"
COMPLEX = "/api/(courses|courses/.+/enrollments|enrollments|enrollments/.+/modules|users|users/me/progress)"
"""Routes of the LMS whose answers join or aggregate (regular expressions, which PromQL anchors)."""


@dataclass(frozen=True)
class Operation:
    """A kind of request with an objective of its own; ``selector`` picks its series, ``bound`` is their ``le``."""

    name: str
    selector: str
    seconds: float
    bound: str


@dataclass(frozen=True)
class Recovery:
    """What drills of a class of data must keep; ``selector`` picks their series."""

    data_class: str
    selector: str
    rto_seconds: int
    rpo_seconds: int


@dataclass(frozen=True)
class Backup:
    """A backup that must be there: ``labels`` as whoever makes it writes them."""

    description: str
    labels: str


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
    operations: tuple[Operation, ...]
    least_requests: int
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
    recovery: tuple[Recovery, ...]
    backups: tuple[Backup, ...]
    backup_max_age_seconds: int
    drill_max_age_seconds: int
    queues: str
    backlog: int

    @property
    def allowed_to_be_slow(self) -> str:
        """The routes of operations whose own objective is above what is slow for all others."""
        return "|".join(
            ROUTES[operation.name] for operation in self.operations if operation.seconds > self.slow_seconds
        )


ROUTES = {"complex": COMPLEX, "upload": UPLOADS, "report": REPORTS}
"""The routes of an operation that has some of its own; all others' reads are simple."""


def thresholds(settings: StageSettings) -> RulesContext:
    """Derive every threshold.

    The guide's: CPU 80 %, pool 90 %, slow 2 s. A percentile says something from twenty requests on. WAL may be half the
    recovery point old before a warning and four fifths before it is critical; a backup 26 h (daily plus two), a drill
    8 days (weekly plus one). What never was counts from when the stack was first watched, so a new one has as long.
    Raises ``RenderError`` for an objective that the LMS cannot be measured by.
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
        operations=_operations(objectives),
        least_requests=20,
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
        recovery=tuple(_recovery(objectives.recovery, data_class) for data_class in DataClass),
        backups=_backups(settings.database.shards),
        backup_max_age_seconds=26 * HOUR,
        drill_max_age_seconds=8 * DAY,
        queues="|".join(QUEUES),
        backlog=1_000,
    )


def _operations(objectives: ObjectiveSettings) -> tuple[Operation, ...]:
    reads = 'method="GET",endpoint=~"/api/.+"'
    measured = (
        ("simple", f'{reads},endpoint!~"{"|".join(ROUTES.values())}"', objectives.simple_query_ms),
        ("complex", f'method="GET",endpoint=~"{COMPLEX}"', objectives.complex_query_ms),
        ("upload", f'method="PUT",endpoint=~"{UPLOADS}"', objectives.upload_ms),
        ("report", f'method="GET",endpoint=~"{REPORTS}"', objectives.report_ms),
    )
    return tuple(Operation(name, selector, ms / 1000, _bound(name, ms / 1000)) for name, selector, ms in measured)


def _bound(name: str, seconds: float) -> str:
    """Give the first bound that is not below an objective, so that nobody is told of what keeps it."""
    fitting = [bound for bound in LATENCY_BOUNDS if bound >= seconds]
    if not fitting:
        raise RenderError(
            f"the objective of {name} requests is {seconds:g} s, and the LMS counts up to {LATENCY_BOUNDS[-1]:g} s",
            hint=f"lower it to {LATENCY_BOUNDS[-1]:g} s or less in objectives",
        )
    return repr(fitting[0])


def _recovery(settings: RecoverySettings, data_class: DataClass) -> Recovery:
    """What a drill does not say the class of is critical."""
    objective = settings.of(data_class)
    others = "|".join(other.value for other in DataClass if other is not DataClass.CRITICAL)
    is_critical = data_class is DataClass.CRITICAL
    selector = f'data_class!~"{others}"' if is_critical else f'data_class="{data_class.value}"'
    return Recovery(data_class.value, selector, objective.rto_minutes * 60, objective.rpo_minutes * 60)


def _backups(shards: int) -> tuple[Backup, ...]:
    stanzas = tuple(
        Backup(f"backup of the database {stanza}", f'kind="database",stanza="{stanza}"')
        for stanza in map(stanza_of_shard, range(shards + 1))
    )
    return (*stanzas, Backup("logical dump", 'kind="logical"'))
