"""Backups: pgBackRest's configuration, the logical dump beside it, and the systemd timers that run both."""

from __future__ import annotations

from dataclasses import dataclass

from watoto_infra.rendering import values
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec
from watoto_infra.rendering.secrets import owner_name
from watoto_infra.servers.postgresql import config as postgresql
from watoto_infra.values.addresses import Endpoint

HOUR = 3600


@dataclass(frozen=True)
class Stanza:
    """One PostgreSQL cluster as pgBackRest knows it."""

    name: str
    folder: str
    port: int


@dataclass(frozen=True)
class BackupContext:
    """What pgbackrest.conf and logical-dump.sh may say."""

    repository: str
    retention_days: int
    block_incremental: bool
    cipher_pass: str | None
    processes: int
    spool: str
    lock: str
    logs: str
    sockets: str
    superuser: str
    stanzas: tuple[Stanza, ...]
    servers: tuple[Endpoint, ...]
    database: str
    username: str
    bucket: str
    region: str
    s3_endpoint: str | None
    dumps: str
    metrics: str
    pgpass: str
    config: str


@dataclass(frozen=True)
class UnitContext:
    """What one systemd service or timer may say; ``calendar`` is in systemd's own notation, UTC."""

    name: str
    description: str
    os_user: str
    commands: tuple[str, ...]
    calendar: str
    writable: tuple[str, ...]
    timeout_seconds: int


CONTEXTS: tuple[type, ...] = (BackupContext, UnitContext)


def context(inputs: Inputs) -> BackupContext:
    """Build the context of configuration and job."""
    places, endpoints, database = inputs.places, inputs.endpoints, inputs.settings.database
    data, config = values.path(places.data, "data folder"), values.path(places.config, "configuration folder")
    primaries = [group.primary for group in endpoints.databases]
    return BackupContext(
        repository=f"{data}/backups/pgbackrest",
        retention_days=inputs.settings.storage.backup_retention_days,
        block_incremental=inputs.versions.at_least("pgbackrest", 2, 46),
        cipher_pass=inputs.secrets.get("backup-cipher"),
        processes=max(2, inputs.database_machine.cores // 2),
        spool=f"{data}/backups/spool",
        lock=f"{values.path(places.run, 'folder of sockets')}/pgbackrest",
        logs=f"{values.path(places.logs, 'folder of logs')}/pgbackrest",
        sockets=places.run,
        superuser=postgresql.SUPERUSER,
        stanzas=tuple(
            Stanza(postgresql.stanza(server), f"{data}/postgresql/{values.name(server.name, 'a server')}", server.port)
            for server in primaries
        ),
        servers=tuple(
            Endpoint(
                values.host(server.host, "address of a primary"), server.port, values.name(server.name, "a server")
            )
            for server in primaries
        ),
        database=database.name,
        username=database.username,
        bucket=values.token(endpoints.backups_bucket, "name of the backups bucket"),
        region=values.token(endpoints.region, "region"),
        s3_endpoint=None if endpoints.s3_endpoint is None else values.origin(endpoints.s3_endpoint),
        dumps=f"{data}/backups/dumps",
        metrics=f"{data}/metrics",
        pgpass=f"{config}/backup/pgpass",
        config=config,
    )


def units(ctx: BackupContext, os_user: str) -> tuple[UnitContext, ...]:
    """Full backup on Sundays, a differential one on the other days, a dump each night, a drill each week."""
    conf = f"{ctx.config}/backup/pgbackrest.conf"
    writable = (ctx.repository, ctx.spool, ctx.lock, ctx.logs, ctx.dumps, ctx.metrics)

    def backup(kind: str) -> tuple[str, ...]:
        command = f"/usr/bin/pgbackrest --config={conf}"
        return tuple(f"{command} --stanza={stanza.name} --type={kind} backup" for stanza in ctx.stanzas)

    planned = (
        ("watoto-backup-full", "Full backup of the databases", backup("full"), "Sun *-*-* 02:00:00 UTC", 6),
        ("watoto-backup-diff", "Differential backup", backup("diff"), "Mon..Sat *-*-* 02:00:00 UTC", 3),
        (
            "watoto-dump",
            "Logical dump of the databases",
            (f"{ctx.config}/backup/logical-dump.sh",),
            "*-*-* 03:00:00 UTC",
            3,
        ),
        (
            "watoto-drill",
            "Restore drill",
            ("/usr/bin/env watoto restore --drill --latest",),
            "Sat *-*-* 05:00:00 UTC",
            3,
        ),
    )
    return tuple(
        UnitContext(name, description, os_user, commands, calendar, writable, hours * HOUR)
        for name, description, commands, calendar, hours in planned
    )


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """Configuration (which holds the repository's passphrase), password file, job, services and timers."""
    ctx = context(inputs)
    found = [
        FileSpec("backup/pgbackrest.conf", "backup/pgbackrest.conf.j2", ctx, secret=True),
        FileSpec("backup/pgpass", "postgresql/pgpass.j2", postgresql.PasswordFileContext(_logins(inputs)), secret=True),
        FileSpec("backup/logical-dump.sh", "backup/logical-dump.sh.j2", ctx, executable=True),
    ]
    for unit in units(ctx, values.name(inputs.places.os_user, "name of the system user")):
        found += [
            FileSpec(f"backup/systemd/{unit.name}.{kind}", f"backup/systemd/{kind}.j2", unit)
            for kind in ("service", "timer")
        ]
    return tuple(found)


def _logins(inputs: Inputs) -> tuple[postgresql.Login, ...]:
    """How the dump job signs in as the owner of each database; nowhere where no secret is known."""
    database = inputs.settings.database
    found = (
        postgresql.login(inputs, group.primary, database.name, database.username, owner_name(shard))
        for shard, group in enumerate(inputs.endpoints.databases)
    )
    return tuple(filter(None, found))
