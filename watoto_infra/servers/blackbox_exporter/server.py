"""The blackbox exporter: asks the front door as a user would, and tells Prometheus what came back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watoto_infra.rendering.endpoints import Endpoints, Port
from watoto_infra.servers.server import Labels, Requirement, ScrapeJob, Server

WEB = Port("blackbox-exporter", 9115, lambda _settings, _endpoints: ["front-door"])


@dataclass(frozen=True)
class Probe:
    """A request to the front door. A success is a 200 whose body matches ``body`` (RE2), whatever the headers."""

    name: str
    path: str
    body: str


PROBES = (
    Probe("ready", "/readyz", '"ready"'),
    Probe("sign-in", "/", "<title>"),
)
"""Whether the LMS can serve, and the page that a browser signs in with."""


def _one_for_each_probe(endpoints: Endpoints) -> Sequence[Labels]:
    """Give each probe's labels: ``__param_…`` become parameters of the request to the exporter."""
    return [
        (
            ("probe", probe.name),
            ("__param_module", probe.name),
            ("__param_target", f"http://{endpoints.front_door}{probe.path}"),
        )
        for probe in PROBES
    ]


SERVER = Server(
    family="blackbox",
    summary="requests that the blackbox exporter sends to the front door as a user would",
    checked_by="`prometheus-blackbox-exporter --config.check`",
    requirements=(
        Requirement(
            "prometheus-blackbox-exporter", "prometheus-blackbox-exporter", "the front door is asked as users ask it"
        ),
    ),
    ports=(WEB,),
    scraped=(
        ScrapeJob("blackbox-exporter", lambda endpoints: endpoints.all(WEB)),
        ScrapeJob("front-door", lambda endpoints: endpoints.all(WEB) * len(PROBES), _one_for_each_probe, path="/probe"),
    ),
)
