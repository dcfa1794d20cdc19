"""What a stage promises (speed, availability, recovery) and the use it is made for; load, alerts and drills read it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from watoto_infra.settings.base import Strict


class DataClass(StrEnum):
    """How much the loss of something hurts, and so how fast and how completely it must come back."""

    CRITICAL = "critical"
    """The PostgreSQL databases, and the keys and backups they depend on."""
    IMPORTANT = "important"
    """Uploaded media."""
    STANDARD = "standard"
    """Configuration and logs."""


class UsageSettings(Strict):
    """The use a stage is sized for."""

    concurrent_users: int = Field(ge=1)
    """Users at the same time, at the peak."""
    daily_active_users: int = Field(ge=1)
    """Users a day."""
    requests_per_day: int = Field(ge=1)
    """API requests a day."""
    database_gib: int = Field(ge=1)
    """Size of the database."""


class RecoveryObjective(Strict):
    """How long recovery may take, and how much of the newest data may be lost."""

    rto_minutes: int = Field(ge=1)
    """Recovery time objective."""
    rpo_minutes: int = Field(ge=1)
    """Recovery point objective."""


class RecoverySettings(Strict):
    """Recovery objectives by class of data."""

    critical: RecoveryObjective = RecoveryObjective(rto_minutes=60, rpo_minutes=5)
    important: RecoveryObjective = RecoveryObjective(rto_minutes=4 * 60, rpo_minutes=60)
    standard: RecoveryObjective = RecoveryObjective(rto_minutes=24 * 60, rpo_minutes=24 * 60)

    def of(self, data_class: DataClass) -> RecoveryObjective:
        """The objective of one class."""
        objective: RecoveryObjective = getattr(self, data_class.value)
        return objective


class ObjectiveSettings(Strict):
    """Service objectives; response times are 95th percentiles."""

    api_ms: int = Field(default=200, ge=1)
    """API calls on the whole."""
    simple_query_ms: int = Field(default=100, ge=1)
    """Calls that read a few rows."""
    complex_query_ms: int = Field(default=500, ge=1)
    """Calls that join or aggregate."""
    upload_ms: int = Field(default=2_000, ge=1)
    """File uploads."""
    report_ms: int = Field(default=10_000, ge=1)
    """Generated reports."""
    requests_per_second: int = Field(default=1_000, ge=1)
    """API requests answered each second."""
    database_queries_per_second: int = Field(default=10_000, ge=1)
    """Queries answered each second by primary and replicas together."""
    concurrent_downloads: int = Field(default=1_000, ge=1)
    """Files served at the same time."""
    error_rate_percent: float = Field(default=0.1, gt=0, lt=100)
    """Share of requests that may fail."""
    availability_percent: float = Field(default=99.9, gt=0, lt=100)
    """Share of the time in which the LMS answers."""
    recovery: RecoverySettings = RecoverySettings()
