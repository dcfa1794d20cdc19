"""The metrics of the LMS, by the names that rules and dashboards use. They add up over several worker processes.

Where PROMETHEUS_MULTIPROC_DIR is set, every process writes to files there and any of them can answer a scrape for all.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from sqlalchemy import Engine, event

from lms_app.observability import slots

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus_client's own variable: it decides at its import whether values live in files."""

if FOLDER_VARIABLE in os.environ:
    Path(os.environ[FOLDER_VARIABLE]).mkdir(mode=0o700, parents=True, exist_ok=True)  # metrics made below write there
    values.ValueClass = values.MultiProcessValue(process_identifier=slots.current)  # type: ignore[no-untyped-call]

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
"""Seconds. The objectives 0.2 and 2.0 are bounds, so that they are read exactly."""

FOR_WATCHING = 1
"""Connections of a pool that are left to the watcher of its server."""

FILE_MADE_WITHIN_S = 1.0

_registry = CollectorRegistry()

http_requests = Counter(
    "http_requests_total", "HTTP requests answered.", ["method", "endpoint", "status"], registry=_registry
)
http_request_duration = Histogram(
    "http_request_duration_seconds",
    "Time from the request's arrival in the application to its response.",
    ["method", "endpoint"],
    buckets=BUCKETS,
    registry=_registry,
)
course_completions = Counter("course_completions_total", "Courses completed by a user.", registry=_registry)
cache_hits = Counter("cache_hits_total", "Look-ups answered by this level of the cache.", ["level"], registry=_registry)
cache_misses = Counter(
    "cache_misses_total", "Look-ups that this level of the cache could not answer.", ["level"], registry=_registry
)
cache_bypasses = Counter(
    "cache_bypasses_total",
    "Look-ups that went past the cache: Redis lost, or a change under way.",
    ["reason"],
    registry=_registry,
)
queue_publish = Counter(
    "queue_publish_total", "Jobs handed to the broker, by what became of it.", ["queue", "result"], registry=_registry
)
jobs_processed = Counter("jobs_processed_total", "Jobs by their outcome.", ["job", "outcome"], registry=_registry)
db_connections_active = Gauge(
    "db_connections_active", "Pooled connections in use.", ["pool"], multiprocess_mode="livesum", registry=_registry
)
db_connections_total = Gauge(
    "db_connections_total",
    "Connections of the pool that requests may hold.",
    ["pool"],
    multiprocess_mode="livesum",
    registry=_registry,
)

for _level in ("l1", "l2"):
    cache_hits.labels(_level)
    cache_misses.labels(_level)


def observe_pool(name: str, engine: Engine) -> None:
    """Count, as pool `name`, an engine's connections in use and the connections that requests may hold.

    One connection is left to the watcher of the server (`Database.probe`) and not counted as capacity. A pool of one
    connection for each thread and this one would otherwise never look exhausted.
    """
    capacity = engine.pool.size() + max(0, engine.pool._max_overflow)  # type: ignore[attr-defined]  # noqa: SLF001
    capacity = max(1, capacity - FOR_WATCHING)
    active = db_connections_active.labels(name)
    total = db_connections_total.labels(name)

    @event.listens_for(engine, "checkout")
    def _checked_out(*_: object) -> None:
        active.inc()
        total.set(capacity)

    @event.listens_for(engine, "checkin")
    def _checked_in(*_: object) -> None:
        active.dec()


def exposition(collectors: Iterable[Collector] = ()) -> bytes:
    """Return the metrics of all processes, and those of the given collectors, in Prometheus' text format."""
    registry = CollectorRegistry() if _in_files() else _registry
    parts = []
    if _in_files():
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    parts.append(_text_of(registry))
    for collector in collectors:
        alone = CollectorRegistry()
        alone.register(collector)
        parts.append(generate_latest(alone))
    return b"".join(parts)


def _text_of(registry: CollectorRegistry) -> bytes:
    """Return the metrics' text. A file that another process is just creating is empty for a moment: wait for it."""
    deadline = time.monotonic() + FILE_MADE_WITHIN_S
    while True:
        try:
            return generate_latest(registry)
        except struct.error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def prepare_folder() -> None:
    """Empty the metrics folder. Called once, before the first process of a server writes to it."""
    if not _in_files():
        return
    for file in Path(os.environ[FOLDER_VARIABLE]).glob("*.db"):
        file.unlink(missing_ok=True)


def enter(slot: str) -> None:
    """Count under this slot from now on. Counters begin at 0, so that Prometheus sees their first increase."""
    slots.take(slot)
    forget_process(slot)
    course_completions.inc(0)  # the first touch after a change of slot moves all metrics there


def forget_process(slot: str) -> None:
    """Drop the gauges of a process that has ended; its counters stay."""
    if _in_files():
        mark_process_dead(slot)  # type: ignore[no-untyped-call]


def _in_files() -> bool:
    return FOLDER_VARIABLE in os.environ
