"""The LMS's environment: what all of its processes are told, and the names of what only a target knows.

Three writers make it from here, so that no target is told less than another: the file that processes on this machine
start with (``servers/lms``), user data (``derived/user_data``) and the ConfigMap of pods
(``components/kubernetes/configuration``). What a single process is told beside it, such as where it serves its metrics,
is its writer's. Nothing in here is secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from watoto_infra.derived.machines import Machine
from watoto_infra.derived.nginx import READ_TIMEOUT_SECONDS
from watoto_infra.settings.app import AppSettings
from watoto_infra.settings.stage import StageSettings

THREADS = 4
MOST_WORKERS = 64
"""As many processes as the LMS takes."""
WEB_TIMEOUT_SECONDS = 2 * READ_TIMEOUT_SECONDS
STATEMENT_TIMEOUT_SECONDS = READ_TIMEOUT_SECONDS - 1
"""A statement that takes too long ends while nginx still waits for the answer that says so."""
POOL_TIMEOUT_SECONDS = 3

KEPT_FOR_WATCHING = 1
"""Connections of a pool that the LMS does not count as its requests' (lms_app.observability.metrics)."""

UPLOAD_MIB = 16
"""Largest file that is streamed through the LMS, where the gateway lets it through."""

WEB_STOP_SECONDS, JOB_STOP_SECONDS = 35, 60
"""How long a process gets to end: gunicorn lets requests end for 30 s, a worker finishes the job at hand."""


@dataclass(frozen=True)
class Variable:
    """One variable with its value as text; ``block`` is the part of app-server.env that it stands in."""

    name: str
    value: str
    block: str
    comment: str


def _in(block: str, comment: str = "", *, variable: str = "") -> Mapping[str, str]:
    return {"block": block, "comment": comment, "variable": variable}


@dataclass(frozen=True, kw_only=True)
class LmsEnvironment:
    """What every process of the LMS is told, whatever it runs on.

    A field is the LMS's own setting of that name (lms_app.settings): ``db_pool_size`` is ``LMS_DB_POOL_SIZE``. Times
    are in seconds, sizes in bytes. ``at_run_time`` are the variables that hold addresses and passwords.
    """

    web_workers: int = field(metadata=_in("gunicorn", "Two processes a core and one more, as gunicorn advises"))
    web_threads: int = field(metadata=_in("gunicorn"))
    web_timeout_s: int = field(
        metadata=_in("gunicorn", f"Above the {READ_TIMEOUT_SECONDS} s that nginx waits, so that nginx gives up first")
    )
    session_lifetime_s: int = field(metadata=_in("gunicorn", "After so long users have to sign in again"))
    db_pool_size: int = field(
        metadata=_in(
            "database", "One connection for each thread and one spare; the guide's pool of 1 to 20 is the bound"
        )
    )
    db_pool_timeout_s: int = field(metadata=_in("database"))
    db_statement_timeout_s: int = field(
        metadata=_in("database", f"Below the {READ_TIMEOUT_SECONDS} s that nginx waits, so that it hears of the error")
    )
    redis_cache_cluster: bool = field(metadata=_in("cache"))
    cache_l1_s: int = field(metadata=_in("cache"))
    cache_l2_s: int = field(metadata=_in("cache"))
    upload_direct_max_bytes: int = field(metadata=_in("storage", "At most what the gateway lets through"))
    region: str = field(metadata=_in("storage", variable="AWS_DEFAULT_REGION"))
    at_run_time: tuple[str, ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All variables whose values are known."""
        return tuple(
            Variable(
                name=one.metadata["variable"] or f"LMS_{one.name.upper()}",
                value=_text(getattr(self, one.name)),
                block=one.metadata["block"],
                comment=one.metadata["comment"],
            )
            for one in fields(self)
            if one.metadata
        )

    @property
    def values(self) -> dict[str, str]:
        """The known values by variable."""
        return {variable.name: variable.value for variable in self.variables}

    @property
    def slots(self) -> int:
        """Requests that an app server answers at once."""
        return self.web_workers * self.web_threads

    @property
    def pool_capacity(self) -> int:
        """Connections that an app server's requests may hold, as its metric ``db_connections_total`` counts them."""
        return self.web_workers * max(1, self.db_pool_size - KEPT_FOR_WATCHING)


def lms_environment(settings: StageSettings, machine: Machine) -> LmsEnvironment:
    """Build the environment of processes on app servers that each may use ``machine``.

    A thread holds at most one connection at a time: with one spare a pool never makes it wait, and is seen to be
    exhausted when all threads hold one.
    """
    cache = settings.cache
    return LmsEnvironment(
        web_workers=min(2 * machine.cores + 1, MOST_WORKERS),
        web_threads=THREADS,
        web_timeout_s=WEB_TIMEOUT_SECONDS,
        session_lifetime_s=settings.app.session_hours * 3600,
        db_pool_size=min(settings.database.pool.max_size, THREADS + 1),
        db_pool_timeout_s=POOL_TIMEOUT_SECONDS,
        db_statement_timeout_s=STATEMENT_TIMEOUT_SECONDS,
        redis_cache_cluster=cache.cache.shards > 1,
        cache_l1_s=cache.l1_seconds,
        cache_l2_s=cache.l2_seconds,
        upload_direct_max_bytes=min(UPLOAD_MIB, settings.gateway.max_body_mib) * 2**20,
        region=settings.region,
        at_run_time=_at_run_time(settings.app),
    )


def _at_run_time(app: AppSettings) -> tuple[str, ...]:
    """Mail can be sent only where the stage says how."""
    return (
        "LMS_SECRET_KEY",
        "LMS_SHARD_MAP",
        "LMS_REDIS_CACHE_URL",
        "LMS_REDIS_STATE_URL",
        "LMS_AMQP_URL",
        "LMS_MEDIA_BUCKET",
        *(("LMS_MAIL_URL",) if app.mail_secret_arn is not None else ()),
        "LMS_WEB_BIND",
    )


def container_bind(app: AppSettings) -> str:
    """Give where the LMS listens in a container; who may reach its port is said outside of it."""
    return f"0.0.0.0:{app.port}"


def _text(value: int | bool | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
