"""What PostgreSQL is told: the parameters that differ from its defaults, for RDS and for a local server alike.

Names and units are PostgreSQL's own; values are text, as parameter groups take them.
"""

from __future__ import annotations

from watoto_infra.settings.data import DatabaseSettings

NEEDS_RESTART = frozenset({"shared_preload_libraries"})
"""Parameters that only a restart changes."""

RDS_ONLY_PREFIX = "rds."
"""Parameters of Amazon's own; a local server does not know them."""


def primary_parameters(settings: DatabaseSettings) -> dict[str, str]:
    """Parameters of a primary: TLS only, slow statements and lock waits logged, autovacuum early, SSD costs."""
    return {
        "rds.force_ssl": "1",
        "shared_preload_libraries": "pg_stat_statements",
        "log_min_duration_statement": str(settings.log_min_duration_ms),
        "log_statement": "ddl",
        "log_connections": "1",
        "log_disconnections": "1",
        "log_lock_waits": "1",
        "log_temp_files": "10240",
        "track_io_timing": "1",
        "idle_in_transaction_session_timeout": "60000",
        "autovacuum_vacuum_scale_factor": "0.05",
        "autovacuum_analyze_scale_factor": "0.02",
        "random_page_cost": "1.1",
        "work_mem": str(settings.work_mem_kib),
    }


def replica_parameters(settings: DatabaseSettings) -> dict[str, str]:
    """Parameters of a read replica: the primary's, and long reads are neither cancelled at once nor starve vacuum."""
    return {
        **primary_parameters(settings),
        "hot_standby_feedback": "1",
        "max_standby_streaming_delay": "30000",
    }
