"""The exporter of the machine's metrics."""

from __future__ import annotations

from watoto_infra.programs import program
from watoto_infra.servers.node_exporter.server import WEB
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.health import http_ok
from watoto_infra.supervision.service import Service, Unit


def units(topology: Topology) -> tuple[Unit, ...]:
    """Describe the one exporter; the metrics that backups and drills leave in ``data/metrics`` are told with it."""
    endpoint = topology.endpoints.one(WEB)
    metrics = topology.folder("metrics")
    return (
        Service(
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
        ),
    )
