"""`/healthz`: the process lives. `/readyz`: it can serve. `/metrics`: the metrics of all processes of this server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

import orjson
from flask import Blueprint, Flask, Response
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lms_app.caching import Caches
from lms_app.db.database import Database
from lms_app.db.unavailable import DatabaseUnavailableError, PlacementError
from lms_app.observability import metrics
from lms_app.observability.presence import Presence
from lms_app.shards.databases import Databases

FRESH_S = 1.0
"""Life of an answer of `/readyz`: many health checkers must not become a load."""
_NEWEST = text("SELECT extract(epoch FROM max(ts))::float8 FROM watoto_heartbeat")


class Readiness:
    """Decides whether the process can serve: the catalogue must be readable; cache and broker may be lost."""

    def __init__(self, databases: Databases, caches: Caches) -> None:
        self._databases = databases
        self._caches = caches
        self._lock = threading.Lock()
        self._known: tuple[float, bool, dict[str, str]] = (0.0, False, {})

    def look(self) -> tuple[bool, dict[str, str]]:
        """Return whether the process can serve, and the state of each part in words. Answers are kept `FRESH_S`."""
        with self._lock:
            at, ready, parts = self._known
            if time.monotonic() - at > FRESH_S:
                ready, parts = self._look()
                self._known = (time.monotonic(), ready, parts)
            return ready, parts

    def _look(self) -> tuple[bool, dict[str, str]]:
        parts: dict[str, str] = {}
        for database in self._databases:
            try:
                parts[f"database {database.name}"] = _state(database)
            except PlacementError as error:
                if database is self._databases.catalogue:
                    return False, {"placement": str(error)}
                parts[f"database {database.name}"] = "not to be used yet"
        ready = parts[f"database {self._databases.catalogue.name}"] != "lost"
        parts["cache"] = "in use" if self._caches.up else "lost, going on without it"
        return ready, parts


def _state(database: Database) -> str:
    try:
        database.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())
    except PlacementError:
        raise
    except DatabaseUnavailableError as error:
        # A full pool is a busy server, not a broken one: taking it out of service would only move the load.
        return "busy" if isinstance(error.__cause__, PoolTimeoutError) else "lost"
    except SQLAlchemyError:
        return "lost"
    return "readable"


class Heartbeats(Collector):
    """`watoto_heartbeat_timestamp_seconds`: the newest heartbeat that each server of each database shows."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "watoto_heartbeat_timestamp_seconds",
            "Unix time of the newest heartbeat that this server shows.",
            labels=["database", "server"],
        )
        for name, engine in self._databases.pools():
            if (newest := _newest(engine)) is not None:
                family.add_metric(name.split("/", 1), newest)
        yield family


def _newest(engine: Engine) -> float | None:
    try:
        with engine.connect() as connection:
            value: float | None = connection.execute(_NEWEST).scalar()
    except SQLAlchemyError:  # no sample then: alerts watch the age of the last one
        return None
    return value


def register(app: Flask, *, databases: Databases, caches: Caches, presence: Presence) -> None:
    """Add `/healthz`, `/readyz` and `/metrics` to an app."""
    blueprint = Blueprint("health", __name__)
    readiness = Readiness(databases, caches)
    collectors = (presence, Heartbeats(databases))

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return _json(200, {"status": "ok"})

    @blueprint.get("/readyz")
    def readyz() -> Response:
        ready, parts = readiness.look()
        return _json(200 if ready else 503, {"status": "ready" if ready else "not ready", "parts": parts})

    @blueprint.get("/metrics")
    def exposition() -> Response:
        return Response(
            metrics.exposition(collectors), headers={"Cache-Control": "no-store"}, content_type=CONTENT_TYPE_LATEST
        )

    app.register_blueprint(blueprint)


def _json(status: int, body: Mapping[str, object]) -> Response:
    return Response(orjson.dumps(body), status, {"Cache-Control": "no-store"}, content_type="application/json")
