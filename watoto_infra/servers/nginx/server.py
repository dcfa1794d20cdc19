"""nginx: the load balancer in front of all app servers, and the gateway in front of one."""

from __future__ import annotations

from watoto_infra.rendering.endpoints import Port
from watoto_infra.rendering.versions import Release
from watoto_infra.servers.server import Requirement, ScrapeJob, Server

STATUS = Port("nginx-status", 8081, lambda _settings, _endpoints: ["front-door"])
EXPORTER = Port("nginx-exporter", 9113, lambda _settings, _endpoints: ["front-door"])

SERVER = Server(
    family="nginx",
    summary="load balancer (upstream backend_servers) and gateway in front of one LMS",
    checked_by="`nginx -t`, gixy-next, this machine's limit of open files",
    starts_unchecked=True,
    requirements=(
        Requirement("nginx", "nginx", "nginx configurations are checked by nginx itself"),
        Requirement(
            "openssl", "openssl", "nginx configurations with TLS are checked with certificates made on the spot"
        ),
        Requirement("prometheus-nginx-exporter", "prometheus-nginx-exporter", "nginx's metrics are known"),
    ),
    releases={
        "nginx": Release((1, 18), (1, 31), (1, 22, 1), ("nginx", "-v"), r"nginx/([\d.]+)"),
        "openssl": Release((1, 1, 1), (3,), (3, 0), ("nginx", "-V"), r"(?:running with|built with) OpenSSL ([\d.]+)"),
    },
    ports=(STATUS, EXPORTER),
    scraped=(ScrapeJob("nginx", lambda endpoints: endpoints.all(EXPORTER)),),
)
