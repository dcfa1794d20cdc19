"""Grafana: the dashboards. It is in no distribution, so none runs here."""

from __future__ import annotations

from watoto_infra.rendering.endpoints import Port
from watoto_infra.servers.server import Server

WEB = Port("grafana", 3000, local=False)

SERVER = Server(
    family="grafana",
    summary="dashboards of application, hosts, database, cache, queues and backups, and their provisioning",
    checked_by="Grafana's published schema: `schema only`; promtool parses each query; provisioning `not validated`",
    local=False,
    ports=(WEB,),
)
