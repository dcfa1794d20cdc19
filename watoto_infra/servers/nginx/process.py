"""nginx in front of the app servers: it stands for the load balancer and for the gateway on each of them."""

from __future__ import annotations

from pathlib import Path

from watoto_infra.programs import program
from watoto_infra.servers.nginx.server import EXPORTER, STATUS
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
    """Describe nginx and its exporter. nginx is reloaded, without dropping a request, when its app servers change."""
    prefix = topology.user.own_folder(topology.home.run / "nginx")
    configuration = topology.config / ROLE / "nginx.conf"
    starter = topology.private_file("start-nginx.sh", STARTER)
    door, status = topology.endpoints.front_door, topology.endpoints.one(STATUS)
    command = (program("nginx"), "-p", f"{prefix}/", "-c", str(configuration), "-e", "stderr", "-g", "daemon off;")
    return (
        _exporter(topology),
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


def _exporter(topology: Topology) -> Service:
    """It ends when it cannot reach nginx at its start, and so waits for it."""
    endpoint = topology.endpoints.one(EXPORTER)
    return Service(
        name="nginx-exporter",
        command=(
            program("prometheus-nginx-exporter"),
            f"-web.listen-address={endpoint}",
            f"-nginx.scrape-uri=http://{topology.endpoints.one(STATUS)}/stub_status",
            "-nginx.retries=10",
            "-nginx.retry-interval=1s",
        ),
        folder=topology.folder("metrics"),
        stands_for="metrics of nginx",
        healthy=http_ok(endpoint, "/"),
        address=endpoint,
        needs=("nginx",),
    )


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
