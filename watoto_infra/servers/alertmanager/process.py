"""Alertmanager: one, alone, on loopback."""

from __future__ import annotations

from watoto_infra.programs import program
from watoto_infra.servers.alertmanager.server import WEB
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.health import http_ok
from watoto_infra.supervision.service import Service, Unit


def units(topology: Topology) -> tuple[Unit, ...]:
    """One Alertmanager; without an address to gossip on it opens no port but its own."""
    endpoint = topology.endpoints.one(WEB)
    config = topology.config / "alertmanager" / "alertmanager.yml"
    data = topology.folder("alertmanager")
    return (
        Service(
            name="alertmanager",
            command=(
                program("prometheus-alertmanager"),
                f"--config.file={config}",
                f"--web.listen-address={endpoint}",
                "--cluster.listen-address=",
                f"--storage.path={data}",
            ),
            folder=data,
            stands_for="who is told of alerts",
            healthy=http_ok(endpoint, "/-/ready"),
            address=endpoint,
            rereads=(config,),
        ),
    )
