"""The WAL archive of a primary: pgBackRest's repository beside the data, without which segments pile up."""

from __future__ import annotations

from pathlib import Path

from watoto_infra.errors import ServiceFailed
from watoto_infra.programs import program
from watoto_infra.servers.postgresql.config import stanza
from watoto_infra.servers.postgresql.data_folders import SYSTEM
from watoto_infra.servers.postgresql.psql import Psql
from watoto_infra.servers.topology import Topology
from watoto_infra.supervision.commands import run_as
from watoto_infra.values.addresses import Endpoint
from watoto_infra.whole_file import write_whole

SECONDS = 60.0


def prepare(topology: Topology) -> None:
    """Make the folders that the rendered pgbackrest.conf names."""
    for name in ("pgbackrest", "spool", "stanzas"):
        topology.folder("backups", name)
    topology.user.own_folder(topology.sockets / "pgbackrest")
    topology.user.own_folder(Path(topology.inputs.places.logs) / "pgbackrest")


def marker(topology: Topology, primary: Endpoint) -> Path:
    """Where it is kept which cluster the archive was made for."""
    return topology.folder("backups", "stanzas") / stanza(primary)


def ensure_not_lost(topology: Topology, primary: Endpoint, data: Path) -> None:
    """Refuse to put an empty cluster in place of one that has been archived. Raises ``ServiceFailed``."""
    known = marker(topology, primary)
    if known.exists():
        raise ServiceFailed(
            f"the database in {data} is gone, but its archive is in {topology.folder('backups')}",
            hint=f"restore it from there; or, to begin with an empty database, remove {known}",
        )


def settle(topology: Topology, primary: Endpoint, server: Psql) -> None:
    """Make the repository take this cluster's WAL; once it does, one query is all. Raises ``ServiceFailed``."""
    system = server.value(SYSTEM)
    known = marker(topology, primary)
    before = known.read_text() if known.exists() else None
    if before == system:
        return
    command = [program("pgbackrest"), f"--config={topology.config / 'backup' / 'pgbackrest.conf'}"]
    command += [f"--stanza={stanza(primary)}", "--log-level-console=error", "--log-level-stderr=error"]
    step = "stanza-create" if before is None else "stanza-upgrade"
    run_as(topology.user, [*command, step], seconds=SECONDS)
    write_whole(known, system)
