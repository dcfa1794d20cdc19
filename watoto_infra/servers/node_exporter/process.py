"""The exporters: what each server is doing, in numbers that Prometheus reads.

They start whether or not their server runs: that it does not is one of the things they tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from watoto_infra.programs import program
from watoto_infra.servers.postgresql.config import MONITOR, MONITOR_SECRET
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.health import http_ok
from watoto_infra.supervision.service import Service, Unit

REDIS_MONITOR = "monitor"


def units(topology: Topology) -> tuple[Unit, ...]:
    """One exporter for the machine, one for nginx, and one for each PostgreSQL server and Redis role."""
    return (_node(topology), *_postgres(topology), *_redis(topology), _nginx(topology))


def _node(topology: Topology) -> Service:
    """The machine; what backups and drills leave in ``data/metrics`` is told with it."""
    (endpoint,) = topology.endpoints.node_exporters
    metrics = topology.folder("metrics")
    return Service(
        name="node-exporter",
        command=(
            program("prometheus-node-exporter"),
            f"--web.listen-address={endpoint}",
            f"--collector.textfile.directory={metrics}",
        ),
        folder=metrics,
        stands_for="metrics of the machine",
        healthy=http_ok(endpoint, "/"),
        address=endpoint,
    )


def _postgres(topology: Topology) -> Iterator[Service]:
    """The password is in a file of its own, the queries in the rendered tree."""
    groups = topology.endpoints.databases
    servers = [server for group in groups for server in (group.primary, *group.replicas)]
    queries = topology.config / "prometheus" / "postgres_exporter_queries.yml"
    password = topology.private_file("postgres-exporter", topology.secret(MONITOR_SECRET))
    for server, endpoint in zip(servers, topology.endpoints.postgres_exporters, strict=True):
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


def _redis(topology: Topology) -> Iterator[Service]:
    """Each role's exporter signs in as its monitor; its passwords come in a file, by address."""
    servers = {"cache": topology.endpoints.cache, "state": topology.endpoints.state}
    for endpoint in topology.endpoints.redis_exporters:
        role = endpoint.name
        url = f"redis://{servers[role]}"
        passwords = json.dumps({url: topology.secret(f"redis-{role}-monitor")})
        file = topology.private_file(f"redis-exporter-{role}.json", passwords)
        yield Service(
            name=f"redis-exporter-{role}",
            command=(
                program("prometheus-redis-exporter"),
                f"-web.listen-address={endpoint}",
                f"-redis.addr={url}",
                f"-redis.user={REDIS_MONITOR}",
                "-set-client-name=false",
                f"-redis.password-file={file}",
            ),
            folder=topology.folder("metrics"),
            stands_for=f"metrics of redis-{role}",
            healthy=http_ok(endpoint, "/health"),
            address=endpoint,
            reads=(file,),
        )


def _nginx(topology: Topology) -> Service:
    """It ends when it cannot reach nginx at its start, and so waits for it."""
    endpoint = topology.endpoints.nginx_exporter
    return Service(
        name="nginx-exporter",
        command=(
            program("prometheus-nginx-exporter"),
            f"-web.listen-address={endpoint}",
            f"-nginx.scrape-uri=http://{topology.endpoints.front_door_status}/stub_status",
            "-nginx.retries=10",
            "-nginx.retry-interval=1s",
        ),
        folder=topology.folder("metrics"),
        stands_for="metrics of nginx",
        healthy=http_ok(endpoint, "/"),
        address=endpoint,
        needs=("nginx",),
    )
