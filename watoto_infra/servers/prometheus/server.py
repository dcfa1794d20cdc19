"""Prometheus: scrapes everything and evaluates the alert rules."""

from __future__ import annotations

from watoto_infra.rendering.endpoints import Port
from watoto_infra.rendering.versions import Release
from watoto_infra.servers.server import Requirement, ScrapeJob, Server

WEB = Port("prometheus", 9090)

SCRAPE_INTERVAL_SECONDS = 15
SCRAPE_TIMEOUT_SECONDS = 10
SAMPLE_LIMIT = 20_000
"""Most samples of one scrape; a target with more is not taken at all."""

SERVER = Server(
    family="prometheus",
    summary="scraping, the rule group watoto_lms_alerts, burn rates, recovery alerts and their unit tests",
    checked_by="promtool: config, rules with all lints, unit tests",
    requirements=(Requirement("promtool", "prometheus", "alert rules are checked and tested"),),
    releases={"prometheus": Release((2, 40), (3,), (2, 42), ("promtool", "--version"), r"version ([\d.]+)")},
    ports=(WEB,),
    scraped=(ScrapeJob("prometheus", lambda endpoints: endpoints.all(WEB)),),
)
