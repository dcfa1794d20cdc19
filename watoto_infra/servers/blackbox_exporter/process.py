"""The blackbox exporter on loopback."""

from __future__ import annotations

from watoto_infra.programs import program
from watoto_infra.servers.blackbox_exporter.server import WEB
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.health import http_ok
from watoto_infra.supervision.service import Service, Unit


def units(topology: Topology) -> tuple[Unit, ...]:
    """Describe the one exporter. It is healthy while it answers: what it finds of the front door is for Prometheus."""
    endpoint = topology.endpoints.one(WEB)
    config = topology.config / "blackbox" / "blackbox.yml"
    return (
        Service(
            name="blackbox-exporter",
            command=(
                program("prometheus-blackbox-exporter"),
                f"--config.file={config}",
                f"--web.listen-address={endpoint}",
            ),
            folder=topology.folder("metrics"),
            stands_for="a user's view of the front door",
            healthy=http_ok(endpoint, "/-/healthy"),
            address=endpoint,
            rereads=(config,),
        ),
    )
