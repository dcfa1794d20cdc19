"""Backups: pgBackRest's configuration, the logical dump beside it, and the systemd units that run both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watoto_infra.rendering import values
from watoto_infra.rendering.inputs import Inputs
from watoto_infra.rendering.model import FileSpec
from watoto_infra.rendering.secrets import owner_name
from watoto_infra.servers.postgresql import config as postgresql
from watoto_infra.servers.postgresql.demand import dump_jobs
from watoto_infra.values.addresses import Endpoint

HOUR = 3600
STANZA_UNIT = "watoto-stanza"
MADE_BY_SYSTEMD = {"RuntimeDirectory": "/run/", "StateDirectory": "/var/lib/", "LogsDirectory": "/var/log/"}
"""systemd's settings that make a folder, and the root below which each does."""


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
    """What one systemd service or timer may say; ``calendar`` is in systemd's own notation, UTC, or None: no timer.

    ``made`` are folders that systemd makes, by the setting that has it do so, below that setting's root; ``writable``
    are those that somebody else makes.
    """

    name: str
    description: str
    os_user: str
    commands: tuple[str, ...]
    after_success: tuple[str, ...]
    needs: str | None
    calendar: str | None
    made: Mapping[str, tuple[str, ...]]
    writable: tuple[str, ...]
    timeout_seconds: int


@dataclass(frozen=True)
class _Plan:
    name: str
    description: str
    commands: tuple[str, ...]
    calendar: str | None
    hours: int
    after_success: tuple[str, ...] = ()
    needs: str | None = None


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
        processes=dump_jobs(inputs),
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
    """Full backup on Sundays, a differential one on the other days, a dump each night.

    Each backup first makes the stanzas, which changes nothing where they are there.
    """
    command = f"/usr/bin/pgbackrest --config={ctx.config}/backup/pgbackrest.conf"
    succeeded = f"{ctx.config}/backup/backup-succeeded.sh"
    report = (f"{succeeded} database {' '.join(stanza.name for stanza in ctx.stanzas)}",)

    def each(step: str) -> tuple[str, ...]:
        return tuple(f"{command} --stanza={stanza.name} {step}" for stanza in ctx.stanzas)

    def backup(kind: str) -> tuple[str, ...]:
        return each(f"--type={kind} backup")

    full, diff, daily = "Sun *-*-* 02:00:00 UTC", "Mon..Sat *-*-* 02:00:00 UTC", "*-*-* 03:00:00 UTC"
    planned = (
        _Plan(STANZA_UNIT, "Repository of the databases' backups and WAL", each("stanza-create"), None, 1),
        _Plan("watoto-backup-full", "Full backup of the databases", backup("full"), full, 6, report, STANZA_UNIT),
        _Plan("watoto-backup-diff", "Differential backup", backup("diff"), diff, 3, report, STANZA_UNIT),
        _Plan("watoto-dump", "Logical dump of the databases", (f"{ctx.config}/backup/logical-dump.sh",), daily, 3),
    )
    made, writable = _folders(ctx)
    return tuple(
        UnitContext(
            name=plan.name,
            description=plan.description,
            os_user=os_user,
            commands=plan.commands,
            after_success=plan.after_success,
            needs=plan.needs,
            calendar=plan.calendar,
            made=made,
            writable=writable,
            timeout_seconds=plan.hours * HOUR,
        )
        for plan in planned
    )


def _folders(ctx: BackupContext) -> tuple[Mapping[str, tuple[str, ...]], tuple[str, ...]]:
    """Give the folders that systemd makes for the job, by setting, and those that lie where it makes none.

    The folder of measurements is the node exporter's, which others read: systemd would close it to them.
    """
    wanted = (ctx.repository, ctx.spool, ctx.lock, ctx.logs, ctx.dumps)
    made = {
        setting: tuple(path.removeprefix(root) for path in wanted if path.startswith(root))
        for setting, root in MADE_BY_SYSTEMD.items()
    }
    left = tuple(path for path in wanted if not path.startswith(tuple(MADE_BY_SYSTEMD.values())))
    return {setting: paths for setting, paths in made.items() if paths}, (*left, ctx.metrics)


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """Configuration (which holds the repository's passphrase), password file, job, services and timers."""
    ctx = context(inputs)
    found = [
        FileSpec("backup/pgbackrest.conf", "backup/pgbackrest.conf.j2", ctx, secret=True),
        FileSpec("backup/pgpass", "postgresql/pgpass.j2", postgresql.PasswordFileContext(_logins(inputs)), secret=True),
        FileSpec("backup/logical-dump.sh", "backup/logical-dump.sh.j2", ctx, executable=True),
        FileSpec("backup/backup-succeeded.sh", "backup/backup-succeeded.sh.j2", ctx, executable=True),
    ]
    for unit in units(ctx, values.name(inputs.places.os_user, "name of the system user")):
        found += [
            FileSpec(f"backup/systemd/{unit.name}.{kind}", f"backup/systemd/{kind}.j2", unit)
            for kind in ("service", "timer" if unit.calendar else None)
            if kind
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
