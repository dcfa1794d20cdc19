"""PostgreSQL: a primary and its read replicas, for the main database and each shard."""

from __future__ import annotations

from collections.abc import Sequence

from watoto_infra.rendering.endpoints import Endpoints, Port
from watoto_infra.rendering.versions import Release
from watoto_infra.servers.server import Labels, Requirement, ScrapeJob, Server

EXPORTER = Port(
    "postgres-exporter",
    9187,
    lambda _settings, endpoints: [server.name for server in endpoints.database_servers],
    reserved_as="postgres-exporter-{name}",
)


def _labels(endpoints: Endpoints) -> Sequence[Labels]:
    """Say of which server each exporter tells, in the order of the databases."""
    return [
        (("role", "primary" if server is group.primary else "replica"), ("shard", str(shard)))
        for shard, group in enumerate(endpoints.databases)
        for server in group.servers
    ]


SERVER = Server(
    family="postgresql",
    summary="postgresql.conf of each primary and replica, pg_hba.conf, pg_ident.conf, password file of replication",
    checked_by="a throw-away cluster that is started with them",
    requirements=(
        Requirement("postgres", "postgresql-15", "PostgreSQL configurations are checked by a throw-away server"),
        Requirement("prometheus-postgres-exporter", "prometheus-postgres-exporter", "PostgreSQL's metrics are known"),
    ),
    releases={"postgresql": Release((13,), (18,), (15,), ("postgres", "--version"), r"\) ([\d.]+)")},
    title="PostgreSQL",
    declared_version=lambda settings: settings.database.engine_version,
    ports=(EXPORTER,),
    scraped=(ScrapeJob("postgres", lambda endpoints: endpoints.all(EXPORTER), _labels),),
)
