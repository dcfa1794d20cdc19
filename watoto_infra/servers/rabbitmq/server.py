"""RabbitMQ: the broker of the LMS's jobs."""

from __future__ import annotations

from watoto_infra.rendering.endpoints import Port
from watoto_infra.rendering.versions import Release
from watoto_infra.servers.server import Requirement, ScrapeJob, Server

MANAGEMENT = Port(
    "queue-management",
    15672,
    lambda _settings, _endpoints: ["queue"],
    reserved_as="amqp-console",
    urn=lambda outputs, _name: outputs.queue.urn,
)
"""The console, whose URL the stack exports."""
METRICS = Port(
    "queue-metrics",
    15692,
    lambda _settings, _endpoints: ["queue"],
    urn=lambda outputs, _name: outputs.queue.urn,
)
PORT_MAPPER = Port("epmd", 4369)
DISTRIBUTION = Port("rabbitmq-distribution", 25672)

QUEUE_METRICS = (("family", ("queue_coarse_metrics", "queue_consumer_count")),)
"""Metrics of single queues are left out of ``/metrics``, since there may be many queues."""

SERVER = Server(
    family="rabbitmq",
    summary="rabbitmq.conf, and the definitions of user, queues, dead letters and policies",
    checked_by="cross-references, then a throw-away node that loads them",
    requirements=(
        Requirement("rabbitmq-server", "rabbitmq-server", "broker definitions are imported by a throw-away node"),
    ),
    releases={
        # Read from where the package keeps it: asking the server would start an Erlang machine.
        "rabbitmq": Release(
            (3, 10), (4, 3), (3, 10, 8), ("dpkg-query", "-W", "-f=${Version}", "rabbitmq-server"), r"^(\d+\.\d+\.\d+)"
        )
    },
    title="RabbitMQ",
    declared_version=lambda settings: settings.queue.engine_version,
    ports=(MANAGEMENT, METRICS, PORT_MAPPER, DISTRIBUTION),
    scraped=(
        ScrapeJob("rabbitmq", lambda endpoints: endpoints.all(METRICS)),
        ScrapeJob(
            "rabbitmq-queues",
            lambda endpoints: endpoints.all(METRICS),
            path="/metrics/detailed",
            parameters=QUEUE_METRICS,
        ),
    ),
)
