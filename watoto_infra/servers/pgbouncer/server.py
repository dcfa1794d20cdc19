"""PgBouncer: many connections of the app on few of the databases."""

from __future__ import annotations

from watoto_infra.rendering.endpoints import Port
from watoto_infra.rendering.versions import Release
from watoto_infra.servers.server import Requirement, Server

CLIENTS = Port("pgbouncer", 6432)

SERVER = Server(
    family="pgbouncer",
    summary="transaction pooling between app servers and databases, with sums that fit",
    checked_by="a throw-away PgBouncer",
    requirements=(
        Requirement("pgbouncer", "pgbouncer", "PgBouncer configurations are checked by a throw-away pooler"),
    ),
    releases={
        "pgbouncer": Release((1, 16), (1, 25), (1, 18), ("pgbouncer", "--version"), r"PgBouncer ([\d.]+)"),
    },
    ports=(CLIENTS,),
)
