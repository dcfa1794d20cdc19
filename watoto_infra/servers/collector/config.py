"""The agent's one file. It is the same on every app server: the host's own name comes from the agent's environment."""

from __future__ import annotations

from dataclasses import dataclass

from watoto_infra.rendering import values
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec
from watoto_infra.servers.node_exporter import server as node_exporter
from watoto_infra.servers.prometheus import server as prometheus

WORKSPACE = "ws-00000000-0000-0000-0000-000000000000"
"""No stack declares a workspace yet, so this stands where its id belongs: override the block ``remote_write``."""


@dataclass(frozen=True)
class CollectorContext:
    """What the agent is told. ``jobs`` are names and ports on the app server; times are in seconds."""

    stack: str
    stage: str
    region: str
    workspace: str
    jobs: tuple[tuple[str, int], ...]
    scrape_interval_seconds: int
    scrape_timeout_seconds: int
    sample_limit: int


CONTEXTS: tuple[type, ...] = (CollectorContext,)


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """List the agent's configuration. Its jobs are called as Prometheus's own are, so that the same rules apply."""
    context = CollectorContext(
        stack=inputs.stack,
        stage=inputs.stage,
        region=values.token(inputs.endpoints.region, "region"),
        workspace=WORKSPACE,
        jobs=(("lms", inputs.settings.app.port), ("node", node_exporter.WEB.usual)),
        scrape_interval_seconds=prometheus.SCRAPE_INTERVAL_SECONDS,
        scrape_timeout_seconds=prometheus.SCRAPE_TIMEOUT_SECONDS,
        sample_limit=prometheus.SAMPLE_LIMIT,
    )
    return (FileSpec("collector/prometheus.yml", "collector/prometheus.yml.j2", context),)
