"""What is in a primary beside the LMS's tables: roles, database, extension and the slots of its replicas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from watoto_infra.derived.lms_environment import STATEMENT_TIMEOUT_SECONDS
from watoto_infra.errors import ServiceFailed
from watoto_infra.rendering.secrets import owner_name
from watoto_infra.servers.pgbouncer.config import verifier
from watoto_infra.servers.postgresql.config import MONITOR, MONITOR_SECRET, REPLICATOR
from watoto_infra.servers.postgresql.data_folders import REPLICA_NAME
from watoto_infra.servers.postgresql.psql import QUIET, Psql, identifier, literal
from watoto_infra.servers.topology import Topology

PROMOTE_SECONDS = 60
POOLED_LIMITS = {"lock_timeout": "5s", "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s"}
"""Through PgBouncer the LMS cannot ask for its own limits, since others get the connection after it.

Nobody else has them: an index that is built beside traffic waits for older transactions, and is left behind invalid
when that is broken off.
"""
EXTENSION = "pg_stat_statements"


@dataclass(frozen=True)
class Role:
    """A role that can sign in; ``verifier`` is its SCRAM secret, ``rights`` what else it may.

    ``limits`` are how long its statements may take and wait; without one, each connection asks for its own.
    """

    name: str
    verifier: str
    rights: str = ""
    limits: Mapping[str, str] = field(default_factory=dict)


def roles(topology: Topology, shard: int) -> tuple[Role, ...]:
    """Give the roles of a shard's primary (0: the main one). Raises ``ServiceFailed`` for a secret that is missing."""
    database = topology.settings.database
    return (
        Role(
            database.username,
            _verifier(topology, database.username, owner_name(shard)),
            limits=POOLED_LIMITS if database.pgbouncer else {},
        ),
        Role(REPLICATOR, _verifier(topology, REPLICATOR, "replicator"), rights="REPLICATION"),
        Role(MONITOR, _verifier(topology, MONITOR, MONITOR_SECRET)),
    )


def _verifier(topology: Topology, user: str, secret: str) -> str:
    topology.secret(secret)
    return verifier(topology.inputs, user, secret) or ""


def promote(primary: Psql) -> None:
    """Make a standby that is declared as a primary one, and wait until it is; a primary is left alone.

    Raises ``ServiceFailed`` when it takes longer than a minute.
    """
    sql = f"SELECT NOT pg_is_in_recovery() OR pg_promote(true, {PROMOTE_SECONDS})"
    if primary.value(sql, seconds=PROMOTE_SECONDS + 10) != "t":
        raise ServiceFailed(
            f"the standby on port {primary.port} was not promoted within {PROMOTE_SECONDS} s",
            hint="its log says what it is still replaying",
        )


def fill(primary: Psql, wanted: tuple[Role, ...], database: str) -> None:
    """Bring roles, database and extension to what is declared; what is so already is only looked at.

    Raises ``ServiceFailed`` with the server's words.
    """
    found = {row[0]: row[1:] for row in primary.rows(_ROLES)}
    changes = list(_role_changes(wanted, found))
    if changes:
        primary.rows(QUIET + "BEGIN;\n" + "\n".join(changes) + "\nCOMMIT;")
    owner = wanted[0].name
    if not primary.rows(f"SELECT 1 FROM pg_database WHERE datname = {literal(database)}"):  # noqa: S608 - quoted
        primary.rows(f"CREATE DATABASE {identifier(database)} OWNER {identifier(owner)}")
    if not primary.rows(f"SELECT 1 FROM pg_extension WHERE extname = {literal(EXTENSION)}", database=database):  # noqa: S608
        primary.rows(f"CREATE EXTENSION {EXTENSION}", database=database)


_ROLES = """
SELECT a.rolname, a.rolpassword, a.rolcanlogin, a.rolreplication, a.rolsuper OR a.rolcreaterole OR a.rolcreatedb,
       pg_has_role(a.oid, 'pg_monitor', 'member'),
       (SELECT string_agg(option, ' ' ORDER BY option) FROM unnest(r.rolconfig) AS option
        WHERE split_part(option, '=', 1) IN ('lock_timeout', 'statement_timeout'))
FROM pg_authid AS a JOIN pg_roles AS r USING (oid)
"""


def _role_changes(wanted: tuple[Role, ...], found: dict[str, list[str]]) -> Iterator[str]:
    for role in wanted:
        name, replicates = identifier(role.name), "t" if role.rights else "f"
        monitors = "t" if role.name == MONITOR else "f"
        limits = " ".join(f"{limit}={value}" for limit, value in sorted(role.limits.items()))
        if found.get(role.name) == [role.verifier, "t", replicates, "f", monitors, limits]:
            continue
        if role.name not in found:
            yield f"CREATE ROLE {name};"
        rights = f"LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB {role.rights or 'NOREPLICATION'}"
        yield f"ALTER ROLE {name} {rights} PASSWORD {literal(role.verifier)};"
        for limit in POOLED_LIMITS:
            value = role.limits.get(limit)
            yield f"ALTER ROLE {name} " + (f"SET {limit} = {literal(value)};" if value else f"RESET {limit};")
        if monitors == "t":
            yield f"GRANT pg_monitor TO {name};"


def forget_slots(primary: Psql, keep: tuple[str, ...]) -> None:
    """Drop the slots of replicas that are no longer declared: they would hold back WAL for nobody.

    Such a replica may run until all else is up, and come back as soon as it is cut off: so it is cut off again.
    """
    kept = ", ".join(literal(name) for name in keep) or "''"
    pattern = literal(f"^{REPLICA_NAME.pattern.replace('-', '_')}$")
    gone = (
        "FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary "
        f"AND slot_name ~ {pattern} AND slot_name NOT IN ({kept})"
    )
    for (name,) in primary.rows(f"SELECT slot_name {gone}"):
        primary.rows(_DROP_SLOT.format(name=literal(name)))


_DROP_SLOT = """
DO $$ BEGIN
  FOR attempt IN 1..100 LOOP
    BEGIN
      PERFORM pg_terminate_backend(active_pid, 1000) FROM pg_replication_slots WHERE slot_name = {name} AND active;
      PERFORM pg_drop_replication_slot({name});
      RETURN;
    EXCEPTION WHEN object_in_use THEN
      PERFORM pg_sleep(0.05);
    END;
  END LOOP;
END $$;
"""
