"""The LMS: app servers under gunicorn, and the processes that work beside them."""

from __future__ import annotations

from collections.abc import Sequence

from watoto_infra.derived.background import BACKGROUND
from watoto_infra.rendering.endpoints import Endpoints, Port
from watoto_infra.servers.server import ScrapeJob, Server
from watoto_infra.values.addresses import Endpoint

BACKGROUND_METRICS = Port(
    "background-metrics",
    9201,
    lambda _settings, _endpoints: [process.label for process in BACKGROUND],
    reserved_as="worker-{name}-metrics",
)
"""Health and metrics of each background process, in the order of ``BACKGROUND``."""


def _scraped(endpoints: Endpoints) -> Sequence[Endpoint]:
    metrics = zip(BACKGROUND, endpoints.all(BACKGROUND_METRICS), strict=True)
    return [endpoint for process, endpoint in metrics if process.scraped]


SERVER = Server(
    family="gunicorn",
    summary="processes, threads, timeouts and pools of an app server, read by the LMS's gunicorn.conf.py",
    checked_by="`gunicorn --check-config`",
    ports=(BACKGROUND_METRICS,),
    scraped=(
        ScrapeJob("lms", lambda endpoints: endpoints.all_app_servers),
        ScrapeJob("lms-workers", _scraped),
    ),
)
