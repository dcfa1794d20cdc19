"""Prometheus: scrapes what the rendered file names and evaluates the rules beside it."""

from __future__ import annotations

from watoto_infra.programs import program
from watoto_infra.servers.prometheus.config import RULE_FILES
from watoto_infra.servers.prometheus.server import WEB
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.health import http_ok
from watoto_infra.supervision.service import Service, Unit

RETENTION_TIME = "15d"
RETENTION_SIZE = "1GB"
"""Whichever is reached first; error budgets look three days back."""


def units(topology: Topology) -> tuple[Unit, ...]:
    """One Prometheus. A changed rule or target is taken over on a signal; its data survives a restart."""
    endpoint = topology.endpoints.one(WEB)
    config = topology.config / "prometheus"
    main = config / "prometheus.yml"
    data = topology.folder("prometheus")
    return (
        Service(
            name="prometheus",
            command=(
                program("prometheus"),
                f"--config.file={main}",
                f"--web.listen-address={endpoint}",
                f"--storage.tsdb.path={data}",
                f"--storage.tsdb.retention.time={RETENTION_TIME}",
                f"--storage.tsdb.retention.size={RETENTION_SIZE}",
            ),
            folder=data,
            stands_for="the stack's monitoring",
            healthy=http_ok(endpoint, "/-/ready"),
            address=endpoint,
            start_seconds=60,
            stop_seconds=30,
            needs=("alertmanager",),
            rereads=(main, *(config / "rules" / f"{name}.yml" for name in RULE_FILES)),
        ),
    )
