"""The exporters of Redis's metrics, one for each role.

They start whether or not their server runs: that it does not is one of the things they tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from watoto_infra.programs import program
from watoto_infra.servers.redis.config import MONITOR
from watoto_infra.servers.redis.server import EXPORTER
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.health import http_ok
from watoto_infra.supervision.service import Service


def exporters(topology: Topology) -> Iterator[Service]:
    """Describe them. Each signs in as its role's monitor; its passwords come in a file, by address."""
    servers = {"cache": topology.endpoints.cache, "state": topology.endpoints.state}
    for endpoint in topology.endpoints.all(EXPORTER):
        role = endpoint.name
        url = f"redis://{servers[role]}"
        passwords = json.dumps({url: topology.secret(f"redis-{role}-monitor")})
        file = topology.private_file(f"redis-exporter-{role}.json", passwords)
        yield Service(
            name=f"redis-exporter-{role}",
            command=(
                program("prometheus-redis-exporter"),
                f"-web.listen-address={endpoint}",
                f"-redis.addr={url}",
                f"-redis.user={MONITOR}",
                "-set-client-name=false",
                f"-redis.password-file={file}",
            ),
            folder=topology.folder("metrics"),
            stands_for=f"metrics of redis-{role}",
            healthy=http_ok(endpoint, "/health"),
            address=endpoint,
            reads=(file,),
        )
