"""PgBouncer: many connections of the app on few of the database; the sums are checked, not hoped for."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from watoto_infra.errors import RenderError
from watoto_infra.rendering import values
from watoto_infra.rendering.checks import pgbouncer as checks
from watoto_infra.rendering.endpoints import WORKERS, Endpoint
from watoto_infra.rendering.families import gunicorn, postgresql
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import Finding, Piece, RenderedFile

SUMMARY = "transaction pooling between app servers and databases, with sums that fit"

POOL_SIZE = 40
RESERVE = 5
"""Connections a waiting client may get beyond its pool."""
MOST_FILES = 65_535
"""Open files one PgBouncer may have; each client and each server connection is one."""
ROUNDS = 4096


@dataclass(frozen=True)
class PgbouncerContext:
    """What pgbouncer.ini and userlist.txt may say; ``users`` holds names with their SCRAM secrets."""

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
    users: tuple[tuple[str, str], ...]


CONTEXTS: tuple[type, ...] = (PgbouncerContext,)


def scram(password: str, salt: bytes) -> str:
    """Give PostgreSQL's form of a SCRAM-SHA-256 secret (RFC 5802, RFC 7677), which holds no password."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, client, server)]
    return f"SCRAM-SHA-256${ROUNDS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def app_connections(inputs: Inputs) -> int:
    """Most connections of all app servers and job workers to one database."""
    one = gunicorn.context(inputs)
    per_server = one.workers * one.pool_size
    return inputs.settings.app.max_size * per_server + (len(WORKERS) + 1) * one.pool_size


def context(inputs: Inputs) -> PgbouncerContext:
    """Build the context. Raises ``RenderError`` where the app may open more connections than it takes."""
    database, endpoints = inputs.settings.database, inputs.endpoints
    connections = app_connections(inputs)
    servers = sum(1 + len(group.replicas) for group in endpoints.databases)
    files = ceil(connections * 1.25) + servers * (POOL_SIZE + RESERVE)
    if files > MOST_FILES:
        raise RenderError(
            f"{inputs.settings.app.max_size} app servers may open {connections:,} connections: PgBouncer would need "
            f"{files:,} open files and takes {MOST_FILES:,}",
            hint="lower app.max_size, or database.pool.max_size",
        )
    named = []
    for shard, group in enumerate(endpoints.databases):
        base = database.name if shard == 0 else f"{database.name}_shard{shard}"
        named.append((base, _guarded(group.primary)))
        named += [(f"{base}_ro{number}", _guarded(replica)) for number, replica in enumerate(group.replicas, start=1)]
    return PgbouncerContext(
        listen_host=values.host(endpoints.pgbouncer.host, "address of PgBouncer"),
        listen_port=endpoints.pgbouncer.port,
        databases=tuple(named),
        database=database.name,
        monitor=postgresql.MONITOR,
        auth_file=values.path(f"{inputs.places.config}/pgbouncer/userlist.txt", "list of users"),
        app_connections=connections,
        max_client_conn=ceil(connections * 1.25),
        default_pool_size=POOL_SIZE,
        max_db_connections=POOL_SIZE + RESERVE,
        prepared_statements=inputs.versions.at_least("pgbouncer", 1, 21),
        users=_users(inputs),
    )


def _guarded(endpoint: Endpoint) -> Endpoint:
    return Endpoint(values.host(endpoint.host, "address of a database server"), endpoint.port, endpoint.name)


def _users(inputs: Inputs) -> tuple[tuple[str, str], ...]:
    """The app's user; nobody where files are rendered for a stage without secrets.

    PgBouncer signs in to PostgreSQL with the same secret, which works because both hold the same verifier: its salt
    follows from stack and user.
    """
    name = inputs.settings.database.username
    password = inputs.secrets.get("database")
    if password is None:
        return ()
    salt = hashlib.sha256(f"{inputs.stack}/{name}".encode()).digest()[:16]
    return ((name, inputs.secrets.note(scram(password, salt))),)


def pieces(inputs: Inputs) -> tuple[Piece, ...]:
    """pgbouncer.ini, and the users' secrets in a file of their own."""
    ctx = context(inputs)
    return (
        Piece("pgbouncer/pgbouncer.ini", "pgbouncer/pgbouncer.ini.j2", ctx),
        Piece("pgbouncer/userlist.txt", "pgbouncer/userlist.txt.j2", ctx, secret=True),
    )


def check(tree: Path, files: Sequence[RenderedFile], inputs: Inputs) -> tuple[Finding, ...]:
    """Start a throw-away PgBouncer and ask for its configuration."""
    return checks.check(tree / "pgbouncer", files, context(inputs).databases)
