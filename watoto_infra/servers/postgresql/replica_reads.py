"""What the LMS has read from replicas, as the replicas themselves have counted it (pg_stat_statements)."""

from __future__ import annotations

from watoto_infra.servers.postgresql.psql import Psql, literal
from watoto_infra.servers.topology import Topology

COUNT = """
SELECT coalesce(sum(calls), 0) FROM pg_stat_statements AS s JOIN pg_roles AS r ON r.oid = s.userid
WHERE r.rolname = {user} AND s.query ILIKE '%from enrollments%'
"""
"""Of enrolments alone: every process of the LMS looks at the heartbeat on each replica all the time."""


def reads_on_replicas(topology: Topology) -> int:
    """Count the LMS's reads of enrolments on all replicas so far. Raises ``ServiceFailed`` when one cannot be asked."""
    database = topology.settings.database
    statement = COUNT.format(user=literal(database.username))
    return sum(
        int(Psql(topology.user, topology.sockets, replica.port).value(statement, database=database.name))
        for group in topology.endpoints.databases
        for replica in group.replicas
    )
