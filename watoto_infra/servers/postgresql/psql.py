"""Asks a PostgreSQL server as its superuser, over its socket, which the processes' user alone may."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from watoto_infra.errors import ServiceFailed
from watoto_infra.programs import program
from watoto_infra.servers.postgresql.config import SUPERUSER
from watoto_infra.supervision.commands import run_as
from watoto_infra.supervision.unix_user import UnixUser

SECONDS = 30.0
HEALTH_SECONDS = 1.0
QUIET = (
    "SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET pg_stat_statements.track_utility = 'off';\n"
)
"""Keeps a statement that holds a secret out of the server's log and statistics."""


@dataclass(frozen=True)
class Psql:
    """Asks one server as its superuser, through its socket, so that no password is needed."""

    user: UnixUser
    sockets: Path
    port: int

    def rows(self, sql: str, *, database: str = "postgres", seconds: float = SECONDS) -> list[list[str]]:
        """Run statements and give their rows as text; a null is an empty text.

        Statements go in by standard input, which nobody else can read. Raises ``ServiceFailed`` with its words.
        """
        command = [program("psql"), "-X", "-q", "-t", "--csv", "-v", "ON_ERROR_STOP=1"]
        where = ["-h", str(self.sockets), "-p", str(self.port), "-U", SUPERUSER, "-d", database, "-f", "-"]
        environment = {"PGCONNECT_TIMEOUT": "5", "PGAPPNAME": "watoto"}
        said = run_as(self.user, [*command, *where], seconds=seconds, environment=environment, given=sql)
        return [row or [""] for row in csv.reader(said.splitlines())]

    def value(self, sql: str, *, database: str = "postgres", seconds: float = SECONDS) -> str:
        """Give the first value of the first row. Raises ``ServiceFailed`` also when there is none."""
        rows = self.rows(sql, database=database, seconds=seconds)
        if not rows or not rows[0]:
            raise ServiceFailed(f"PostgreSQL on port {self.port} answered nothing to: {sql}")
        return rows[0][0]

    def holds(self, condition: str) -> bool:
        """Tell within a second whether the server answers and the condition holds there."""
        try:
            return self.value(f"SELECT {condition}", seconds=HEALTH_SECONDS) == "t"
        except ServiceFailed:
            return False


def literal(text: str) -> str:
    """Quote a text as SQL's string constant."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Quote a name as SQL's identifier."""
    return '"' + name.replace('"', '""') + '"'
