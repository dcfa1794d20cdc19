"""nginx in front of the app servers: it stands for the load balancer and for the gateway on each of them."""

from __future__ import annotations

from pathlib import Path

from watoto_infra.programs import program
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.health import http_ok
from watoto_infra.supervision.service import Service, Unit

ROLE = "nginx/load-balancer"
STARTER = """\
# Workers outlive a master that was killed, and would go on answering with the old configuration.
for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    if [ "$pid" != $$ ] && [ "$(readlink "$process/cwd")" = "$PWD" ] && grep -q ^nginx "$process/comm"; then
        kill -9 "$pid"
    fi
done 2>/dev/null
exec "$@"
"""


def units(topology: Topology) -> tuple[Unit, ...]:
    """One nginx; it is reloaded, without dropping a request, when the app servers behind it change."""
    prefix = topology.identity.own_folder(topology.home.run / "nginx")
    configuration = topology.config / ROLE / "nginx.conf"
    starter = topology.private_file("start-nginx.sh", STARTER)
    door, status = topology.endpoints.front_door, topology.endpoints.front_door_status
    command = (program("nginx"), "-p", f"{prefix}/", "-c", str(configuration), "-e", "stderr", "-g", "daemon off;")
    return (
        Service(
            name="nginx",
            command=("/bin/sh", str(starter), *command),
            folder=prefix,
            stands_for="load balancer and gateway",
            healthy=http_ok(status, "/stub_status"),
            address=door,
            stop_signal="QUIT",
            stop_seconds=30,
            stops_as_group=False,
            needs=tuple(endpoint.name for endpoint in topology.endpoints.all_app_servers),
            rereads=tuple(sorted(_files(topology.config / ROLE))),
        ),
    )


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
