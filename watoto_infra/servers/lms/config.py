"""gunicorn: how many processes and threads an app server has; the LMS's own gunicorn.conf.py reads them."""

from __future__ import annotations

from dataclasses import dataclass

from watoto_infra.derived.nginx import READ_TIMEOUT_SECONDS
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec

TIMEOUT_SECONDS = 30
"""When gunicorn kills a worker: above what nginx waits, which is above what a statement may take."""
STATEMENT_TIMEOUT_SECONDS = 14
THREADS = 4


@dataclass(frozen=True)
class GunicornContext:
    """What app-server.env may say."""

    cores: int
    workers: int
    threads: int
    slots: int
    timeout_seconds: int
    proxy_read_timeout_seconds: int
    statement_timeout_seconds: int
    pool_size: int
    l1_seconds: int
    l2_seconds: int


CONTEXTS: tuple[type, ...] = (GunicornContext,)


def context(inputs: Inputs) -> GunicornContext:
    """Two processes a core and one more (gunicorn's own advice); a thread holds at most one connection at a time."""
    cores, cache = inputs.machine.cores, inputs.settings.cache
    workers = 2 * cores + 1
    return GunicornContext(
        cores=cores,
        workers=workers,
        threads=THREADS,
        slots=workers * THREADS,
        timeout_seconds=TIMEOUT_SECONDS,
        proxy_read_timeout_seconds=READ_TIMEOUT_SECONDS,
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        pool_size=min(inputs.settings.database.pool.max_size, THREADS + 1),
        l1_seconds=cache.l1_seconds,
        l2_seconds=cache.l2_seconds,
    )


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """One environment file."""
    return (FileSpec("gunicorn/app-server.env", "gunicorn/app-server.env.j2", context(inputs)),)
