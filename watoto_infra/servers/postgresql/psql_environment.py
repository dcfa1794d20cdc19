"""What points a person's own psql at a stack's database, without a password on the screen."""

from __future__ import annotations

from watoto_infra.rendering.secrets import owner_name
from watoto_infra.servers.topology import Topology
from watoto_infra.settings.stage import StageSettings
from watoto_infra.stack_home import StackHome
from watoto_infra.templating import pgpass
from watoto_infra.values.outputs import StackOutputs

PASSWORD_FILE = "psql-pgpass"  # noqa: S105 - the file's name


def place_password_file(topology: Topology) -> None:
    """Write libpq's password file with a line for each of the LMS's databases; only its owner may read it."""
    user = topology.settings.database.username
    lines = [
        ":".join(map(pgpass, (server.host, server.port, "*", user, topology.secret(owner_name(shard)))))
        for shard, group in enumerate(topology.endpoints.databases)
        for server in (group.primary, *group.replicas)
    ]
    topology.private_file(PASSWORD_FILE, "\n".join(lines) + "\n")


def client_environment(home: StackHome, outputs: StackOutputs, settings: StageSettings) -> dict[str, str]:
    """Give libpq's variables for the main database; nothing while no server was ever started."""
    file = home.run / "private" / PASSWORD_FILE
    if not file.exists():
        return {}
    return {
        "PGHOST": outputs.primary.address,
        "PGPORT": str(outputs.primary.port),
        "PGDATABASE": settings.database.name,
        "PGUSER": settings.database.username,
        "PGPASSFILE": str(file),
    }
