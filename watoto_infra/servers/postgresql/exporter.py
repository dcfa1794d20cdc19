"""The exporters of PostgreSQL's metrics, one for each server.

They start whether or not their server runs: that it does not is one of the things they tell.
"""

from __future__ import annotations

from collections.abc import Iterator

from watoto_infra.programs import program
from watoto_infra.servers.postgresql.config import MONITOR, MONITOR_SECRET
from watoto_infra.servers.postgresql.server import EXPORTER
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.health import http_ok
from watoto_infra.supervision.service import Service


def exporters(topology: Topology) -> Iterator[Service]:
    """Describe them. The password is in a file of its own, the queries are in the rendered tree."""
    queries = topology.config / "prometheus" / "postgres_exporter_queries.yml"
    password = topology.private_file("postgres-exporter", topology.secret(MONITOR_SECRET))
    endpoints = topology.endpoints
    for server, endpoint in zip(endpoints.database_servers, endpoints.all(EXPORTER), strict=True):
        yield Service(
            name=f"postgres-exporter-{server.name}",
            command=(
                program("prometheus-postgres-exporter"),
                f"--web.listen-address={endpoint}",
                f"--extend.query-path={queries}",
            ),
            folder=topology.folder("metrics"),
            stands_for=f"metrics of postgresql-{server.name}",
            healthy=http_ok(endpoint, "/"),
            address=endpoint,
            environment={
                "DATA_SOURCE_URI": f"{server}/{topology.settings.database.name}?sslmode=disable",
                "DATA_SOURCE_USER": MONITOR,
                "DATA_SOURCE_PASS_FILE": str(password),
            },
            reads=(queries, password),
        )
