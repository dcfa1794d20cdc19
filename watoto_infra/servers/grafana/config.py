"""Grafana: where its data comes from, and the dashboards it finds in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watoto_infra.rendering import values
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec
from watoto_infra.servers.grafana.dashboards import dashboards, document
from watoto_infra.servers.prometheus import server as prometheus_server
from watoto_infra.servers.prometheus.alert_thresholds import thresholds
from watoto_infra.values.contracts import Json


@dataclass(frozen=True)
class GrafanaContext:
    """What the provisioning files may say."""

    prometheus_url: str
    scrape_interval_seconds: int
    dashboards_folder: str


@dataclass(frozen=True)
class DashboardContext:
    """One dashboard in Grafana's own JSON."""

    document: Mapping[str, Json]


CONTEXTS: tuple[type, ...] = (GrafanaContext, DashboardContext)


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """Provisioning and one JSON file for each dashboard."""
    prometheus = inputs.endpoints.one(prometheus_server.WEB)
    main = GrafanaContext(
        prometheus_url=f"http://{values.host(prometheus.host, 'address of Prometheus')}:{prometheus.port}",
        scrape_interval_seconds=prometheus_server.SCRAPE_INTERVAL_SECONDS,
        dashboards_folder=values.path(f"{inputs.places.config}/grafana/dashboards", "folder of dashboards"),
    )
    files = [
        FileSpec(f"grafana/provisioning/{name}", f"grafana/provisioning/{name}.j2", main)
        for name in ("datasources/prometheus.yml", "dashboards/watoto.yml")
    ]
    for dashboard in dashboards(thresholds(inputs.settings)):
        path = f"grafana/dashboards/{dashboard.uid}.json"
        files.append(FileSpec(path, "grafana/dashboards/dashboard.json.j2", DashboardContext(document(dashboard))))
    return tuple(files)
