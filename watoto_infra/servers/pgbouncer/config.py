"""PgBouncer: many connections of the app on few of the database; the sums are checked, not hoped for."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from watoto_infra.errors import RenderError
from watoto_infra.rendering import values
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec
from watoto_infra.rendering.secrets import owner_name
from watoto_infra.servers.pgbouncer.server import CLIENTS
from watoto_infra.servers.postgresql import config as postgresql
from watoto_infra.servers.postgresql.demand import POOL_SIZE, RESERVE, app_connections, most_app_servers
from watoto_infra.values.addresses import Endpoint

MOST_FILES = 65_535
"""Open files one PgBouncer may have; each client and each server connection is one."""
ROUNDS = 4096


@dataclass(frozen=True)
class PgbouncerContext:
    """What pgbouncer.ini and userlist.txt may say; ``users`` holds names with their SCRAM secrets.

    ``passwords`` are the owner's by database, where it is not the main one's: PgBouncer has one per user only. So the
    app comes to a shard as a user of that shard's own (``owner``), and PgBouncer goes on as the owner.
    """

    listen_host: str
    listen_port: int
    databases: tuple[tuple[str, Endpoint], ...]
    database: str
    monitor: str
    auth_file: str
    app_connections: int
    max_client_conn: int
    default_pool_size: int
    max_db_connections: int
    prepared_statements: bool
    username: str
    users: tuple[tuple[str, str], ...]
    passwords: Mapping[str, str]


CONTEXTS: tuple[type, ...] = (PgbouncerContext,)


def scram(password: str, salt: bytes) -> str:
    """Give PostgreSQL's form of a SCRAM-SHA-256 secret (RFC 5802, RFC 7677), which holds no password."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, client, server)]
    return f"SCRAM-SHA-256${ROUNDS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def context(inputs: Inputs) -> PgbouncerContext:
    """Build the context. Raises ``RenderError`` where the app may open more connections than it takes."""
    database, endpoints = inputs.settings.database, inputs.endpoints
    connections = app_connections(inputs)
    servers = sum(1 + len(group.replicas) for group in endpoints.databases)
    files = ceil(connections * 1.25) + servers * (POOL_SIZE + RESERVE)
    if files > MOST_FILES:
        raise RenderError(
            f"{most_app_servers(inputs)} app servers may open {connections:,} connections: PgBouncer would need "
            f"{files:,} open files and takes {MOST_FILES:,}",
            hint="lower app.max_size, or database.pool.max_size",
        )
    named, passwords = _databases(inputs)
    return PgbouncerContext(
        listen_host=values.host(endpoints.one(CLIENTS).host, "address of PgBouncer"),
        listen_port=endpoints.one(CLIENTS).port,
        databases=named,
        database=database.name,
        monitor=postgresql.MONITOR,
        auth_file=values.path(f"{inputs.places.config}/pgbouncer/userlist.txt", "list of users"),
        app_connections=connections,
        max_client_conn=ceil(connections * 1.25),
        default_pool_size=POOL_SIZE,
        max_db_connections=POOL_SIZE + RESERVE,
        prepared_statements=inputs.versions.at_least("pgbouncer", 1, 21),
        username=database.username,
        users=_users(inputs),
        passwords=passwords,
    )


def _databases(inputs: Inputs) -> tuple[tuple[tuple[str, Endpoint], ...], Mapping[str, str]]:
    """Name every server, ``<database>[_shard<N>][_ro<M>]``; give also the shards' passwords where they are known."""
    named: list[tuple[str, Endpoint]] = []
    passwords: dict[str, str] = {}
    for shard, group in enumerate(inputs.endpoints.databases):
        base = inputs.settings.database.name + (f"_shard{shard}" if shard else "")
        servers = [(base, _guarded(group.primary))]
        servers += [(f"{base}_ro{number}", _guarded(replica)) for number, replica in enumerate(group.replicas, start=1)]
        named += servers
        password = inputs.secrets.get(owner_name(shard)) if shard else None
        if password is not None:
            passwords |= {name: password for name, _ in servers}
    return tuple(named), passwords


def _guarded(endpoint: Endpoint) -> Endpoint:
    return Endpoint(values.host(endpoint.host, "address of a database server"), endpoint.port, endpoint.name)


def _users(inputs: Inputs) -> tuple[tuple[str, str], ...]:
    """The app's user for each database and the monitor's; nobody where a stage is rendered without secrets."""
    role = inputs.settings.database.username
    found = [
        (owner(role, shard), verifier(inputs, role, owner_name(shard)))
        for shard in range(len(inputs.endpoints.databases))
    ]
    found.append((postgresql.MONITOR, verifier(inputs, postgresql.MONITOR, postgresql.MONITOR_SECRET)))
    return tuple((name, known) for name, known in found if known is not None)


def owner(role: str, shard: int) -> str:
    """Give the user by which PgBouncer knows the owner of a shard's database (0: the main one).

    One of the same name would not do: PgBouncer keeps what a client proved its password with, by the user's name, and
    would show one database's proof to another.
    """
    return f"{role}_shard{shard}" if shard else role


def verifier(inputs: Inputs, user: str, secret: str) -> str | None:
    """Give what both PgBouncer and the PostgreSQL role must hold: only with the same one does it sign in with it.

    The salt follows from stack and user, so that both sides come to the same.
    """
    password = inputs.secrets.get(secret)
    if password is None:
        return None
    salt = hashlib.sha256(f"{inputs.stack}/{user}".encode()).digest()[:16]
    return inputs.secrets.note(scram(password, salt))


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """pgbouncer.ini, and the users' secrets in a file of their own."""
    ctx = context(inputs)
    return (
        FileSpec("pgbouncer/pgbouncer.ini", "pgbouncer/pgbouncer.ini.j2", ctx, secret=bool(ctx.passwords)),
        FileSpec("pgbouncer/userlist.txt", "pgbouncer/userlist.txt.j2", ctx, secret=True),
    )
