"""PgBouncer on this machine, where the settings ask for it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from watoto_infra.errors import ServiceFailed
from watoto_infra.programs import program
from watoto_infra.servers.pgbouncer.server import CLIENTS
from watoto_infra.servers.postgresql.config import MONITOR, MONITOR_SECRET
from watoto_infra.servers.postgresql.process import unit_name
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.commands import run_as
from watoto_infra.supervision.service import Service, Unit
from watoto_infra.templating import pgpass

CONSOLE = "pgbouncer"
"""The database in which PgBouncer answers for itself."""
HEALTH_SECONDS = 1.0


def units(topology: Topology) -> tuple[Unit, ...]:
    """One pooler before all databases; nothing where the settings do not ask for it."""
    if not topology.settings.database.pgbouncer:
        return ()
    endpoint = topology.endpoints.one(CLIENTS)
    files = topology.config / "pgbouncer"
    login = (endpoint.host, endpoint.port, CONSOLE, MONITOR, topology.secret(MONITOR_SECRET))
    passwords = topology.private_file("pgbouncer-pgpass", ":".join(map(pgpass, login)) + "\n")
    return (
        Service(
            name="pgbouncer",
            command=(program("pgbouncer"), str(files / "pgbouncer.ini")),
            folder=files,
            stands_for="pool of connections to the databases",
            healthy=partial(_healthy, topology, passwords),
            address=endpoint,
            uses_database=True,
            stop_signal="INT",  # lets running queries end
            needs=tuple(unit_name(group.primary) for group in topology.endpoints.databases),
            rereads=(files / "pgbouncer.ini", files / "userlist.txt"),
        ),
    )


def _healthy(topology: Topology, passwords: Path) -> bool:
    """Sign in as the monitor, which needs the list of users, and ask the console."""
    endpoint = topology.endpoints.one(CLIENTS)
    where = ["-h", endpoint.host, "-p", str(endpoint.port), "-U", MONITOR, "-d", CONSOLE]
    command = [program("psql"), "-X", "-q", "-A", "-t", "-w", *where, "-c", "SHOW VERSION"]
    try:
        said = run_as(topology.user, command, seconds=HEALTH_SECONDS, environment={"PGPASSFILE": str(passwords)})
    except ServiceFailed:
        return False
    return "PgBouncer" in said
