"""Alertmanager: who is told of alerts."""

from __future__ import annotations

from watoto_infra.rendering.endpoints import Port
from watoto_infra.servers.server import Requirement, ScrapeJob, Server

WEB = Port("alertmanager", 9093)

SERVER = Server(
    family="alertmanager",
    summary="routes, inhibition and receivers of the alerts",
    checked_by="amtool: configuration, and where an alert of each severity goes",
    requirements=(Requirement("amtool", "prometheus-alertmanager", "alert routes are checked"),),
    ports=(WEB,),
    scraped=(ScrapeJob("alertmanager", lambda endpoints: endpoints.all(WEB)),),
)
