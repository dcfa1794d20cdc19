"""PostgreSQL: primaries and replicas, sized by formula, and who may connect."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from watoto_infra.derived.machines import GIB, Machine
from watoto_infra.derived.postgresql import RDS_ONLY_PREFIX, primary_parameters, replica_parameters
from watoto_infra.errors import RenderError
from watoto_infra.rendering import values
from watoto_infra.rendering.endpoints import DatabaseEndpoints, is_loopback
from watoto_infra.rendering.inputs import Inputs, ServerTls
from watoto_infra.rendering.model import FileSpec
from watoto_infra.servers.postgresql.demand import SUPERUSER_RESERVED, max_connections
from watoto_infra.templating import pgpass
from watoto_infra.values.addresses import Endpoint

WORKERS = 8
"""max_worker_processes where there are fewer cores: PostgreSQL's default, which replicas must not fall below."""
MANY_CORES = 4
ARCHIVE_TIMEOUT_SECONDS = 30
SUPERUSER, MONITOR, REPLICATOR = "postgres", "watoto_monitor", "replicator"
MONITOR_SECRET = "postgresql-monitor"  # noqa: S105 - the name of a secret
LOOPBACK_NETWORK = "127.0.0.1/32"
LARGEST_MAINTENANCE_MIB = 8 * GIB
SMALLEST_WORK_MEM_KIB = 4 * 1024

Parameters = tuple[tuple[str, str | int], ...]
Login = tuple[str, int, str, str, str]


@dataclass(frozen=True)
class PostgresqlContext:
    """What one server's files may say; each group is a list of parameters in PostgreSQL's own names and units."""

    name: str
    memory_mib: int
    cores: int
    connections: Parameters
    memory: Parameters
    wal: Parameters
    replication: Parameters
    archiving: Parameters
    behaviour: Parameters
    superuser: str
    monitor: str
    replicator: str
    database: str
    username: str
    os_user: str
    host_type: str
    networks: tuple[str, ...]


@dataclass(frozen=True)
class PasswordFileContext:
    """What a pgpass may say: lines of host, port, database, user and password; none where no secret is known."""

    logins: tuple[Login, ...]


CONTEXTS: tuple[type, ...] = (PostgresqlContext, PasswordFileContext)


def sizes(machine: Machine, max_connections: int) -> dict[str, str | int]:
    """Size memory and parallelism as pgtune does for a web application on SSD, from 256 MiB to 100 GiB.

    Source: le0pard/pgtune, src/features/configuration/configurationSlice.js. ``work_mem`` is in kB, the rest in MB.
    """
    memory, cores = machine.memory_mib, machine.cores
    shared = memory // 4
    maintenance = min(memory // 16, LARGEST_MAINTENANCE_MIB)
    workers = max(cores, WORKERS)
    budget_kib = (memory - shared) * 1024
    found: dict[str, str | int] = {
        "shared_buffers": f"{shared}MB",
        "effective_cache_size": f"{memory * 3 // 4}MB",
        "maintenance_work_mem": f"{maintenance}MB",
        "work_mem": max(SMALLEST_WORK_MEM_KIB, budget_kib // ((max_connections + workers) * 3)),
        "wal_buffers": f"{_wal_buffers_kib(shared)}kB",
        "huge_pages": "try" if shared >= 2 * GIB else "off",
        "max_worker_processes": workers,
        "effective_io_concurrency": 200,
        "default_statistics_target": 100,
        "jit": "off",
    }
    if maintenance >= 2 * GIB:
        found["autovacuum_work_mem"] = f"{2 * GIB}MB"
    if cores >= MANY_CORES:
        gather = min(4, ceil(cores / 2))
        found |= {
            "max_parallel_workers": cores,
            "max_parallel_workers_per_gather": gather,
            "max_parallel_maintenance_workers": gather,
        }
    return found


def _wal_buffers_kib(shared_mib: int) -> int:
    """3 % of shared_buffers, 32 kB to 16 MB; from 14 MB on the whole 16 MB."""
    found = min(shared_mib * 1024 * 3 // 100, 16 * 1024)
    return 16 * 1024 if found > 14 * 1024 else max(32, found)


def context(inputs: Inputs, server: Endpoint, primary: Endpoint) -> PostgresqlContext:
    """Build the context of one server; it is a replica unless it is its own ``primary``."""
    settings, database = inputs.settings, inputs.settings.database
    is_replica = server is not primary
    connections = max_connections(inputs)
    memory = sizes(inputs.database_machine, connections)
    memory["work_mem"] = min(int(memory["work_mem"]), database.work_mem_kib)
    declared = replica_parameters(database) if is_replica else primary_parameters(database)
    behaviour = {name: value for name, value in declared.items() if not name.startswith(RDS_ONLY_PREFIX)}
    behaviour.pop("work_mem")
    behaviour["autovacuum_max_workers"] = "4" if inputs.database_machine.cores >= 16 else "3"  # noqa: PLR2004 - pgtune's step
    loopback = is_loopback(server.host)
    return PostgresqlContext(
        name=values.name(server.name, "name of a database server"),
        memory_mib=inputs.database_machine.memory_mib,
        cores=inputs.database_machine.cores,
        connections=(
            ("listen_addresses", values.host(server.host, "address of a database server")),
            ("port", server.port),
            ("unix_socket_directories", values.path(inputs.places.run, "folder of sockets")),
            ("unix_socket_permissions", "0700"),
            ("max_connections", connections),
            ("superuser_reserved_connections", SUPERUSER_RESERVED),
            ("password_encryption", "scram-sha-256"),
            *_tls(inputs.server_tls(server.host)),
        ),
        memory=tuple(memory.items()),
        wal=_wal(inputs),
        replication=_replication(inputs, server, primary),
        archiving=_archiving(inputs, server),
        behaviour=tuple(behaviour.items()),
        superuser=SUPERUSER,
        monitor=MONITOR,
        replicator=REPLICATOR,
        database=database.name,
        username=database.username,
        os_user=values.name(inputs.places.os_user, "name of the system user"),
        host_type="host" if loopback else "hostssl",
        networks=(LOOPBACK_NETWORK,) if loopback else (settings.network.cidr,),
    )


def _tls(tls: ServerTls | None) -> Parameters:
    if tls is None:
        return ()
    return (
        ("ssl", "on"),
        ("ssl_cert_file", tls.certificate),
        ("ssl_key_file", tls.key),
        ("ssl_min_protocol_version", "TLSv1.2"),
    )


def _wal(inputs: Inputs) -> Parameters:
    """WAL sizes; lz4 came with PostgreSQL 15. A slot may hold back a fifth of the storage.

    Beside the slots the guide's 32 segments of 16 MB are kept, for a replica whose slot is not there yet.

    A server that was killed, or just copied, first brings its folder to the disk: from PostgreSQL 14 on all at once.
    """
    small = inputs.settings.usage.database_gib < 10  # noqa: PLR2004 - below it pgtune's web sizes do
    at_once = (("recovery_init_sync_method", "syncfs"),) if inputs.versions.at_least("postgresql", 14) else ()
    return (
        *at_once,
        ("wal_level", "replica"),
        ("wal_compression", "lz4" if inputs.versions.at_least("postgresql", 15) else "on"),
        ("min_wal_size", "1GB" if small else "2GB"),
        ("max_wal_size", "4GB" if small else "8GB"),
        ("checkpoint_completion_target", "0.9"),
        ("wal_keep_size", "512MB"),
        ("max_slot_wal_keep_size", f"{max(4, inputs.settings.database.storage_gib // 5)}GB"),
    )


def _replication(inputs: Inputs, server: Endpoint, primary: Endpoint) -> Parameters:
    """A replica's limits must not be below its primary's, so both say the same; any server may become the primary."""
    common: Parameters = (("max_wal_senders", 10), ("max_replication_slots", 10), ("hot_standby", "on"))
    if server is primary:
        return common
    password_file = values.path(f"{inputs.places.config}/postgresql/{server.name}/pgpass", "password file")
    connection = (
        f"host={values.host(primary.host, 'address of a primary')} port={primary.port} user={REPLICATOR} "
        f"application_name={server.name} passfile={password_file} keepalives_idle=10"
    )
    return (
        *common,
        ("primary_conninfo", connection),
        ("primary_slot_name", server.name.replace("-", "_")),
        ("wal_receiver_status_interval", "5s"),
    )


def stanza(server: Endpoint) -> str:
    """The pgBackRest stanza of a server's cluster: one for each shard."""
    shard = server.name.rpartition("-")[0]
    return f"watoto_lms_{shard}" if shard else "watoto_lms"


def stanza_of_shard(shard: int) -> str:
    """The stanza of a shard's cluster (0: the main one), as ``stanza`` gives it for the shard's servers."""
    return f"watoto_lms_shard{shard}" if shard else "watoto_lms"


def _archiving(inputs: Inputs, server: Endpoint) -> Parameters:
    """A segment is closed after 30 s at most, which with the upload stays far below the recovery point of 5 minutes.

    Replicas fetch as they go: the queue of fetching ahead is one for all of a stanza.
    """
    config = values.path(f"{inputs.places.config}/backup/pgbackrest.conf", "pgBackRest's configuration")
    command = f"pgbackrest --config={config} --stanza={stanza(server)}"
    own = values.path(f"{inputs.places.data}/postgresql/{server.name}", "data folder of a database server")
    return (
        ("archive_mode", "on"),
        ("archive_timeout", f"{ARCHIVE_TIMEOUT_SECONDS}s"),
        ("archive_command", f"{command} archive-push %p"),
        ("restore_command", f'{command} --pg1-path={own} --no-archive-async archive-get %f "%p"'),
    )


def files(inputs: Inputs) -> tuple[FileSpec, ...]:
    """The files of every server. Each may have to follow any other of its group one day, so it knows them all."""
    found = []
    for group in inputs.endpoints.databases:
        for server in (group.primary, *group.replicas):
            ctx = context(inputs, server, group.primary)
            found += [
                FileSpec(
                    f"postgresql/{ctx.name}/{name}",
                    f"postgresql/{name}.j2",
                    ctx,
                )
                for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf")
            ]
            passwords = PasswordFileContext(_replication_logins(inputs, group))
            found.append(FileSpec(f"postgresql/{ctx.name}/pgpass", "postgresql/pgpass.j2", passwords, secret=True))
    return tuple(found)


def _replication_logins(inputs: Inputs, group: DatabaseEndpoints) -> tuple[Login, ...]:
    servers = (group.primary, *group.replicas)
    found = (login(inputs, server, "replication", REPLICATOR, "replicator") for server in servers)
    return tuple(filter(None, found))


def login(inputs: Inputs, server: Endpoint, database: str, user: str, secret: str) -> Login | None:
    """Give a line of a password file; None where the secret is not known.

    Raises ``RenderError`` for a password that such a file cannot carry.
    """
    password = inputs.secrets.get(secret)
    if password is None:
        return None
    try:
        inputs.secrets.note(pgpass(password))
    except ValueError:
        raise RenderError(f"the secret {secret} holds a line break or control character") from None
    return server.host, server.port, database, user, password
