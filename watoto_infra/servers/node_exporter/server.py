"""The exporter of the machine's own metrics, and of those that backups and drills leave in files."""

from __future__ import annotations

from watoto_infra.rendering.endpoints import Port
from watoto_infra.servers.server import Requirement, ScrapeJob, Server

WEB = Port("node-exporter", 9100, lambda _settings, _endpoints: ["host"])

SERVER = Server(
    requirements=(Requirement("prometheus-node-exporter", "prometheus-node-exporter", "the host's metrics are known"),),
    ports=(WEB,),
    scraped=(ScrapeJob("node", lambda endpoints: endpoints.all(WEB)),),
)
